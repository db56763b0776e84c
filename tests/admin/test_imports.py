"""Imports: tried first, shown, then stored whole or not at all, by the same form and service as by hand."""

import io
import json
from decimal import Decimal

import openpyxl
import pytest
from django.contrib import admin as django_admin
from django.core.files.uploadedfile import SimpleUploadedFile

from audit.models import UserAction
from bots.models import ExchangeAccount
from config_app.models import BotConfiguration, StrategyTemplate, WatchedSymbol
from tests.factories import BotFactory, ExchangeAccountFactory
from tradingdb.lib import cells, import_files

IMPORTABLE = sorted(
    model._meta.label_lower for model, page in django_admin.site._registry.items() if getattr(page, "importable", ())
)
ACCOUNTS, CONFIGURATIONS = "/admin/bots/exchangeaccount/", "/admin/config_app/botconfiguration/"
TWO = "account_id,exchange,currency,description\nmain,bybit,USDT,first\nspare,kraken,EUR,'=second\n"


def upload(browser, text, *, name="rows.csv", to=ACCOUNTS, reason="spring cleaning"):
    """Bring a file; what comes back is the preview."""
    content = text if isinstance(text, bytes) else text.encode()
    return browser.post(f"{to}import/", {"file": SimpleUploadedFile(name, content), "reason": reason})


def confirm(browser, preview, *, to=ACCOUNTS, **fields):
    return browser.post(f"{to}import/", {"confirmed": preview.context["parcel"], **fields})


