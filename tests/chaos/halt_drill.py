"""The drill of the halt: ten bots ask for fifty orders a second, and nobody gets one after a halt, whatever is broken.

Halts of one bot and of all; with Redis frozen, then killed; with the web server frozen, where the halt comes from the
shell; and with everything started anew while halted. Then an admin releases, and trading goes on.
"""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.chaos.halt_bots import Asker, Stubborn, Teller, Worker
from tests.e2e.running import PATIENCE, Running, sign_in
from tradingdb.services.processes import wait_until

BOTS, ORDERS_A_SECOND = 10, 50.0
PERMIT_SECONDS = 15.0
CHANGES = """
    SELECT c.id, c.scope, c.target, c.state, c.changed_by_name, (
        SELECT count(*) FROM trading.orders o JOIN trading.bots b USING (bot_id)
        WHERE o.id > c.id AND o.id < c.until AND o.control_seq IS NOT NULL
            AND (c.scope = 'all' OR (c.scope = 'bot' AND o.bot_id = c.target))
    ), (
        SELECT count(*) FROM trading.orders o
        WHERE o.id > c.id AND o.id < c.until AND o.control_seq IS NULL AND o.intent = 'request'
    )
    FROM (
        SELECT *, coalesce(lead(id) OVER (PARTITION BY scope, target ORDER BY id), 9223372036854775807) AS until
        FROM trading.control_changes
    ) c ORDER BY c.id
"""


