"""Strategies: what staff keep about each, and the bots, signals and trades that name it."""

from django.contrib import admin
from django.http import HttpRequest

from audit.admin.recorded import RecordedAdmin
from bots.admin.trades import TRADE_COLUMNS
from bots.models import Bot, Signal, Strategy, Trade
from tradingdb.lib.admin import ChoicesFilter
from tradingdb.lib.bot_rows import of_bots, visible_bots
from tradingdb.lib.sections import Section, table

SETTINGS = ("description", "type", "status", "symbols", "timeframes", "parameters", "risk_parameters")


@admin.register(Strategy)
class StrategyAdmin(RecordedAdmin):
    list_display = ("name", "type", "status", "symbols", "timeframes", "last_run_at", "updated_at")
    list_filter = (("type", ChoicesFilter), ("status", ChoicesFilter))
    search_fields = ("name", "description")
    search_help_text = "Name or description"
    empty_note = "No strategy yet. Bots name theirs freely; describe it here."
    ordering = ("name",)
    sortable_by = ("name", "type", "status", "last_run_at", "updated_at")
    addable = ("name", *SETTINGS)
    # Other rows name it, so the name stays.
    editable = (*SETTINGS, "reason")
    importable = ("name", *SETTINGS)
    import_key = ("name",)
    fieldsets = (
        (None, {"fields": ("name", ("type", "status"), "description", ("symbols", "timeframes"))}),
        ("Parameters", {"fields": ("parameters", "risk_parameters")}),
        ("Why", {"fields": ("reason",)}),
        ("Last run", {"fields": ("last_run_at", "performance_metrics")}),
        ("Origin", {"fields": (("created_at", "updated_at"),)}),
    )

    def resource_id(self, row: Strategy) -> str:
        return row.name

    def sections(self, request: HttpRequest, row: Strategy) -> list[Section]:
        seen = visible_bots(request.user)
        bots = of_bots(Bot.objects.filter(strategy_name=row.name), seen)
        signals = of_bots(Signal.objects.filter(strategy=row.name), seen).order_by("-timestamp")
        trades = of_bots(Trade.objects.filter(strategy=row.name), seen).order_by("-entry_time")
        return [
            table(self.admin_site, "Bots", bots,
                  ("bot_id", "bot_name", "status", "deployment_mode", "heartbeat", "num_equity"),
                  empty="No bot names it as its strategy."),
            table(self.admin_site, "Latest signals", signals[:10],
                  ("signal_id", "show_bot", "symbol", "signal_type", "price", "executed", "outcome", "timestamp"),
                  empty="No signal names it."),
            table(self.admin_site, "Latest trades", trades[:10], TRADE_COLUMNS, empty="No trade names it."),
        ]  # fmt: skip
