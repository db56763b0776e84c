"""Errors a caller can act on. Each has a stable code and an HTTP status; the edges turn them into problem+json."""


class DomainError(Exception):
    """Base of every error a caller can act on; `code` is stable, `detail` is JSON-safe."""

    code = "domain_error"
    http_status = 400

    def __init__(self, message: str, **detail: object) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class ValidationFailed(DomainError):
    """Input that breaks the contract; `errors` lists each place as {"loc", "msg"}."""

    code = "validation_error"
    http_status = 422

    def __init__(self, message: str, errors: list[dict[str, object]] | None = None, **detail: object) -> None:
        super().__init__(message, **detail)
        self.errors = errors or []


class MalformedBody(DomainError):
    """A body that is not JSON at all."""

    code = "malformed_body"
    http_status = 400


class BodyTooLarge(DomainError):
    """A body above the limit of its call."""

    code = "body_too_large"
    http_status = 413


class UnsupportedMediaType(DomainError):
    """A body in a content type the call does not take."""

    code = "unsupported_media_type"
    http_status = 415


class NotAuthenticated(DomainError):
    """No credentials, or bad ones; the answer never says which."""

    code = "not_authenticated"
    http_status = 401


class PermissionDenied(DomainError):
    """Good credentials that do not allow this, or an object of somebody else."""

    code = "forbidden"
    http_status = 403


class ReauthenticationRequired(PermissionDenied):
    """The call needs a proof within the last five minutes that the person is there; a personal token never is one.

    With `keeps_form` what was sent is kept until the proof and sent again then; never a form with a secret in it.
    """

    code = "reauthentication_required"

    def __init__(self, message: str, *, keeps_form: bool = False) -> None:
        super().__init__(message)
        self.keeps_form = keeps_form


class NotFound(DomainError):
    """No such object among the caller's own."""

    code = "not_found"
    http_status = 404


class Conflict(DomainError):
    """The same natural id came with other content; nothing changed."""

    code = "conflict"
    http_status = 409


class RiskRejected(DomainError):
    """A command the control state or a limit does not allow; `reasons` lists each rule."""

    code = "risk_rejected"
    http_status = 409


class RateLimited(DomainError):
    """Too many calls in this bucket; `retry_after` is in seconds."""

    code = "rate_limited"
    http_status = 429

    def __init__(self, message: str, *, retry_after: int, **detail: object) -> None:
        super().__init__(message, retry_after=retry_after, **detail)
        self.retry_after = retry_after


class Unavailable(DomainError):
    """A dependency cannot be reached in time; the same call may be sent again after `retry_after` seconds."""

    code = "unavailable"
    http_status = 503
    retry_after = 1


class StorageFull(Unavailable):
    """The disk of the database is full; what was acknowledged is safe, and reading goes on."""

    code = "storage_full"
    retry_after = 5
