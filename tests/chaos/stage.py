"""One run: an instance, bots behind a bad network, harm after harm, and then what the ledger says to it."""

import json
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests.chaos.conductor import TARGETS, Conductor
from tests.chaos.proxy import Fault, FaultProxy, Weather
from tests.chaos.stories import Story, Write
from tests.chaos.verdict import Verdict, judge
from tests.chaos.writers import BatchBot, Bot, PlainBot, Probe, SpoolingBot
from tests.e2e.checks import assert_all_show_the_same
from tests.e2e.running import OURS, PATIENCE, Running
from tradingdb.services.processes import wait_until

# Shares of the calls that meet each fault while nothing else is wrong.
ODDS = {
    Fault.DELAY: 0.03, Fault.SLOW: 0.003, Fault.CUT_REQUEST: 0.01, Fault.LOSE_ANSWER: 0.02, Fault.CUT_ANSWER: 0.01,
    Fault.KEEP_ANSWER: 0.001, Fault.SILENCE: 0.001, Fault.LATE: 0.01, Fault.TWICE: 0.01,
}  # fmt: skip
PLANT = """
    DELETE FROM trading.fills WHERE id = (SELECT max(id) FROM trading.fills WHERE fill_id LIKE 'f-%') RETURNING fill_id
"""
QUIET_SECONDS = 60.0
# Less proves nothing.
LEAST_WRITES_A_MINUTE, LEAST_KILLS_A_MINUTE = 2000, 0.5


@dataclass
class Outcome:
    """What a run found, and all that is printed of it."""

    verdict: Verdict
    invariants: dict[str, int]
    differences: str
    parked: int
    refused: list[str]
    failures: list[str]
    kills: dict[str, int]
    recoveries: dict[str, list[float]]
    answers: dict[int, int]
    faults: dict[str, int]
    unanswered: int
    seconds: float

    @property
    def problems(self) -> list[str]:
        """What must not be, in words; a late recovery is none: it depends on the machine."""
        verdict = self.verdict
        counted = {
            "acknowledged writes are lost": verdict.lost, "writes are doubled": verdict.doubled,
            "rows were never told": verdict.unknown, "figures are wrong": verdict.wrong,
            "answers no bot should get": self.refused, "parts failed": self.failures,
            "invariants are broken": [f"{name} ({count})" for name, count in self.invariants.items()],
            "parked facts are left": ["parked"] * self.parked,
            "answers were 500": ["500"] * self.answers.get(500, 0),
        }  # fmt: skip
        found = [f"{len(items)} {what}: {'; '.join(items[:5])}" for what, items in counted.items() if items]
        return found + ([f"the fills say otherwise: {self.differences}"] if self.differences else [])

    def summary(self) -> dict[str, Any]:
        """The run in figures, for the last line of the output."""
        return {
            "ok": not self.problems, "seconds": round(self.seconds), "acknowledged": self.verdict.acknowledged,
            "stored": self.verdict.stored, "lost": len(self.verdict.lost), "doubled": len(self.verdict.doubled),
            "unknown": len(self.verdict.unknown), "wrong_figures": len(self.verdict.wrong),
            "broken_invariants": sorted(self.invariants), "replay_differs": bool(self.differences),
            "parked": self.parked, "refused": len(self.refused), "unanswered": self.unanswered, "kills": self.kills,
            "recovery": {name: figures(times) for name, times in self.recoveries.items() if times},
            "answers": self.answers, "faults": self.faults,
        }  # fmt: skip


