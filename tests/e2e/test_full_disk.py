"""A real disk that runs full: writes wait, reads go on, and all is well when there is room. It has to be mounted."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.running import PATIENCE, Running
from tradingdb.services.processes import wait_until
from tradingdb.services.state import StateDir, free_port

MIB = 1024 * 1024
ORDER = {"order_id": "o1", "symbol": "BTCUSDT", "side": "buy", "order_type": "market", "quantity": "1000000"}


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Running]:
    """An instance whose PostgreSQL has a disk of 420 MiB."""
    running = Running(StateDir(tmp_path / "state"), free_port())
    running.state.create()
    disk = running.state.root / "postgres"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=420m", "none", str(disk)], check=True)
    try:
        running.services("up")
        yield running
    finally:
        running.services("down")
        subprocess.run(["umount", str(disk)], check=True)


def fill_up(file: Path) -> None:
    """Take every byte that is left."""
    with file.open("ab", buffering=0) as filler:
        while True:
            try:
                filler.write(bytes(MIB))
            except OSError:
                return


def fill(number: int) -> dict[str, str]:
    at = f"2026-03-01T12:{number // 60:02}:{number % 60:02}Z"
    return {"fill_id": f"f{number}", "order_id": "o1", "price": "100", "quantity": "1", "executed_at": at}


def said(running: Running, words: str) -> bool:
    return words in (running.state.logs / "supervisor.log").read_text()


def test_a_full_disk_stops_writing_and_nothing_else(small: Running) -> None:
    (bot,) = small.bots(1)
    filler = small.state.root / "postgres" / "filler"
    with small.api(bot["token"]) as api:
        assert api.post("/orders", json=ORDER | {"intent": "report"}).status_code == 201
        acknowledged = [n for n in range(20) if api.post("/fills", json=fill(n)).status_code == 201]
        assert len(acknowledged) == 20

        fill_up(filler)
        refused: list[httpx.Response] = []
        assert wait_until(lambda: said(small, "it is read-only until there is room again"), PATIENCE)
        fill_up(filler)
        for number in range(20, 60):
            answer = api.post("/fills", json=fill(number))
            acknowledged += [number] if answer.status_code in (200, 201) else []
            refused += [answer] if answer.status_code not in (200, 201) else []
        permit, fills = api.get("/permit"), api.get("/fills?limit=1000")
        ready = httpx.get(f"{small.base_url}/health/ready", timeout=20, trust_env=False)

        filler.unlink()
        assert wait_until(lambda: said(small, "it takes writes again"), PATIENCE)
        for number in range(60):
            while api.post("/fills", json=fill(number)).status_code == 503:
                time.sleep(0.2)
        stored = {row["fill_id"] for row in api.get("/fills?limit=1000").json()["items"]}

    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(503, "storage_full")}
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
    assert (permit.status_code, ready.status_code) == (200, 200)
    assert {row["fill_id"] for row in fills.json()["items"]} >= {f"f{number}" for number in acknowledged}
    assert stored == {f"f{number}" for number in range(60)}
    small.manage("verify_ledger")