def workbook(*rows):
    """Return an XLSX file."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def told(preview):
    """Return number, verdict and complaints of each row of a preview."""
    return [(line.number, line.verdict, line.errors) for line in preview.context["preview"].lines]


def complaint(answer):
    """Return what is wrong with the file as a whole."""
    assert answer.status_code == 409
    assert answer.context.get("preview") is None
    return answer.context["form"].errors["file"][0]


def actions(prefix):
    return list(UserAction.objects.filter(action__startswith=prefix).order_by("pk"))


def test_a_file_is_shown_first_and_stored_when_it_is_confirmed(admin):
    preview = upload(admin, TWO)

    assert told(preview) == [(2, "new", []), (3, "new", [])]
    assert not ExchangeAccount.objects.exists()
    assert actions("exchangeaccount") == []

    answer = confirm(admin, preview)

    assert (answer.status_code, answer.url) == (302, ACCOUNTS)
    main, spare = ExchangeAccount.objects.order_by("account_id")
    assert (main.exchange, main.currency, main.description, main.is_active) == ("bybit", "USDT", "first", True)
    assert (spare.exchange, spare.currency, spare.description) == ("kraken", "EUR", "=second")


def test_each_row_and_the_whole_import_are_recorded(admin):
    confirm(admin, upload(admin, TWO))

    main = ExchangeAccount.objects.get(account_id="main")
    first, second, whole = actions("exchangeaccount")
    assert (first.action, first.resource_id, first.user) == ("exchangeaccount.create", str(main.pk), admin.user)
    assert second.after["description"] == "=second"
    assert (whole.action, whole.reason) == ("exchangeaccount.import", "spring cleaning")
    assert whole.after["file"] == "rows.csv"
    assert {name: whole.after[name] for name in ("new", "changed", "same", "wrong")} == {
        "new": 2, "changed": 0, "same": 0, "wrong": 0,
    }  # fmt: skip


def test_rows_that_are_there_change_only_when_that_is_confirmed(admin):
    ExchangeAccountFactory(account_id="main", exchange="bybit", description="old")
    ExchangeAccountFactory(account_id="same", exchange="bybit", description="as it is")
    text = "account_id,description\nmain,new\nsame,as it is\n"

    preview = upload(admin, text)
    unticked = confirm(admin, preview)

    assert [line.verdict for line in preview.context["preview"].lines] == ["changed", "same"]
    assert preview.context["preview"].lines[0].changes == [("description", "old", "new")]
    assert unticked.status_code == 200
    assert ExchangeAccount.objects.get(account_id="main").description == "old"

    confirm(admin, preview, change="1")

    assert ExchangeAccount.objects.get(account_id="main").description == "new"
    update, whole = actions("exchangeaccount")
    assert (update.action, update.before, update.after, update.reason) == (
        "exchangeaccount.update", {"description": "old"}, {"description": "new"}, "spring cleaning",
    )  # fmt: skip
    assert whole.after["changed"] == 1


def test_one_wrong_row_stores_nothing(admin):
    text = TWO + "third,bybit,,\n"

    preview = upload(admin, text)

    assert preview.status_code == 409
    assert told(preview)[2] == (4, "wrong", [("currency", "This field is required.")])
    page = preview.content.decode()
    assert "<b>currency</b>:" in page
    assert "Store all of it" not in page

    confirm(admin, preview)

    assert not ExchangeAccount.objects.exists()
    assert actions("exchangeaccount") == []


def test_what_is_no_longer_what_was_shown_is_not_stored(admin):
    preview = upload(admin, TWO)
    ExchangeAccountFactory(account_id="main", exchange="bybit", description="somebody was faster")

    again = confirm(admin, preview)

    assert again.status_code == 200
    assert [line.verdict for line in again.context["preview"].lines] == ["changed", "new"]
    assert "look again" in again.content.decode()
    assert not ExchangeAccount.objects.filter(account_id="spare").exists()

    confirm(admin, again, change="1")

    assert ExchangeAccount.objects.get(account_id="main").description == "first"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "The first line must name the columns."),
        ("account_id,exchange\n", "The file has no row."),
        ("account_id,colour\na,red\n", "Unknown columns: colour. A file may have account_id, exchange,"),
        ("account_id,id\na,7\n", "Unknown columns: id."),
        ("account_id;exchange\na;bybit\n", "Unknown columns: account_id;exchange."),
        ("exchange,currency\nbybit,USDT\n", "The column account_id is missing"),
        ("account_id,account_id\na,b\n", "name each column once: account_id"),
        ("account_id,\na,b\n", "name each column once: one has no name"),
        ("account_id,exchange\na\n", "Line 2 has 1 cells, the first line has 2."),
        ("account_id,exchange\na,bybit,more\n", "Line 2 has 3 cells"),
        ("account_id,exchange\n\na,bybit\n", "Line 2 is empty."),
        ('account_id,exchange\n"a,bybit\n', "no CSV"),
        (b"account_id,exchange\n\xff,bybit\n", "not UTF-8"),
        ("account_id,exchange\na\x00,bybit\n", "NUL"),
    ],
)
def test_a_file_that_is_odd_is_refused_as_a_whole(admin, text, words):
    # Django takes no empty file; one blank line is the least.
    assert words in complaint(upload(admin, text or "\n"))
    assert not ExchangeAccount.objects.exists()


def test_size_and_rows_are_bounded(admin, monkeypatch):
    large = upload(admin, b"x" * (import_files.MOST_BYTES + 1))
    monkeypatch.setattr(import_files, "MOST_ROWS", 1)
    many = upload(admin, TWO)

    assert "larger than 1024 KiB" in complaint(large)
    assert "more than 1 rows" in complaint(many)


@pytest.mark.parametrize("name", ["rows.txt", "rows.xls", "rows.csv.exe", "rows"])
def test_only_csv_and_xlsx_are_taken(admin, name):
    assert "must be CSV or XLSX" in complaint(upload(admin, TWO, name=name))


def test_a_workbook_is_taken_like_a_csv(admin):
    heading = ["account_id", "exchange", "currency", "description"]
    content = workbook(heading, ["main", "bybit", "USDT", 5], ["b", "x", "EUR", None])

    confirm(admin, upload(admin, content, name="rows.xlsx"))

    assert list(ExchangeAccount.objects.order_by("account_id").values_list("account_id", "description")) == [
        ("b", ""), ("main", "5"),
    ]  # fmt: skip


def test_a_workbook_with_formulas_or_that_is_none_is_refused(admin):
    formula = workbook(["account_id", "exchange"], ["main", '=CONCAT("by","bit")'])

    assert "Line 2 holds a formula" in complaint(upload(admin, formula, name="rows.xlsx"))
    assert "no workbook" in complaint(upload(admin, b"PK\x03\x04 nonsense", name="rows.xlsx"))
    assert "no workbook" in complaint(upload(admin, TWO, name="rows.xlsx"))


def test_a_workbook_that_unpacks_to_too_much_is_not_unpacked(admin, monkeypatch):
    monkeypatch.setattr(import_files, "MOST_UNPACKED", 1000)

    assert "unpacks to more" in complaint(upload(admin, workbook(["account_id"], ["x"]), name="rows.xlsx"))


def test_the_same_key_twice_in_a_file_is_refused(admin):
    preview = upload(admin, "account_id,exchange,currency\nmain,bybit,USDT\nmain,kraken,USDT\n")

    assert told(preview)[1] == (3, "wrong", [("", "Row 2 of the file has the same account_id.")])


def test_what_a_page_does_not_offer_keeps_its_value(admin):
    ExchangeAccountFactory(account_id="main", exchange="bybit", currency="USDT")

    preview = upload(admin, "account_id,exchange,currency,is_active\nmain,kraken,USDT,no\nnew,bybit,USDT,no\n")

    message = "is not set here; leave it as it is."
    assert told(preview) == [(2, "wrong", [("exchange", message)]), (3, "wrong", [("is_active", message)])]


def test_a_switch_is_true_or_false_and_nothing_else(admin):
    ExchangeAccountFactory(account_id="main")

    wrong = upload(admin, "account_id,is_active\nmain,off?\n")
    right = upload(admin, "account_id,is_active\nmain,false\n")
    confirm(admin, right, change="1")

    assert told(wrong)[0][2] == [("is_active", "'off?' is neither true nor false.")]
    assert ExchangeAccount.objects.get().is_active is False


def test_an_export_to_edit_comes_back_in_unchanged(admin):
    for number in range(3):
        ExchangeAccountFactory(account_id=f"a{number}", description='+1, "two"\nthree\'')
    answer = admin.post(f"{ACCOUNTS}export/", {"format": "csv-import"})
    text = b"".join(answer.streaming_content)

    preview = upload(admin, text)

    assert [line.verdict for line in preview.context["preview"].lines] == ["same"] * 3
    assert text.decode().splitlines()[0] == "account_id,exchange,currency,description,is_active"


@pytest.mark.parametrize("name", IMPORTABLE)
def test_what_every_such_page_exports_to_edit_comes_back_in_unchanged(name, admin, house):
    to = f"/admin/{name.replace('.', '/')}/"
    for kind in ("csv", "xlsx"):
        answer = admin.post(f"{to}export/", {"format": f"{kind}-import"})
        content = b"".join(answer.streaming_content)

        preview = upload(admin, content, to=to, name=f"rows.{kind}")

        lines = preview.context["preview"].lines
        active = [line for line in lines if line.verdict != "wrong"]
        assert lines
        # Of a configuration a file speaks of the active version alone; the others have its key.
        assert {line.verdict for line in active} == {"same"}
        assert len(active) == len(lines) or name == "config_app.botconfiguration"


def test_a_configuration_comes_in_as_a_new_version(admin, house):
    value = json.dumps({"fast": 99})
    quoted = value.replace('"', '""')
    text = f'bot_id,config_key,config_type,config_value\nbot_1,strategy,strategy_params,"{quoted}"\n'

    preview = upload(admin, text, to=CONFIGURATIONS)
    confirm(admin, preview, to=CONFIGURATIONS, change="1")

    active = BotConfiguration.objects.get(is_active=True)
    assert (active.version, active.config_value, active.reason) == (3, {"fast": 99}, "spring cleaning")


def test_a_configuration_of_a_bot_that_is_none_is_wrong(admin, house):
    BotFactory(bot_id="bot_2")
    text = "bot_id,config_key,config_type,config_value\nnobody,a,risk_params,{}\nbot_2,a,odd,nonsense\n"

    preview = upload(admin, text, to=CONFIGURATIONS)

    first, second = (dict(errors) for _, _, errors in told(preview))
    assert "valid choice" in first["bot_id"]
    assert "valid choice" in second["config_type"]
    assert "JSON" in second["config_value"]


SYMBOLS = "/admin/config_app/watchedsymbol/"
SYMBOL = "symbol,base_asset,quote_asset,timeframes,price_precision,quantity_precision,min_notional,min_quantity\n"


def test_symbols_come_in_with_every_digit(admin):
    text = SYMBOL + 'ETHBTC,ETH,BTC,"[""1m"", ""4h""]",6,4,0.000000000000000001,1e-8\n'

    confirm(admin, upload(admin, text, to=SYMBOLS), to=SYMBOLS)

    row = WatchedSymbol.objects.get(symbol="ETHBTC")
    assert (row.min_notional, row.min_quantity) == (Decimal("1e-18"), Decimal("1e-8"))
    assert (row.timeframes, row.price_precision, row.is_active) == (["1m", "4h"], 6, True)


@pytest.mark.parametrize(
    ("cells_", "column"),
    [
        ('ETHBTC,ETH,BTC,"[""1m""]",6,4,NaN,1', "min_notional"),
        ('ETHBTC,ETH,BTC,"[""1m""]",6,4,Infinity,1', "min_notional"),
        ('ETHBTC,ETH,BTC,"[""1m""]",6,4,"1,5",1', "min_notional"),
        ('ETHBTC,ETH,BTC,"[""1m""]",6,4,0.0000000000000000001,1', "min_notional"),
        ('ETHBTC,ETH,BTC,"[""1m""]",6.5,4,1,1', "price_precision"),
        ('ETHBTC,ETH,BTC,"[""1m""]",99999999999,4,1,1', "price_precision"),
        ('ETHBTC,ETH,BTC,"[""1m",6,4,1,1', "timeframes"),
        ('<script>,ETH,BTC,"[""1m""]",6,4,1,1', ""),
        ('ETHBTC,ETH,ETH,"[""1m""]",6,4,1,1', ""),
        ('ETHBTC,ETH,BTC,"[""7m""]",6,4,1,1', ""),
        ('ETHBTC,ETH,BTC,"[""1m""]",6,4,-1,1', ""),
    ],
)
def test_a_symbol_that_breaks_a_rule_is_wrong_and_says_where(admin, cells_, column):
    preview = upload(admin, f"{SYMBOL}{cells_}\n", to=SYMBOLS)

    [(number, verdict, errors)] = told(preview)
    assert (number, verdict) == (2, "wrong")
    assert column in [name for name, _ in errors]
    assert "<script>" not in preview.content.decode()
    confirm(admin, preview, to=SYMBOLS)
    assert not WatchedSymbol.objects.exists()


def test_a_trader_brings_templates_and_changes_only_their_own(trader, admin, house):
    to = "/admin/config_app/strategytemplate/"
    StrategyTemplate.objects.create(name="of an admin", template_data={}, is_public=True, created_by=admin.user)
    StrategyTemplate.objects.create(name="hidden", template_data={}, is_public=False, created_by=admin.user)
    text = "name,template_data\nmine,[1]\nof an admin,[1]\nhidden,[1]\n"

    preview = upload(trader, text, to=to)
    confirm(trader, upload(trader, "name,template_data\nmine,[1]\nhidden,[1]\n", to=to), to=to)

    assert told(preview) == [
        (2, "new", []), (3, "wrong", [("", "You may not change this row.")]), (4, "new", []),
    ]  # fmt: skip
    assert StrategyTemplate.objects.get(name="mine").created_by == trader.user
    assert StrategyTemplate.objects.filter(name="hidden").count() == 2, "what one does not see one does not change"


@pytest.mark.parametrize("person", ["viewer", "trader"])
def test_who_may_not_add_or_change_may_not_import(person, request):
    browser = request.getfixturevalue(person)

    assert browser.get(f"{ACCOUNTS}import/").status_code == 403
    assert upload(browser, TWO).status_code == 403
    assert "import/" not in browser.get(ACCOUNTS).content.decode()
    assert not ExchangeAccount.objects.exists()


def test_a_preview_is_of_one_person_and_one_page(admin, client, house):
    from tests.factories import PASSWORD, UserFactory

    preview = upload(admin, TWO)
    UserFactory(email="second@example.com")
    client.login(username="second@example.com", password=PASSWORD)

    theirs = confirm(client, preview)
    elsewhere = confirm(admin, preview, to=CONFIGURATIONS)
    forged = admin.post(f"{ACCOUNTS}import/", {"confirmed": preview.context["parcel"][:-2] + "xx"})

    assert [answer.url for answer in (theirs, elsewhere, forged)] == [
        f"{ACCOUNTS}import/", f"{CONFIGURATIONS}import/", f"{ACCOUNTS}import/",
    ]  # fmt: skip
    assert not ExchangeAccount.objects.filter(account_id="main").exists()


def test_ledgers_take_no_files(admin, house):
    for name in ("bots/trade", "bots/fill", "audit/useraction", "bots/bottoken", "accounts/user"):
        assert "/import/" not in admin.get(f"/admin/{name}/").content.decode()
        # Without such an address "import" is a row that does not exist.
        assert upload(admin, TWO, to=f"/admin/{name}/").status_code in (302, 403)


@pytest.mark.parametrize(
    ("read", "good", "bad"),
    [
        (cells.read_decimal, {"-1.50": "-1.50", "1e-18": "1E-18", ".5": "0.5"},
         ["NaN", "Infinity", "-inf", "1,5", "1_000", "\u0661", "0x1", "1e9999", "", "1 2"]),
        (cells.read_whole, {"12": "12", "-3": "-3"}, ["1.0", "1e3", "\u0661", "1_0"]),
        (cells.read_moment,
         {"2026-11-20T07:45:03Z": "2026-11-20T07:45:03Z", "2026-11-20 09:45+02:00": "2026-11-20T07:45:00Z"},
         ["2026-11-20T07:45:03", "2026-11-20", "yesterday", "2026-13-01T00:00Z", "infinity", "0001-01-01T00:00+14:00"]),
        (cells.read_day, {"2026-11-20": "2026-11-20"}, ["20.11.2026", "2026-02-30", "infinity"]),
        (cells.read_list, {'["a", "b"]': "a,b", "[]": ""}, ["a,b", '["a,b"]', "[1]", '{"a": 1}']),
    ],
)  # fmt: skip
def test_cells_say_exactly_one_thing(read, good, bad):
    assert {text: read(text) for text in good} == good
    for text in bad:
        with pytest.raises(ValueError):
            read(text)
