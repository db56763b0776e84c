"""Who may call: a bot by its token, a person by session or personal token."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from ninja.security.base import AuthBase
from ninja.utils import check_csrf

from accounts.choices import Role
from accounts.models import User
from accounts.services.reauthentication import ReauthenticationRequired, is_fresh
from accounts.services.tokens import personal_token_authenticate
from audit.services.actions import Actor
from bots.choices import TokenScope
from bots.live import ratelimit
from bots.live.ratelimit import Bucket
from bots.services.tokens import token_authenticate
from tradingdb.lib import tokens
from tradingdb.lib.errors import NotFound, PermissionDenied, RateLimited
from tradingdb.lib.tokens import TokenContext

RANK = {Role.VIEWER: 0, Role.TRADER: 1, Role.ADMIN: 2}


@dataclass(frozen=True, slots=True)
class Staff:
    """A person at the door, by session or by token; a confirmed password makes a session fresh for five minutes."""

    user: User
    is_fresh: bool
    has_session: bool = False

    def require(self, role: Role) -> None:
        """Raise PermissionDenied for a lesser role."""
        if RANK[Role(self.user.role)] < RANK[role]:
            raise PermissionDenied(f"This needs the role {role}.")

    def require_fresh(self) -> None:
        """Raise ReauthenticationRequired unless the person was just confirmed."""
        if not self.is_fresh:
            raise ReauthenticationRequired("Confirm that it is you first (POST /auth/confirm); a token cannot.")

    @property
    def bots(self) -> frozenset[str] | None:
        """The bots whose rows the person sees; None for all."""
        return self.user.visible_bots

    def require_bot(self, bot_id: str | None) -> None:
        """Raise NotFound for a bot that is not the person's to see."""
        if self.bots is not None and bot_id not in self.bots:
            raise NotFound("There is no such thing among your bots.")

    def require_act(self, bot_id: str | None) -> None:
        """Raise PermissionDenied for a bot the person may not act on; None stands for all of them."""
        if not self.user.may_act_on(bot_id):
            raise PermissionDenied("This concerns bots that are not yours to act on.")

    def require_all_bots(self) -> None:
        """Raise PermissionDenied for somebody with some of the bots only."""
        if self.bots is not None:
            raise PermissionDenied("This adds up all bots, and you have some of them.")

    def actor(self, request: HttpRequest) -> Actor:
        """The person as the audit log names them."""
        return Actor(self.user, request)


Caller = TokenContext | Staff


def keep_to_limit(bot_id: str, bucket: Bucket) -> None:
    """Count one call. Raises RateLimited above the limit."""
    wait = ratelimit.wait_ms(bot_id, bucket)
    if wait:
        raise RateLimited("Too many calls in a minute.", retry_after=-(-wait // 1000))


class BotToken(AuthBase):
    """The token of a bot, with one scope; each call counts in one bucket, by the view where that is None."""

    openapi_type = "http"
    openapi_scheme = "bearer"
    openapi_description = "Token of a bot: tdb_live_… or tdb_demo_…"

    def __init__(self, scope: TokenScope, bucket: Bucket | None) -> None:
        self.scope, self.bucket = scope, bucket
        super().__init__()

    def __call__(self, request: HttpRequest) -> TokenContext | None:
        raw = tokens.bearer(request.headers.get("Authorization"))
        if raw is None or not tokens.is_bot_token(raw):
            return None
        context = token_authenticate(raw, now=timezone.now())
        context.require(self.scope)
        if "bot_id" in request.GET:
            raise PermissionDenied("A bot sees its own rows only, without naming itself.")
        if self.bucket is not None:
            keep_to_limit(context.bot_id, self.bucket)
        return context


class StaffToken(AuthBase):
    """The personal token of a person."""

    openapi_type = "http"
    openapi_scheme = "bearer"
    openapi_description = "Personal token of a person: tdb_staff_…"

    def __init__(self, role: Role) -> None:
        self.role = role
        super().__init__()

    def __call__(self, request: HttpRequest) -> Staff | None:
        raw = tokens.bearer(request.headers.get("Authorization"))
        if raw is None:
            return None
        staff = Staff(personal_token_authenticate(raw, now=timezone.now()), is_fresh=False)
        staff.require(self.role)
        return staff


class StaffSession(AuthBase):
    """The session of a signed-in person; changes also need the CSRF token."""

    openapi_type = "apiKey"
    openapi_in = "cookie"
    openapi_name = settings.SESSION_COOKIE_NAME
    openapi_description = "Session cookie; with X-CSRFToken on everything but GET."

    def __init__(self, role: Role) -> None:
        self.role = role
        super().__init__()

    def __call__(self, request: HttpRequest) -> Staff | None:
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or not isinstance(request.user, User):
            return None
        if not request.user.is_active:
            return None
        if check_csrf(request) is not None:
            raise PermissionDenied("The CSRF token is missing or wrong.")
        staff = Staff(request.user, is_fresh(request.session, timezone.now()), has_session=True)
        staff.require(self.role)
        return staff


def no_bot(request: HttpRequest) -> None:
    """Tell a good token of a bot that the call is not for bots, and a bad one that it is bad."""
    raw = tokens.bearer(request.headers.get("Authorization"))
    if raw is not None and tokens.is_bot_token(raw):
        token_authenticate(raw, now=timezone.now())
        raise PermissionDenied("This call is for staff.")


def no_staff(request: HttpRequest) -> None:
    """Tell a person that the call is for bots."""
    if StaffToken(Role.VIEWER)(request) or StaffSession(Role.VIEWER)(request):
        raise PermissionDenied("This call is for bots.")


def for_bots(scope: TokenScope, bucket: Bucket | None) -> list[Any]:
    """Only a bot with this scope."""
    return [BotToken(scope, bucket), no_staff]


def for_staff(role: Role = Role.VIEWER) -> list[Any]:
    """Only people, of this role or a higher one."""
    return [no_bot, StaffToken(role), StaffSession(role)]


def for_readers() -> list[Any]:
    """A bot for its own rows, people for everybody's."""
    return [BotToken(TokenScope.READ, "reads"), StaffToken(Role.VIEWER), StaffSession(Role.VIEWER)]
