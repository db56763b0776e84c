"""Exports: exactly the filtered rows in the list's order, the very same values, no formula, no secret, recorded."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import openpyxl
import pytest
from asgiref.sync import async_to_sync
from django.contrib import admin as django_admin
from django.core.signals import request_finished
from django.db import close_old_connections, connection, models
from django.test import AsyncRequestFactory
from django.test.utils import CaptureQueriesContext

from accounts.models import PersonalToken, Session, User
from audit.models import SystemEvent, UserAction
from bots.models import BotToken, CashFlow, Order, Trade
from tests.factories import NOON, BotFactory, CashFlowFactory, OrderFactory, StrategyTemplateFactory, TradeFactory
from tests.house.test_admin import SECRETS
from tradingdb.lib import cells, exports
from tradingdb.lib.resources import columns_of, resource_of
from tradingdb.management.model_pages import label, our_models

MODELS = our_models()
each_model = pytest.mark.parametrize("model", MODELS, ids=label)
TRADES, ORDERS, FLOWS = "bots/trade", "bots/order", "bots/cashflow"


def export(browser, path, *, kind="csv", query="", **fields):
    return browser.post(f"/admin/{path}/export/?{query}", {"format": kind, **fields})


def body(answer):
    return b"".join(answer.streaming_content)


def rows_of(answer):
    """Return the rows of an exported CSV by column."""
    assert answer.status_code == 200, answer.get("Location")
    text = body(answer).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def sheet_of(answer):
    """Return the rows of an exported XLSX."""
    book = openpyxl.load_workbook(io.BytesIO(body(answer)))
    return [list(row) for row in book.active.iter_rows(values_only=True)]


def read_back(field, text):
    """Return the value a cell stands for, as the column has it."""
    if text == "":
        return None
    kind = cells.shape(field)
    if isinstance(kind, models.BooleanField):
        return {"true": True, "false": False}[text]
    if isinstance(kind, models.JSONField) or hasattr(kind, "base_field"):
        return json.loads(cells.unescape(text), parse_float=Decimal)
    return kind.to_python(cells.unescape(text))


def test_a_csv_read_back_gives_the_very_same_values(admin, house):
    for model in MODELS:
        stored = list(model._default_manager.order_by("pk"))
        read = rows_of(export(admin, f"{model._meta.app_label}/{model._meta.model_name}"))

        if model is Session:
            # Its key opens the session, so no file has it to find the row by.
            continue
        by_key = {line[model._meta.pk.attname]: line for line in read}
        assert stored, label(model)
        for row in stored:
            line = by_key[str(row.pk)]
            for field in columns_of(model):
                value = getattr(row, field.attname)
                found = read_back(field, line[field.attname])
                assert found == (None if value == "" else value), (label(model), field.name)


@pytest.mark.parametrize(
    "amount",
    ["0.000000000000000001", "-0.000000000000000001", "12345678901234567890.123456789012345678", "1000", "-3.5", "0"],
)
def test_every_digit_of_an_amount_survives(admin, amount):
    TradeFactory(gross_pnl=Decimal(amount), reported_pnl=Decimal(amount))

    [line] = rows_of(export(admin, TRADES))

    assert line["gross_pnl"] == line["reported_pnl"] == amount
    assert Decimal(line["gross_pnl"]) == Trade.objects.get().gross_pnl


def test_numbers_inside_json_keep_their_digits(admin, db):
    event = SystemEvent.objects.create(event_time=NOON, event_type="x", event_level="INFO", message="m")
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE system_events SET details = '{"a": 0.1234567890123456789012, "b": 1.10}' WHERE id = %s""",
            [event.pk],
        )

    [line] = rows_of(export(admin, "audit/systemevent"))

    assert json.loads(line["details"], parse_float=str) == {"a": "0.1234567890123456789012", "b": "1.10"}


def test_times_are_iso_in_utc_to_the_microsecond(admin, db):
    OrderFactory(created_at=datetime(2026, 11, 19, 23, 59, 59, 999999, tzinfo=UTC))

    [line] = rows_of(export(admin, ORDERS))

    assert line["created_at"] == "2026-11-19T23:59:59.999999Z"


@pytest.mark.parametrize("evil", ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "'quoted", "'=1", "\uff1d1"])
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_text_never_becomes_a_formula_and_reads_back_as_it_was(admin, evil, kind):
    TradeFactory(notes=evil, gross_pnl=Decimal("-7.25"))

    if kind == "csv":
        [line] = rows_of(export(admin, TRADES))
    else:
        heading, values = sheet_of(export(admin, TRADES, kind="xlsx"))
        line = dict(zip(heading, values, strict=True))

    # XML knows one kind of line end.
    assert cells.unescape(line["notes"]) == (evil if kind == "csv" else evil.replace("\r", "\n"))
    assert line["notes"].startswith("'")
    assert line["gross_pnl"] == "-7.25", "a negative number is a number"


def test_quotes_commas_and_lines_stay_inside_their_cell(admin, db):
    text = 'a, "b"\nc;=1'
    TradeFactory(notes=text)

    assert [line["notes"] for line in rows_of(export(admin, TRADES))] == [text]


