"""Done when: many connections tell everything three times in any order, with lies and overfills in between."""

import random
import threading
import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx

from audit.services.actions import SYSTEM
from bots.choices import CaseKind
from bots.models import Fill, IngestConflict, ParkedFact, ReconciliationCase
from bots.services.tokens import token_create
from tests.chaos.served import ask
from tests.chaos.stories import SYMBOLS, Write
from tests.chaos.verdict import judge
from tests.factories import BotFactory
from tests.ledger_checks import OF_FACTORY_BOTS, assert_ledger_holds

BOTS, ORDERS, CONFLICTS, OVERFILLS = 5, 100, 60, 40
TIMES, CONNECTIONS = 3, 8
BEGIN = datetime.now(UTC) - timedelta(hours=2)
PATHS = {"order": "/orders", "fill": "/fills"}


@dataclass(frozen=True)
class Job:
    """One call to make; a lie only once the truth it contradicts was acknowledged."""

    bot_id: str
    write: Write
    is_lie: bool = False


def history(dice: random.Random, overfilled: int) -> list[Write]:
    """One bot's orders and fills; so many of its orders are filled once more than they should be."""
    writes, beyond = [], set(dice.sample(range(ORDERS), overfilled))
    for number in range(ORDERS):
        parts = [Decimal(dice.randrange(1, 9_000)) / 1000 for _ in range(dice.randrange(1, 5))]
        order = {"order_id": f"o-{number}", "symbol": dice.choice(SYMBOLS), "side": dice.choice(("buy", "sell"))}
        order |= {"order_type": "market", "quantity": str(sum(parts)), "intent": "report"}
        writes.append(Write("order", f"o-{number}", order))
        for place, quantity in enumerate([*parts, Decimal("0.125")] if number in beyond else parts):
            name, price = f"f-{number}-{place}", f"{dice.uniform(0.5, 70_000):.4f}"
            fill = {"fill_id": name, "order_id": f"o-{number}", "price": price, "quantity": str(quantity)}
            fill |= {"fee": f"{dice.uniform(-0.01, 2):.6f}", "fee_currency": "USDT"}
            # Some share a moment, so that the id decides.
            fill["executed_at"] = (BEGIN + timedelta(seconds=number // 2)).isoformat()
            writes.append(Write("fill", name, fill))
    return writes


def jobs_of(dice: random.Random, told: dict[str, list[Write]]) -> list[Job]:
    """Every order once, every fill three times, and for some fills another content under their id; all shuffled."""
    jobs = []
    for bot_id, writes in told.items():
        fills = [write for write in writes if write.kind == "fill"]
        jobs += [Job(bot_id, write) for write in writes if write.kind == "order"]
        jobs += [Job(bot_id, write) for write in fills for _ in range(TIMES)]
        for fill in dice.sample(fills, CONFLICTS // BOTS):
            lie = replace(fill, body=fill.body | {"quantity": "7.77"})
            jobs.append(Job(bot_id, lie, is_lie=True))
    dice.shuffle(jobs)
    return jobs


class Storm:
    """Several connections that take calls from one queue until it is empty."""

    def __init__(self, port: int, tokens: dict[str, str], jobs: list[Job]) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1"
        self._tokens = tokens
        self._queue = deque(jobs)
        self._lock = threading.Lock()
        self.acknowledged: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        self.answers: Counter[tuple[bool, int]] = Counter()

    def rage(self) -> None:
        threads = [threading.Thread(target=self._send_all, daemon=True) for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        assert not any(thread.is_alive() for thread in threads)

    def _send_all(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60, trust_env=False) as http:
            while (job := self._take()) is not None:
                headers = {"Authorization": f"Bearer {self._tokens[job.bot_id]}"}
                answer = http.post(PATHS[job.write.kind], json=job.write.body, headers=headers)
                self._note(job, answer)

    def _take(self) -> Job | None:
        """Return the next call; a lie whose truth is not known yet goes to the end."""
        while True:
            with self._lock:
                if not self._queue:
                    return None
                job = self._queue.popleft()
                if not job.is_lie or (job.write.kind, job.write.id) in self.acknowledged[job.bot_id]:
                    return job
                self._queue.append(job)
            time.sleep(0.001)

    def _note(self, job: Job, answer: httpx.Response) -> None:
        with self._lock:
            self.answers[job.is_lie, answer.status_code] += 1
            if answer.is_success:
                self.acknowledged[job.bot_id].add((job.write.kind, job.write.id))


def test_everything_three_times_in_any_order_with_lies_and_overfills(server_port: int) -> None:
    dice = random.Random(4)
    bots = [BotFactory(max_positions=100, leverage_limit=100) for _ in range(BOTS)]
    tokens = {bot.bot_id: token_create(bot_id=bot.bot_id, actor=SYSTEM).token for bot in bots}
    told = {bot_id: history(dice, OVERFILLS // BOTS) for bot_id in tokens}
    fills = sum(write.kind == "fill" for writes in told.values() for write in writes)

    storm = Storm(server_port, tokens, jobs_of(dice, told))
    storm.rage()

    assert {answer: count for answer, count in storm.answers.items() if answer[1] >= 400} == {(True, 409): CONFLICTS}
    assert sum(storm.answers.values()) == BOTS * ORDERS + TIMES * fills + CONFLICTS
    # The 40 fills beyond an order's quantity are among those that were generated.
    assert Fill.objects.count() == fills
    assert IngestConflict.objects.count() == CONFLICTS
    cases = ReconciliationCase.objects.filter(status="open")
    assert Counter(cases.values_list("kind", flat=True)) == {CaseKind.OVERFILL: OVERFILLS}
    assert ParkedFact.objects.filter(applied_at__isnull=True).count() == 0
    # Many fills did come before their order.
    assert ParkedFact.objects.count() > fills // 10
    verdict = judge(ask, told, storm.acknowledged)
    assert verdict.is_clean, verdict
    assert verdict.acknowledged == BOTS * ORDERS + fills
    assert_ledger_holds(without=OF_FACTORY_BOTS)
