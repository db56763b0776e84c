"""Limits over one bot and over all of them: what is counted, what is refused, and what a breach does."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from audit.models import RiskEvent
from audit.services.actions import SYSTEM
from audit.services.risk_events import risk_event_resolve
from bots.api import inputs
from bots.api.operations import read_operation
from bots.models import Bot, ControlState, Order, RiskGroup, RiskLatch, RiskLimit
from bots.services.batch import Batch
from bots.services.context import run_for
from bots.services.control import control_set
from bots.services.limits import risk_limit_create, risk_limit_update
from bots.services.plan import Outcome, Plan
from bots.services.risk import check_order
from tests.bots.ledger_tools import add_fill, place, tell
from tests.factories import BotFactory
from tradingdb.lib.errors import Conflict, RiskRejected, ValidationFailed

pytestmark = pytest.mark.usefixtures("ledger_holds")
HUGE = "9999999999"


def limit(kind: str, value: str | None, *, scope: str = "symbol", target: str | None = None, **more: Any) -> RiskLimit:
    money = kind in ("gross_exposure", "net_exposure", "concentration_limit", "correlated_exposure_limit")
    columns = {"deployment_mode": "demo", "currency": "USDT" if money else "", **more}
    target = ("" if scope == "all" else "*") if target is None else target
    value_of = None if value is None else Decimal(value)
    return risk_limit_create(
        kind=kind, scope=scope, target=target, limit_value=value_of, actor=SYSTEM, reason="test", **columns
    )


def ask(bot: Bot, order_id: str, side: str, quantity: str, price: str = "100", **fields: Any) -> list[str]:
    """Ask for a limit order; return the rules that refuse it."""
    try:
        place(bot, order_id, side, quantity, intent="request", order_type="limit", price=price, **fields)
    except RiskRejected as e:
        return [reason["rule"] for reason in e.detail["reasons"]]  # type: ignore[attr-defined]
    return []


def check(bot: Bot, side: str, quantity: str, **fields: Any) -> dict[str, Any]:
    body = {"order_id": "?", "symbol": "BTCUSDT", "side": side, "order_type": "market", "quantity": quantity, **fields}
    order = inputs.OrderIn.model_validate(body).to_domain()

    def plan(context: Any) -> Plan[Outcome]:
        return Outcome(200, (yield from check_order(context, order)))

    return run_for(bot.bot_id, plan).body


def now_filled(bot: Bot, name: str, side: str, quantity: str, price: str = "100", **fields: Any) -> Outcome:
    """Report an order and its fill of this moment."""
    place(bot, name, side, quantity, **fields)
    return add_fill(bot, f"f-{name}", name, price, quantity, executed_at=timezone.now().isoformat())


def state_of(bot: Bot) -> str:
    found = ControlState.objects.filter(scope="bot", target=bot.bot_id).first()
    return found.state if found else "ACTIVE"


@pytest.fixture
def three(db: None) -> list[Bot]:
    return [BotFactory(max_positions=100, leverage_limit=100) for _ in range(3)]


def test_three_bots_are_stopped_at_the_order_that_would_pass_the_limit(three: list[Bot]) -> None:
    limit("gross_exposure", "1000", target="BTCUSDT")
    one, two, third = three

    assert ask(one, "a", "buy", "4") == []
    assert ask(two, "b", "sell", "3") == []
    assert ask(third, "c", "buy", "3.000000001") == ["exposure_limit"]
    assert ask(third, "d", "buy", "3") == []
    assert ask(one, "e", "buy", "0.000000000000000001") == ["exposure_limit"]
    # Another symbol, and what makes room, are free.
    assert ask(one, "f", "buy", "50", symbol="ETHUSDT") == []
    tell(two, "b", status="cancelled")
    assert ask(third, "g", "buy", "3") == []


def test_live_and_demo_bots_are_counted_apart(three: list[Bot]) -> None:
    limit("gross_exposure", "500", deployment_mode="live")
    Bot.objects.filter(pk=three[0].pk).update(deployment_mode="live")

    assert ask(three[1], "a", "buy", "90") == []
    assert ask(three[0], "b", "buy", "5") == []
    assert ask(three[0], "c", "buy", "1") == ["exposure_limit"]


def test_net_counts_sides_against_each_other_and_gross_does_not(three: list[Bot]) -> None:
    limit("net_exposure", "500", scope="base_asset", target="BTC")
    limit("gross_exposure", "2000", scope="all")
    one, two, _ = three
    now_filled(one, "a", "buy", "5")

    assert ask(one, "b", "buy", "1") == ["exposure_limit"]
    now_filled(two, "c", "sell", "5")
    assert ask(one, "d", "buy", "5") == []
    assert ask(two, "e", "buy", "6", symbol="ETHUSDT") == ["exposure_limit"]


def test_concentration_counts_above_its_floor_only(three: list[Bot]) -> None:
    limit("concentration_limit", "0.6", target="*", least_gross=Decimal(1000))
    one, two, _ = three

    assert ask(one, "a", "buy", "10") == []
    assert ask(two, "b", "buy", "4", symbol="ETHUSDT") == []
    # 1,100 of 1,500 would be more than 60 %; ETH has room until 1,500 of 2,500.
    assert ask(one, "c", "buy", "1") == ["concentration_limit"]
    assert ask(two, "d", "buy", "11", symbol="ETHUSDT") == []
    assert ask(two, "e", "buy", "1", symbol="ETHUSDT") == ["concentration_limit"]


def test_no_more_bots_on_one_side_than_the_limit(three: list[Bot]) -> None:
    limit("shared_position_limit", "2")
    one, two, third = three
    now_filled(one, "a", "buy", "1")

    assert ask(two, "b", "buy", "1") == []
    assert ask(third, "c", "buy", "1") == ["shared_position_limit"]
    assert ask(third, "d", "sell", "1") == []
    assert ask(one, "e", "buy", "1") == []


def test_symbols_that_move_together_count_as_one(three: list[Bot]) -> None:
    RiskGroup.objects.create(name="BTCUSDT", symbols=["BTCUSDT", "ETHUSDT"], least_correlation=Decimal("0.9"), days=60)
    limit("correlated_exposure_limit", "1000", scope="all")
    one, two, _ = three

    assert ask(one, "a", "buy", "6") == []
    assert ask(two, "b", "buy", "5", symbol="ETHUSDT") == ["correlated_exposure_limit"]
    assert ask(two, "c", "buy", "50", symbol="XRPUSDT") == []


def test_size_and_rate_of_orders(bot: Bot) -> None:
    limit("order_quantity_limit", "2")
    limit("order_notional_limit", "500", scope="bot")
    limit("order_rate_limit", "3", scope="bot", target=bot.bot_id)

    assert ask(bot, "a", "buy", "2.1") == ["order_quantity_limit"]
    assert ask(bot, "b", "buy", "1", price="501") == ["order_notional_limit"]
    assert [ask(bot, f"c{number}", "buy", "0.1") for number in range(3)] == [[], [], []]
    assert ask(bot, "d", "buy", "0.1") == ["order_rate_limit"]


def test_market_order_without_any_price_is_refused_where_its_value_counts(bot: Bot) -> None:
    limit("gross_exposure", "1000")

    answer = check(bot, "buy", "1")
    now_filled(bot, "a", "buy", "1", price="400")

    assert (answer["allowed"], answer["reasons"][0]["current"]) == (False, "unknown")
    assert check(bot, "buy", "1")["allowed"]
    assert check(bot, "buy", "1.6")["reasons"][0]["current"] == "1040"


def test_limit_never_keeps_a_bot_from_getting_out(bot: Bot) -> None:
    now_filled(bot, "a", "buy", "10")
    limit("gross_exposure", "1")
    limit("order_notional_limit", "1", scope="bot")

    assert ask(bot, "b", "buy", "1") == ["exposure_limit", "order_notional_limit"]
    assert ask(bot, "c", "sell", "10") == []


def test_check_tells_every_reason_and_stores_nothing(bot: Bot) -> None:
    limit("gross_exposure", "1000")
    limit("order_notional_limit", "250", scope="bot")
    now_filled(bot, "a", "buy", "8")
    before = (RiskEvent.objects.count(), Order.objects.count())

    answer = check(bot, "buy", "3", price="100", order_type="limit", leverage="200")

    assert answer["allowed"] is False
    assert answer["reasons"] == [
        {"rule": "leverage_limit", "current": "200", "limit": "100", "unit": "times", "headroom": "100"},
        {"rule": "exposure_limit", "current": "1100", "limit": "1000", "unit": "USDT", "headroom": "200",
         "subject": "BTCUSDT"},
        {"rule": "order_notional_limit", "current": "300", "limit": "250", "unit": "quote currency",
         "headroom": "250", "subject": bot.bot_id},
    ]  # fmt: skip
    assert answer["limits"][0]["current"] == "800"
    assert (RiskEvent.objects.count(), Order.objects.count()) == before


def test_refusals_of_one_kind_leave_one_event_that_counts(bot: Bot) -> None:
    limit("gross_exposure", "100")

    refused = [ask(bot, f"o{number}", "buy", "2") for number in range(5)]

    assert refused == [["exposure_limit"]] * 5
    event = RiskEvent.objects.get()
    assert (event.level, event.seen_count, event.order_id) == ("refusal", 5, "o4")
    risk_event_resolve(event_id=event.pk, notes="seen", actor=SYSTEM)
    ask(bot, "again", "buy", "2")
    assert RiskEvent.objects.count() == 2


def test_warning_at_the_threshold_and_breach_beyond_it_are_one_event_each(bot: Bot) -> None:
    limit("gross_exposure", "1000", action="REDUCING")
    now_filled(bot, "a", "buy", "7")
    assert RiskEvent.objects.count() == 0
    now_filled(bot, "b", "buy", "1.5")
    warning = RiskEvent.objects.get()
    assert (warning.level, warning.risk_type, warning.bot_id, warning.threshold_pct) == (
        "warning", "exposure_limit", "*", Decimal(85),
    )  # fmt: skip
    assert state_of(bot) == "ACTIVE"

    outcome = now_filled(bot, "c", "buy", "2")

    breach = RiskEvent.objects.get(level="breach")
    assert (breach.current_value, breach.limit_value, breach.action_taken) == (1050, 1000, "reduce_only")
    assert breach.details["positions"] == [
        {"bot_id": bot.bot_id, "symbol": "BTCUSDT", "side": "long", "size": 10.5, "value": 1050}
    ]
    assert state_of(bot) == "REDUCING"
    assert [update["data"]["state"] for update in outcome.updates if update["kind"] == "halt"] == ["REDUCING"]
    now_filled(bot, "d", "buy", "2")
    assert RiskEvent.objects.count() == 2


def test_breach_restricts_every_bot_that_holds_it_and_no_other(three: list[Bot]) -> None:
    limit("gross_exposure", "1000", target="BTCUSDT", action="HALTED")
    one, two, third = three
    now_filled(one, "a", "buy", "6")
    now_filled(third, "b", "buy", "60", symbol="ETHUSDT")

    now_filled(two, "c", "buy", "6")

    assert [state_of(bot) for bot in three] == ["HALTED", "HALTED", "ACTIVE"]


def test_released_bot_is_held_again_when_the_limit_is_broken_again(bot: Bot) -> None:
    limit("gross_exposure", "1000", action="REDUCING")
    now_filled(bot, "a", "buy", "11")
    told = {"scope": "bot", "target": bot.bot_id, "state": "ACTIVE", "reason": "I watch it"}
    control_set(**told, actor=SYSTEM, on_release=lambda: None)
    now_filled(bot, "b", "buy", "1")
    # It was over the limit all the time: a person has decided.
    assert state_of(bot) == "ACTIVE"

    now_filled(bot, "c", "sell", "10")
    now_filled(bot, "d", "buy", "9")

    assert state_of(bot) == "REDUCING"
    assert RiskEvent.objects.filter(level="breach").count() == 1


def test_loss_of_the_day_pauses_the_bot_until_the_next_day(bot: Bot) -> None:
    Bot.objects.update(max_daily_loss_pct=Decimal("0.05"))
    now_filled(bot, "in", "buy", "10", price="1000")
    now_filled(bot, "less", "sell", "4", price="890")
    # 440 are realised, and 660 more are marked: 11 % of 10,000.
    latch = RiskLatch.objects.get()

    assert state_of(bot) == "REDUCING"
    assert latch.until is not None
    assert latch.until > timezone.now()
    assert (latch.until.hour, latch.until.minute) == (0, 1)
    event = RiskEvent.objects.get(level="breach")
    assert (event.risk_type, event.current_value, event.action_taken) == (
        "daily_loss_limit", Decimal("0.11"), "reduce_only",
    )  # fmt: skip
    assert ask(bot, "more", "buy", "1") == ["control_state", "daily_loss_limit"]
    assert ask(bot, "out", "sell", "6") == []


def test_half_size_refuses_what_is_above_half_of_the_usual(bot: Bot) -> None:
    limit("weekly_loss_limit", "0.04", scope="bot", action="half_size")
    for number, size in enumerate(("2", "4", "6")):
        now_filled(bot, f"in{number}", "buy", size)
    now_filled(bot, "out", "sell", "5", price="1")

    latch = RiskLatch.objects.get()

    # Usual are 400: the median of 5 (at 1), 200, 400, 600 taken from below is 200.
    assert latch.effect == "half_size"
    cap = latch.size_cap
    assert cap is not None
    assert ask(bot, "big", "buy", "1", price=str(cap + 1)) == ["half_size"]
    assert ask(bot, "small", "buy", "1", price=f"{cap:f}") == []
    assert check(bot, "buy", "0.1")["size_factor"] == "0.5"


def test_limit_without_value_is_each_bots_own(bot: Bot, db: None) -> None:
    other = BotFactory(max_daily_loss_pct=Decimal("0.5"))
    Bot.objects.filter(pk=bot.pk).update(max_daily_loss_pct=Decimal("0.01"))
    for one in (bot, other):
        now_filled(one, "in", "buy", "10", price="100")
        now_filled(one, "out", "sell", "10", price="80")

    assert [state_of(bot), state_of(other)] == ["REDUCING", "ACTIVE"]


def test_no_limit_of_people_and_no_own_limit_means_no_look(bot: Bot, django_assert_num_queries: Any) -> None:
    place(bot, "o", "buy", "10")
    with connection.execute_wrapper(_no_enforcement):
        add_fill(bot, "f", "o", "100", "1")


def _no_enforcement(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    assert "risk_enforce" not in sql
    return execute(sql, params, many, context)


def test_figures_beyond_reckoning_never_keep_a_fact_out(bot: Bot) -> None:
    limit("gross_exposure", "1")
    limit("concentration_limit", "0.1")
    Bot.objects.filter(pk=bot.pk).update(initial_capital=Decimal("0.000000000000000001"), max_daily_loss_pct=1)
    place(bot, "o", "buy", HUGE)
    place(bot, "s", "sell", HUGE)
    add_fill(bot, "f", "o", HUGE, HUGE, executed_at=timezone.now().isoformat())
    outcome = add_fill(bot, "g", "s", "1", HUGE, 1, executed_at=timezone.now().isoformat())

    assert outcome.status == 201


def test_people_set_limits_with_a_reason_and_twice_is_a_conflict(db: None) -> None:
    row = limit("gross_exposure", "1000")
    with pytest.raises(Conflict):
        limit("gross_exposure", "2000")
    with pytest.raises(ValidationFailed):
        limit("gross_exposure", "-1", target="ETHUSDT")
    with pytest.raises(ValidationFailed):
        risk_limit_update(limit_id=row.pk, changes={"kind": "net_exposure"}, actor=SYSTEM, reason="why")
    with pytest.raises(ValidationFailed):
        risk_limit_update(limit_id=row.pk, changes={"limit_value": Decimal(5)}, actor=SYSTEM, reason=" ")
    changed = risk_limit_update(limit_id=row.pk, changes={"limit_value": Decimal(5)}, actor=SYSTEM, reason="less")
    assert (changed.limit_value, changed.reason) == (Decimal(5), "less")


def test_fills_of_a_batch_are_watched_one_by_one(three: list[Bot]) -> None:
    limit("gross_exposure", "150", action="HALTED", target="BTCUSDT")
    bot = three[0]
    place(bot, "o1", "buy", "2")
    place(bot, "o2", "sell", "2")
    now = timezone.now()
    told = [("f1", "o1"), ("f2", "o1"), ("f3", "o2"), ("f4", "o2")]
    fills = [
        {"op": "fill", "data": {"fill_id": name, "order_id": order, "price": "100", "quantity": "1",
                                "executed_at": (now - timedelta(seconds=9 - at)).isoformat()}}
        for at, (name, order) in enumerate(told)
    ]  # fmt: skip
    read = [read_operation(inputs.OperationIn.model_validate(operation)) for operation in fills]

    results = run_for(bot.bot_id, Batch(read).plan).body["results"]

    # Flat again at the end; in between the limit was broken.
    assert {result["status"] for result in results} == {201}
    assert state_of(bot) == "HALTED"
