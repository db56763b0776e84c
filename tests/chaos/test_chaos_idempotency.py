"""Whatever the network does to calls and answers, a write that is repeated until it is acknowledged counts once."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.services.actions import SYSTEM
from bots.models import ParkedFact
from bots.services.tokens import token_create
from tests.chaos.proxy import Fault, FaultProxy
from tests.chaos.served import ask
from tests.chaos.stories import Story, Write
from tests.chaos.verdict import judge
from tests.factories import BotFactory
from tests.ledger_checks import OF_FACTORY_BOTS, assert_ledger_holds
from tradingdb_client import Client, Pace, Unavailable

BEGIN = datetime.now(UTC) - timedelta(hours=1)
# How long a bot waits for an answer that does not come, in seconds.
PATIENCE = 0.4
# A fault that makes a bot wait is rarer than one that does not.
SOON = [fault for fault in Fault if fault not in (Fault.SILENCE, Fault.KEEP_ANSWER)]
FAULTS = st.lists(st.sampled_from([*SOON, *SOON, *Fault]), max_size=30)


@st.composite
def tellings(draw: st.DrawFn) -> list[Write]:
    """The writes of a few orders, in any order, each told once to three times."""
    story = Story("p", draw(st.integers(0, 10**6)), BEGIN, reports_only=True)
    writes = [write for one in islice(story.rounds(), draw(st.integers(1, 3))) for write in one]
    counted = [write for write in writes for _ in range(draw(st.integers(1, 3)))]
    return draw(st.permutations(counted))


def tell(client: Client, write: Write) -> None:
    """Send a write until it is acknowledged."""
    calls: dict[str, Callable[..., Any]] = {
        "signal": client.signal, "order": client.order, "fill": client.fill, "balance": client.balance,
        "order_update": client.order_update, "event": lambda **event: client.events([event]),  # type: ignore[list-item]
    }  # fmt: skip
    for _ in range(100):
        with suppress(Unavailable):
            calls[write.kind](**write.body)
            return
    raise AssertionError(f"{write.id} is never acknowledged")


@given(told=tellings(), faults=FAULTS)
@settings(
    max_examples=25, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
def test_every_acknowledged_fact_is_there_once_whatever_the_network_does(
    server_port: int, told: list[Write], faults: list[Fault]
) -> None:
    bot = BotFactory(max_positions=100, leverage_limit=100)
    token = token_create(bot_id=bot.bot_id, actor=SYSTEM).token
    script: Iterator[Fault] = iter(faults)
    with FaultProxy(server_port, lambda: next(script, Fault.NONE), delay=0.02) as proxy:
        pace = Pace(first=0.001, longest=0.01)
        with Client(proxy.url, token, timeout=PATIENCE, retries=3, pace=pace) as client:
            for write in told:
                tell(client, write)
        proxy.settle()
        answers = Counter(proxy.answers)

    verdict = judge(ask, {bot.bot_id: told}, {bot.bot_id: {(write.kind, write.id) for write in told}})
    # Facts whose order was never told wait on disk, acknowledged as parked.
    orders = {write.id for write in told if write.kind == "order"}
    waiting = {
        (write.kind, write.id) for write in told
        if write.kind in ("fill", "order_update") and write.body["order_id"] not in orders
    }  # fmt: skip
    parked = ParkedFact.objects.filter(bot=bot, applied_at__isnull=True).count()
    assert parked == len(waiting)
    assert sorted(verdict.lost) == sorted(f"{bot.bot_id} {kind} {name}" for kind, name in waiting)
    assert (verdict.doubled, verdict.unknown, verdict.wrong) == ([], [], [])
    assert {status for status in answers if status >= 400} == set()
    assert_ledger_holds(without=OF_FACTORY_BOTS)
