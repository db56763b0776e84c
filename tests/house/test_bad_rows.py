"""Ours refuse or flag what the seeds take, and take what the seeds refuse; both are tried on the real server."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg import sql

from bots.models import Order, OrderEvent
from bots.services.invariants.run import invariants_run
from tests.bots.ledger_tools import add_fill, at, place, tell
from tests.factories import BotFactory
from tests.house import seeds
from tests.house.bad_cases import BAD as BAD_LEDGER
from tests.house.bad_cases import LEGITIMATE as LEGITIMATE_LEDGER
from tests.house.bad_cases_beside import BAD_BESIDE, LEGITIMATE_BESIDE
from tests.house.bad_rows import OURS, SEED, Case, Table, Values

pytestmark = pytest.mark.django_db
BAD, LEGITIMATE = (*BAD_LEDGER, *BAD_BESIDE), (*LEGITIMATE_LEDGER, *LEGITIMATE_BESIDE)
each_bad = pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
each_legitimate = pytest.mark.parametrize("case", LEGITIMATE, ids=lambda case: case.name)
# What refuses a row without a constraint of its own.
CODES = {"22001": "type", "22003": "type", "22P02": "type", "23502": "not null", "428C9": "computed"}

# A partition gives its part of a unique key a name of its own.
OF_PARTITION = """
    SELECT whole.relname FROM pg_class part JOIN pg_inherits i ON i.inhrelid = part.oid
    JOIN pg_class whole ON whole.oid = i.inhparent WHERE part.relname = %s AND part.relkind = 'i'
"""


def insert(cursor: CursorWrapper, table: str, values: Values) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, values))
    cursor.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(*table.split(".")), names, sql.SQL(", ").join([sql.Placeholder()] * len(values))
        ),
        list(values.values()),
    )


def update(cursor: CursorWrapper, table: str, values: Values) -> None:
    changes = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in values)
    cursor.execute(
        sql.SQL("UPDATE {} SET {}").format(sql.Identifier(*table.split(".")), changes), list(values.values())
    )


def play(cursor: CursorWrapper, place: str, table: Table, case: Case, change: Values, first: Values | None) -> None:
    """Make the row that is there before, and then the one that the case is about."""
    if first is not None:
        insert(cursor, place, {**table.row, **first})
    if case.updates:
        update(cursor, place, change)
    else:
        insert(cursor, place, {**table.row, **change})
    # Keys to other rows are looked at when the transaction ends; here and now, that is.
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@contextmanager
def undone() -> Iterator[CursorWrapper]:
    """A cursor whose changes are taken back."""
    with transaction.atomic(), connection.cursor() as cursor:
        yield cursor
        transaction.set_rollback(True)


def refused_by(error: DatabaseError) -> str:
    """Return the constraint that refused a row, or the word for what else did."""
    cause = error.__cause__
    assert isinstance(cause, psycopg.Error)
    if not cause.diag.constraint_name:
        return CODES.get(cause.sqlstate or "", str(cause))
    with connection.cursor() as cursor:
        cursor.execute(OF_PARTITION, [cause.diag.constraint_name])
        row = cursor.fetchone()
    # TimescaleDB puts the chunk's numbers before the name.
    return row[0] if row else re.sub(r"^\d+_\d+_", "", cause.diag.constraint_name)


def in_seed(case: Case) -> None:
    """Try a case on the seed's own table. Raises DatabaseError when it refuses."""
    table = SEED[case.table]
    with undone() as cursor:
        for name, values in table.needs:
            insert(cursor, seeds.seed_table(name), values)
        play(cursor, seeds.seed_table(case.table), table, case, case.change, case.first)


def in_ours(case: Case, *, good: bool = False) -> set[str]:
    """Try a case, or the good row it is made of, on our table; return the broken invariants.

    Raises DatabaseError when it is refused.
    """
    name, change = case.ours
    table = OURS[name]
    with undone() as cursor:
        for needed, values in table.needs:
            insert(cursor, needed, values)
        if good:
            insert(cursor, name, table.row)
        else:
            play(cursor, name, table, case, change, case.before)
        return {one for one, found in invariants_run()["invariants"].items() if found["count"]}


def outcome_of(case: Case) -> str:
    """Return what became of a case on our table, in the catalogue's words."""
    try:
        flagged = in_ours(case)
    except DatabaseError as error:
        return refused_by(error)
    # A row without the rest of its ledger is flagged for that already.
    flagged -= in_ours(case, good=True)
    wanted = case.by.removeprefix("flagged by ")
    return f"flagged by {wanted}" if wanted in flagged else f"taken; flagged: {', '.join(flagged) or 'nothing'}"


def test_the_catalogue_is_long_enough_and_names_no_case_twice():
    names = [case.name for case in (*BAD, *LEGITIMATE)]

    assert len(BAD) >= 52
    assert len(LEGITIMATE) >= 5
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("name", OURS)
def test_good_row_is_taken(name):
    table = OURS[name]

    with undone() as cursor:
        for needed, values in table.needs:
            insert(cursor, needed, values)
        insert(cursor, name, table.row)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@each_bad
def test_bad_row_is_refused_or_flagged(case):
    assert outcome_of(case) == case.by


def test_news_that_a_filled_order_is_pending_again_changes_nothing():
    """What no row can say alone, the service refuses: the news is kept in the history, the order stays filled."""
    bot = BotFactory()
    place(bot, "o1", "buy", "1", status="filled")
    add_fill(bot, "f1", "o1", "100", "1")

    outcome = tell(bot, "o1", status="pending", at=at(1))

    assert (outcome.status, outcome.body["flags"]) == (200, ["invalid_transition"])
    assert Order.objects.get(order_id="o1").status == "filled"
    assert OrderEvent.objects.get(to_status="pending", was_applied=False).order_id == "o1"


@each_legitimate
def test_legitimate_row_is_taken(case):
    in_ours(case)


def test_seeds_take_every_bad_row_and_refuse_the_legitimate_ones(record_testsuite_property, capsys):
    """Without ../shared/seeds there is nothing to try: the report says so, and what ours do is tested above."""
    record_testsuite_property("seed_ddl", "present" if seeds.present() else "absent")
    if not seeds.present():
        with capsys.disabled():
            sys.stdout.write("\n../shared/seeds is absent: what the seeds' own tables take was not tried\n")
        return
    with connection.cursor() as cursor:
        seeds.make_seed_tables(cursor)
    said = {}
    for case in (*BAD, *LEGITIMATE):
        try:
            in_seed(case)
        except DatabaseError as error:
            said[case.name] = refused_by(error)

    assert said == {case.name: case.by for case in LEGITIMATE}
