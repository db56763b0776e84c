"""The folder as a package: it stands alone, its README is true, and building it leaves nothing behind."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from outside_world import TOKEN, Reply

import tradingdb_client

FOLDER = Path(tradingdb_client.__file__).parent
EXAMPLES = re.findall(r"```python\n(.*?)```", (FOLDER / "README.md").read_text(), flags=re.DOTALL)
IMPORTED = "import sys, tradingdb_client; print(*{name.partition('.')[0] for name in sys.modules})"


def test_it_needs_httpx_and_nothing_of_ours(tmp_path):
    (tmp_path / "tradingdb_client").symlink_to(FOLDER)
    before = subprocess.run(
        [sys.executable, "-c", "import sys, httpx; print(*sys.modules)"], capture_output=True, check=True
    )
    after = subprocess.run([sys.executable, "-c", IMPORTED], cwd=tmp_path, capture_output=True, check=True)

    known = {name.partition(".")[0] for name in before.stdout.decode().split()} | sys.stdlib_module_names
    assert set(after.stdout.decode().split()) - known == {"tradingdb_client"}
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text())["project"]
    assert [re.split(r"[<>=]", need)[0] for need in project["dependencies"]] == ["httpx"]


def test_the_built_package_holds_every_module_and_the_checkout_stays_clean(tmp_path):
    before = {path.name for path in FOLDER.iterdir()}

    command = [
        sys.executable,
        "-B",
        "-W",
        "ignore",
        "setup.py",
        "-q",
        "build_py",
        "--build-lib",
        str(tmp_path),
        "egg_info",
    ]
    subprocess.run(command, cwd=FOLDER, capture_output=True, check=True)

    built = {path.name for path in (tmp_path / "tradingdb_client").iterdir()}
    assert built == ({path.name for path in FOLDER.glob("*.py")} | {"py.typed"}) - {"setup.py"}
    assert {path.name for path in FOLDER.iterdir()} == before


@pytest.mark.parametrize("example", EXAMPLES, ids=["sync", "async", "spool"])
def test_the_examples_of_the_readme_run(server, example, tmp_path, monkeypatch, capsys):
    def answer(seen):
        if seen.method == "GET":
            item = {"trade_id": "t-1", "net_pnl": "5.00", "symbol": "BTCUSDT", "size": "0.01"}
            return Reply(200, {"items": [item], "next": None})
        if seen.path == "/api/v1/heartbeat":
            permit = {"state": "ACTIVE", "version": 1, "valid_until": "2026-11-20T09:30:15Z", "reasons": []}
            return Reply(200, {"server_time": "2026-11-20T09:30:00Z", "permit": permit})
        return Reply(501 if seen.method == "PATCH" and len(server.seen) == 1 else 201)

    server.answer = answer
    monkeypatch.setenv("TRADINGDB_TOKEN", TOKEN)
    monkeypatch.chdir(tmp_path)

    exec(compile(example.replace("http://127.0.0.1:8000", server.url), "README.md", "exec"), {})

    told = capsys.readouterr().out.splitlines()
    assert (
        told
        == {
            EXAMPLES[0]: ["201 False []", "t-1 5.00"],
            EXAMPLES[1]: ["BTCUSDT 0.01"],
            EXAMPLES[2]: [
                "The server is away; the fact is on this disk and 1 wait.",
                "Flushed(delivered=1, rejected=0)",
            ],
        }[example]
    )
