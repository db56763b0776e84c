"""The parent process: clock, supervision, settings, and the whole demo against a tiny server."""

import ast
import json
import logging
import os
import signal
import subprocess
import sys
import time as real_time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import psutil
import pytest
from demo_fake_api import FakeApi
from demo_series import waves

from demo.__main__ import Child, Supervisor, new_clock
from demo.process import Settings, SettingsError, write_whole
from demo.registry import BOTS

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
# A limit against hanging, not a claim about speed.
PATIENCE_SECONDS = 60


class StillTime:
    def __init__(self) -> None:
        self.moment = START

    def now(self) -> datetime:
        return self.moment

    def wait(self, seconds: float) -> bool:
        self.moment += timedelta(seconds=seconds)
        return False


def supervisor(folder: Path, time: StillTime, *children: Child) -> Supervisor:
    clock = new_clock([waves()], speed=None, now=START, progress=folder / "progress.json")
    log = logging.getLogger("demo.test")
    return Supervisor(children=children, clock=clock, progress=folder / "progress.json", time=time, log=log)


def test_the_replay_goes_on_where_it_was_when_the_candles_are_the_same(tmp_path):
    progress = tmp_path / "progress.json"
    time = StillTime()
    first = new_clock([waves()], speed=None, now=START, progress=progress)
    keeper = supervisor(tmp_path, time)
    time.moment = first.time_of(41)
    keeper.save_progress()

    again = new_clock([waves()], speed=None, now=START, progress=progress)
    other = new_clock([waves(count=500)], speed=None, now=START, progress=progress)

    assert first.start_step == 0
    assert again.start_step == 41
    assert again.replay_id == first.replay_id
    assert other.start_step == 0
    assert other.replay_id != first.replay_id
    progress.write_text("torn")
    assert new_clock([waves()], speed=None, now=START, progress=progress).start_step == 0


def test_a_child_that_dies_is_started_again_later_each_time(tmp_path):
    time = StillTime()
    child = Child("child", [sys.executable, "-c", ""])
    keeper = supervisor(tmp_path, time, child)

    starts = []
    for _ in range(20):
        keeper.turn()
        assert child.process is not None
        if child.started_at not in starts:
            starts.append(child.started_at)
        child.process.wait()
        time.wait(1.0)

    assert [(moment - START).total_seconds() for moment in starts] == [0.0, 3.0, 8.0, 17.0]


def test_stop_ends_every_child_even_one_that_does_not_listen(tmp_path, monkeypatch):
    monkeypatch.setattr("demo.__main__.STOP_WITHIN_SECONDS", 0.2)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    children = [Child("good", [sys.executable, "-c", "import time; time.sleep(60)"]), Child("deaf", ["unused"])]
    keeper = supervisor(tmp_path, StillTime(), children[0])
    keeper.turn()
    children[1].process = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
    assert children[1].process.stdout is not None
    children[1].process.stdout.readline()
    keeper.children = children

    keeper.stop()

    assert [child.process.poll() for child in children if child.process] == [-signal.SIGTERM, -signal.SIGKILL]
    children[1].process.stdout.close()


def test_settings_are_read_strictly():
    good = {"BASE_URL": "http://127.0.0.1:8000", "STATE_DIR": "/s", "CANDLES": "", "SPEED": "150"}

    settings = Settings.read(good)

    assert (settings.candles, settings.speed, settings.folder) == (None, 150.0, Path("/s/demo"))
    assert Settings.read({**good, "SPEED": ""}).speed is None
    for bad in ({"BASE_URL": ""}, {"SPEED": "fast"}, {"SPEED": "0"}, {"SPEED": "inf"}, {"SPEED": "nan"}):
        with pytest.raises(SettingsError):
            Settings.read({**good, **bad})


def test_a_file_is_written_whole_and_private(tmp_path):
    path = tmp_path / "clock.json"

    write_whole(path, "one")
    write_whole(path, "two")

    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def wait_until(is_done: Callable[[], bool]) -> None:
    deadline = real_time.monotonic() + PATIENCE_SECONDS
    while not is_done():
        assert real_time.monotonic() < deadline, "it never happened"
        real_time.sleep(0.1)


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi() as server:
        yield server


def test_the_whole_demo_runs_survives_a_killed_bot_and_an_outage_and_stops_clean(api, tmp_path):
    (tmp_path / "candles").mkdir()
    (tmp_path / "candles" / "WAVEUSDT-1h.csv").write_bytes(waves().csv())
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "tokens.json").write_text(json.dumps({bot.bot_id: bot.bot_id for bot in BOTS}))
    environ = os.environ | {
        "BASE_URL": api.url,
        "STATE_DIR": str(tmp_path),
        "CANDLES": str(tmp_path / "candles"),
        "SPEED": "14400",
    }
    command = [sys.executable, "-m", "demo"]
    with (tmp_path / "log").open("wb") as log:
        demo = subprocess.Popen(command, env=environ, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT)
    try:
        wait_until(lambda: bool(api.of("fill", "lxalgo_001")) and len(api.prices) > 4)
        victims = [p for p in psutil.Process(demo.pid).children() if "lxalgo_001" in p.cmdline()]
        victims[0].kill()
        api.is_down = True
        real_time.sleep(1)
        api.is_down = False
        wait_until(lambda: [e["event_type"] for e in api.of("event", "lxalgo_001")].count("BOT_START") == 2)
        fills = len(api.of("fill"))
        wait_until(lambda: len(api.of("fill")) > fills)
    finally:
        children = psutil.Process(demo.pid).children()
        demo.send_signal(signal.SIGTERM)
        code = demo.wait(PATIENCE_SECONDS)

    text = (tmp_path / "log").read_text()
    assert code == 0, text
    assert [child.pid for child in children if child.is_running()] == []
    assert "ERROR" not in text
    assert "Traceback" not in text
    assert api.conflicts == []
    assert {e["event_type"] for e in api.of("event", "momentum_001")} == {"BOT_START", "BOT_STOP"}
    for bot in BOTS:
        realised = sum(Fraction(p["realized_pnl"]) for p in api.positions(bot.bot_id))
        fees = sum(Fraction(f["fee"]) for f in api.of("fill", bot.bot_id))
        assert Fraction(api.of("balance", bot.bot_id)[-1]["total_balance"]) == 10_000 + realised - fees


def test_the_processes_know_neither_django_nor_the_database():
    program = (
        "import sys, demo.__main__, demo.bot, demo.feeder, demo.history\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}))"
    )

    printed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    modules = set(ast.literal_eval(printed.stdout))
    assert {"demo", "tradingdb_client"} <= modules
    assert not modules & {"django", "psycopg", "redis", "tradingdb", "bots", "marketdata", "accounts", "analytics"}
