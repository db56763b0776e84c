"""What the tables of the desk refuse: cases, conflicts and fills whose bot is not known."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import DataError, connection, transaction

from bots.models import IngestConflict, ReconciliationCase, UnattributedFill
from tests.factories import NOON, BotFactory, ExchangeAccountFactory, UnattributedFillFactory
from tests.rules import assert_refused, assert_refused_sql

pytestmark = pytest.mark.django_db

DISMISSED = {"status": "dismissed", "resolved_at": NOON, "reason": "a test of the exchange"}
INBOX = [
    ({"side": "long"}, "valid_side"),
    ({"liquidity": "some"}, "valid_liquidity"),
    ({"status": "closed", "resolved_at": NOON}, "valid_status"),
    ({"price": Decimal(0)}, "positive_price"),
    ({"price": Decimal(-1)}, "positive_price"),
    ({"quantity": Decimal(0)}, "positive_quantity"),
    ({"symbol": "btcusdt"}, "valid_symbol"),
    ({"symbol": "BTC USDT"}, "valid_symbol"),
    ({"exchange_trade_id": ""}, "named"),
    ({"body": ["100"]}, "json_objects"),
    ({"other_bodies": {"price": "101"}}, "json_lists"),
    ({"resolved_at": NOON}, "settled_has_time"),
    (DISMISSED | {"resolved_at": None}, "settled_has_time"),
    (DISMISSED | {"reason": ""}, "dismissed_has_reason"),
    (DISMISSED | {"fill_id": "f1"}, "assigned_has_fill"),
    ({"status": "assigned", "resolved_at": NOON, "fill_id": "f1"}, "assigned_has_fill"),
    ({"fill_id": "f1"}, "assigned_has_fill"),
]


@pytest.mark.parametrize(("columns", "rule"), INBOX, ids=str)
def test_a_bad_row_of_the_inbox_is_refused_by_its_rule(columns: dict[str, Any], rule: str) -> None:
    assert_refused(f"unattributed_fills_{rule}", UnattributedFillFactory, **columns)


def test_a_row_of_the_inbox_is_assigned_to_a_bot_as_a_fill_or_to_neither() -> None:
    bot = BotFactory()
    settled = {"status": "assigned", "resolved_at": NOON}

    assert_refused("unattributed_fills_assigned_has_fill", UnattributedFillFactory, bot=bot, **settled)
    assert_refused("unattributed_fills_assigned_has_fill", UnattributedFillFactory, bot=bot)
    UnattributedFillFactory(bot=bot, fill_id="f1", **settled)
    UnattributedFillFactory(**DISMISSED)


def test_an_account_has_an_execution_in_a_symbol_once() -> None:
    first = UnattributedFillFactory(exchange_trade_id="x1")
    same = {"account": first.account, "exchange_trade_id": "x1"}

    assert_refused("unattributed_fills_unique_execution", UnattributedFillFactory, **same)

    UnattributedFillFactory(**same, symbol="ETHUSDT")
    UnattributedFillFactory(exchange_trade_id="x1")


@pytest.mark.parametrize("column", ["price", "quantity", "fee"])
def test_no_number_of_the_inbox_is_without_end_or_none(column: str) -> None:
    row = UnattributedFillFactory()

    assert_refused_sql(f"unattributed_fills_{column}_check", row, column, "NaN")
    # Infinity does not fit a column with a precision at all.
    with pytest.raises(DataError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE unattributed_fills SET {column} = 'Infinity'")
    assert UnattributedFill.objects.get().price == 100


def CaseFactory(**columns: Any) -> ReconciliationCase:  # noqa: N802
    return ReconciliationCase.objects.create(**{"kind": "overfill", "bot": BotFactory(), "subject_id": "o1", **columns})


def ConflictFactory(**columns: Any) -> IngestConflict:  # noqa: N802
    bodies = {"stored_body": {"price": "1"}, "received_body": {"price": "2"}, "received_hash": b"x"}
    return IngestConflict.objects.create(
        **{"bot": BotFactory(), "kind": "fill", "natural_id": "f1", **bodies, **columns}
    )


@pytest.mark.parametrize(
    ("factory", "columns"),
    [
        (CaseFactory, ("opened_at", "last_seen_at", "gone_since")),
        (UnattributedFillFactory, ("executed_at", "received_at")),
        (ExchangeAccountFactory, ("positions_reported_at", "created_at")),
    ],
)
def test_a_time_without_end_is_refused(factory: Any, columns: tuple[str, ...]) -> None:
    row = factory()

    for column in columns:
        for value in ("infinity", "-infinity"):
            assert_refused_sql(f"{row._meta.db_table}_finite_times", row, column, value)


def test_the_kind_of_a_case_is_one_of_ours() -> None:
    assert_refused("reconciliation_cases_valid_kind", CaseFactory, kind="odd")


@pytest.mark.parametrize("is_of_account", [True, False])
def test_one_case_is_open_for_one_thing_also_where_there_is_no_bot(is_of_account: bool) -> None:
    whose: dict[str, Any] = {"bot": None, "account": ExchangeAccountFactory()} if is_of_account else {}
    same = {"kind": "position_mismatch", "symbol": "BTCUSDT", "subject_id": "", **(whose or {"bot": BotFactory()})}
    first = CaseFactory(**same)

    assert_refused("reconciliation_cases_one_open", lambda **columns: CaseFactory(**columns), **same)

    closed = {"status": "resolved", "resolved_at": NOON, "resolution": "done"}
    ReconciliationCase.objects.filter(pk=first.pk).update(**closed)
    assert CaseFactory(**same).pk != first.pk


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"decision": "maybe", "status": "resolved"}, "ingest_conflicts_valid_decision"),
        ({"decision": "kept"}, "ingest_conflicts_open_is_undecided"),
    ],
    ids=str,
)
def test_a_bad_decision_of_a_conflict_is_refused_by_its_rule(columns: dict[str, Any], rule: str) -> None:
    closed = {"resolution": "done", "resolved_at": NOON} if "status" in columns else {}

    assert_refused(rule, ConflictFactory, **columns, **closed)
