"""The canonical day: one by hand with every column, its provisional flag, its inputs' hash, and its invariants."""

import math
import subprocess
import sys
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.metrics.canonical import (
    DayInputs,
    DayMetrics,
    ProvisionalReason,
    compute_day,
    compute_days,
    inputs_hash,
)
from analytics.metrics.exposure import ExposureSample
from analytics.metrics.trades import ClosedTrade

FIRST = date(2026, 3, 1)
THIRD = date(2026, 3, 3)
MIDNIGHT = datetime(2026, 3, 3, tzinfo=UTC)
TOKYO = timezone(timedelta(hours=9))
RATIOS = """
daily_pnl_pct daily_return win_rate profit_factor avg_holding_time_hours shortest_trade_hours longest_trade_hours
avg_leverage max_leverage payoff_ratio sqn volatility sharpe_ratio sortino_ratio cagr calmar_ratio max_drawdown_pct
current_drawdown
"""
SEED_COLUMNS = """
starting_equity ending_equity daily_pnl daily_pnl_pct daily_return total_trades winning_trades losing_trades
breakeven_trades win_rate gross_profit gross_loss net_profit profit_factor avg_win avg_loss largest_win largest_loss
max_drawdown max_drawdown_pct current_drawdown sharpe_ratio sortino_ratio calmar_ratio avg_leverage max_leverage
avg_position_size max_exposure avg_holding_time_hours shortest_trade_hours longest_trade_hours
"""


def trade(trade_id: str, net_pnl: str, *, hour: float, held: float = 1) -> ClosedTrade:
    """A trade that closed so many hours after the midnight with which the third day begins."""
    exit_time = MIDNIGHT + timedelta(hours=hour)
    return ClosedTrade(trade_id, exit_time - timedelta(hours=held), exit_time, Decimal(net_pnl))


def sample(exposure: str, *, hour: float, equity: str = "1200", open_positions: int = 1) -> ExposureSample:
    return ExposureSample(MIDNIGHT + timedelta(hours=hour), Decimal(exposure), Decimal(equity), open_positions)


def third_day() -> DayInputs:
    """Three days: +10 %, -10 % beside a deposit of 100, +10 %; five trades up to the end of the third."""
    tokyo = trade("t5", "0", hour=16, held=0.5)
    return DayInputs(
        day=THIRD,
        first_day=FIRST,
        starting_capital=Decimal(1000),
        equity={FIRST: Decimal(1100), date(2026, 3, 2): Decimal(1090), THIRD: Decimal(1199)},
        flows={date(2026, 3, 2): Decimal(100)},
        trades=[
            trade("t3", "50", hour=18, held=2),
            trade("t1", "30", hour=-40),
            trade("t2", "-20", hour=-10),
            trade("t4", "-10", hour=0),  # the first moment of the day belongs to it
            replace(tokyo, exit_time=tokyo.exit_time.astimezone(TOKYO)),  # already the next day in Tokyo
        ],
        samples=[sample("600", hour=6), sample("0", hour=12, open_positions=0)],
    )


def later_facts(inputs: DayInputs) -> DayInputs:
    """The same day, seen by someone who has loaded more than belongs to it."""
    fourth = THIRD + timedelta(days=1)
    return replace(
        inputs,
        equity={**inputs.equity, fourth: Decimal(5)},
        flows={**inputs.flows, fourth: Decimal(-7)},
        trades=[*inputs.trades, trade("t6", "-999", hour=24)],
        samples=[*inputs.samples, sample("9999", hour=24), sample("9999", hour=-0.001)],
    )


def idle(*, days: int, equity: str = "1000") -> DayInputs:
    """A bot whose equity does not move, with a balance on every day."""
    last = FIRST + timedelta(days=days - 1)
    return DayInputs(
        day=last,
        first_day=FIRST,
        starting_capital=Decimal(equity),
        equity={FIRST + timedelta(days=n): Decimal(equity) for n in range(days)},
    )


