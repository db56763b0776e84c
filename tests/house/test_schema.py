"""Schemas by search_path really work: what Django believes is what PostgreSQL has."""

import pytest
from django.core.management import call_command
from django.db import connection, models

from bots.models import Bot
from marketdata.models import Candle
from tests.factories import NOON, BotFactory
from tradingdb.lib.db import SEARCH_PATH
from tradingdb.management.model_pages import label, our_models, schemas

MODELS = our_models()
each_model = pytest.mark.parametrize("model", MODELS, ids=label)
# A view has no foreign keys: it shows only what the keys of its tables let in.
each_table = pytest.mark.parametrize("model", [model for model in MODELS if model._meta.managed], ids=label)
CATALOG = """
    SELECT con.conname FROM pg_constraint con
    JOIN pg_class c ON c.oid = con.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relname = %(table)s AND n.nspname = %(schema)s
    UNION
    SELECT indexname FROM pg_indexes WHERE tablename = %(table)s AND schemaname = %(schema)s
"""
FOREIGN_KEYS = """
    SELECT a.attname FROM pg_constraint con
    JOIN pg_class c ON c.oid = con.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (con.conkey)
    WHERE con.contype = 'f' AND c.relname = %(table)s AND n.nspname = %(schema)s
"""


def names(sql: str, **params: str) -> set[str]:
    """Return the first column of a query."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return {row[0] for row in cursor.fetchall()}


def place(model: type[models.Model]) -> dict[str, str]:
    """Return table and schema of a model."""
    return {"table": model._meta.db_table, "schema": schemas()[model._meta.db_table]}


def candle() -> Candle:
    """A candle, in a partitioned table of a schema."""
    prices = dict.fromkeys(("open_price", "high_price", "low_price", "close_price"), 100)
    return Candle.objects.create(symbol="BTCUSDT", interval="1m", timestamp=NOON, volume=1, **prices)


@each_model
@pytest.mark.django_db
def test_rules_and_indexes_are_in_the_catalog(model):
    declared = {rule.name for rule in model._meta.constraints} | {index.name for index in model._meta.indexes}

    assert declared - names(CATALOG, **place(model)) == set()


@each_table
@pytest.mark.django_db
def test_foreign_keys_are_in_the_catalog(model):
    declared = {field.column for field in model._meta.concrete_fields if field.is_relation}

    assert declared - names(FOREIGN_KEYS, **place(model)) == set()


@pytest.mark.django_db
def test_search_path_is_that_of_the_code():
    with connection.cursor() as cursor:
        cursor.execute("SHOW search_path")
        path = cursor.fetchone()[0]

    assert tuple(part.strip() for part in path.split(",")) == SEARCH_PATH


@pytest.mark.django_db
def test_table_names_are_unique_over_all_schemas():
    twice = names(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname = ANY (string_to_array(%(path)s, ',')) "
        "GROUP BY c.relname HAVING count(*) > 1",
        path=",".join(SEARCH_PATH),
    )

    assert twice == set()


@pytest.mark.django_db
def test_partitions_live_beside_their_table():
    strays = names(
        "SELECT child.relname FROM pg_inherits i JOIN pg_class child ON child.oid = i.inhrelid "
        "JOIN pg_class parent ON parent.oid = i.inhparent "
        "WHERE parent.relkind = 'p' AND child.relnamespace <> parent.relnamespace"
    )
    partitioned = names("SELECT relname FROM pg_class WHERE relkind = 'p'")

    assert strays == set()
    assert {"market_data", "system_events", "account_balance", "portfolio_snapshots"} <= partitioned


@pytest.mark.django_db
def test_rows_go_to_the_schema_and_come_back_by_plain_name():
    made = candle()

    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM trading.market_data WHERE symbol = 'BTCUSDT'")
        by_schema = cursor.fetchall()

    assert by_schema == [(made.pk,)]
    assert Candle.objects.get(pk=made.pk).timestamp == NOON


@pytest.mark.django_db(transaction=True)
def test_emptying_the_database_reaches_every_schema():
    """What isolates tests with real transactions: the quoted-name trick leaves the rows where they are."""
    BotFactory()
    candle()

    call_command("flush", interactive=False, verbosity=0)

    assert not Bot.objects.exists()
    assert not Candle.objects.exists()
