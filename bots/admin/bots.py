"""Bots: liveness, limits, what each holds, and the buttons that pause and resume it."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.safestring import SafeString

from audit.admin.recorded import RecordedAdmin
from audit.models import RiskEvent, SystemEvent
from bots.admin.sidebar import bounded_count, open_cases
from bots.admin.trades import TRADE_COLUMNS
from bots.choices import BotStatus, DeploymentMode, TokenScope
from bots.models import (
    AccountBalance,
    Bot,
    BotToken,
    CashFlow,
    ControlReceipt,
    Fill,
    IngestConflict,
    Order,
    ParkedFact,
    Position,
    ReconciliationCase,
    Signal,
    Trade,
)
from bots.selectors.bots import bot_get, raised_limits
from bots.services.registry import bot_register, bot_update
from bots.services.tokens import DEFAULT_DAYS, MAX_DAYS, token_create
from tradingdb.lib import display
from tradingdb.lib.asking import asking
from tradingdb.lib.recording import require_fresh
from tradingdb.lib.sections import Link, Section, list_url, row_url, table
from tradingdb.lib.units import Kind

LIMITS = ("max_positions", "leverage_limit", "max_daily_loss_pct", "max_weekly_loss_pct", "max_drawdown_pct")
NAMES = ("bot_id", "bot_name", "bot_type", "strategy_name")
IDENTITY = (*NAMES, "deployment_mode", "account", "currency", "initial_capital")


class TokenForm(forms.Form):
    """What a new token may do, and for how long."""

    scopes = forms.MultipleChoiceField(
        choices=TokenScope.choices, initial=TokenScope.values, widget=forms.CheckboxSelectMultiple
    )
    days = forms.IntegerField(min_value=1, max_value=MAX_DAYS, initial=DEFAULT_DAYS, help_text="Days until it expires.")


@admin.register(Bot)
class BotAdmin(RecordedAdmin):
    list_display = (
        "bot_id", "bot_name", "heartbeat", "status", "deployment_mode", "strategy_name", "num_equity", "num_total_pnl",
        "error_count", "exchange", "account",
    )  # fmt: skip
    list_filter = ("status", "deployment_mode", "exchange")
    list_select_related = ("account",)
    search_fields = ("bot_id", "bot_name", "strategy_name")
    search_help_text = "Bot, name or strategy"
    empty_note = "No bot yet. Register the first one, make a token for it, and let it report."
    ordering = ("bot_id",)
    totals = ("initial_capital", "current_equity", "total_pnl")
    totals_by = {"mode": "deployment_mode", "currency": "currency"}
    sortable_by = ("bot_id", "bot_name", "status", "deployment_mode", "strategy_name", "error_count")
    editable = ("bot_name", "description", *LIMITS, "reason")
    addable = (*IDENTITY, "description", *LIMITS)
    fieldsets = (
        (
            None,
            {"fields": (("bot_id", "bot_name"), ("bot_type", "strategy_name"), ("status", "deployment_mode"),
                        ("account", "exchange"), ("owner", "currency"), "description")},
        ),
        (
            "Liveness",
            {"fields": (("heartbeat", "last_heartbeat"), ("started_at", "latency_ms"),
                        ("error_count", "acknowledged_halt"))},
        ),
        ("Money", {"fields": (("num_equity", "num_total_pnl"), "initial_capital")}),
        (
            "Limits",
            {"fields": (("max_positions", "leverage_limit"), ("max_daily_loss_pct", "max_weekly_loss_pct"),
                        "max_drawdown_pct")},
        ),
        ("Why", {"fields": ("reason",)}),
        ("Origin", {"fields": (("created_at", "created_by"), ("updated_at", "extra_metadata"))}),
    )  # fmt: skip

    def units(self, row: Bot) -> Mapping[Kind, str]:
        return {Kind.ACCOUNT: row.currency}

    @admin.display(description="Heartbeat", ordering="last_heartbeat")
    def heartbeat(self, bot: Bot) -> SafeString:
        """Word and age: the age alone does not say whether it matters."""
        now = timezone.now()
        label = state = bot.liveness(now)
        if bot.last_heartbeat is not None:
            label = f"{state} \N{MIDDLE DOT} {display.age(now - bot.last_heartbeat)}"
        return display.badge(state, label=label)

    @admin.display(description="Equity")
    def num_equity(self, bot: Bot) -> SafeString:
        return display.money(bot.current_equity, unit=bot.currency)

    @admin.display(description="Total P&L")
    def num_total_pnl(self, bot: Bot) -> SafeString:
        return display.pnl(bot.total_pnl, unit=bot.currency)

    def show_account(self, bot: Bot) -> SafeString:
        return display.link(bot.account, "bots_exchangeaccount_change", bot.account_id)

    show_account.short_description = "Account"  # type: ignore[attr-defined]

    def show_owner(self, bot: Bot) -> SafeString:
        return display.text(bot.owner)

    show_owner.short_description = "Owner"  # type: ignore[attr-defined]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Nobody makes a live bot by leaving a field as it is."""
        return {"deployment_mode": DeploymentMode.DEMO, **super().get_changeform_initial_data(request)}

    def create(self, request: HttpRequest, obj: Bot, form: ModelForm) -> None:
        given = {name: form.cleaned_data[name] for name in self.addable if name != "account"}
        account = form.cleaned_data["account"]
        bot_register(**given, account_id=account.account_id, exchange=account.exchange, actor=self.actor(request))

    def update(self, request: HttpRequest, obj: Bot, names: Sequence[str], *, reason: str) -> None:
        changes = {name: getattr(obj, name) for name in names}
        if raised_limits(bot_get(obj.bot_id), changes):
            require_fresh(request, keeps_form=True)
        bot_update(bot_id=obj.bot_id, changes=changes, actor=self.actor(request), reason=reason)

    # --- buttons
    actions_detail = ("pause", "resume", "stop", "new_token")

    def is_offered(self, name: str, row: Bot) -> bool:
        states = {"pause": (BotStatus.ACTIVE,), "resume": (BotStatus.PAUSED, BotStatus.STOPPED),
                  "stop": (BotStatus.ACTIVE, BotStatus.PAUSED)}  # fmt: skip
        return row.status in states[name] if name in states else row.status != BotStatus.ARCHIVED

    def _set_status(self, request: HttpRequest, bot: Bot, status: BotStatus, reason: str) -> str:
        bot_update(bot_id=bot.bot_id, changes={"status": status}, actor=self.actor(request), reason=reason)
        return f"{bot.bot_id} is {status.label.lower()} now."

    @asking(label="Pause", permission="intervene", icon="pause")
    def pause(self, request: HttpRequest, row: Bot, data: dict[str, Any]) -> str:
        """The bot gets no permit for new orders. It keeps reporting, its open positions stay open, and it may still
        reduce them by itself."""
        return self._set_status(request, row, BotStatus.PAUSED, data["reason"])

    @asking(label="Resume", permission="intervene", icon="play_arrow")
    def resume(self, request: HttpRequest, row: Bot, data: dict[str, Any]) -> str:
        """The bot gets permits again and may open positions, as far as limits and halts allow."""
        return self._set_status(request, row, BotStatus.ACTIVE, data["reason"])

    @asking(label="Stop", permission="administer", icon="stop", is_grave=True)
    def stop(self, request: HttpRequest, row: Bot, data: dict[str, Any]) -> str:
        """The bot counts as switched off: no permits, no liveness alarm. Stopping closes no position; look at the open
        ones first."""
        return self._set_status(request, row, BotStatus.STOPPED, data["reason"])

    @asking(label="New token", permission="administer", icon="key", form_class=TokenForm, needs_proof=True)
    def new_token(self, request: HttpRequest, row: Bot, data: dict[str, Any]) -> HttpResponse:
        """Makes an API token for this bot. A bot has at most two live ones: the one in use, and one to change over to.
        The token is shown once."""
        made = token_create(bot_id=row.bot_id, actor=self.actor(request), scopes=data["scopes"], days=data["days"])
        return secret_page(self, request, row, secret=made.token)

    # --- what stands around it
    def links(self, request: HttpRequest, row: Bot) -> list[Link]:
        mine = {"bot__bot_id__exact": row.bot_id}
        active = bounded_count(Order.objects.filter(bot=row).active())
        cases = bounded_count(open_cases().filter(bot=row))
        rows = [
            Link("Open positions", list_url(Position, **mine, status__exact="open"),
                 bounded_count(Position.objects.filter(bot=row).open())),
            Link("Trades", list_url(Trade, **mine)),
            Link("Orders", list_url(Order, **mine), f"{active} active" if active else ""),
            Link("Fills", list_url(Fill, **mine)),
            Link("Signals", list_url(Signal, **mine)),
            Link("Balances", list_url(AccountBalance, **mine)),
            Link("Cash flows", list_url(CashFlow, **mine)),
            Link("Configurations", _named("config_app_botconfiguration", row)),
            Link("Risk metrics", _named("analytics_riskmetrics", row)),
            Link("Cases", list_url(ReconciliationCase, **mine), f"{cases} open" if cases else ""),
            Link("Conflicts", list_url(IngestConflict, **mine)),
            Link("Parked facts", list_url(ParkedFact, **mine)),
            Link("Events", list_url(SystemEvent, bot_id=row.bot_id)),
            Link("Risk events", list_url(RiskEvent, bot_id=row.bot_id)),
        ]  # fmt: skip
        if self.has_administer_permission(request):
            rows.append(Link("Tokens", list_url(BotToken, **mine)))
        return rows

    def sections(self, request: HttpRequest, row: Bot) -> list[Section]:
        mine = {"bot__bot_id__exact": row.bot_id}
        trades = Trade.objects.filter(bot=row, exit_time__isnull=False).order_by("-exit_time")
        events = SystemEvent.objects.filter(bot_id=row.bot_id).order_by("-event_time")
        receipts = ControlReceipt.objects.filter(bot=row).select_related("change").order_by("-change_id")[:10]
        return [
            table(self.admin_site, "Open positions", Position.objects.filter(bot=row).open(),
                  ("position_id", "symbol", "side", "size", "avg_entry_price", "current_price", "unrealized_pnl",
                   "realized_pnl", "opened_at"), empty="Flat."),
            table(self.admin_site, "Halts, and what the bot says of them", receipts, ("received_at", "show_change",
                  "told_by", "done_at"), more_url=list_url(ControlReceipt, **mine), empty="It was told of none."),
            table(self.admin_site, "Latest closed trades", trades[:10], TRADE_COLUMNS,
                  more_url=list_url(Trade, **mine), empty="No trade has been closed yet."),
            table(self.admin_site, "Latest events", events[:10],
                  ("event_time", "event_level", "event_type", "component", "message"),
                  more_url=list_url(SystemEvent, bot_id=row.bot_id), empty="Nothing has been reported."),
        ]  # fmt: skip


def _named(view: str, row: Bot) -> str:
    """Return the list of a table above this app, filtered by the bot."""
    return display.address(f"{view}_changelist", bot__bot_id__exact=row.bot_id)


def secret_page(page: BotAdmin, request: HttpRequest, row: Bot, *, secret: str) -> HttpResponse:
    """Show a token, this once, with two ways to try it; no copy of the page is kept."""
    base = request.build_absolute_uri("/").rstrip("/")
    curl = f'curl -H "Authorization: Bearer $TOKEN" {base}/api/v1/me'
    python = f'from tradingdb_client import Client\n\nclient = Client("{base}", token)\nprint(client.me())'
    context = {
        **page.admin_site.each_context(request),
        "title": f"New token of {row}",
        "opts": page.opts,
        "secret": secret,
        "row_url": row_url(row),
        "snippets": [{"title": "Try it with curl", "text": curl}, {"title": "From Python", "text": python}],
    }
    return TemplateResponse(request, "admin/secret_shown.html", context, headers={"Cache-Control": "no-store"})
