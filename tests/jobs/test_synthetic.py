"""Made-up books are sound: every invariant holds over them, and folding their fills again gives the very same rows."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from analytics.services.risk_metrics import risk_metrics_backfill
from bots.models import Fill, Order, Position, Trade
from bots.services.rebuild import ledger_rebuild
from marketdata.models import Candle
from tests.factories import BotFactory
from tests.ledger_checks import assert_ledger_holds
from tradingdb.management.synthetic import Books, round_trips

pytestmark = pytest.mark.django_db(transaction=True)


def test_books_are_as_large_as_asked_and_hold_every_invariant(capsys):
    call_command("generate_books", bots=3, trades=200, candles=101, days=4)
    today = timezone.now().date()
    risk_metrics_backfill(first=today - timedelta(days=5), last=today - timedelta(days=1))

    counts = [model.objects.count() for model in (Order, Fill, Position, Trade, Candle)]
    assert counts == [400, 400, 200, 200, 101]
    assert "200 trades in" in capsys.readouterr().out
    assert_ledger_holds()


def test_the_fold_finds_nothing_to_change_in_them():
    call_command("generate_books", bots=2, trades=50, candles=0, days=2)

    report = ledger_rebuild(check=True)

    assert report.chains > 0
    assert report.differences == []


def test_the_same_seed_gives_the_same_round_trips():
    end = timezone.now()
    one, same, other = (
        list(round_trips(Books(bots=3, trades=30, candles=0, days=2, end=end, seed=seed))) for seed in (7, 7, 8)
    )

    assert one == same
    assert one != other


def test_books_are_not_mixed_with_real_ones():
    BotFactory()

    with pytest.raises(CommandError, match="a database of their own"):
        call_command("generate_books", bots=1, trades=1, candles=1)