def test_account_of_the_day_by_hand() -> None:
    result = compute_day(third_day())

    # 1090 -> 1199 without a flow: 109, which is 10 %
    assert (result.starting_equity, result.ending_equity, result.daily_pnl) == (1090, 1199, 109)
    assert result.daily_return == result.daily_pnl_pct == Decimal("0.1")


def test_trades_of_the_day_by_hand() -> None:
    result = compute_day(third_day())

    # t3 +50 (2 h), t4 -10 (1 h), t5 0 (half an hour)
    assert (result.total_trades, result.winning_trades, result.losing_trades, result.breakeven_trades) == (3, 1, 1, 1)
    assert (result.gross_profit, result.gross_loss, result.net_profit) == (50, -10, 40)
    assert (result.win_rate, result.profit_factor) == (Decimal("0.333333333333"), 5)
    assert (result.avg_win, result.avg_loss, result.largest_win, result.largest_loss) == (50, -10, 50, -10)
    assert result.avg_holding_time_hours == Decimal("1.166666666667")
    assert (result.shortest_trade_hours, result.longest_trade_hours) == (Decimal("0.5"), 2)


def test_exposure_of_the_day_by_hand() -> None:
    result = compute_day(third_day())

    # leverage 600 / 1200 and 0; one position worth 600
    assert (result.avg_leverage, result.max_leverage) == (Decimal("0.25"), Decimal("0.5"))
    assert (result.avg_position_size, result.max_exposure) == (600, 600)


def test_trades_of_the_history_by_hand() -> None:
    result = compute_day(third_day())

    # in the order of closing: 30, -20, -10, 0, 50. Mean 10. Wins 80 / 2 = 40, losses 30 / 2 = 15.
    # Deviations 20, -30, -20, -10, 40; squares 3400; / 4 = 850; SQN sqrt(5) * 10 / sqrt(850).
    assert result.expectancy == 10
    assert result.payoff_ratio == Decimal("2.666666666667")
    assert result.sqn == Decimal("0.766964988847")
    assert (result.longest_winning_streak, result.longest_losing_streak, result.current_streak) == (1, 2, 1)


def test_ratios_of_the_history_by_hand() -> None:
    result = compute_day(third_day())

    # Returns 0.1, (1090 - 100) / 1100 - 1 = -0.1, 0.1. Mean 1/30; squared deviations 6/225; / 2 = 1/75.
    # Sharpe: (1/30) / sqrt(1/75) * sqrt(365) = sqrt(27375) / 30. Sortino: downside sqrt(0.01 / 3), sqrt(109500) / 30.
    # Curve 1.1, 0.99, 1.089: deepest 0.1, now 0.01, two days below. P&L 100, -110, 109: from 100 down to -10.
    growth = 1.089 ** (365 / 3) - 1
    assert result.volatility == pytest.approx(Decimal(math.sqrt(365 / 75)), abs=Decimal("1e-11"))
    assert result.sharpe_ratio == pytest.approx(Decimal(math.sqrt(27375) / 30), abs=Decimal("1e-11"))
    assert result.sortino_ratio == pytest.approx(Decimal(math.sqrt(109500) / 30), abs=Decimal("1e-11"))
    assert result.cagr == pytest.approx(Decimal(growth), rel=Decimal("1e-11"))
    assert result.calmar_ratio == pytest.approx(Decimal(growth / 0.1), rel=Decimal("1e-11"))
    assert result.max_drawdown == 110
    assert (result.max_drawdown_pct, result.max_drawdown_days) == (Decimal("0.1"), 2)
    assert result.current_drawdown == Decimal("0.01")
    assert (result.var_95, result.cvar_95) == (None, None)


def test_the_row_says_what_it_is() -> None:
    result = compute_day(third_day())

    assert (result.day, result.definition) == (THIRD, "canonical-1")
    assert result.inputs_hash == inputs_hash(third_day())
    assert (result.provisional, result.provisional_reasons) == (False, ())


def test_the_first_day_is_measured_from_the_starting_capital() -> None:
    result = compute_day(replace(third_day(), day=FIRST))

    assert (result.starting_equity, result.ending_equity) == (1000, 1100)
    assert result.daily_return == Decimal("0.1")
    assert (result.total_trades, result.net_profit) == (1, 30)


