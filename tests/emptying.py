"""Empties the database after a test that commits, at the price of what the test left there.

Django truncates every table, which makes new files for 400 tables and indexes, and has post_migrate write the standing
rows again (permissions, groups, the first limits): half a second for each of 300 tests. Here the rows that came after
the standing ones are deleted where there are any. When a standing row was changed or removed, the test left very many
rows, or TimescaleDB's chunks have to go, Django's way is taken.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

# Above this a truncation is quicker, and leaves no dead rows behind for the tests that follow.
MANY_ROWS = 5_000
# Of two tables the one that refers to the other comes first, where the database looks at once.
AT_ONCE = """
    SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint
    WHERE contype = 'f' AND NOT condeferrable AND conparentid = 0 AND conrelid <> confrelid
"""


@dataclass
class Emptying:
    """What stands in every table when no test has written: how many rows, and which transactions wrote them."""

    standing: Mapping[str, int] = field(default_factory=dict)
    written_by: Sequence[int] = ()
    is_known: bool = False

    def empty(self, thoroughly: Callable[[], None]) -> None:
        """Leave the standing rows alone; `thoroughly` is Django's way, which is also taken the first time."""
        if connection.has_timescaledb or not self.is_known or not self._deleted():
            thoroughly()
            self._learn()

    def _learn(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(" UNION ".join(f'SELECT xmin::text::bigint FROM "{table}"' for table in tables()))
            self.written_by = [number for (number,) in cursor.fetchall()]
            self.standing = {table: stays for table, stays, _ in self._rows(cursor)}
            self.is_known = True

    def _rows(self, cursor: CursorWrapper) -> list[tuple[str, int, int]]:
        """Return each table that has rows, with how many stand there and how many came later."""
        cursor.execute(
            " UNION ALL ".join(
                f"SELECT '{table}', count(*) FILTER (WHERE stays), count(*) FILTER (WHERE NOT stays) "
                f'FROM (SELECT xmin::text::bigint = ANY (%(standing)s) AS stays FROM "{table}" LIMIT {MANY_ROWS}) rows '
                "HAVING count(*) > 0"
                for table in tables()
            ),
            {"standing": self.written_by},
        )
        return cursor.fetchall()

    def _deleted(self) -> bool:
        """Delete what came later; False, with nothing done, when that is not enough."""
        with transaction.atomic(), connection.cursor() as cursor:
            # As a truncation would, wait for writers who have not ended yet.
            cursor.execute(f"LOCK TABLE {', '.join(tables())} IN SHARE ROW EXCLUSIVE MODE")
            rows = self._rows(cursor)
            if {table: stays for table, stays, _ in rows if stays} != self.standing:
                return False
            if any(stays + later >= MANY_ROWS for _, stays, later in rows):
                return False
            written = in_order(cursor, [table for table, _, later in rows if later])
            # The trail and the control history would refuse, and record it.
            _each(cursor, 'ALTER TABLE "{}" DISABLE TRIGGER USER', written)
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
            _each(cursor, 'DELETE FROM "{}" WHERE xmin::text::bigint <> ALL (%(standing)s)', written, self.written_by)
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            _each(cursor, 'ALTER TABLE "{}" ENABLE TRIGGER USER', written)
        return True


def _each(cursor: CursorWrapper, statement: str, written: Sequence[str], standing: Sequence[int] = ()) -> None:
    if written:
        cursor.execute("; ".join(statement.format(table) for table in written), {"standing": standing})


def tables() -> list[str]:
    """Return the tables that belong to models."""
    return sorted(connection.introspection.django_table_names(include_views=False))


def in_order(cursor: CursorWrapper, written: Sequence[str]) -> list[str]:
    """Return the tables so that no row is deleted while another refers to it."""
    cursor.execute(AT_ONCE)
    sorter = TopologicalSorter({table: set() for table in written})
    for refers, referred in cursor.fetchall():
        sorter.add(referred, refers)
    return [table for table in sorter.static_order() if table in set(written)]