def test_export_is_what_the_list_shows_on_all_its_pages_in_its_order(admin, db):
    bot = BotFactory(bot_id="bot_1")
    for number in range(130):
        OrderFactory(
            bot=bot, order_id=f"o{number}", created_at=NOON + timedelta(minutes=number // 40),
            status="pending" if number % 2 else "cancelled",
        )  # fmt: skip
    OrderFactory(order_id="foreign")
    expected = list(
        Order.objects.filter(bot=bot, status="pending")
        .order_by("-created_at", "-pk")
        .values_list("order_id", flat=True)
    )

    read = rows_of(export(admin, ORDERS, query="bot__bot_id__exact=bot_1&status__exact=pending"))
    from_the_second_page = rows_of(
        export(admin, ORDERS, query="bot__bot_id__exact=bot_1&status__exact=pending&after=2026-11-19T12:00:00Z~1")
    )

    assert [line["order_id"] for line in read] == expected
    assert len(expected) == 65
    assert from_the_second_page == read


def test_search_and_days_narrow_the_export(admin, db):
    OrderFactory(order_id="one", created_at=NOON)
    OrderFactory(order_id="two", created_at=NOON + timedelta(days=1))

    assert [line["order_id"] for line in rows_of(export(admin, ORDERS, query="q=two"))] == ["two"]
    days = "created_at_from=2026-11-19&created_at_to=2026-11-19"
    assert [line["order_id"] for line in rows_of(export(admin, ORDERS, query=days))] == ["one"]


def test_the_form_on_the_list_asks_for_what_is_filtered(admin, db):
    OrderFactory(order_id="one")

    page = admin.get(f"/admin/{ORDERS}/", {"q": "one", "e": "1"}).content.decode()

    assert 'action="/admin/bots/order/export/?q=one"' in page


def test_a_sorted_list_is_exported_in_its_order(admin, db):
    for name in ("b", "c", "a"):
        BotFactory(bot_id=name)

    rising, falling = (
        [line["bot_id"] for line in rows_of(export(admin, "bots/bot", query=f"o={order}"))] for order in ("0", "-0")
    )

    assert rising == ["a", "b", "c"]
    assert falling == ["c", "b", "a"]


def test_a_filter_that_is_none_exports_nothing(admin, db):
    TradeFactory()

    wrong = export(admin, TRADES, query="no_such_column=1")
    forbidden = export(admin, TRADES, query="bot__owner__password__startswith=a")

    assert (wrong.status_code, wrong.url) == (302, "/admin/bots/trade/?e=1")
    assert forbidden.status_code == 400
    assert not UserAction.objects.filter(action__startswith="trade.export").exists()


@each_model
def test_no_export_has_a_secret_a_hash_or_a_cipher(model):
    names = set(resource_of(model)().get_export_headers())
    bytes_or_ciphers = {
        field.name
        for field in model._meta.concrete_fields
        if isinstance(field, models.BinaryField) or "Encrypted" in type(field).__name__
    }

    assert names & (SECRETS | bytes_or_ciphers) == set()
    assert not [name for name in names if name.endswith(("_hash", "_secret", "_encrypted"))]
    assert names, "an export without a column is none"


def test_no_secret_value_is_in_any_file(admin, house):
    secrets = [admin.user.password, house.token.token.partition(".")[2], bytes(house.token.row.digest).hex()]
    for model in (User, PersonalToken, BotToken):
        text = body(export(admin, f"{model._meta.app_label}/{model._meta.model_name}")).decode()
        assert not any(secret in text for secret in secrets)
        assert text.count("\n") >= 2


def test_export_is_recorded_with_person_filter_and_rows(viewer, db):
    for symbol in ("BTCUSDT", "BTCUSDT", "ETHUSDT"):
        TradeFactory(symbol=symbol)

    rows_of(export(viewer, TRADES, query="symbol=BTCUSDT"))

    begun, done = UserAction.objects.filter(action__startswith="trade.export").order_by("pk")
    assert (begun.action, begun.user, begun.after) == (
        "trade.export", viewer.user, {"format": "csv", "query": "symbol=BTCUSDT"},
    )  # fmt: skip
    assert begun.request_id
    assert done.action == "trade.exported"
    assert done.after == {"format": "csv", "query": "symbol=BTCUSDT", "rows": 2, "is_whole": True}


def test_an_export_that_was_broken_off_is_recorded_as_such(admin, db, monkeypatch):
    monkeypatch.setattr(exports, "BLOCK", 1)
    for _ in range(3):
        TradeFactory()

    answer = export(admin, TRADES)
    next(iter(answer.streaming_content))
    # The test client's own wrapper: closing the answer any other way would close the connection of this test.
    answer._iterator.close()

    done = UserAction.objects.get(action="trade.exported")
    assert (done.after["is_whole"], done.after["rows"] < 3) == (False, True)


def test_under_asgi_the_file_is_sent_block_by_block_too(admin, db, monkeypatch):
    monkeypatch.setattr(exports, "BLOCK", 1)
    for _ in range(3):
        TradeFactory()
    request = AsyncRequestFactory().post(f"/admin/{TRADES}/export/", {"format": "csv"})
    request.user, request.session = admin.user, admin.session
    answer = django_admin.site.get_model_admin(Trade).export_view(request)

    async def taken():
        return [block async for block in answer]

    blocks = async_to_sync(taken)()
    # As Django's handler does it, in a thread of its own; here the connection must stay.
    request_finished.disconnect(close_old_connections)
    answer.close()
    request_finished.connect(close_old_connections)

    assert answer.is_async
    assert len(blocks) > 3
    assert len(b"".join(blocks).splitlines()) == 4
    assert UserAction.objects.get(action="trade.exported").after["rows"] == 3


def test_rows_that_a_person_does_not_see_are_in_no_export(viewer, admin, db):
    templates = "config_app/strategytemplate"
    StrategyTemplateFactory(name="public", is_public=True)
    StrategyTemplateFactory(name="hidden", is_public=False)

    assert [line["name"] for line in rows_of(export(viewer, templates))] == ["public"]
    assert [line["name"] for line in rows_of(export(admin, templates))] == ["hidden", "public"]


def test_only_a_few_exports_run_at_once_and_each_gives_its_place_back(admin, db):
    TradeFactory()
    running = [export(admin, TRADES) for _ in range(exports.MOST_AT_ONCE)]

    refused = export(admin, TRADES, query="symbol=BTCUSDT")

    assert refused.url == "/admin/bots/trade/?symbol=BTCUSDT"
    assert "3 exports are under way" in admin.get(refused.url).content.decode()

    for answer in running:
        body(answer)
    too_long = TradeFactory(notes="x" * 40_000)
    for _ in range(exports.MOST_AT_ONCE):
        assert export(admin, TRADES, kind="xlsx").status_code == 302
    too_long.delete()

    assert len(rows_of(export(admin, TRADES))) == 1


def test_nobody_exports_what_they_may_not_see(viewer, trader, client, house):
    closed = ["accounts/user", "accounts/personaltoken", "bots/bottoken"]

    assert [export(who, path).status_code for who in (viewer, trader) for path in closed] == [403] * 6
    assert export(client, TRADES).status_code == 302
    assert viewer.get(f"/admin/{TRADES}/export/").status_code == 405
    assert not UserAction.objects.filter(action__contains="export").exists()


def test_xlsx_has_the_same_cells_and_whole_numbers_as_numbers(admin, db):
    TradeFactory(gross_pnl=Decimal("0.000000000000000001"), holding_time_seconds=3600, notes="bell \x07")

    heading, values = sheet_of(export(admin, TRADES, kind="xlsx"))

    line = dict(zip(heading, values, strict=True))
    assert line["gross_pnl"] == "0.000000000000000001"
    assert line["holding_time_seconds"] == 3600
    assert line["entry_time"] == "2026-11-19T12:00:00Z"
    assert line["notes"] == "bell \N{REPLACEMENT CHARACTER}"


def test_xlsx_refuses_more_than_it_holds_and_says_to_take_csv(admin, db, monkeypatch):
    monkeypatch.setattr(exports, "XLSX_ROWS", 2)
    for _ in range(3):
        TradeFactory(symbol="BTCUSDT")

    answer = export(admin, TRADES, kind="xlsx", query="symbol=BTCUSDT")

    assert (answer.status_code, answer.url) == (302, "/admin/bots/trade/?symbol=BTCUSDT")
    assert "more than 2 rows, too many for XLSX. Take CSV" in admin.get(answer.url).content.decode()
    assert not UserAction.objects.filter(action="trade.exported").exists()


def test_xlsx_refuses_a_text_it_would_cut(admin, db):
    TradeFactory(notes="x" * 32_768)

    answer = export(admin, TRADES, kind="xlsx")

    assert "more than the 32,767 characters of a cell" in admin.get(answer.url).content.decode()
    assert len(rows_of(export(admin, TRADES))[0]["notes"]) == 32_768


@pytest.mark.django_db(transaction=True)
def test_csv_is_read_through_a_cursor_of_the_server_in_one_query(admin):
    flow = CashFlowFactory()
    CashFlow.objects.bulk_create(
        [
            CashFlow(bot=flow.bot, cash_flow_id=f"f{n}", kind="deposit", amount=1, currency="USDT", occurred_at=NOON)
            for n in range(4500)
        ]
    )

    with CaptureQueriesContext(connection) as queries:
        answer = export(admin, FLOWS)
        blocks = list(answer.streaming_content)

    assert b"".join(blocks).count(b"\r\n") == 4502
    assert max(map(len, blocks)) < 2 * exports.BLOCK
    assert len(blocks) > 3
    assert not [
        query for query in queries.captured_queries if "OFFSET" in query["sql"] and "LIMIT 1 OFFSET" not in query["sql"]
    ]


def test_every_page_has_an_export(admin, house):
    for model in MODELS:
        page = django_admin.site.get_model_admin(model)
        heading = body(export(admin, f"{model._meta.app_label}/{model._meta.model_name}", query="")).decode()
        expected = [field.attname for field in columns_of(model) if field.name not in page.not_exported]
        assert heading.partition("\r\n")[0].split(",") == expected
