"""`python -m tests.chaos`: kills everything an instance consists of, again and again, while bots write to it."""

import argparse
import json
import logging
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.conductor import TARGETS
from tests.chaos.stage import Outcome, Stage, figures, late_recoveries, too_little
from tests.e2e.running import Running
from tradingdb.services.state import StateDir, free_port

# One round of every harm needs so many seconds, and there are at most so many a minute.
ROUNDS_A_MINUTE = 0.6
BREATH = 0.03


def main() -> int:
    options = arguments()
    # A line for each fact that a bot keeps on its disk would bury the rest.
    logging.getLogger("tradingdb_client").setLevel(logging.ERROR)
    began = time.monotonic()

    def say(text: str) -> None:
        sys.stdout.write(f"{time.monotonic() - began:7.1f}  {text}\n")
        sys.stdout.flush()

    folder = Path(tempfile.mkdtemp(prefix="tradingdb-chaos-"))
    instance = Running(StateDir(folder / "state"), free_port())
    try:
        instance.services("up")
        staff_token = instance.staff("viewer")["token"]
        say(f"ready; seed {options.seed}, {options.bots} bots, {options.minutes:g} minutes; everything is in {folder}")
        stage: Stage
        with Stage.open(instance, seed=options.seed, bots=options.bots, breath=BREATH, folder=folder, say=say) as stage:
            rounds = max(1, round(options.minutes * ROUNDS_A_MINUTE))
            stage.conductor.perform(seconds=options.minutes * 60, rounds=rounds)
            say("waiting for quiet")
            is_swept = stage.await_sweep(staff_token)
            if options.plant_loss:
                say(f"deleted {stage.plant_loss()} by hand: the run has to fail")
            outcome = stage.end(staff_token)
            if not is_swept:
                outcome.failures.append("beat and worker do not sweep the invariants")
            outcome.failures += too_little(outcome, options.minutes)
    finally:
        instance.services("down")
    status = report(outcome)
    if status:
        sys.stdout.write(f"logs and data are left in {folder}\n")
    else:
        shutil.rmtree(folder)
    return status


def report(outcome: Outcome) -> int:
    """Print the figures, what is wrong, and the summary as one JSON line at the end; return the exit status."""
    verdict = outcome.verdict
    lines = [
        f"acknowledged {verdict.acknowledged}, stored {verdict.stored}, lost {len(verdict.lost)}, "
        f"doubled {len(verdict.doubled)}, never told {len(verdict.unknown)}, wrong figures {len(verdict.wrong)}",
        f"calls that ended without an answer {outcome.unanswered}; answers {outcome.answers}",
        f"faults of the network {outcome.faults}",
    ]
    for name, times in outcome.recoveries.items():
        if times:
            took = figures(times)
            killed = f"killed {outcome.kills[name]} times" if name in outcome.kills else f"{took['count']} times"
            line = f"{name:<17} {killed}; back after {took['p50']} s (p50), {took['p95']} (p95), {took['max']}"
            lines.append(f"{line}; promised {TARGETS[name]:g} s (p95)" if name in TARGETS else line)
    lines.append("invariants: " + (", ".join(sorted(outcome.invariants)) or "all hold"))
    lines.append("replay: " + (outcome.differences or "no difference"))
    lines += [f"LATE {late}" for late in late_recoveries(outcome)]
    lines += [f"PROBLEM {problem}" for problem in outcome.problems]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.write(json.dumps(outcome.summary() | {"late": late_recoveries(outcome)}) + "\n")
    return 1 if outcome.problems else 0


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the bots write")
    parser.add_argument("--seed", type=int, default=1, help="of what the bots tell, of the harms, of the network")
    parser.add_argument("--bots", type=int, default=12, help="how many bots write, at least 2")
    parser.add_argument(
        "--plant-loss", action="store_true", help="delete a fill by hand at the end, to see that the run fails"
    )
    options = parser.parse_args()
    if options.bots < 2 or options.minutes <= 0:
        parser.error("at least 2 bots and a time")
    return options


if __name__ == "__main__":
    sys.exit(main())
