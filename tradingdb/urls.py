"""Every address of the site but the sockets' (routing.py)."""

from django.conf import settings
from django.contrib import admin
from django.http import FileResponse, HttpRequest
from django.urls import include, path
from django.views.generic import RedirectView

from accounts.views import admin_login
from bots.api.dashboard import dashboard
from tradingdb.lib import health, telemetry


def problems(request: HttpRequest) -> FileResponse:
    """What each error code means: the address that the `type` of every problem names."""
    page = settings.BASE_DIR / "docs" / "problems.md"
    return FileResponse(page.open("rb"), content_type="text/plain; charset=utf-8")


handler403 = "tradingdb.lib.error_pages.forbidden"
handler404 = "tradingdb.lib.error_pages.not_found"
handler500 = "tradingdb.lib.error_pages.broken"

urlpatterns = [
    path("", dashboard, name="dashboard"),
    path("api/v1/", include("tradingdb.api")),
    # One place to come in; a script that posts its form to the admin's login is let in there as well.
    path("admin/login/", admin_login),
    path("admin/password_change/", RedirectView.as_view(pattern_name="account_change_password", query_string=True)),
    path("admin/", admin.site.urls),
    path("account/", include("accounts.urls")),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
    path("docs/problems", problems, name="problems"),
    path("metrics", telemetry.metrics, name="metrics"),
    path("favicon.ico", RedirectView.as_view(url="/static/dashboard/favicon.svg")),
]
