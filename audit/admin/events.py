"""Events that bots and the system report."""

from django.contrib import admin
from django.utils.safestring import SafeString

from audit.models import SystemEvent
from tradingdb.lib import display
from tradingdb.lib.admin import ChoicesFilter, DayRangeFilter, LedgerAdmin, exact_filter

# By text: an audit row outlives its bot.
BOT_ID_FILTER = exact_filter("bot_id", "bot")


def bot_reference(bot_id: str | None) -> SafeString:
    """Return a link to a bot's page, which may be gone."""
    return display.link(bot_id, "bots_bot_change", bot_id) if bot_id else display.UNKNOWN


def row_reference(table: str, bot_id: str | None, natural_id: str | None) -> SafeString:
    """Return a link to a ledger row that an event names."""
    if not (bot_id and natural_id):
        return display.text(natural_id)
    return display.link(display.identifier(natural_id), f"bots_{table}_find", bot=bot_id, id=natural_id)


@admin.register(SystemEvent)
class SystemEventAdmin(LedgerAdmin):
    list_display = (
        "event_time", "event_level", "event_type", "show_bot_id", "component", "message", "symbol", "error_code"
    )  # fmt: skip
    list_filter = (
        BOT_ID_FILTER, ("event_level", ChoicesFilter), exact_filter("event_type"), ("event_time", DayRangeFilter)
    )  # fmt: skip
    ordering = ("-event_time",)
    fieldsets = (
        (
            None,
            {"fields": (("event_time", "event_level"), ("event_type", "component"), ("show_bot_id", "symbol"),
                        ("show_order_id", "show_trade_id"), "message", "error_code")},
        ),
        ("Details", {"fields": ("details", "show_stack_trace")}),
        ("Origin", {"fields": (("event_id", "source"), "created_at")}),
    )  # fmt: skip

    @admin.display(description="Bot")
    def show_bot_id(self, event: SystemEvent) -> SafeString:
        return bot_reference(event.bot_id)

    @admin.display(description="Order")
    def show_order_id(self, event: SystemEvent) -> SafeString:
        return row_reference("order", event.bot_id, event.order_id)

    @admin.display(description="Trade")
    def show_trade_id(self, event: SystemEvent) -> SafeString:
        return row_reference("trade", event.bot_id, event.trade_id)

    @admin.display(description="Stack trace")
    def show_stack_trace(self, event: SystemEvent) -> SafeString:
        return display.block(event.stack_trace)
