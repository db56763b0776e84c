"""API tokens of bots: made, rotated, revoked, shown at the door."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple

from django.utils import timezone

from audit.services.actions import Actor
from bots.choices import BotStatus, DeploymentMode, TokenScope
from bots.errors import BotNotActive
from bots.models import Bot, BotToken
from tradingdb.lib import tokens
from tradingdb.lib.errors import DomainError, NotFound, ValidationFailed
from tradingdb.lib.retry import atomic_retried
from tradingdb.lib.token_use import note_use
from tradingdb.lib.tokens import TokenContext, TokenRow, check_token

DEFAULT_DAYS = 90
MAX_DAYS = 365
# One in use and one to change over to.
MAX_LIVE_TOKENS = 2


class TooManyTokens(DomainError):
    """The bot has two live tokens already; one must be revoked first."""

    code = "too_many_tokens"
    http_status = 409


class CreatedToken(NamedTuple):
    """A new token of a bot; `token` is shown this once."""

    row: BotToken
    token: str


@atomic_retried
def token_create(
    *, bot_id: str, actor: Actor, scopes: Collection[str] | None = None, days: int = DEFAULT_DAYS
) -> CreatedToken:
    """Make a token for a bot, with every scope unless some are named.

    Raises NotFound, BotNotActive for an archived bot, ValidationFailed for an unknown scope or a life of more than
    365 days, and TooManyTokens when two are live.
    """
    if not 1 <= days <= MAX_DAYS:
        raise ValidationFailed(f"A token lives 1 to {MAX_DAYS} days.", days=days)
    now = timezone.now()
    bot = Bot.objects.select_for_update().filter(bot_id=bot_id).first()
    if bot is None:
        raise NotFound("No such bot.", bot_id=bot_id)
    if bot.status == BotStatus.ARCHIVED:
        raise BotNotActive("An archived bot gets no token.", bot_id=bot_id)
    if bot.tokens.filter(revoked_at__isnull=True, expires_at__gt=now).count() >= MAX_LIVE_TOKENS:
        raise TooManyTokens(f"The bot has {MAX_LIVE_TOKENS} live tokens; revoke one first.", bot_id=bot_id)
    new = tokens.make("live" if bot.deployment_mode == DeploymentMode.LIVE else "demo")
    row = BotToken.objects.create(
        prefix=new.prefix,
        bot=bot,
        digest=new.digest,
        pepper=new.pepper,
        scopes=_scopes(scopes),
        created_by=actor.label[:100],
        created_at=now,
        expires_at=now + timedelta(days=days),
    )
    actor.record("token.create", "bot", bot_id, after={"prefix": row.prefix, "scopes": row.scopes, "days": days})
    return CreatedToken(row, new.token)


def _scopes(given: Collection[str] | None) -> list[str]:
    known = [str(scope) for scope in TokenScope.values]
    if given is None:
        return known
    if not given or set(given) - set(known):
        raise ValidationFailed(f"Scopes are some of: {', '.join(known)}.")
    return [scope for scope in known if scope in set(given)]


@atomic_retried
def token_revoke(*, bot_id: str, prefix: str, actor: Actor) -> BotToken:
    """Close a token for good; closing it again changes nothing. Raises NotFound."""
    row = BotToken.objects.select_for_update().filter(bot_id=bot_id, prefix=prefix).first()
    if row is None:
        raise NotFound("The bot has no such token.", bot_id=bot_id, prefix=prefix)
    if row.revoked_at is None:
        row.revoked_at = timezone.now()
        row.save(update_fields=["revoked_at"])
        actor.record("token.revoke", "bot", bot_id, before={"prefix": prefix, "scopes": row.scopes})
    return row


def row_of(token: BotToken) -> TokenRow:
    """Return a stored token as the pure check takes it."""
    return TokenRow(
        prefix=token.prefix,
        owner=token.bot_id,
        digest=bytes(token.digest),
        pepper=token.pepper,
        expires_at=token.expires_at,
        revoked_at=token.revoked_at,
        scopes=frozenset(token.scopes),
    )


def token_authenticate(raw: str, *, now: datetime) -> TokenContext:
    """Return the bot a token belongs to, and note the use at most once a minute.

    Raises NotAuthenticated, alike for an unknown, wrong, expired and revoked token.
    """
    parsed = tokens.parse(raw)
    token = BotToken.objects.filter(prefix=parsed.prefix).first() if parsed and parsed.kind != "staff" else None
    context = check_token(raw, row_of(token) if token else None, now)
    assert token is not None
    note_use(token, now)
    return context
