"""How the admin looks: name, colours, the sidebar by area. Read by django-unfold as settings.UNFOLD."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def _file(name: str) -> Callable[[HttpRequest], str]:
    return lambda request: static(f"admin_site/{name}")


def _may(permission: str) -> Callable[[HttpRequest], bool]:
    return lambda request: bool(request.user.has_perm(permission))


def _list(title: str, model: str, icon: str, **options: Any) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{model}_changelist"), **options}


def _never(request: HttpRequest) -> bool:
    """The live dashboard is outside the admin, so its link is never the page one is on."""
    return False


def _is_admin(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_admin", False))


NAVIGATION: list[dict[str, Any]] = [
    {
        "items": [
            {"title": "Live dashboard", "icon": "monitoring", "link": "/", "active": _never},
            {"title": "Start page", "icon": "home", "link": reverse_lazy("admin:index")},
            {"title": "Control", "icon": "front_hand", "link": reverse_lazy("admin:bots_controlstate_room")},
        ],
    },
    {
        "title": "Trading",
        "separator": True,
        "items": [
            _list("Bots", "bots_bot", "smart_toy"),
            _list("Positions", "bots_position", "stacked_line_chart"),
            _list("Trades", "bots_trade", "swap_vert"),
            _list("Orders", "bots_order", "receipt_long"),
            _list("Fills", "bots_fill", "done_all"),
            _list("Signals", "bots_signal", "cell_tower"),
            _list("Balances", "bots_accountbalance", "account_balance_wallet"),
            _list("Cash flows", "bots_cashflow", "payments"),
            _list("Strategies", "bots_strategy", "psychology"),
            _list("Exchange accounts", "bots_exchangeaccount", "account_balance"),
        ],
    },
    {
        "title": "Desk",
        "separator": True,
        "items": [
            _list("Control states", "bots_controlstate", "front_hand"),
            _list("Control changes", "bots_controlchange", "history"),
            _list("Control receipts", "bots_controlreceipt", "mark_chat_read"),
            _list("Limits", "bots_risklimit", "speed"),
            _list("Pauses and half sizes", "bots_risklatch", "pause_circle"),
            _list("Symbols that move together", "bots_riskgroup", "hub"),
            _list("Cases", "bots_reconciliationcase", "rule"),
            _list("Inbox", "bots_unattributedfill", "inbox"),
            _list("Conflicts", "bots_ingestconflict", "call_split"),
            _list("Parked facts", "bots_parkedfact", "local_parking"),
            _list("Trade reviews", "bots_tradereview", "rate_review"),
            _list("Risk events", "audit_riskevent", "warning"),
            _list("Data quality", "analytics_dataqualitycase", "fact_check"),
        ],
    },
    {
        "title": "Analytics",
        "separator": True,
        "items": [
            _list("Risk metrics", "analytics_riskmetrics", "query_stats"),
            _list("Portfolio snapshots", "analytics_portfoliosnapshot", "donut_small"),
            _list("Equity snapshots", "analytics_equitysnapshot", "show_chart"),
            _list("Strategy performance", "analytics_strategyperformance", "leaderboard"),
            _list("Performance metrics", "analytics_performancemetric", "analytics"),
            _list("Performance snapshots", "analytics_performancesnapshot", "speed"),
            _list("ML models", "analytics_mlmodel", "model_training"),
            _list("Predictions", "analytics_modelprediction", "online_prediction"),
            _list("Active positions summary", "analytics_activepositionsummary", "table_view"),
            _list("Daily performance summary", "analytics_dailyperformancesummary", "calendar_month"),
            _list("System health dashboard", "analytics_systemhealthdashboard", "monitor_heart"),
            _list("View refreshes", "analytics_viewrefresh", "update"),
        ],
    },
    {
        "title": "Market data",
        "separator": True,
        "items": [
            _list("Candles", "marketdata_candle", "candlestick_chart"),
            _list("Order books", "marketdata_orderbooksnapshot", "menu_book"),
            _list("Indicators", "marketdata_technicalindicator", "show_chart"),
            _list("Daily OHLCV", "analytics_dailyohlcv", "calendar_today"),
            _list("Daily candles", "analytics_dailycandle", "event"),
            _list("Changed days", "analytics_dailycandlechange", "edit_calendar"),
        ],
    },
    {
        "title": "Jobs",
        "separator": True,
        "items": [
            _list("Schedules", "jobs_jobschedule", "schedule"),
            _list("Runs", "jobs_jobrun", "history_toggle_off"),
        ],
    },
    {
        "title": "Messages",
        "separator": True,
        "items": [
            _list("Messages", "notifications_message", "mail"),
            _list("Deliveries", "notifications_deliverystatus", "mark_email_read"),
            _list("Channels", "notifications_channelconfig", "hub"),
            _list("Rate limits", "notifications_ratelimit", "speed"),
            _list("Broadcasts", "notifications_broadcast", "campaign"),
            _list("Feedback", "notifications_feedback", "feedback"),
        ],
    },
    {
        "title": "Configuration",
        "separator": True,
        "items": [
            _list("Bot configurations", "config_app_botconfiguration", "tune"),
            _list("Strategy templates", "config_app_strategytemplate", "content_copy"),
            _list("Watched symbols", "config_app_watchedsymbol", "visibility"),
            _list("System settings", "config_app_systemsetting", "settings"),
            _list("Exchange API keys", "config_app_exchangeapikey", "vpn_key", permission=_is_admin),
            _list("Bot tokens", "bots_bottoken", "key", permission=_is_admin),
        ],
    },
    {
        "title": "Audit",
        "separator": True,
        "items": [
            _list("System events", "audit_systemevent", "event_note"),
            _list("Actions of people", "audit_useraction", "history"),
            _list("Audit trail", "audit_change", "policy"),
            _list("Seals", "audit_seal", "approval"),
            _list("Audit checks", "audit_auditcheck", "fact_check"),
            _list("Invariants", "audit_invariantrun", "verified"),
            _list("System health", "audit_systemhealth", "monitor_heart"),
            _list("System metrics", "audit_systemmetric", "speed"),
            _list("System logs", "audit_systemlog", "article"),
            _list("Chat commands", "audit_commandaudit", "terminal"),
        ],
    },
    {
        "title": "People",
        "separator": True,
        "items": [
            _list("Users", "accounts_user", "group", permission=_may("accounts.view_user")),
            _list("Sessions", "accounts_session", "devices", permission=_is_admin),
            _list("Bot memberships", "accounts_botmembership", "group_add", permission=_is_admin),
            _list("Identities", "accounts_authidentity", "fingerprint", permission=_may("accounts.view_authidentity")),
            _list("Verification codes", "accounts_verificationcode", "pin", permission=_is_admin),
            _list("Personal tokens", "accounts_personaltoken", "badge", permission=_may("accounts.view_personaltoken")),
            _list("Saved views", "accounts_savedview", "bookmarks", permission=_may("accounts.view_savedview")),
        ],
    },
]

# The hash of the <style> that the theme makes of COLORS and BORDER_RADIUS; a test says what it has to be.
THEME_STYLE = "'sha256-PYoJBzwsbdUcz0KvAH/asjdUYNoPIkamy0LQLHrBDEs='"

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "tradingdb control room",
    "SITE_HEADER": "tradingdb",
    "SITE_SUBHEADER": "Control room",
    "SITE_SYMBOL": "candlestick_chart",
    "SITE_URL": "/",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _file("favicon.svg")}],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": False,
    "STYLES": [_file("admin.css"), _file("pages.css"), _file("lists.css")],
    "SCRIPTS": [_file("alpine.js"), _file("admin.js")],
    "ENVIRONMENT": "bots.admin.sidebar.mode_banner",
    "DASHBOARD_CALLBACK": "analytics.admin.start_page.start_page",
    "BORDER_RADIUS": "6px",
    "COLORS": {
        "primary": {
            "50": "oklch(97.5% .013 237)",
            "100": "oklch(94.5% .028 237)",
            "200": "oklch(89.5% .055 235)",
            "300": "oklch(82% .095 233)",
            "400": "oklch(73.5% .125 234)",
            "500": "oklch(63.5% .13 237)",
            "600": "oklch(52.5% .12 240)",
            "700": "oklch(46% .105 241)",
            "800": "oklch(40% .088 241)",
            "900": "oklch(35% .072 242)",
            "950": "oklch(26% .055 243)",
        },
    },
    "COMMAND": {"search_models": False, "show_history": False},
    "ACCOUNT": {
        "navigation": [
            {"title": "Account", "link": reverse_lazy("account_home")},
            {"title": "Change password", "link": reverse_lazy("account_change_password")},
        ]
    },
    "SIDEBAR": {"show_search": False, "command_search": False, "navigation": "bots.admin.sidebar.navigation"},
}
