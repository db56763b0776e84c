"""Control states: who may trade. The truth that permits and order requests are checked against."""

from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from audit.services.actions import Actor
from bots.choices import ControlLevel, ControlScope
from bots.live.load import CONTROL_FIELDS, control_shape
from bots.live.publish import LiveUpdate, publish
from bots.models import Bot, ControlState
from tradingdb.lib.errors import NotFound, PermissionDenied, ValidationFailed
from tradingdb.lib.retry import atomic_retried


class SecondPersonRequired(PermissionDenied):
    """Who set a halt may not release it; somebody else must."""

    code = "second_person_required"


@atomic_retried
def control_set(*, scope: str, target: str, state: str, reason: str, actor: Actor) -> ControlState:
    """Set the restriction of one scope; its version grows with every call, so that bots can tell old news from new.

    `target` is empty for scope `all`, else a bot_id, a symbol or an exchange. Raises ValidationFailed, NotFound for
    an unknown bot, and SecondPersonRequired when the setting asks for one. Whether the actor may do this is decided
    at the edge.
    """
    _check(scope, target, state, reason)
    now = timezone.now()
    defaults = {"state": ControlLevel.ACTIVE, "reason": "", "version": 0}
    ControlState.objects.get_or_create(scope=scope, target=target, defaults=defaults)
    row = ControlState.objects.select_for_update().get(scope=scope, target=target)
    _check_second_person(row, state, actor)
    before = state_of(row) if row.version else None
    row.state, row.reason, row.changed_at = state, reason.strip(), now
    row.changed_by, row.changed_by_name = actor.user, actor.label[:100]
    row.version += 1
    row.save()
    after = state_of(row)
    action = "control.release" if state == ControlLevel.ACTIVE else f"control.{state.lower()}"
    actor.record(action, "control", f"{scope}:{target}", before=before, after=after, reason=row.reason)
    transaction.on_commit(partial(publish, [halt_update(row)]))
    return row


def _check(scope: str, target: str, state: str, reason: str) -> None:
    if scope not in ControlScope.values or state not in ControlLevel.values:
        raise ValidationFailed("No such scope or state.", scope=scope, state=state)
    if not reason.strip():
        raise ValidationFailed("A reason is needed.")
    if (scope == ControlScope.ALL) != (target == ""):
        raise ValidationFailed("Scope all has no target, every other scope needs one.")
    if scope == ControlScope.BOT and not Bot.objects.filter(bot_id=target).exists():
        raise NotFound("No such bot.", bot_id=target)


def _check_second_person(row: ControlState, state: str, actor: Actor) -> None:
    releases = state == ControlLevel.ACTIVE and row.state != ControlLevel.ACTIVE
    is_same = actor.user is not None and row.changed_by_id == actor.user.pk
    if settings.RELEASE_NEEDS_SECOND_PERSON and releases and is_same:
        raise SecondPersonRequired("Who set the halt may not release it; ask another admin.")


def halt_update(row: ControlState) -> LiveUpdate:
    """Return the message that takes a halt, or its end, to bots and browsers."""
    bot_id = row.target if row.scope == ControlScope.BOT else ""
    symbol = row.target if row.scope == ControlScope.SYMBOL else ""
    return LiveUpdate(kind="halt", bot_id=bot_id, symbol=symbol, data=state_of(row))


def state_of(row: ControlState) -> dict[str, Any]:
    """Return a control state as the API and the sockets show it."""
    return control_shape({name: getattr(row, name) for name in CONTROL_FIELDS})
