"""`python -m tests.chaos.halt`: the drill of the halt on an instance of its own, with figures and an exit status."""

import argparse
import json
import logging
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.halt_drill import ORDERS_A_SECOND, Drill, Figures
from tests.e2e.running import Running
from tradingdb.services.state import StateDir, free_port


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.halt", description=__doc__)
    parser.add_argument("--frozen", type=float, default=60.0, help="seconds the web server stands still, at least 17")
    parser.add_argument("--settle", type=float, default=3.0, help="seconds each state is watched")
    options = parser.parse_args()
    if options.frozen < 17:
        parser.error("a permit lives 15 seconds: at least 17")
    for name in ("tradingdb_client", "httpx"):
        logging.getLogger(name).setLevel(logging.ERROR)
    began = time.monotonic()

    def say(text: str) -> None:
        sys.stdout.write(f"{time.monotonic() - began:7.1f}  {text}\n")
        sys.stdout.flush()

    folder = Path(tempfile.mkdtemp(prefix="tradingdb-halt-"))
    instance = Running(StateDir(folder / "state"), free_port())
    try:
        instance.services("up")
        say(f"ready; everything is in {folder}")
        figures = Drill(instance, frozen=options.frozen, settle=options.settle, folder=folder, say=say).run()
    finally:
        instance.services("down")
    if figures.orders_a_second < 0.8 * ORDERS_A_SECOND:
        say(f"LATE this machine was too busy: {figures.orders_a_second} orders a second, not {ORDERS_A_SECOND:g}")
    report(figures)
    if not figures.problems:
        shutil.rmtree(folder)
        return 0
    say(f"logs and data are left in {folder}")
    return 1


def report(figures: Figures) -> None:
    """Print the figures, what is wrong, and all of it as one JSON line."""
    lines = [
        f"halt {halt['id']} of {halt['scope']} {halt['target']} by {halt['by']}: orders accepted since, by server "
        f"sequence, {halt['accepted']}; refused {halt['refused']}"
        for halt in figures.halts
    ]
    lines += [
        f"orders accepted after a halt {figures.accepted_after}; accepted in all {figures.accepted}; "
        f"asked for {figures.orders_a_second} a second; {dict(figures.asked)}",
        f"facts told {figures.facts_told}, stored {figures.facts_stored}",
        f"permits valid 15 s after the freeze {figures.permits_after_freeze}",
        f"seconds until a halt was answered {figures.halt_seconds}",
        f"seconds until the last of the bots that beat each second had heard {figures.heard_seconds}",
        *(f"PROBLEM {problem}" for problem in figures.problems),
        json.dumps({"ok": not figures.problems, **vars(figures)}, default=str),
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
