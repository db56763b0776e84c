"""Every table is under the audit trail or excused, and the database has the triggers of the list."""

import pytest
from django.apps import apps
from django.db import connection

from audit.trail.tables import EXCUSED, RECORDED, Facts, Whole
from audit.trail.triggers import install, wrong_triggers

TABLES = {model._meta.db_table for model in apps.get_models(include_auto_created=True) if model._meta.managed}
SECRET_WORDS = ("password", "secret", "digest", "token", "hash", "encrypted")


def columns_of(table: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            [f"{RECORDED[table].schema}.{table}"],
        )
        return {name for (name,) in cursor.fetchall()}


def test_every_table_is_recorded_or_excused_with_a_reason() -> None:
    assert {*RECORDED, *EXCUSED} == TABLES
    assert set(RECORDED).isdisjoint(EXCUSED)
    assert all(EXCUSED.values())
    assert all(table.why for table in RECORDED.values())


@pytest.mark.django_db
def test_the_database_has_the_triggers_of_the_list() -> None:
    with connection.cursor() as cursor:
        assert wrong_triggers(cursor) == []
    assert install() == []


@pytest.mark.django_db
@pytest.mark.parametrize("name", RECORDED)
def test_columns_of_the_list_are_those_of_the_table(name: str) -> None:
    """A column of a fact is told or derived; a new one needs a new form of the digest, or a place among the derived."""
    table, columns = RECORDED[name], columns_of(name)

    if isinstance(table, Facts):
        told = table.forms[table.form]
        assert {*told, *table.derived} == columns
        assert set(told).isdisjoint(table.derived)
    else:
        assert {*table.ignores, *table.secrets} <= columns
        assert table.key in columns


@pytest.mark.django_db
@pytest.mark.parametrize("name", [name for name, table in RECORDED.items() if isinstance(table, Whole)])
def test_columns_that_look_like_secrets_are_kept_as_digests(name: str) -> None:
    table = RECORDED[name]
    assert isinstance(table, Whole)

    # What content_hash and received_hash are made of is no secret.
    looks = {column for column in columns_of(name) if any(word in column for word in SECRET_WORDS)}
    assert looks - {"content_hash", "received_hash"} <= {*table.secrets, *table.ignores}
