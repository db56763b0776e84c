"""The dashboard page: a shell that the browser fills from the live socket."""

from csp.decorators import csp_replace
from django.contrib.auth.decorators import login_required
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import staticfiles_storage
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from bots.live.series import candle_series

CHARTS = {
    "uplot": {"style": "npm/uplot/uPlot.min.css", "script": "npm/uplot/uPlot.iife.min.js"},
    "candles": {"script": "npm/lightweight-charts/lightweight-charts.standalone.production.js"},
}
# The candle chart writes the style of its attribution logo into the page; nothing else may.
LOGO_STYLE = "'sha256-3pRED1tOXas1FXFoPb9TGCjmYe9XQsmO9OV23khV2nY='"


@require_safe
@never_cache
@login_required
# Never what the admin's theme may need.
@csp_replace({"script-src": ["'self'"], "style-src": ["'self'", LOGO_STYLE]})
def dashboard(request: HttpRequest) -> HttpResponse:
    """Show the control room to any signed-in person; what it shows comes over /ws/live/."""
    charts = installed_charts()
    series = [name._asdict() for name in candle_series()] if "candles" in charts else []
    return render(request, "dashboard/dashboard.html", {"charts": charts, "addresses": addresses(), "series": series})


def installed_charts() -> dict[str, dict[str, str]]:
    """Return the files of each chart library that is installed; the page works without."""
    return {name: files for name, files in CHARTS.items() if _is_served(files["script"])}


def _is_served(path: str) -> bool:
    """Whether a static file is there, collected or not."""
    return finders.find(path) is not None or staticfiles_storage.exists(path)


def addresses() -> dict[str, str]:
    """Return where the page leads to."""
    lists = {"positions": "position", "bots": "bot", "fills": "fill", "trades": "trade", "orders": "order",
             "signals": "signal", "halts": "controlstate"}  # fmt: skip
    return {
        "admin": reverse("admin:index"),
        "login": reverse("account_login"),
        "logout": reverse("account_logout"),
        "account": reverse("account_home"),
        "seen": reverse("account_seen"),
        "docs": reverse("api-1.0.0:openapi-view"),
        "control": reverse("admin:bots_controlstate_room"),
        "add_bot": reverse("admin:bots_bot_add"),
        "invariants": reverse("admin:audit_invariantrun_changelist"),
        **{name: reverse(f"admin:bots_{model}_changelist") for name, model in lists.items()},
    }
