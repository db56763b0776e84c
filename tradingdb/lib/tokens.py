"""API tokens: how they look, how they are kept, and whether one opens the door. No database here.

A token is `tdb_<kind>_<12 characters>.<43 characters>`: the first part names its row and may be shown, the second is a
256-bit secret. Kept is HMAC-SHA256 of the secret under a pepper, so that the table alone opens nothing; a slow hash
would protect a guessable password, which this is not, and would cost every request 0.2 s.
"""

import hmac
import re
import secrets
import string
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Literal, NamedTuple, cast

from django.conf import settings

from tradingdb.lib.errors import NotAuthenticated, PermissionDenied

Kind = Literal["live", "demo", "staff"]
# The same words for every reason.
REFUSAL = "The credentials are missing, wrong, expired or revoked."
PREFIX_LENGTH = 12
# Derived from SECRET_KEY and this number; a new number takes effect for new tokens, old ones keep theirs.
CURRENT_PEPPER = 1
_ALPHABET = string.ascii_letters + string.digits
_TOKEN = re.compile(r"tdb_(live|demo|staff)_([A-Za-z0-9]{12})\.([A-Za-z0-9_-]{43})")


class Parsed(NamedTuple):
    """The parts of a token; never log one."""

    kind: Kind
    prefix: str
    secret: str


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just made. `token` is shown once; the rest is kept."""

    prefix: str
    token: str = field(repr=False)
    digest: bytes = field(repr=False)
    pepper: int


@dataclass(frozen=True, slots=True)
class TokenRow:
    """What the database keeps of a token, and to whom it belongs: a bot_id, or the id of a person."""

    prefix: str
    owner: str
    digest: bytes = field(repr=False)
    pepper: int
    expires_at: datetime
    revoked_at: datetime | None = None
    scopes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TokenContext:
    """A bot that has shown a good token. `digest` and `pepper` let a cache check the next call without the database."""

    prefix: str
    bot_id: str
    scopes: frozenset[str]
    expires_at: datetime
    digest: bytes = field(repr=False)
    pepper: int = CURRENT_PEPPER

    def require(self, scope: str) -> None:
        """Raise PermissionDenied unless the token has this scope."""
        if scope not in self.scopes:
            raise PermissionDenied(f"The token lacks the scope {scope}.", scope=scope)


def make(kind: Kind) -> NewToken:
    """Make a token of this kind with a fresh random secret."""
    prefix = "".join(secrets.choice(_ALPHABET) for _ in range(PREFIX_LENGTH))
    secret = secrets.token_urlsafe(32)
    return NewToken(prefix, f"tdb_{kind}_{prefix}.{secret}", digest_of(secret, CURRENT_PEPPER), CURRENT_PEPPER)


def parse(raw: str) -> Parsed | None:
    """Return the parts of a token, None for text that is none."""
    match = _TOKEN.fullmatch(raw)
    return Parsed(cast(Kind, match[1]), match[2], match[3]) if match else None


def bearer(header: str | None) -> str | None:
    """Return the credential of an `Authorization: Bearer …` header, None when there is none."""
    scheme, _, credential = (header or "").partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else None


def digest_of(secret: str, pepper: int) -> bytes:
    """Return what is kept of a secret."""
    return hmac.digest(_pepper(settings.SECRET_KEY, pepper), secret.encode(), "sha256")


@lru_cache(maxsize=8)
def _pepper(secret_key: str, number: int) -> bytes:
    return hmac.digest(secret_key.encode(), f"tradingdb token pepper {number}".encode(), "sha256")


def check_token(raw: str, row: TokenRow | None, now: datetime) -> TokenContext:
    """Return who shows the token; `row` is what the database has under its prefix, None when it has nothing.

    Raises NotAuthenticated, with the same words and the same work, for an unknown, wrong, expired or revoked one.
    """
    parsed = parse(raw)
    secret = parsed.secret if parsed else ""
    stored = row.digest if row else bytes(32)
    is_right = hmac.compare_digest(digest_of(secret, row.pepper if row else CURRENT_PEPPER), stored)
    if parsed is None or row is None or not is_right or row.revoked_at is not None or now >= row.expires_at:
        raise NotAuthenticated(REFUSAL)
    return TokenContext(row.prefix, row.owner, row.scopes, row.expires_at, row.digest, row.pepper)


def is_bot_token(raw: str) -> bool:
    """Whether the text has the form of a bot's token, good or not."""
    parsed = parse(raw)
    return parsed is not None and parsed.kind != "staff"
