"""`python -m bench`: measures, prints a JSON line a case, and keeps them in bench/results/."""

import argparse
import json
import os
import platform
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from bench.rows import BenchRow, emit

RESULTS = Path(__file__).parent / "results"
CASES = ("P1", "P2", "P3", "P8", "P12", "P14")
# Needs minutes to make its million rows, so it is measured only when asked for.
LARGE_CASES = ("L1",)


def main() -> None:
    options = arguments()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingdb.settings.dev")
    # The server under measurement keeps to itself what it says about each start and stop.
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{options.results}.jsonl"
    with file.open("a") as results:
        results.write(json.dumps(machine()) + "\n")
        for measure in chosen(options):
            for measured in measure():
                emit(measured)
                results.write(json.dumps(measured) + "\n")
                results.flush()


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=[*CASES, *LARGE_CASES], default=list(CASES), help="which cases to measure"
    )
    parser.add_argument("--quick", action="store_true", help="small numbers: whether it works, not how fast it is")
    parser.add_argument("--results", default=f"local-{platform.node()}", metavar="NAME", help="file in bench/results")
    return parser.parse_args()


def chosen(options: argparse.Namespace) -> Iterator[Callable[[], Iterator[BenchRow]]]:
    """Yield the measurements that were asked for."""
    from bench import growth, ledger, lists, live, row_security

    only = set(options.only)
    if only & set(ledger.CASES):
        yield lambda: ledger.run(only & set(ledger.CASES), quick=options.quick)
    if "P8" in only:
        yield live.run
    if only & set(growth.CASES):
        yield lambda: growth.run(quick=options.quick)
    if only & set(row_security.CASES):
        yield lambda: row_security.run(quick=options.quick)
    if only & set(lists.CASES):
        yield lambda: lists.run(quick=options.quick)


def machine() -> dict[str, Any]:
    """Return when and where this run takes place."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit')"
        )
        version, fsync, synchronous = cursor.fetchone()
    return {
        "run": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": processor(),
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "load": round(psutil.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "postgresql": version,
        "fsync": fsync,
        "synchronous_commit": synchronous,
    }


def processor() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


if __name__ == "__main__":
    main()
