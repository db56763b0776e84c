"""The pages that say what went wrong, in the admin's look; each names the request, so that its log line is found.

They need no database, no session and no person: a page about a broken server must not break on it.
"""

import sys
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.template import loader
from django.utils import timezone

from tradingdb.lib.retry import unavailable_of

WORDS = {
    403: ("Not allowed", "This is not for your role to see or to do. An admin can change that."),
    404: ("Not found", "There is nothing at this address: it may be mistyped, or the row is gone."),
    429: ("Too many attempts", "Wait a moment, then try again."),
    503: ("Not now", "The database is away, busy or full, or too much is asked at once. Try again in a moment."),
    500: ("Something broke", "It is not your doing, and nothing was half stored. The log has the details."),
}
FORGED = (
    "The form did not come from a page of this site, or the page is older than your login. Go back, load it again, "
    "and send it once more."
)


def page(request: HttpRequest, status: int, words: str = "") -> HttpResponse:
    """Return the page of a status."""
    stranger = HttpRequest()
    stranger.user, stranger.path, stranger.META = AnonymousUser(), request.path, request.META
    title, explanation = WORDS[status]
    context = {
        **admin.site.each_context(stranger),
        "request": stranger,
        "title": title,
        "status": status,
        "explanation": words or explanation,
        "request_id": getattr(request, "request_id", ""),
        "at": timezone.now(),
    }
    return HttpResponse(loader.render_to_string("error.html", context), status=status)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """403: a page or an action of another role."""
    return page(request, 403)


def forged(request: HttpRequest, reason: str = "", **options: Any) -> HttpResponse:
    """403: a form without the token of the site."""
    return page(request, 403, FORGED)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404: an address that leads nowhere."""
    return page(request, 404)


def broken(request: HttpRequest) -> HttpResponse:
    """500: an error of ours; 503 where it only means that the database cannot do it now."""
    error = sys.exception()
    return too_busy(request) if error is not None and unavailable_of(error) is not None else page(request, 500)


def too_busy(request: HttpRequest) -> HttpResponse:
    """503: nothing is wrong with the request."""
    answer = page(request, 503)
    answer["Retry-After"] = "1"
    return answer
