"""`show_metrics` and `backfill_metrics`."""

import json
from collections.abc import Iterator
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command

from analytics.models import RiskMetrics
from bots.models import Bot
from tests.factories import AccountBalanceFactory, BotFactory, CashFlowFactory, TradeFactory, utc

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _today() -> Iterator[None]:
    with time_machine.travel(utc("2026-11-20 09:00"), tick=False):
        yield


@pytest.fixture
def bot() -> Bot:
    """1000 USDT; +1 % on the 17th, -2 % on the 18th, +3 % on the 19th with 500 paid in."""
    bot = BotFactory(bot_id="b", initial_capital=Decimal(1000))
    for at, equity in (("2026-11-17 12:00", "1010"), ("2026-11-18 12:00", "989.8"), ("2026-11-19 12:00", "1519.494")):
        AccountBalanceFactory(bot=bot, timestamp=utc(at), equity=Decimal(equity))
    CashFlowFactory(bot=bot, amount=Decimal(500), occurred_at=utc("2026-11-19 11:00"))
    for at, pnl in (("2026-11-17 13:00", "30"), ("2026-11-18 13:00", "-10"), ("2026-11-19 13:00", "0")):
        TradeFactory(bot=bot, entry_time=utc(at), exit_time=utc(at), gross_pnl=Decimal(pnl))
    TradeFactory(bot=bot, entry_time=utc("2026-11-19 14:00"), exit_time=None, gross_pnl=Decimal(99))
    return bot


def show(*arguments: str) -> dict[str, Any]:
    out = StringIO()
    call_command("show_metrics", "--bot", "b", "--definition", "canonical-1", "--json", *arguments, stdout=out)
    answer: dict[str, Any] = json.loads(out.getvalue())
    return answer


def test_metrics_of_the_whole_history(bot: Bot) -> None:
    answer = show("--as-of", "2026-11-19T23:59:59Z")

    metrics = answer["metrics"]
    # Returns 0.01, -0.02, 0.03: mean 1/150, deviations 1/300, -8/300, 7/300, variance 114 / 90000 / 2.
    # Sharpe = (2/300) / (root(57)/300) x root(365) = 2 x root(365/57).
    assert float(metrics["sharpe"]) == pytest.approx(5.061031, abs=1e-6)
    # root(0.0004 / 3) = 0.0115470054; (1/150) / 0.0115470054 x 19.1049731745.
    assert float(metrics["sortino"]) == pytest.approx(11.030261, abs=1e-6)
    assert (metrics["max_drawdown"], metrics["max_drawdown_abs"]) == ("0.02", "20.2")
    # Trades 30, -10, 0.
    assert (metrics["closed_trade_count"], metrics["winning_trades"], metrics["losing_trades"]) == (3, 1, 1)
    assert (metrics["profit_closed_coin"], metrics["profit_factor"], metrics["payoff_ratio"]) == ("20", "3", "3")
    assert (metrics["winrate"], metrics["expectancy"]) == ("0.333333333333", "6.666666666666666667")
    # (1 + 30 / 10) x 1/3 - 1.
    assert metrics["expectancy_ratio"] == "0.333333333333"
    assert (metrics["first_day"], metrics["last_day"]) == ("2026-11-17", "2026-11-19")
    assert (answer["provisional"], answer["currency"], answer["as_of"]) == (False, "USDT", "2026-11-19T23:59:59Z")


def test_later_facts_do_not_count(bot: Bot) -> None:
    metrics = show("--as-of", "2026-11-18T15:00:00+02:00")["metrics"]
    before = show("--as-of", "2026-11-18T12:59:59.999999Z")["metrics"]

    # 13:00 UTC is the moment at which the second trade closed.
    assert (metrics["closed_trade_count"], metrics["ending_equity"], metrics["last_day"]) == (2, "989.8", "2026-11-18")
    assert before["closed_trade_count"] == 1


def test_another_starting_balance_changes_the_first_return(bot: Bot) -> None:
    metrics = show("--as-of", "2026-11-18T23:00:00Z", "--starting-balance", "505")["metrics"]

    # 1010 / 505: +100 %, then -2 %.
    assert metrics["starting_balance"] == "505"
    assert float(metrics["volatility"]) == pytest.approx(1.02 / 2**0.5 * 365**0.5, rel=1e-9)


def test_a_bot_that_has_not_begun_has_undefined_metrics(bot: Bot) -> None:
    answer = show("--as-of", "2026-11-01T00:00:00Z")

    assert (answer["metrics"]["sharpe"], answer["metrics"]["winrate"]) == (None, None)
    assert (answer["metrics"]["closed_trade_count"], answer["provisional"]) == (0, True)


@pytest.mark.parametrize(
    ("pnls", "expected"),
    [(["5", "5"], None), (["-5", "-1"], "-1"), ([], None), (["10", "-20"], "-0.25")],
)
def test_the_expectancy_ratio_at_its_edges(pnls: list[str], expected: str | None) -> None:
    bot = BotFactory(bot_id="b")
    for pnl in pnls:
        TradeFactory(bot=bot, gross_pnl=Decimal(pnl))

    # 10 and -20: (1 + 10 / 20) x 1/2 - 1 = -0.25.
    assert show()["metrics"]["expectancy_ratio"] == expected


def test_what_cannot_be_answered_is_said(bot: Bot) -> None:
    with pytest.raises(CommandError, match=r"No such definition: sharpe-of-the-day. Known: canonical-1"):
        call_command("show_metrics", "--bot", "b", "--definition", "sharpe-of-the-day")
    with pytest.raises(CommandError, match="No such bot: nobody"):
        call_command("show_metrics", "--bot", "nobody")
    with pytest.raises(CommandError, match="--as-of must be an RFC 3339 time with an offset"):
        call_command("show_metrics", "--bot", "b", "--as-of", "2026-11-19T12:00:00")
    for balance in ("many", "-1", "NaN", "Infinity"):
        with pytest.raises(CommandError, match=f"--starting-balance must be .*: {balance}"):
            call_command("show_metrics", "--bot", "b", f"--starting-balance={balance}")


def test_for_people_it_prints_lines(bot: Bot) -> None:
    out = StringIO()
    call_command("show_metrics", "--bot", "b", stdout=out)

    lines = out.getvalue().splitlines()
    assert lines[0] == "b, canonical-1, USDT, as of 2026-11-20T09:00:00Z"
    assert "profit_closed_coin       20" in lines
    assert "var_95                   -" in lines
    assert lines[-1] == "provisional: missing_balance"


def test_backfill_counts_what_it_did(bot: Bot) -> None:
    def backfill(*arguments: str) -> str:
        out = StringIO()
        call_command("backfill_metrics", *arguments, stdout=out)
        return out.getvalue().strip()

    BotFactory(bot_id="idle")

    assert backfill("--from", "2026-11-01", "--to", "2026-11-18") == "2 written, 0 unchanged"
    assert backfill("--from", "2026-11-18", "--to", "2026-11-19", "--bot", "b") == "1 written, 1 unchanged"
    assert RiskMetrics.objects.filter(bot=bot).count() == 3
    for arguments, message in (
        (("--from", "2026-11-01", "--to", "2026-11-20"), "2026-11-20 is not over"),
        (("--from", "2026-11-01", "--to", "yesterday"), "not a date like 2026-11-01: yesterday"),
        (("--from", "2026-11-01", "--to", "2026-11-02", "--bot", "nobody"), "No such bot: nobody"),
    ):
        with pytest.raises(CommandError, match=message):
            call_command("backfill_metrics", *arguments)
