"""Everything about the person at the keyboard: coming in, second factors, sessions. No sign-up, no reset by mail."""

from allauth.account import views as allauth_views
from csp.decorators import csp_replace
from django.urls import URLPattern, URLResolver, include, path

from accounts import views

# Nothing of ours needs more, whatever the admin's theme is allowed.
STRICT = {"script-src": ["'self'"], "style-src": ["'self'"]}


def strict(pattern: URLPattern | URLResolver) -> URLPattern | URLResolver:
    """Put the strict policy on a view, and on every view of an included list."""
    if isinstance(pattern, URLResolver):
        for inner in pattern.url_patterns:
            strict(inner)
    else:
        pattern.callback = csp_replace(STRICT)(pattern.callback)
    return pattern


urlpatterns = [
    strict(pattern)
    for pattern in (
        path("", views.home, name="account_home"),
        path("login/", allauth_views.login, name="account_login"),
        path("logout/", allauth_views.logout, name="account_logout"),
        path("inactive/", allauth_views.account_inactive, name="account_inactive"),
        path("confirm/", views.confirm, name="account_reauthenticate"),
        path("password/", views.password, name="account_change_password"),
        path("sessions/", views.sessions, name="account_sessions"),
        path("identities/", views.identities, name="account_identities"),
        path("seen/", views.seen, name="account_seen"),
        path("2fa/", include("accounts.factor_urls")),
    )
]
