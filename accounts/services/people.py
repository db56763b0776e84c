"""People: they come in by an admin's hand, change role, are switched off, never deleted."""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.choices import Role
from accounts.models import User
from accounts.services.sessions import sessions_end
from audit.services.actions import Actor
from tradingdb.lib.errors import Conflict, NotFound, ValidationFailed

CHANGEABLE = frozenset({"full_name", "role", "is_active", "has_all_bots"})
# A change of these ends the person's sessions.
ENDING = frozenset({"role", "is_active", "has_all_bots"})


class LastAdmin(Conflict):
    """The house never loses its last active admin."""

    code = "last_admin"


@transaction.atomic
def person_create(*, email: str, password: str, role: str, actor: Actor, full_name: str = "") -> User:
    """Create a person with a first password. Raises ValidationFailed for a weak one or an address that is taken."""
    _check_password(password)
    try:
        user = User.objects.create_user(email, password, role=role, full_name=full_name)
    except ValidationError as e:
        raise ValidationFailed(" ".join(e.messages)) from e
    after = {"email": user.email, "full_name": full_name, "role": role}
    actor.record("user.create", "user", user.email, after=after)
    return user


@transaction.atomic
def person_update(*, user_id: int, changes: Mapping[str, Any], actor: Actor, reason: str = "") -> User:
    """Change name, role or activity; the same again changes nothing. Raises NotFound, ValidationFailed, LastAdmin."""
    if set(changes) - CHANGEABLE:
        raise ValidationFailed(f"Only {', '.join(sorted(CHANGEABLE))} can be changed.")
    # All admins are locked, in one order: two of them cannot switch each other off at the same moment.
    admins = list(User.objects.select_for_update().filter(role=Role.ADMIN, is_active=True).order_by("pk"))
    user = User.objects.select_for_update().filter(pk=user_id).first()
    if user is None:
        raise NotFound("No such person.", id=user_id)
    new = {name: value for name, value in changes.items() if getattr(user, name) != value}
    if not new:
        return user
    before = {name: getattr(user, name) for name in new}
    for name, value in new.items():
        setattr(user, name, value)
    if not user.is_admin and [admin.pk for admin in admins] == [user.pk]:
        raise LastAdmin("This is the last active admin.")
    user.save(update_fields=[*new, "updated_at"])
    actor.record("user.update", "user", user.email, before=before, after=new, reason=reason)
    if not ENDING.isdisjoint(new):
        sessions_end(user=user, actor=actor, reason=reason)
    return user


@transaction.atomic
def person_set_password(*, user_id: int, password: str, actor: Actor, reason: str = "") -> User:
    """Give a person a new password, which ends their sessions. Raises NotFound, ValidationFailed for a weak one."""
    user = User.objects.select_for_update().filter(pk=user_id).first()
    if user is None:
        raise NotFound("No such person.", id=user_id)
    _check_password(password, user)
    user.set_password(password)
    user.save(update_fields=["password", "updated_at"])
    actor.record("user.password", "user", user.email, reason=reason)
    sessions_end(user=user, actor=actor, reason=reason)
    return user


@transaction.atomic
def person_change_password(*, user: User, old: str, new: str, actor: Actor, session: str | None) -> User:
    """Let a person change the own password; every session but the one at hand ends.

    Raises ValidationFailed for a wrong old or a weak new one.
    """
    user = User.objects.select_for_update().get(pk=user.pk)
    if not user.check_password(old):
        raise ValidationFailed("The old password is wrong.")
    _check_password(new, user)
    user.set_password(new)
    user.save(update_fields=["password", "updated_at"])
    actor.record("user.password", "user", user.email, reason="own")
    sessions_end(user=user, actor=actor, but=session)
    return user


def _check_password(password: str, user: User | None = None) -> None:
    try:
        validate_password(password, user)
    except ValidationError as e:
        raise ValidationFailed(" ".join(e.messages)) from e
