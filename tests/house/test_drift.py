"""The drift check names every difference between the migrated database and the models."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection

from tests.house.planted_drift import PLANTED, expected, run  # noqa: F401 (expected is a fixture)
from tradingdb.management.catalog import Catalog, Part, Relation
from tradingdb.management.drift import BESIDE, Difference, compare, schema_differences

pytestmark = pytest.mark.django_db


def test_migrated_database_is_what_the_models_say():
    assert schema_differences() == []


def test_rows_of_many_months_are_no_difference(expected):
    """Each is in a partition of its own, in the default one, or in a chunk of TimescaleDB's."""
    for month in ("2025-01", "2026-11", "2031-01"):
        run(
            "INSERT INTO trading.market_data (symbol, interval, timestamp, open_price, high_price, low_price, "
            f"close_price, volume) VALUES ('BTCUSDT', '1h', '{month}-15', 1, 1, 1, 1, 1)"
        )

    assert schema_differences(expected=expected) == []


@pytest.mark.parametrize("case", PLANTED)
def test_planted_difference_is_named(expected, case):
    sql, lines = PLANTED[case]
    run(sql)

    said = [str(each) for each in schema_differences(expected=expected)]

    assert [line for line in lines if not any(one.startswith(line) for one in said)] == [], said
    assert len(said) == len(lines), said


def test_schema_of_another_name_is_named_with_all_that_is_in_it(expected):
    run("ALTER SCHEMA config RENAME TO settings")

    found = [str(each) for each in schema_differences(expected=expected)]

    assert {"config: schema is missing", "settings: schema is not in the models"} <= set(found)
    assert "config.bot_configurations: table is missing" in found
    assert "settings.bot_configurations: table is not in the models" in found


def test_expected_catalog_leaves_nothing_behind(expected):
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'check_schema%'")
        assert cursor.fetchone() == (0,)


def test_every_exception_has_a_reason_and_is_needed(expected, monkeypatch):
    monkeypatch.setattr("tradingdb.management.drift.BESIDE", ())

    found = schema_differences(expected=expected)

    assert [known for known in BESIDE if not any(known.covers(each) for each in found)] == []
    assert [each for each in found if not any(known.covers(each) for known in BESIDE)] == []
    assert [known for known in BESIDE if len(known.reason.split()) < 3] == []


def test_foreign_key_cannot_be_switched_off_unseen(expected):
    """Only a superuser may switch its hidden triggers off; it is there then, and checks nothing."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW is_superuser")
        may = cursor.fetchone() == ("on",)
        if not may:
            with pytest.raises(ProgrammingError, match="permission denied"):
                cursor.execute("ALTER TABLE trading.order_events DISABLE TRIGGER ALL")
            return
        cursor.execute("ALTER TABLE trading.order_events DISABLE TRIGGER ALL")

    found = [str(each) for each in schema_differences(expected=expected)]

    assert (
        "trading.order_events: constraint order_events_order_of_same_bot differs: "
        "state is switched off, expected none" in found
    )


def test_command_says_that_all_is_well():
    out = StringIO()

    call_command("check_schema", stdout=out)

    assert out.getvalue() == "The database is what the models say.\n"


def test_command_names_differences_and_fails():
    run("DROP INDEX trading.idx_orders_bot_id")
    out = StringIO()

    with pytest.raises(CommandError, match="in 1 places"):
        call_command("check_schema", stdout=out)

    assert out.getvalue() == "trading.orders: index idx_orders_bot_id is missing\n"


def test_command_answers_as_json():
    run("DROP INDEX trading.idx_orders_bot_id")
    out = StringIO()

    with pytest.raises(CommandError):
        call_command("check_schema", "--json", stdout=out)

    assert json.loads(out.getvalue()) == {
        "differences": [
            {"where": "trading.orders", "kind": "index", "name": "idx_orders_bot_id", "problem": "is missing"}
        ]
    }


def test_nameless_constraint_is_known_by_what_it_does():
    """Names that Django or PostgreSQL make up differ with the way a column came to be."""
    check = {"definition": "CHECK ((price <> 'NaN'::numeric))"}
    one = Catalog(set(), {"t": Relation("table", {}, None, {Part("constraint", "t_price_check"): check})})
    other = Catalog(set(), {"t": Relation("table", {}, None, {Part("constraint", "t_price_5f1e_check"): check})})

    assert list(compare(one, other)) == []
    one.chosen_names = {"t_price_check"}
    assert list(compare(one, other)) == [
        Difference("t", "constraint", "t_price_check", "is missing"),
        Difference("t", "constraint", "t_price_5f1e_check", "is not in the models"),
    ]