@dataclass
class Stage:
    """An instance with bots that write to it through a bad network. Use it with `open`."""

    instance: Running
    proxy: FaultProxy
    bots: list[Bot]
    conductor: Conductor
    begin: float = field(default_factory=time.monotonic)

    @classmethod
    @contextmanager
    def open(
        cls, instance: Running, *, seed: int, bots: int, breath: float, folder: Path, say: Callable[[str], None]
    ) -> Any:
        """Start so many bots; they stop at the end of the block, whatever happens in it."""
        *tokens, watcher = instance.bots(bots + 1)
        with FaultProxy(instance.port, Weather(seed, ODDS), seed=seed) as proxy:
            probe = Probe(instance.base_url, watcher)
            crowd = make_bots(proxy.url, tokens, seed=seed, breath=breath, folder=folder)
            stage = cls(instance, proxy, crowd, Conductor(instance, proxy, probe, seed, say))
            for thread in (probe, *crowd):
                thread.start()
            try:
                yield stage
            finally:
                probe.stop()
                for bot in crowd:
                    bot.give_up()

    def await_progress(self, count: int) -> None:
        """Wait until each bot has told so many writes more."""
        goals = [len(bot.told) + count for bot in self.bots]

        def are_there() -> bool:
            for bot in self.bots:
                assert bot.is_alive(), f"{bot.name}: {bot.failure!r}"
            return all(len(bot.told) >= goal for bot, goal in zip(self.bots, goals, strict=True))

        assert wait_until(are_there, PATIENCE), f"bots do not get on from {goals}"

    def await_sweep(self, staff_token: str) -> bool:
        """Whether beat and worker do their work: the invariants are swept again from now on."""
        now = datetime.now(UTC)

        def is_swept() -> bool:
            with suppress(httpx.HTTPError, ValueError, KeyError), self.instance.api(staff_token) as api:
                return datetime.fromisoformat(api.get("/invariants").json()["at"]) > now
            return False

        return wait_until(is_swept, PATIENCE, pause=1.0)

    def end(self, staff_token: str) -> Outcome:
        """Let the bots finish what they began, wait for quiet, and look at the ledger."""
        for bot in self.bots:
            bot.stop()
        for bot in self.bots:
            bot.join(PATIENCE)
        failures = [f"{bot.name}: {bot.failure!r}" for bot in self.bots if bot.failure or bot.is_alive()]
        self.proxy.settle()
        seconds = time.monotonic() - self.begin
        told: defaultdict[str, list[Write]] = defaultdict(list)
        acknowledged: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        for bot in self.bots:
            told[bot.bot_id] += bot.told
            acknowledged[bot.bot_id] |= bot.acknowledged
        wait_until(lambda: self._parked() == 0, QUIET_SECONDS, pause=1.0)
        try:
            assert_all_show_the_same(self.instance, staff_token)
        except AssertionError as error:
            failures.append(f"API, live layer and Redis show other positions than the ledger: {str(error)[:500]}")
        report = json.loads(self.instance.call("manage.py", "verify_ledger", "--json").stdout)
        replay = self.instance.call("manage.py", "rebuild_ledger", "--check")
        return Outcome(
            verdict=judge(self.instance.sql, told, acknowledged),
            invariants={name: found["count"] for name, found in report["invariants"].items() if found["count"]},
            differences=(replay.stdout + replay.stderr).strip() if replay.returncode else "",
            parked=self._parked(),
            refused=[answer for bot in self.bots for answer in bot.refused],
            failures=failures,
            kills=dict(self.conductor.kills),
            recoveries=dict(self.conductor.recoveries),
            answers=dict(sorted(self.proxy.answers.items())),
            faults=dict(Counter(str(fault) for fault in self.proxy.faults.elements())),
            unanswered=sum(bot.unanswered for bot in self.bots),
            seconds=seconds,
        )

    def plant_loss(self) -> str:
        """Delete a fill behind the back of the ledger, as no part of the product can, and return its id."""
        with psycopg.connect(self.instance.urls["ADMIN_DATABASE_URL"]) as session:
            session.execute("SET session_replication_role = replica")
            row = session.execute(PLANT).fetchone()
        assert row is not None
        return str(row[0])

    def _parked(self) -> int:
        rows = self.instance.sql("SELECT count(*) FROM trading.parked_facts WHERE applied_at IS NULL")
        return int(rows[0][0])


def make_bots(url: str, tokens: list[dict[str, str]], *, seed: int, breath: float, folder: Path) -> list[Bot]:
    """Bots of every kind in turn. The first two are writers of one bot, so that its fills arrive in any order."""
    begin = datetime.now(UTC) - timedelta(hours=1)
    made: list[Bot] = []
    for number, token in enumerate([tokens[0], *tokens[:-1]]):
        name, kind = f"w{number}", number % 4
        # Writers of one bot must not be held back by what overfills of the other restrict.
        story = Story(name, seed, begin, reports_only=number < 2 or kind == 2)
        if kind == 1:
            made.append(SpoolingBot(url, token, story, breath=breath, spool=folder / f"{name}.spool"))
        elif kind == 3:
            made.append(BatchBot(url, token, story, breath=breath))
        else:
            made.append(PlainBot(url, token, story, breath=breath))
    return made


def figures(times: Iterable[float]) -> dict[str, float]:
    """Median, 95 of 100, and longest, in seconds."""
    ordered = sorted(times)

    def share(part: float) -> float:
        return round(ordered[math.ceil(part * len(ordered)) - 1], 2)

    return {"count": len(ordered), "p50": share(0.5), "p95": share(0.95), "max": round(ordered[-1], 2)}


def too_little(outcome: Outcome, minutes: float) -> list[str]:
    """What a run of so many minutes lacks to prove anything: writes, and kills of each process."""
    writes, kills = math.floor(LEAST_WRITES_A_MINUTE * minutes), math.floor(LEAST_KILLS_A_MINUTE * minutes)
    found = [f"{name} was killed {outcome.kills.get(name, 0)} times, not {kills}" for name in OURS
             if outcome.kills.get(name, 0) < kills]  # fmt: skip
    if outcome.verdict.acknowledged < writes:
        found.append(f"{outcome.verdict.acknowledged} writes were acknowledged, not {writes}")
    return found


def late_recoveries(outcome: Outcome) -> list[str]:
    """The recoveries whose p95 is beyond what is promised."""
    late = {name: figures(outcome.recoveries[name])["p95"] for name in TARGETS if outcome.recoveries.get(name)}
    return [f"{name} is back after {late[name]} s (p95), promised {TARGETS[name]}" for name in late
            if late[name] > TARGETS[name]]  # fmt: skip
