"""The growth benchmark works: its ledger is sound, and late fills are late. Speed is not a test."""

import psycopg
import pytest

from bench import growth
from bench.growth_rows import PATTERN, SYMBOLS, Growth, grow, tell_pattern
from bench.ledger import database
from bench.ledger_http import WebServer
from bench.ledger_rows import LedgerRows
from bench.ledger_script import Script
from bench.rows import BenchRow
from bots.models import Bot, Fill, OrderEvent, Position
from tests.ledger_checks import broken_rules

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("test_database")]


def test_copied_books_are_sound():
    url, options = database()
    with LedgerRows(url, options, pairs=1) as rows, psycopg.connect(url, autocommit=True, options=options) as session:
        one, other = rows.api[0], rows.hand[0]
        with WebServer(rows.name) as server:
            tell_pattern(one, server)

        grow(session, one, [Growth(one, 1), Growth(other, 2)])

        # Nobody has worked out metrics of days that came out of nowhere.
        assert broken_rules(without=("I26",)) == {}
        for bot in (one, other):
            mine = {"bot_id": bot.owner.bot_id}
            assert Fill.objects.filter(**mine).count() == 2 * PATTERN
            assert OrderEvent.objects.filter(**mine).count() == 2 * PATTERN // 4 * 3
            assert Position.objects.filter(**mine, status="closed").count() == 2 * PATTERN // 8
            assert Position.objects.filter(**mine).values("symbol").distinct().count() == SYMBOLS
            assert not Position.objects.open().filter(**mine).exists()
        own = Position.objects.filter(bot_id=other.owner.bot_id).first()
        assert own is not None
        assert Fill.objects.filter(bot_id=own.bot_id, position_id=own.position_id).count() == 8


def test_a_late_fill_comes_after_a_newer_one_into_an_open_position():
    _, fills = Script("one", "AUSDT").fills(8)

    told = growth.late(fills)

    late, before = told[growth.LATE_AT], told[growth.LATE_AT - 1]
    assert late.executed_at < before.executed_at
    assert late.order_id == before.order_id == fills[0].order_id
    assert sorted(told) == sorted(fills)


def test_quick_run_gives_a_row_a_case_and_leaves_nothing():
    rows = list(growth.run(quick=True))

    assert {row["bench"] for row in rows} == {"P12"}
    assert all(set(row) == set(BenchRow.__annotations__) for row in rows)
    assert [row["value"] for row in rows if row["unit"] in ("scans", "statements")] == [0, 0]
    assert all(row["value"] > 0 for row in rows if row["unit"] in ("us", "s"))
    assert len([row for row in rows if row["target"] == "<= 1.2"]) == 2
    assert not Bot.objects.filter(bot_id__startswith="bench-").exists()
