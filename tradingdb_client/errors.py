"""What can go wrong, named by what the caller does next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

UNEXPECTED = "unexpected_answer"
RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})


class FieldError(TypedDict):
    """One field of a body that the server refused."""

    loc: list[str | int]
    msg: str


class RiskReason(TypedDict):
    """One limit that refused an order."""

    rule: str
    current: str
    limit: str


class ClientError(Exception):
    """Base of every error this package raises about a call."""


class Unavailable(ClientError):
    """The server could not be reached, or answered 5xx, on every attempt: nobody knows whether the write took effect.

    Sending the same ids again is safe.
    """


class NoPermit(ClientError):
    """No valid permit, so no new order: the server halts this bot, or could not be asked within the permit's life.

    `state` is what the newest permit says, None when there is no valid one. When `was_admitted`, the server took the
    order but its answer came after the permit had run out: do not place it, report it as cancelled.
    """

    def __init__(self, message: str, *, state: str | None = None, was_admitted: bool = False) -> None:
        super().__init__(message)
        self.state = state
        self.was_admitted = was_admitted

    def __reduce__(self) -> tuple[Any, ...]:
        return _no_permit, (str(self), self.state, self.was_admitted)


def _no_permit(message: str, state: str | None, was_admitted: bool) -> NoPermit:
    return NoPermit(message, state=state, was_admitted=was_admitted)


class SpoolError(ClientError):
    """The spool cannot be used: taken by another process, damaged, closed, or the disk is full."""


class ApiError(ClientError):
    """The server answered with a problem (RFC 9457).

    `code` is stable, `errors` names the fields, `request_id` is also in the server's log, `problem` is all of it, and
    `retry_after` is the wait the server asked for, in seconds.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        errors: Sequence[FieldError] = (),
        request_id: str = "",
        problem: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        # All of it goes to `args`, so that the error survives pickling between processes.
        super().__init__(status, code, detail, errors, request_id, problem, retry_after)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = list(errors)
        self.request_id = request_id
        self.problem = dict(problem or {})
        self.retry_after = retry_after

    def __str__(self) -> str:
        fields = "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in self.errors)
        return " ".join(part for part in (f"{self.status} {self.code}:", self.detail, fields and f"({fields})") if part)

    @property
    def is_transient(self) -> bool:
        """Whether the same request may succeed in a moment."""
        return self.status in RETRIED_STATUSES or self.code == UNEXPECTED


class Invalid(ApiError):
    """The body is malformed (400, 413, 415, 422): sending it again cannot help."""


class Unauthorized(ApiError):
    """The token is missing, wrong, expired or revoked (401)."""


class Forbidden(ApiError):
    """The token lacks the scope, or the object belongs to another bot (403)."""


class NotFound(ApiError):
    """No such object (404)."""


class Conflict(ApiError):
    """The id is already used with other content (409); nothing changed."""


class RiskRejected(ApiError):
    """A limit refused the order; it is stored as rejected and must not be sent to the exchange."""

    @property
    def reasons(self) -> list[RiskReason]:
        """The limits that refused it, each with the current value."""
        return list(self.problem.get("reasons") or [])


class BotHalted(ApiError):
    """The bot is halted: no new order."""


class RateLimited(ApiError):
    """Too many calls (429), also after waiting as the server asked."""


class ServerError(ApiError):
    """The server failed (5xx), or something that is not tradingdb answered in its place."""


def is_final(error: ClientError) -> bool:
    """Whether the server judged the request itself, so that sending it again cannot help.

    401 and 429 are about the token and the moment, not about the request.
    """
    return (
        isinstance(error, ApiError)
        and 400 <= error.status < 500
        and not error.is_transient
        and not isinstance(error, Unauthorized)
    )
