"""Six-digit codes by which people prove that an account elsewhere is theirs."""

import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from accounts.models import User, VerificationCode
from audit.services.actions import Actor
from tradingdb.lib import tokens
from tradingdb.lib.errors import NotFound, RateLimited

VALID_FOR = timedelta(seconds=3600)
MAX_AN_HOUR = 5
HOUR = timedelta(hours=1)
DIGITS = 6
_CODE = re.compile(r"[0-9]{6}")


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """A code that was just made; `code` is sent to the person and kept nowhere."""

    row: VerificationCode
    code: str = field(repr=False)


@transaction.atomic
def issue_code(*, user_id: int, provider: str, actor: Actor) -> IssuedCode:
    """Make a code for a person, which takes the place of earlier ones.

    Raises NotFound for nobody or somebody switched off, RateLimited after five codes within an hour.
    """
    user = _locked(user_id)
    if user is None:
        raise NotFound("No such person.", id=user_id)
    now = timezone.now()
    recent = VerificationCode.objects.filter(user=user, sent_time__gt=now - HOUR).order_by("sent_time")
    times = list(recent.values_list("sent_time", flat=True))
    if len(times) >= MAX_AN_HOUR:
        wait = times[-MAX_AN_HOUR] + HOUR - now
        raise RateLimited("Too many codes within an hour.", retry_after=int(wait.total_seconds()) + 1)
    code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
    row = VerificationCode.objects.create(
        user=user, provider=provider, digest=_digest(user_id, provider, code), sent_time=now
    )
    actor.record("verification.issue", "user", user.email, after={"provider": provider})
    return IssuedCode(row, code)


@transaction.atomic(durable=True)
def verify_code(*, user_id: int, provider: str, code: str, actor: Actor) -> bool:
    """Whether this is the person's newest code, unused and not older than an hour; a right one is used up by this.

    Answers alike, and never raises, for every wrong one: an exception would take the count of attempts back. For the
    same reason it is the outermost transaction.
    """
    user = _locked(user_id)
    if user is None:
        return False
    now = timezone.now()
    # The lock on the person lets one answer at a time through.
    row = VerificationCode.objects.filter(user=user, provider=provider).order_by("-sent_time", "-pk").first()
    is_live = (
        row is not None
        and row.used_at is None
        and not row.is_spent
        and row.sent_time <= now < row.sent_time + VALID_FOR
    )
    given = code if _CODE.fullmatch(code) else ""
    stored = bytes(row.digest) if row is not None else bytes(32)
    is_right = hmac.compare_digest(_digest(user_id, provider, given), stored) and is_live
    if row is not None and is_live:
        if is_right:
            row.used_at = now
        else:
            row.attempts += 1
        row.save(update_fields=["used_at", "attempts"])
    action = "verification.confirm" if is_right else "verification.failed"
    actor.record(action, "user", user.email, after={"provider": provider})
    return is_right


def _locked(user_id: int) -> User | None:
    """Return the active person with the row locked: codes and answers of one person come one after another."""
    return User.objects.select_for_update().filter(pk=user_id, is_active=True).first()


def _digest(user_id: int, provider: str, code: str) -> bytes:
    """Return what is kept of a code: without the pepper a million tries would find it."""
    return tokens.digest_of(f"verification:{user_id}:{provider}:{code}", tokens.CURRENT_PEPPER)
