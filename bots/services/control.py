"""Control states: who may trade. The truth that permits and order requests are checked against.

A change waits for the order requests that were checked against the state before it, so that none is accepted after the
change is answered (docs/adr/0013). `control_set` is for people and jobs, `restrict` for a plan.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.db import InternalError, OperationalError, ProgrammingError, connection, transaction
from django.utils import timezone
from psycopg.errors import LockNotAvailable

from audit.services.actions import Actor
from bots.choices import ControlLevel, ControlScope
from bots.ledger.risk import SEVERITY
from bots.live.load import CONTROL_FIELDS, control_shape
from bots.live.publish import LiveUpdate, publish
from bots.models import Bot, ControlState
from bots.services.locks import CONTROL_KEY
from bots.services.plan import Row, Sql
from tradingdb.lib.errors import NotFound, PermissionDenied, Unavailable, ValidationFailed
from tradingdb.lib.retry import atomic_retried

logger = logging.getLogger(__name__)

# A request takes milliseconds. Who is still at it after this time is frozen, and loses its session.
PATIENCE = "1s"
ATTEMPTS = 5
LOCK = f"SELECT pg_advisory_xact_lock({CONTROL_KEY})"
# Requests that hold the lock of a scope: those a change waits for.
END_HOLDERS = f"""
    SELECT count(*) FILTER (WHERE pg_terminate_backend(l.pid)) FROM pg_locks l
    JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
    WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.mode = 'ShareLock' AND l.granted
        AND l.pid <> pg_backend_pid() AND ((l.classid::bigint << 32) | l.objid::bigint) = {CONTROL_KEY}
"""  # noqa: S608 (our own text)  # nosec B608
# Only ever stricter: a halt stays a halt.
RESTRICT = """
    INSERT INTO control_states AS c (scope, target, state, reason, changed_at, changed_by_name)
    VALUES (%(scope)s, %(target)s, %(state)s, %(reason)s, %(now)s, %(by)s)
    ON CONFLICT (scope, target) DO UPDATE
    SET state = excluded.state, reason = excluded.reason, changed_at = excluded.changed_at,
        changed_by_name = excluded.changed_by_name, changed_by_id = NULL, version = c.version + 1
    WHERE c.state = 'ACTIVE' OR (c.state = 'REDUCING' AND excluded.state = 'HALTED')
    RETURNING scope, target, state, version, reason, changed_by_name, changed_at, server_seq
