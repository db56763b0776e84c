"""Personal API tokens of staff, and the proof that the person at the session is still the person."""

from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from accounts.models import PersonalToken, User
from audit.services.actions import Actor
from tradingdb.lib import tokens
from tradingdb.lib.errors import NotAuthenticated, NotFound, ValidationFailed
from tradingdb.lib.token_use import note_use

DEFAULT_DAYS = 90
MAX_DAYS = 365


class CreatedPersonalToken(NamedTuple):
    """A new token of a person; `token` is shown this once."""

    row: PersonalToken
    token: str


@transaction.atomic
def personal_token_create(*, user: User, name: str, actor: Actor, days: int = DEFAULT_DAYS) -> CreatedPersonalToken:
    """Make a token for a person. Raises ValidationFailed for a life of more than 365 days."""
    if not 1 <= days <= MAX_DAYS:
        raise ValidationFailed(f"A token lives 1 to {MAX_DAYS} days.", days=days)
    now = timezone.now()
    new = tokens.make("staff")
    row = PersonalToken.objects.create(
        prefix=new.prefix,
        user=user,
        name=name,
        digest=new.digest,
        created_at=now,
        expires_at=now + timedelta(days=days),
    )
    actor.record("personal_token.create", "user", user.email, after={"prefix": new.prefix, "name": name})
    return CreatedPersonalToken(row, new.token)


@transaction.atomic
def personal_token_revoke(*, user: User, prefix: str, actor: Actor) -> PersonalToken:
    """Close a person's token for good; closing it again changes nothing. Raises NotFound."""
    row = PersonalToken.objects.select_for_update().filter(user=user, prefix=prefix).first()
    if row is None:
        raise NotFound("No such token.", prefix=prefix)
    if row.revoked_at is None:
        row.revoked_at = timezone.now()
        row.save(update_fields=["revoked_at"])
        actor.record("personal_token.revoke", "user", user.email, before={"prefix": prefix})
    return row


def personal_token_authenticate(raw: str, *, now: datetime) -> User:
    """Return the active person a token belongs to. Raises NotAuthenticated, alike for every reason."""
    parsed = tokens.parse(raw)
    row = (
        PersonalToken.objects.select_related("user").filter(prefix=parsed.prefix).first()
        if parsed and parsed.kind == "staff"
        else None
    )
    tokens.check_token(raw, _row_of(row) if row else None, now)
    assert row is not None
    if not row.user.is_active:
        raise NotAuthenticated(tokens.REFUSAL)
    note_use(row, now)
    return row.user


def _row_of(token: PersonalToken) -> tokens.TokenRow:
    return tokens.TokenRow(
        prefix=token.prefix,
        owner=str(token.user_id),
        digest=bytes(token.digest),
        # Kept without its number: a new pepper ends every personal token, and people make new ones.
        pepper=tokens.CURRENT_PEPPER,
        expires_at=token.expires_at,
        revoked_at=token.revoked_at,
    )
