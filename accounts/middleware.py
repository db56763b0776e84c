"""What holds on every page for who is signed in: the session lives while the person does something; a second factor."""

import json
from collections.abc import Callable
from typing import Any

from allauth.account.internal.flows.reauthentication import suspend_request
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.deprecation import MiddlewareMixin
from django.utils.http import urlencode

from accounts.models import User
from accounts.services.factors import has_factor
from accounts.session_store import SEEN
from tradingdb.lib import error_pages
from tradingdb.lib.errors import DomainError, RateLimited, ReauthenticationRequired
from tradingdb.lib.http import PROBLEM_TYPE, problem_of

API = "/api/"
# What somebody without a second factor reaches where one is required: the pages on which it is set up.
OPEN = ("/account/", "/static/", "/health/", "/docs/")
SEEN_EVERY = 60


class FactorNeeded(DomainError):
    """The house asks for a second factor, and this person has none yet."""

    code = "second_factor_required"
    http_status = 403


def is_sign_of_life(request: HttpRequest) -> bool:
    """Whether a person did something: opened a page or sent something. What pages fetch by themselves is none."""
    return request.method not in ("GET", "HEAD") or request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"


class PeopleMiddleware(MiddlewareMixin):
    """Stands behind the sessions; costs a request without a session cookie nothing."""

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        """Keep the session alive, and lead whoever lacks a second factor to where it is set up."""
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or not isinstance(request.user, User):
            return None
        now = timezone.now().timestamp()
        seen = request.session.get(SEEN)
        if is_sign_of_life(request) and not (isinstance(seen, float) and now - seen < SEEN_EVERY):
            request.session[SEEN] = now
        if not settings.MFA_REQUIRED or request.path.startswith(OPEN) or has_factor(request.user):
            return None
        if request.path.startswith(API):
            return problem_page(request, FactorNeeded("Set up a second factor first, under /account/."))
        return HttpResponseRedirect(reverse("mfa_index"))

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Whoever signs out leaves nothing in the browser: no page in its cache, no setting in its storage."""
        if request.method == "POST" and request.path == reverse("account_logout") and request.user.is_anonymous:
            response["Clear-Site-Data"] = '"cache", "storage"'
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Turn what services of people raise into pages; the API has its own."""
        if request.path.startswith(API):
            return None
        if isinstance(error, ReauthenticationRequired):
            confirm = reverse("account_reauthenticate")
            if error.keeps_form:
                answer: HttpResponse = suspend_request(request, confirm)
                return answer
            return HttpResponseRedirect(f"{confirm}?{urlencode({'next': request.get_full_path()})}")
        if isinstance(error, RateLimited):
            page = error_pages.page(request, 429, error.message)
            page["Retry-After"] = str(error.retry_after)
            return page
        return None


def problem_page(request: HttpRequest, error: DomainError) -> HttpResponse:
    """Return an error in the API's form."""
    status, headers, body = problem_of(error, getattr(request, "request_id", ""))
    return HttpResponse(json.dumps(body), status=status, content_type=PROBLEM_TYPE, headers=dict(headers))
