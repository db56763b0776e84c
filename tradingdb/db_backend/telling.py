"""Telling PostgreSQL who acts: before the first write of each transaction, and for that transaction alone."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.db import transaction

from tradingdb.lib.acting import Told, who_acts

if TYPE_CHECKING:
    from django.db.backends.postgresql.base import DatabaseWrapper as PostgresWrapper
else:
    PostgresWrapper = object

WRITES = re.compile(r"\s*(?:INSERT|UPDATE|DELETE|MERGE|WITH\b.*\b(?:INSERT|UPDATE|DELETE|MERGE))\b", re.I | re.S)
TELL = (
    "SELECT set_config('app.actor', %s, true), set_config('app.request_id', %s, true), "
    "set_config('app.reason', %s, true)"
)
NOBODY = Told("", "", "")


class TellsWhoActs(PostgresWrapper):
    """A connection that says in each writing transaction who acts, where anybody said so.

    A write outside of a transaction gets one of its own: a setting for one transaction would be gone before it.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._told = NOBODY
        self.execute_wrappers.append(self._tell)

    def _tell(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
        acting = who_acts()
        if (acting is None and self._told == NOBODY) or not (isinstance(sql, str) and WRITES.match(sql)):
            return execute(sql, params, many, context)
        told = NOBODY if acting is None else acting.told()
        if told == self._told or (self.in_atomic_block and self.needs_rollback):
            return execute(sql, params, many, context)
        if self.in_atomic_block:
            self._say(told)
            return execute(sql, params, many, context)
        with transaction.atomic(using=self.alias):
            self._say(told)
            return execute(sql, params, many, context)

    def _say(self, told: Told) -> None:
        # Not one of the statements of the caller: those are counted, logged and wrapped.
        with self.create_cursor() as cursor:
            cursor.execute(TELL, told)
        self._told = told

    def _set_autocommit(self, autocommit: bool) -> None:
        # Called at both ends of a transaction.
        self._told = NOBODY
        super()._set_autocommit(autocommit)  # type: ignore[misc]

    def _savepoint_rollback(self, sid: str) -> None:
        # Settings go back with it; what is in force now is told again with the next write.
        self._told = Told("", "", "\x00")
        super()._savepoint_rollback(sid)  # type: ignore[misc]

    def close(self) -> None:
        self._told = NOBODY
        super().close()
