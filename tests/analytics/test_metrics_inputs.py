"""The inputs' hash: one text, the same everywhere, different when a fact that counts differs."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from analytics.metrics.exposure import ExposureSample
from analytics.metrics.inputs import DEFINITION, DayInputs, inputs_hash
from analytics.metrics.trades import ClosedTrade

FIRST, SECOND, THIRD = date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)
MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
TOKYO = timezone(timedelta(hours=9))


def trade(trade_id: str, net_pnl: str, *, hour: float) -> ClosedTrade:
    exit_time = MIDNIGHT + timedelta(hours=hour)
    return ClosedTrade(trade_id, exit_time - timedelta(hours=1), exit_time, Decimal(net_pnl))


def sample(exposure: str, *, hour: float) -> ExposureSample:
    return ExposureSample(MIDNIGHT + timedelta(hours=hour), Decimal(exposure), Decimal(1200), 1)


def second_day() -> DayInputs:
    return DayInputs(
        day=SECOND,
        first_day=FIRST,
        starting_capital=Decimal(1000),
        equity={FIRST: Decimal("1100.5"), SECOND: Decimal(1090)},
        flows={SECOND: Decimal(100)},
        trades=[trade("t2", "-20", hour=14), trade("t1", "30", hour=-16)],
        samples=[sample("600", hour=6), sample("0", hour=12)],
    )


def with_facts_that_do_not_count(inputs: DayInputs) -> DayInputs:
    return replace(
        inputs,
        equity={THIRD: Decimal(5), **inputs.equity},
        flows={THIRD: Decimal(-7), FIRST: Decimal("0.0"), **inputs.flows},
        trades=[trade("t3", "-999", hour=24), *inputs.trades],
        samples=[sample("9999", hour=24), sample("9999", hour=-0.001), *inputs.samples],
    )


def test_hash_is_that_of_one_fixed_text() -> None:
    # A change of this text makes every stored row stale, so it comes with a new definition id.
    text = (
        '{"day":"2026-03-02","definition":"canonical-1","equity":[["2026-03-01","1100.5"],["2026-03-02","1090"]],'
        '"first_day":"2026-03-01","flows":[["2026-03-02","100"]],"risk_free":"0",'
        '"samples":[["2026-03-02T06:00:00.000000+00:00","600","1200",1],'
        '["2026-03-02T12:00:00.000000+00:00","0","1200",1]],"starting_capital":"1000","trades":['
        '["t1","2026-03-01T07:00:00.000000+00:00","2026-03-01T08:00:00.000000+00:00","30"],'
        '["t2","2026-03-02T13:00:00.000000+00:00","2026-03-02T14:00:00.000000+00:00","-20"]]}'
    )

    assert inputs_hash(second_day()) == hashlib.sha256(text.encode()).hexdigest()
    assert DEFINITION == "canonical-1"


def test_hash_does_not_depend_on_order_notation_or_zone() -> None:
    inputs = second_day()
    otherwise = replace(
        inputs,
        starting_capital=Decimal("1.000E+3"),
        risk_free=Decimal("-0.00"),
        equity=dict(reversed([(at, value + Decimal("0.000")) for at, value in inputs.equity.items()])),
        trades=[
            replace(one, entry_time=one.entry_time.astimezone(TOKYO), exit_time=one.exit_time.astimezone(UTC))
            for one in reversed(inputs.trades)
        ],
        samples=list(reversed(inputs.samples)),
    )

    assert inputs_hash(otherwise) == inputs_hash(inputs)


def test_hash_does_not_depend_on_facts_that_do_not_count() -> None:
    assert inputs_hash(with_facts_that_do_not_count(second_day())) == inputs_hash(second_day())


@pytest.mark.parametrize(
    "change",
    [
        lambda inputs: replace(inputs, day=THIRD),
        lambda inputs: replace(inputs, first_day=date(2026, 2, 28)),
        lambda inputs: replace(inputs, starting_capital=Decimal("1000.000000000000000001")),
        lambda inputs: replace(inputs, risk_free=Decimal("0.0001")),
        lambda inputs: replace(inputs, equity={**inputs.equity, FIRST: Decimal("1100.500000000000000001")}),
        lambda inputs: replace(inputs, equity={at: v for at, v in inputs.equity.items() if at != FIRST}),
        lambda inputs: replace(inputs, flows={}),
        lambda inputs: replace(inputs, flows={**inputs.flows, FIRST: Decimal("0.01")}),
        lambda inputs: replace(inputs, trades=inputs.trades[1:]),
        lambda inputs: replace(inputs, trades=[*inputs.trades, trade("late", "0", hour=23.9)]),
        lambda inputs: replace(inputs, trades=[replace(inputs.trades[0], net_pnl=Decimal("50.1")), *inputs.trades[1:]]),
        lambda inputs: replace(inputs, trades=[replace(inputs.trades[0], trade_id="t9"), *inputs.trades[1:]]),
        lambda inputs: replace(inputs, samples=inputs.samples[1:]),
        lambda inputs: replace(inputs, samples=[replace(inputs.samples[0], open_positions=2), *inputs.samples[1:]]),
    ],
)
def test_hash_differs_when_a_fact_differs(change: Callable[[DayInputs], DayInputs]) -> None:
    assert inputs_hash(change(second_day())) != inputs_hash(second_day())


def test_hash_keeps_digits_that_the_default_decimal_context_would_round_away() -> None:
    one, other = Decimal("12345678901234567890.123456789012345678"), Decimal("12345678901234567890.123456789012345679")

    hashes = {inputs_hash(replace(second_day(), starting_capital=capital)) for capital in (one, other)}

    assert +one == +other
    assert len(hashes) == 2