def test_a_day_without_trades_or_samples_has_sums_of_zero_and_no_ratios() -> None:
    result = compute_day(idle(days=2))

    assert (result.total_trades, result.winning_trades, result.losing_trades, result.breakeven_trades) == (0, 0, 0, 0)
    assert (result.gross_profit, result.gross_loss, result.net_profit) == (0, 0, 0)
    assert (result.win_rate, result.profit_factor, result.avg_win, result.avg_holding_time_hours) == (None,) * 4
    assert (result.avg_leverage, result.max_leverage, result.avg_position_size, result.max_exposure) == (None,) * 4
    assert (result.expectancy, result.sqn, result.current_streak) == (None, None, 0)
    assert result.provisional_reasons == ()


def test_facts_of_later_days_do_not_count() -> None:
    assert compute_day(later_facts(third_day())) == compute_day(third_day())


def test_an_idle_day_carries_and_is_provisional() -> None:
    inputs = replace(third_day(), day=date(2026, 3, 5))

    result = compute_day(inputs)

    assert (result.starting_equity, result.ending_equity, result.daily_pnl) == (1199, 1199, 0)
    assert result.daily_return == 0
    assert result.provisional is True
    assert result.provisional_reasons == (ProvisionalReason.MISSING_BALANCE,)


def test_a_hole_before_the_day_makes_it_provisional() -> None:
    inputs = third_day()
    hole = {at: value for at, value in inputs.equity.items() if at != date(2026, 3, 2)}

    result = compute_day(replace(inputs, equity=hole))

    # Day 2 carries 1100 + 100, so the whole loss falls on day 3: 1199 / 1200 - 1.
    assert (result.starting_equity, result.daily_pnl) == (1200, -1)
    assert result.provisional_reasons == (ProvisionalReason.MISSING_BALANCE,)


def test_one_return_is_too_few() -> None:
    result = compute_day(idle(days=1))

    assert result.provisional_reasons == (ProvisionalReason.TOO_FEW_RETURNS,)
    assert (result.volatility, result.sharpe_ratio, result.sortino_ratio) == (None, None, None)
    assert (result.cagr, result.max_drawdown_pct, result.max_drawdown) == (0, 0, 0)


def test_days_before_the_first_money_are_no_hole() -> None:
    inputs = idle(days=4, equity="0")
    second = FIRST + timedelta(days=1)
    funded = {at: Decimal(0) if at == FIRST else Decimal(500) for at in inputs.equity}

    result = compute_day(replace(inputs, equity=funded, flows={second: Decimal(500)}))

    assert (result.daily_return, result.sharpe_ratio, result.volatility) == (0, None, 0)
    assert result.provisional_reasons == ()


def test_a_bot_in_debt_has_figures_and_a_warning() -> None:
    inputs = idle(days=4)
    second, third, fourth = (FIRST + timedelta(days=n) for n in (1, 2, 3))
    equity = {FIRST: Decimal(900), second: Decimal(-100), third: Decimal(-50), fourth: Decimal(20)}

    result = compute_day(replace(inputs, equity=equity))

    assert (result.daily_pnl, result.daily_return) == (70, None)
    assert result.max_drawdown == 1100
    assert result.max_drawdown_pct == Decimal("1.1")
    assert (result.cagr, result.calmar_ratio) == (None, None)
    assert result.provisional_reasons == (ProvisionalReason.UNDEFINED_RETURN,)


def test_value_at_risk_is_money_at_the_equity_of_the_day() -> None:
    inputs = idle(days=31)
    # Day 1: 1000 -> 500, day 2: 500 -> 450, then flat. 31 returns: -0.5, -0.1 and 29 of 0; rank 30 * 5 % = 1.5 lies
    # half way between -0.1 and 0: -0.05, times 450 = 22.5. At or below it: (0.5 + 0.1) / 2 * 450 = 135.
    equity = {at: Decimal(500) if at == FIRST else Decimal(450) for at in inputs.equity}

    result = compute_day(replace(inputs, equity=equity))

    assert result.var_95 == pytest.approx(Decimal("22.5"), abs=Decimal("1e-12"))
    assert result.cvar_95 == pytest.approx(Decimal(135), abs=Decimal("1e-12"))