@dataclass
class Figures:
    """What the drill found; `problems` is empty when every promise was kept."""

    halts: list[dict[str, Any]] = field(default_factory=list)
    accepted_after: int = 0
    refused_after: int = 0
    accepted: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    orders_a_second: float = 0.0
    facts_told: int = 0
    facts_stored: int = 0
    permits_after_freeze: int = 0
    heard_seconds: dict[str, float] = field(default_factory=dict)
    halt_seconds: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class Drill:
    """One run on an instance that is up."""

    def __init__(
        self, instance: Running, *, frozen: float, settle: float, folder: Path, say: Callable[[str], None]
    ) -> None:
        """frozen: seconds the web server stands still; settle: seconds each state is watched."""
        self.instance, self.frozen, self.settle, self.say = instance, frozen, settle, say
        self.figures = Figures()
        made = instance.bots(BOTS)
        self.trader, self.admin = instance.staff("trader"), instance.staff("admin")
        # Half ask through the client, which holds itself to the permit; half just ask.
        pause = BOTS / ORDERS_A_SECOND
        url = instance.base_url
        self.askers = [Asker(url, bot, pause) for bot in made[::2]]
        self.stubborn = [Stubborn(url, bot, pause) for bot in made[1::2]]
        self.tellers = [Teller(url, bot, 1.0, folder / f"{bot['bot_id']}.spool") for bot in made]
        self.one = made[1]["bot_id"]
        # Number of the newest halt by the API, and when it was answered.
        self._newest = (0, 0.0)

    @property
    def workers(self) -> list[Worker]:
        return [*self.askers, *self.stubborn, *self.tellers]

    def run(self) -> Figures:
        """Do everything, and return the figures."""
        began = time.monotonic()
        for worker in self.workers:
            worker.start()
        try:
            self._await_orders()
            before_freeze = time.monotonic() - began, self._asked()
            self._one_and_all()
            self._without_redis()
            self._without_web()
            self._restarted()
            self._released()
        finally:
            for worker in self.workers:
                worker.enough.set()
            for worker in self.workers:
                worker.join(PATIENCE)
        self.figures.orders_a_second = round(before_freeze[1] / before_freeze[0], 1)
        self._judge()
        return self.figures

    # --- the scenes

    def _one_and_all(self) -> None:
        self._halt("one bot", scope="bot", target=self.one)
        time.sleep(self.settle)
        self._release(scope="bot", target=self.one)
        self._halt("all", scope="all")
        self._await_heard("all")
        time.sleep(self.settle)
        self._release(scope="all")
        self._await_orders()

    def _without_redis(self) -> None:
        redis = self.instance.process("redis")
        redis.send(signal.SIGSTOP)
        try:
            self._halt("all, Redis frozen", scope="all")
            self._await_heard("all, Redis frozen")
            time.sleep(self.settle)
        finally:
            os.kill(redis.pid, signal.SIGKILL)
        assert wait_until(lambda: self.instance.state.process("redis") not in (None, redis), PATIENCE)
        time.sleep(self.settle)
        self._release(scope="all")
        self._await_orders()

    def _without_web(self) -> None:
        web = [self.instance.process("web"), *self.instance.spares()]
        for process in web:
            process.send(signal.SIGSTOP)
        frozen_at = time.monotonic()
        try:
            time.sleep(1.0)
            began = time.monotonic()
            self.say("web frozen; " + self.instance.manage("halt", "drill: the web server is frozen").strip())
            self.figures.halt_seconds["all, web frozen, from the shell"] = round(time.monotonic() - began, 2)
            time.sleep(max(0.0, frozen_at + PERMIT_SECONDS - time.monotonic()))
            self._count_permits()
            while time.monotonic() < frozen_at + self.frozen:
                time.sleep(0.5)
                self._count_permits()
        finally:
            for process in web:
                process.send(signal.SIGCONT)
        assert wait_until(self.instance.is_ready, PATIENCE)
        self._await_heard("all, web frozen, from the shell")

    def _count_permits(self) -> None:
        self.figures.permits_after_freeze += sum(asker.client.permit_state() is not None for asker in self.askers)

    def _restarted(self) -> None:
        self.say("everything is started anew while halted")
        self.instance.services("down")
        self.instance.services("up")
        # Both kinds of bots ask again, and are answered.
        refused = [one.counts[409] for one in self.stubborn]
        self._wait(
            lambda: all(one.counts[409] > old for one, old in zip(self.stubborn, refused, strict=True)), "refusals"
        )
        time.sleep(self.settle)

    def _released(self) -> None:
        body = {"scope": "all", "state": "ACTIVE", "reason": "drill is over"}
        with self.instance.api(self.trader["token"]) as api:
            self._expect("a trader releases", api.post("/control", json=body).status_code, 403)
        with self.instance.api(self.admin["token"]) as api:
            self._expect("an admin's token releases", api.post("/control", json=body).status_code, 403)
        with self._admin_session() as post:
            self._expect("an admin releases unconfirmed", post("/control", body).status_code, 403)
        self._release(scope="all")
        self._await_orders()

    # --- the means

    def _halt(self, name: str, **where: str) -> None:
        began = time.monotonic()
        body = {**where, "state": "HALTED", "reason": f"drill: {name}"}
        with self.instance.api(self.trader["token"]) as api:
            answer = api.post("/control", json=body)
        assert answer.status_code == 200, answer.text
        took = self.figures.halt_seconds[name] = round(time.monotonic() - began, 2)
        self._newest = (answer.json()["id"], time.monotonic())
        self.say(f"halt of {name}: answered after {took} s, number {self._newest[0]}")

    def _release(self, **where: str) -> None:
        with self._admin_session() as post:
            assert post("/auth/confirm", {"password": self.admin["password"]}).status_code == 200
            answer = post("/control", {**where, "state": "ACTIVE", "reason": "drill goes on"})
        assert answer.status_code == 200, answer.text
        self.say("released")

    @contextmanager
    def _admin_session(self) -> Iterator[Callable[[str, dict[str, Any]], httpx.Response]]:
        with self.instance.browser() as browser:
            sign_in(browser, self.admin["email"], self.admin["password"])

            def post(path: str, body: dict[str, Any]) -> httpx.Response:
                headers = {"X-CSRFToken": browser.cookies["csrftoken"], "Origin": self.instance.base_url}
                return browser.post(f"/api/v1{path}", json=body, headers=headers)

            yield post

    def _await_heard(self, name: str) -> None:
        """Wait until every bot that beats knows of the newest halt."""
        ((number,),) = self.instance.sql("SELECT max(id) FROM trading.control_changes WHERE state = 'HALTED'")
        begun = time.monotonic()
        self._wait(lambda: all(number in asker.heard for asker in self.askers), f"{name} is not heard")
        since = self._newest[1] if self._newest[0] == number else begun
        late = max(asker.heard[number] for asker in self.askers) - since
        self.figures.heard_seconds[name] = round(max(late, 0.0), 2)

    def _asked(self) -> int:
        return sum(sum(one.counts.values()) for one in (*self.askers, *self.stubborn))

    def _await_orders(self) -> None:
        """Wait until every bot had an order accepted, for the first time or anew."""
        before = [len(one.accepted) for one in self.askers], [one.counts[201] for one in self.stubborn]

        def all_trade() -> bool:
            return all(len(one.accepted) > old for one, old in zip(self.askers, before[0], strict=True)) and all(
                one.counts[201] > old for one, old in zip(self.stubborn, before[1], strict=True)
            )

        self._wait(all_trade, "orders are accepted")
        time.sleep(self.settle)

    def _wait(self, is_so: Callable[[], bool], what: str) -> None:
        def is_there() -> bool:
            for worker in self.workers:
                assert worker.is_alive(), f"{worker.name}: {worker.failure!r}"
            return is_so()

        assert wait_until(is_there, PATIENCE), what

    def _expect(self, what: str, found: int, due: int) -> None:
        if found != due:
            self.figures.problems.append(f"{what}: {found}, not {due}")

    # --- the verdict

    def _judge(self) -> None:
        figures, sql = self.figures, self.instance.sql
        names = ("id", "scope", "target", "state", "by", "accepted", "refused")
        figures.halts = [dict(zip(names, row, strict=True)) for row in sql(CHANGES) if row[3] == "HALTED"]
        figures.accepted_after = sum(halt["accepted"] for halt in figures.halts)
        figures.refused_after = sum(halt["refused"] for halt in figures.halts)
        ((figures.accepted,),) = sql("SELECT count(*) FROM trading.orders WHERE control_seq IS NOT NULL")
        for one in self.askers:
            figures.asked.update(one.counts)
        for one in self.stubborn:
            figures.asked.update({f"status {status}": count for status, count in one.counts.items()})
        told = {fill_id for teller in self.tellers for fill_id in teller.told}
        stored = {fill_id for (fill_id,) in sql("SELECT fill_id FROM trading.fills")}
        figures.facts_told, figures.facts_stored = len(told), len(told & stored)
        acked = {order_id for one in self.askers for order_id in one.accepted}
        known = {row[0] for row in sql("SELECT order_id FROM trading.orders WHERE control_seq IS NOT NULL")}
        bad = {
            "orders accepted after a halt": figures.accepted_after, "facts lost": len(told - stored),
            "facts refused": sum(len(teller.refused) for teller in self.tellers),
            "permits valid 15 s after the freeze": figures.permits_after_freeze,
            "accepted orders that are not in the ledger as admitted": len(acked - known),
            "halts too few": max(0, 4 - len(figures.halts)),
            "halts under which nobody asked": sum(halt["refused"] == 0 for halt in figures.halts),
        }  # fmt: skip
        figures.problems += [f"{count} {what}" for what, count in bad.items() if count]
        figures.problems += [f"{worker.name}: {worker.failure!r}" for worker in self.workers if worker.failure]
        figures.problems += [f"{worker.name} does not end" for worker in self.workers if worker.is_alive()]
