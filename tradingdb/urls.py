"""Every address of the site but the sockets' (routing.py)."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from bots.api.dashboard import dashboard
from tradingdb.lib import health, telemetry

urlpatterns = [
    path("", dashboard, name="dashboard"),
    path("api/v1/", include("tradingdb.api")),
    path("admin/", admin.site.urls),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
    path("metrics", telemetry.metrics, name="metrics"),
    path("favicon.ico", RedirectView.as_view(url="/static/dashboard/favicon.svg")),
]
