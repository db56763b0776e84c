"""The views, each list with the age of what it shows, and the record of their refreshes."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from analytics.admin.daily_candles import OHLCV, SERIES_FILTERS, SeriesAdmin
from analytics.choices import ViewName
from analytics.models import (
    ActivePositionSummary,
    DailyOhlcv,
    DailyPerformanceSummary,
    SystemHealthDashboard,
    ViewRefresh,
)
from analytics.services.views import is_stale
from bots.admin.ledger import BOT_FILTER, BotLedgerAdmin, symbols_of
from bots.ledger.symbols import split_symbol
from bots.models import Position
from tradingdb.lib import display
from tradingdb.lib.admin import ChoicesFilter, DayRangeFilter, LedgerAdmin
from tradingdb.lib.totals import Group
from tradingdb.lib.units import Kind


class ViewAge(NamedTuple):
    """How old a view is, in words, and what went wrong with its last refresh."""

    words: SafeString
    is_stale: bool
    error: str


def view_age(name: ViewName, now: datetime) -> ViewAge:
    """Return the age of one view."""
    refresh = ViewRefresh.objects.filter(view_name=name).first()
    error = refresh.error if refresh else ""
    if refresh is None or refresh.refreshed_at is None:
        return ViewAge(SafeString("Not refreshed yet by the job."), True, error)
    age = display.age(now - refresh.refreshed_at)
    words = format_html("as of {}, {} ago", display.moment(refresh.refreshed_at), age)
    return ViewAge(words, is_stale(refresh, now), error)


class ViewAdmin(LedgerAdmin):
    """A page of a view: read by everyone, written by nobody, with its age on top of the list."""

    list_before_template = "admin/view_age.html"
    empty_note = "A job refreshes this view; there is nothing to show."
    view: ClassVar[ViewName]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        age = view_age(self.view, timezone.now())
        return super().changelist_view(request, {"view_age": age, **(extra_context or {})})


class MoneyViewAdmin(ViewAdmin, BotLedgerAdmin):
    """A page of a view whose rows say their mode and their currency themselves."""

    def get_totals_by(self) -> Mapping[str, str]:
        return {"mode": "deployment_mode", "currency": "currency"}

    def totals_group(self, kind: Kind | None, values: Mapping[str, Any]) -> Group:
        return Group(values["mode"], values["currency"] or "")


@admin.register(ActivePositionSummary)
class ActivePositionSummaryAdmin(MoneyViewAdmin):
    view = ViewName.ACTIVE_POSITIONS_SUMMARY
    totals = ("position_value_usd", "unrealized_pnl")
    list_display = (
        "position_id", "show_bot", "deployment_mode", "symbol", "side", "size", "avg_entry_price", "current_price",
        "position_value_usd", "unrealized_pnl", "unrealized_pnl_pct", "currency", "leverage", "opened_at", "hours_held",
    )  # fmt: skip
    # The first column leads to the position itself.
    list_display_links = ("symbol",)
    list_filter = (
        BOT_FILTER, symbols_of(Position), ("side", ChoicesFilter), ("deployment_mode", ChoicesFilter),
        ("opened_at", DayRangeFilter),
    )  # fmt: skip
    ordering = ("-opened_at",)
    empty_note = "No position was open at the last refresh."
    fieldsets = (
        (None, {"fields": (("position_id", "show_bot"), ("bot_name", "deployment_mode"), ("symbol", "side"),
                           ("opened_at", "hours_held"), ("strategy", "leverage"))}),
        ("Value", {"fields": (("size", "avg_entry_price"), ("current_price", "position_value_usd"),
                              ("unrealized_pnl", "unrealized_pnl_pct"), "currency")}),
        ("Exits", {"fields": (("stop_loss", "take_profit"),)}),
    )  # fmt: skip

    def units(self, row: Any) -> Mapping[Kind, str]:
        base, _ = split_symbol(row.symbol, row.currency)
        return {Kind.PRICE: row.currency, Kind.QUANTITY: base, Kind.QUOTE: row.currency}


@admin.register(DailyPerformanceSummary)
class DailyPerformanceSummaryAdmin(MoneyViewAdmin):
    view = ViewName.DAILY_PERFORMANCE_SUMMARY
    totals = ("total_pnl", "total_fees")
    list_display = (
        "trade_date", "show_bot", "deployment_mode", "total_trades", "winning_trades", "losing_trades", "win_rate",
        "total_pnl", "avg_pnl", "avg_pnl_pct", "total_fees", "currency", "avg_holding_hours",
    )  # fmt: skip
    list_filter = (BOT_FILTER, ("deployment_mode", ChoicesFilter), ("trade_date", DayRangeFilter))
    ordering = ("-trade_date",)
    empty_note = "No trade was closed by the last refresh."
    fieldsets = (
        (None, {"fields": (("trade_date", "show_bot"), ("bot_name", "strategy_name"), "deployment_mode")}),
        ("Trades", {"fields": (("total_trades", "win_rate"), ("winning_trades", "losing_trades"),
                               "avg_holding_hours")}),
        ("Money", {"fields": (("total_pnl", "currency"), ("avg_pnl", "avg_pnl_pct"), ("max_win", "max_loss"),
                              "total_fees", "money")}),
    )  # fmt: skip

    def units(self, row: Any) -> Mapping[Kind, str]:
        return {Kind.ACCOUNT: row.currency or ""}


@admin.register(SystemHealthDashboard)
class SystemHealthDashboardAdmin(ViewAdmin):
    view = ViewName.SYSTEM_HEALTH_DASHBOARD
    list_display = (
        "snapshot_time", "active_bots", "paused_bots", "stopped_bots", "total_open_positions", "active_orders",
        "today_trades", "num_today_pnl", "num_equity", "errors_last_hour", "unresolved_risk_events",
    )  # fmt: skip
    ordering = ("-snapshot_time",)
    fieldsets = (
        (None, {"fields": ("snapshot_time", ("active_bots", "paused_bots"), ("stopped_bots", "active_orders"),
                           ("total_open_positions", "today_trades"), ("errors_last_hour", "unresolved_risk_events"))}),
        ("Money", {"fields": (("today_pnl", "total_portfolio_equity"), "money")}),
    )  # fmt: skip

    def units(self, row: Any) -> Mapping[Kind, str]:
        # A sum is there only when all groups are alike.
        return {Kind.ACCOUNT: row.money[0]["currency"] if len(row.money) == 1 else ""}

    @admin.display(description="P&L today")
    def num_today_pnl(self, row: SystemHealthDashboard) -> SafeString:
        """A line for each kind of money."""
        return by_group(row, "today_pnl")

    @admin.display(description="Equity")
    def num_equity(self, row: SystemHealthDashboard) -> SafeString:
        """A line for each kind of money."""
        return by_group(row, "equity")


def by_group(row: SystemHealthDashboard, name: str) -> SafeString:
    """Return one figure of every group of money, one below the other: unlike money is never added up."""
    show = display.pnl if name == "today_pnl" else display.money
    lines = (
        (show(Decimal(group[name]) if group[name] is not None else None, unit=group["currency"]),
         group["deployment_mode"])
        for group in row.money
    )  # fmt: skip
    return format_html_join(SafeString("<br>"), "{} {}", lines) or display.UNKNOWN


@admin.register(DailyOhlcv)
class DailyOhlcvAdmin(ViewAdmin, SeriesAdmin):
    view = ViewName.DAILY_OHLCV
    list_display = ("day", "exchange", "symbol", *OHLCV, "interval", "coverage")
    list_filter = SERIES_FILTERS
    ordering = ("-day",)
    empty_note = "No candle has been added up yet."
    fieldsets = (
        (None, {"fields": (("symbol", "exchange"), ("day", "interval"), ("candles", "coverage"))}),
        ("Prices", {"fields": (("open", "close"), ("high", "low"), "volume")}),
    )

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> DailyOhlcv | None:
        """Look a day up by what its key is made of, for which there is an index."""
        day, _, series = object_id.partition("|")
        symbol, _, exchange = series.partition("|")
        try:
            start = datetime.combine(date.fromisoformat(day), time.min, tzinfo=UTC)
        except ValueError:
            return None
        return DailyOhlcv.objects.filter(exchange=exchange, symbol=symbol, day=start).first()


@admin.register(ViewRefresh)
class ViewRefreshAdmin(LedgerAdmin):
    list_display = ("view_name", "age", "refreshed_at", "attempted_at", "duration_ms", "row_count", "error")
    ordering = ("view_name",)
    empty_note = "The job that refreshes the views has not run yet."
    fieldsets = (
        (None, {"fields": (("view_name", "age"), ("refreshed_at", "attempted_at"), ("duration_ms", "row_count"),
                           "error")}),
    )  # fmt: skip

    @admin.display(description="Age")
    def age(self, row: ViewRefresh) -> SafeString:
        """Red once the view has missed its refresh three times."""
        now = timezone.now()
        words = display.age(now - row.refreshed_at) if row.refreshed_at else "never refreshed"
        return display.badge(words, tone="bad" if is_stale(row, now) else "ok")