def test_growth_that_does_not_fit_its_column_is_undefined() -> None:
    inputs = replace(idle(days=1), equity={FIRST: Decimal(1100)})

    result = compute_day(inputs)

    assert result.daily_return == Decimal("0.1")
    assert result.cagr is None  # 1.1^365 is 1.3 * 10^15


def test_the_risk_free_rate_is_taken_from_the_inputs() -> None:
    plain = compute_day(third_day())

    rated = compute_day(replace(third_day(), risk_free=Decimal("0.01")))

    # mean 1/30 - 0.01 instead of 1/30
    assert plain.sharpe_ratio is not None
    assert rated.sharpe_ratio == pytest.approx(plain.sharpe_ratio * Decimal("0.7"), abs=Decimal("1e-11"))


def test_many_at_once_equal_each_alone() -> None:
    inputs = [third_day(), idle(days=40), replace(third_day(), day=FIRST), replace(idle(days=3), risk_free=Decimal(1))]

    assert compute_days(inputs) == [compute_day(one) for one in inputs]
    assert compute_days([]) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"starting_capital": Decimal("NaN")}, "starting_capital is not a finite number"),
        ({"risk_free": Decimal("Infinity")}, "risk_free is not a finite number"),
        ({"equity": {FIRST: Decimal("NaN")}}, "equity is not a finite number"),
        ({"flows": {FIRST: Decimal("Infinity")}}, "flow is not a finite number"),
        ({"equity": {date(2026, 2, 28): Decimal(1)}}, "before first_day"),
        ({"first_day": date(2026, 3, 4)}, "is before first_day"),
        ({"trades": [trade("t1", "1", hour=1), trade("t1", "1", hour=2)]}, "trade_id occurs twice"),
    ],
)
def test_inputs_that_cannot_be_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compute_day(replace(third_day(), **change))  # type: ignore[arg-type]


@settings(deadline=None, max_examples=40)
@given(
    hours=st.lists(st.integers(-48, 23), max_size=12),
    net_pnls=st.lists(st.decimals(min_value=-100, max_value=100, places=8), min_size=12, max_size=12),
)
def test_the_days_add_up_to_the_history(hours: list[int], net_pnls: list[Decimal]) -> None:
    trades = [trade(str(n), str(pnl), hour=hour) for n, (hour, pnl) in enumerate(zip(hours, net_pnls, strict=False))]
    inputs = replace(third_day(), trades=trades)

    days = [compute_day(replace(inputs, day=FIRST + timedelta(days=n))) for n in range(3)]

    assert sum(one.total_trades for one in days) == len(trades)
    assert sum(one.net_profit for one in days) == sum(one.net_pnl for one in trades)
    assert sum(one.daily_pnl for one in days) == 1199 - 1000 - 100
    assert all(one.gross_profit + one.gross_loss == one.net_profit for one in days)
    assert all(one.winning_trades + one.losing_trades + one.breakeven_trades == one.total_trades for one in days)


@settings(deadline=None, max_examples=40)
@given(equity=st.lists(st.decimals(min_value="-1e6", max_value="1e6", places=8), min_size=1, max_size=40))
def test_every_ratio_fits_its_column(equity: list[Decimal]) -> None:
    inputs = idle(days=len(equity))

    result = compute_day(replace(inputs, equity=dict(zip(inputs.equity, equity, strict=True))))

    for name in RATIOS.split():
        value: Decimal | None = getattr(result, name)
        assert value is None or (value.as_tuple().exponent == -12 and abs(value) < 10**12), name


def test_every_column_of_the_seed_is_there() -> None:
    assert set(SEED_COLUMNS.split()) <= {one.name for one in fields(DayMetrics)}


def test_the_package_needs_no_django() -> None:
    code = (
        "import sys, analytics.metrics.canonical; sys.exit(any(name.split('.')[0] == 'django' for name in sys.modules))"
    )

    finished = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False)

    assert finished.returncode == 0
