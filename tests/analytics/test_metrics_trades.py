"""Statistics of closed trades: by hand, at the edges, and as invariants. All of it is exact Decimal."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.metrics import trades as statistics
from analytics.metrics.borders import EXACT
from analytics.metrics.trades import ClosedTrade, HoldingHours, Streaks

ENTRY = datetime(2026, 3, 1, 12, tzinfo=UTC)
HALF_A_UNIT = Fraction(1, 2 * 10**12)

pnl_lists = st.lists(st.decimals(min_value=-1000, max_value=1000, places=8), max_size=30)
SUMS = [statistics.gross_profit, statistics.gross_loss, statistics.net_profit]
MEANS_AND_RATIOS = [
    statistics.win_rate,
    statistics.profit_factor,
    statistics.average_win,
    statistics.average_loss,
    statistics.largest_win,
    statistics.largest_loss,
    statistics.expectancy,
    statistics.payoff_ratio,
    statistics.sqn,
]


def pnls(*values: str) -> list[Decimal]:
    return [Decimal(value) for value in values]


def trade(trade_id: str, *, held: timedelta, net_pnl: str = "1") -> ClosedTrade:
    return ClosedTrade(trade_id=trade_id, entry_time=ENTRY, exit_time=ENTRY + held, net_pnl=Decimal(net_pnl))


FIVE = pnls("30", "-10", "0", "20", "-20")


def test_sums_by_hand() -> None:
    assert statistics.gross_profit(FIVE) == 50  # 30 + 20
    assert statistics.gross_loss(FIVE) == -30  # -10 - 20
    assert statistics.net_profit(FIVE) == 20  # 50 - 30


def test_means_and_extremes_by_hand() -> None:
    assert statistics.average_win(FIVE) == 25  # 50 / 2
    assert statistics.average_loss(FIVE) == -15  # -30 / 2
    assert statistics.largest_win(FIVE) == 30
    assert statistics.largest_loss(FIVE) == -20
    assert statistics.expectancy(FIVE) == 4  # 20 / 5


def test_ratios_by_hand() -> None:
    assert statistics.win_rate(FIVE) == Decimal("0.4")  # 2 wins of 5 trades, the breakeven one included
    assert statistics.profit_factor(FIVE) == Decimal("1.666666666667")  # 50 / 30
    assert statistics.payoff_ratio(pnls("30", "10", "-8")) == Decimal("2.5")  # (40 / 2) / 8


def test_sqn_by_hand() -> None:
    # mean 4; deviations 26, -14, -4, 16, -24; squares 676 + 196 + 16 + 256 + 576 = 1720; / 4 = 430;
    # sqrt(5) * 4 / sqrt(430) = 0.4313310928…
    result = statistics.sqn(FIVE)

    assert result is not None
    assert float(result) == pytest.approx(math.sqrt(5) * 4 / math.sqrt(430), abs=1e-12)


def test_streaks_by_hand() -> None:
    # two wins | three losses | a breakeven trade ends the run | one loss, which is the run that is on
    result = statistics.streaks(pnls("5", "7", "-1", "-2", "-3", "0", "-4"))

    assert result == Streaks(longest_winning=2, longest_losing=3, current=-1)


def test_holding_hours_by_hand() -> None:
    # 30 minutes, 1 hour, 2 hours 30 minutes: mean 4 h / 3
    held = [
        trade("a", held=timedelta(minutes=30)),
        trade("b", held=timedelta(hours=1)),
        trade("c", held=timedelta(hours=2, minutes=30)),
    ]

    result = statistics.holding_hours(held)

    assert result == HoldingHours(average=Decimal("1.333333333333"), shortest=Decimal("0.5"), longest=Decimal("2.5"))


def test_without_trades_sums_are_zero_and_the_rest_is_undefined() -> None:
    assert [metric([]) for metric in SUMS] == [0, 0, 0]
    assert [metric([]) for metric in MEANS_AND_RATIOS] == [None] * len(MEANS_AND_RATIOS)
    assert statistics.streaks([]) == Streaks(longest_winning=0, longest_losing=0, current=0)
    assert statistics.holding_hours([]) == HoldingHours(average=None, shortest=None, longest=None)


def test_without_losses_what_divides_by_them_is_undefined() -> None:
    only_wins = pnls("1", "2")

    assert statistics.profit_factor(only_wins) is None
    assert statistics.payoff_ratio(only_wins) is None
    assert statistics.average_loss(only_wins) is None
    assert statistics.largest_loss(only_wins) is None
    assert statistics.gross_loss(only_wins) == 0
    assert statistics.win_rate(only_wins) == 1


def test_without_wins_what_speaks_of_them_is_zero_or_undefined() -> None:
    only_losses = pnls("-1", "-2")

    assert statistics.profit_factor(only_losses) == 0
    assert statistics.payoff_ratio(only_losses) is None
    assert statistics.average_win(only_losses) is None
    assert statistics.largest_win(only_losses) is None
    assert statistics.win_rate(only_losses) == 0


@pytest.mark.parametrize("values", [[], ["7"], ["0", "0"], ["0.1", "0.1", "0.1"]])
def test_sqn_is_undefined_below_two_trades_or_without_deviation(values: list[str]) -> None:
    assert statistics.sqn(pnls(*values)) is None


def test_ratio_too_large_for_its_column_is_undefined() -> None:
    assert statistics.profit_factor(pnls("1000000", "-0.000001")) is None
    assert statistics.profit_factor(pnls("999999", "-0.000001")) == 999_999_000_000


def test_sums_and_ratios_keep_every_digit_of_the_widest_column() -> None:
    large, tiny = "1234567890123456789012345678901234567890.5", "0.000000000000000000000000000000000001"

    assert statistics.net_profit(pnls(large, tiny)) == Decimal(
        "1234567890123456789012345678901234567890.500000000000000000000000000000000001"
    )
    assert statistics.profit_factor(pnls(large, f"-{large}")) == 1
    assert statistics.sqn(pnls(large, large)) is None


def test_holding_time_is_the_same_in_every_zone() -> None:
    tokyo = timezone(timedelta(hours=9))
    exit_time = (ENTRY + timedelta(hours=3)).astimezone(tokyo)

    result = statistics.holding_hours([ClosedTrade("a", ENTRY, exit_time, Decimal(1))])

    assert result.average == 3


def test_a_trade_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="ends before it begins"):
        trade("a", held=timedelta(seconds=-1))
    with pytest.raises(ValueError, match="time has no zone"):
        ClosedTrade("a", ENTRY, datetime(2026, 3, 2), Decimal(1))  # noqa: DTZ001 - the naive time is the point
    with pytest.raises(ValueError, match="net_pnl is not a finite number"):
        trade("a", held=timedelta(hours=1), net_pnl="NaN")


@pytest.mark.parametrize("metric", [*SUMS, *MEANS_AND_RATIOS, statistics.streaks])
@pytest.mark.parametrize("bad", ["NaN", "Infinity", "-Infinity"])
def test_an_amount_that_is_not_finite_is_refused(metric: Callable[[list[Decimal]], object], bad: str) -> None:
    with pytest.raises(ValueError, match="net_pnl is not a finite number"):
        metric(pnls("1", "-1", bad))


@settings(deadline=None)
@given(values=pnl_lists)
def test_gross_profit_and_gross_loss_add_up_to_net_profit(values: list[Decimal]) -> None:
    profit, loss = statistics.gross_profit(values), statistics.gross_loss(values)

    assert profit >= 0 >= loss
    assert profit + loss == statistics.net_profit(values) == sum(values)


@settings(deadline=None)
@given(values=pnl_lists.filter(bool))
def test_means_lie_between_the_extremes_and_expectancy_times_trades_is_net_profit(values: list[Decimal]) -> None:
    count, expectancy = len(values), statistics.expectancy(values)
    average_win, largest_win = statistics.average_win(values), statistics.largest_win(values)
    average_loss, largest_loss = statistics.average_loss(values), statistics.largest_loss(values)

    assert expectancy is not None
    assert abs(Fraction(expectancy) * count - Fraction(sum(values))) <= Fraction(count, 2 * 10**18)
    assert (average_win is None) == (largest_win is None)
    assert average_win is None or largest_win is None or 0 < average_win <= largest_win
    assert average_loss is None or largest_loss is None or largest_loss <= average_loss < 0


@settings(deadline=None)
@given(values=pnl_lists)
def test_ratios_are_the_exact_fractions_rounded_to_twelve_decimals(values: list[Decimal]) -> None:
    exact = [Fraction(value) for value in values]
    wins, losses = [value for value in exact if value > 0], [-value for value in exact if value < 0]

    def agrees(result: Decimal | None, numerator: Fraction, denominator: Fraction) -> bool:
        if denominator == 0 or numerator / denominator >= 10**12 - HALF_A_UNIT:
            return result is None
        return result is not None and abs(Fraction(result) - numerator / denominator) <= HALF_A_UNIT

    assert agrees(statistics.win_rate(values), Fraction(len(wins)), Fraction(len(values)))
    assert agrees(statistics.profit_factor(values), Fraction(sum(wins)), Fraction(sum(losses)))
    if wins:
        assert agrees(
            statistics.payoff_ratio(values), Fraction(sum(wins)) * len(losses), Fraction(sum(losses)) * len(wins)
        )


@settings(deadline=None)
@given(values=pnl_lists, factor=st.sampled_from(["0.5", "3", "1000"]))
def test_sqn_does_not_depend_on_the_unit_of_money_and_turns_with_its_sign(values: list[Decimal], factor: str) -> None:
    with localcontext(EXACT):
        scaled = [value * Decimal(factor) for value in values]
        mirrored = [-value for value in values]
    plain = statistics.sqn(values)

    assert statistics.sqn(scaled) == plain
    assert statistics.sqn(mirrored) == (None if plain is None else -plain)


@settings(deadline=None)
@given(values=st.lists(st.sampled_from(pnls("-1", "0", "2")), max_size=30))
def test_streaks_equal_the_groups_of_like_trades(values: list[Decimal]) -> None:
    runs = [(sign, len(list(group))) for sign, group in groupby((value > 0) - (value < 0) for value in values)]

    result = statistics.streaks(values)

    assert result.longest_winning == max((length for sign, length in runs if sign > 0), default=0)
    assert result.longest_losing == max((length for sign, length in runs if sign < 0), default=0)
    assert result.current == (runs[-1][0] * runs[-1][1] if runs else 0)


@settings(deadline=None)
@given(seconds=st.lists(st.integers(0, 10**7), min_size=1, max_size=20))
def test_mean_holding_time_lies_between_the_shortest_and_the_longest(seconds: list[int]) -> None:
    result = statistics.holding_hours([trade(str(n), held=timedelta(seconds=s)) for n, s in enumerate(seconds)])

    assert result.shortest is not None
    assert result.average is not None
    assert result.longest is not None
    assert result.shortest <= result.average <= result.longest
    assert abs(Fraction(result.average) - Fraction(sum(seconds), 3600 * len(seconds))) <= HALF_A_UNIT