"""


class SecondPersonRequired(PermissionDenied):
    """Who set a halt may not release it; somebody else must."""

    code = "second_person_required"


def nobody_releases() -> None:
    """Refuse: a caller that does not say who may release releases nothing."""
    raise PermissionDenied("Only an admin releases, with the password confirmed and a reason.")


@atomic_retried
def control_set(
    *,
    scope: str,
    target: str,
    state: str,
    reason: str,
    actor: Actor,
    on_release: Callable[[], object] = nobody_releases,
) -> ControlState:
    """Set the restriction of one scope; its version grows with every call, so that bots can tell old news from new.

    `target` is empty for scope `all`, else a bot_id, a symbol or an exchange. Whether the actor may restrict is decided
    at the edge. A change that lifts something (HALTED to REDUCING too) calls `on_release`, which raises unless this
    person may, here and now. Raises ValidationFailed, NotFound for an unknown bot, SecondPersonRequired when the
    setting asks for one, and Unavailable when a request in the way can neither end nor be ended.
    """
    _check(scope, target, state, reason)
    await_requests(scope, target)
    row = ControlState.objects.select_for_update().filter(scope=scope, target=target).first()
    before = None if row is None else state_of(row)
    if row is None:
        row = ControlState(scope=scope, target=target, version=0)
    if state == ControlLevel.ACTIVE or SEVERITY[ControlLevel(state)] < SEVERITY[ControlLevel(row.state)]:
        on_release()
        _check_second_person(row, actor)
    row.state, row.reason, row.changed_at = state, reason.strip(), timezone.now()
    row.changed_by, row.changed_by_name = actor.user, actor.label[:100]
    row.version += 1
    row.save()
    row.refresh_from_db(fields=["server_seq"])
    action = "control.release" if state == ControlLevel.ACTIVE else f"control.{state.lower()}"
    actor.record(action, "control", f"{scope}:{target}", before=before, after=state_of(row), reason=row.reason)
    transaction.on_commit(partial(publish, [halt_update(row)]))
    return row


def await_requests(scope: str, target: str) -> None:
    """Keep new order requests of a scope out until this transaction ends, and return once none is on its way.

    One that does not end in a second (its process is frozen, its network cut) loses its session: it was not
    acknowledged, and when it is sent again it is checked again. Raises Unavailable when that does not help.
    """
    key = {"scope": scope, "target": target}
    for _ in range(ATTEMPTS):
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT current_setting('lock_timeout')")
                (before,) = cursor.fetchone()
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [PATIENCE])
                cursor.execute(LOCK, key)
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [before])
            return
        except OperationalError as e:
            if not isinstance(e.__cause__, LockNotAvailable):
                raise
        _end_holders(key)
    raise Unavailable("Order requests are in the way that cannot be ended; nothing was changed. Try again.")


def _end_holders(key: dict[str, str]) -> None:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(END_HOLDERS, key)
            (ended,) = cursor.fetchone()
    except (ProgrammingError, InternalError) as e:
        # The role may not end sessions of the bots' role: the server itself does, ten seconds after their last word.
        logger.warning("Order requests in the way of a halt cannot be ended: %s", e)
    else:
        logger.warning("%d order requests stood in the way of a halt of %s; their sessions are ended.", ended, key)


def restrict(
    *, scope: str, target: str, state: ControlLevel, reason: str, by: str = "system", now: datetime
) -> Sql:  # fmt: skip
    """Make a scope stricter from within a plan; what is as strict already stays. Give its rows to `restricted`.

    The database waits for the requests on their way as `control_set` does. A bot's plan may restrict its own bot alone.
    """
    values = {"scope": str(scope), "target": target, "state": str(state), "reason": reason, "by": by, "now": now}
    return Sql(RESTRICT, values)


def restricted(rows: Sequence[Row]) -> list[LiveUpdate]:
    """Return what the live layer hears of the rows that `restrict` returned; nothing when nothing changed."""
    return [_update(control_shape(row)) for row in rows]


def _check(scope: str, target: str, state: str, reason: str) -> None:
    if scope not in ControlScope.values or state not in ControlLevel.values:
        raise ValidationFailed("No such scope or state.", scope=scope, state=state)
    if not reason.strip():
        raise ValidationFailed("A reason is needed.")
    if (scope == ControlScope.ALL) != (target == ""):
        raise ValidationFailed("Scope all has no target, every other scope needs one.")
    if scope == ControlScope.BOT and not Bot.objects.filter(bot_id=target).exists():
        raise NotFound("No such bot.", bot_id=target)


def _check_second_person(row: ControlState, actor: Actor) -> None:
    is_same = actor.user is not None and row.changed_by_id == actor.user.pk
    if settings.RELEASE_NEEDS_SECOND_PERSON and row.state != ControlLevel.ACTIVE and is_same:
        raise SecondPersonRequired("Who set the halt may not release it; ask another admin.")


def halt_update(row: ControlState) -> LiveUpdate:
    """Return the message that takes a halt, or its end, to bots and browsers."""
    return _update(state_of(row))


def _update(data: dict[str, Any]) -> LiveUpdate:
    scope, target = data["scope"], data["target"]
    bot_id = target if scope == ControlScope.BOT else ""
    symbol = target if scope == ControlScope.SYMBOL else ""
    return LiveUpdate(kind="halt", bot_id=bot_id, symbol=symbol, data=data)


def state_of(row: ControlState) -> dict[str, Any]:
    """Return a control state as the API and the sockets show it."""
    return control_shape({name: getattr(row, name) for name in CONTROL_FIELDS})
