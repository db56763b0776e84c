"""The admin's start page: what runs, what is open, what was earned today, what waits for people."""

from collections.abc import Collection, Sequence
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.db.models import CharField, Func, Max, QuerySet, Sum
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from analytics.admin.risk_metrics import METRIC_COLUMNS
from analytics.models import RiskMetrics
from audit.choices import RiskType
from audit.models import InvariantRun, RiskEvent, SystemEvent
from audit.services.invariant_runs import ledger_state
from bots.admin.control_room import room_url
from bots.admin.sidebar import MOST, bounded_count, open_cases, open_conflicts, open_inbox
from bots.choices import BotStatus, ParkedState
from bots.models import (
    Bot,
    ControlState,
    IngestConflict,
    ParkedFact,
    Position,
    ReconciliationCase,
    Trade,
    UnattributedFill,
)
from tradingdb.lib import display
from tradingdb.lib.bot_rows import of_bots, visible_bots
from tradingdb.lib.sections import Section, list_url, table

# Net P&L by bot and quote currency.
Earned = dict[str, dict[str, Decimal]]
# Worst first, so that a bot that is down stands on top.
LIVENESS_ORDER = ("down", "late", "new", "up", "stopped", "archived")
BOTS_SHOWN = 50


def start_page(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add tiles and tables to the context of the admin's index."""
    now = timezone.now()
    seen = visible_bots(request.user)
    bots = list(of_bots(Bot.objects.exclude(status=BotStatus.ARCHIVED), seen))
    earned = pnl_of_day(now)
    context.update(
        title="Start page",
        tiles=tiles(bots, earned, now, seen),
        sections=[bots_table(bots, earned, now), *tables(seen)],
        as_of=display.moment(now),
    )
    return context


def pnl_of_day(now: datetime) -> Earned:
    """Return net P&L of the trades that closed since 00:00 UTC, by bot and quote currency."""
    midnight = datetime.combine(now.date(), time.min, tzinfo=now.tzinfo)
    closed = Trade.objects.filter(exit_time__gte=midnight, exit_time__lt=midnight + timedelta(days=1)).order_by()
    quote = Func("symbol", "bot__currency", function="analytics.quote_currency", output_field=CharField())
    earned: Earned = {}
    for bot_id, currency, net in closed.annotate(quote=quote).values_list("bot_id", "quote").annotate(Sum("pnl_usd")):
        earned.setdefault(bot_id, {})[currency] = net
    return earned


def tile(name: str, value: Any, url: str, note: Any = "") -> dict[str, Any]:
    """Return one tile."""
    return {"name": name, "value": value, "url": url, "note": note}


def tiles(
    bots: Sequence[Bot], earned: Earned, now: datetime, seen: Collection[str] | None = None
) -> list[dict[str, Any]]:
    """Return the figures on top."""
    states = [bot.liveness(now) for bot in bots]
    wrong = sum(state in ("down", "late") for state in states)
    open_positions = bounded_count(of_bots(Position.objects.open(), seen))
    trouble = f"{wrong} late or down" if wrong else ""
    restricted = of_bots(ControlState.objects.exclude(state="ACTIVE"), seen)
    halts = [str(row) for row in restricted.order_by("scope", "target")[:3]]
    return [
        tile("Bots up", f"{states.count('up')} of {len(bots)}", list_url(Bot), trouble),
        *pnl_tiles(bots, earned),
        tile("Open positions", open_positions or "0", list_url(Position, status__exact="open")),
        tile("Trading", display.badge("restricted", tone="bad") if halts else display.badge("allowed", tone="ok"),
             room_url(), "; ".join(halts) or "no halt in force"),
        *([ledger_tile(now)] if seen is None else []),
        *waiting_tiles(now, seen),
    ]  # fmt: skip


def ledger_tile(now: datetime) -> dict[str, Any]:
    """Return whether the invariants hold, and when that was looked at."""
    state = ledger_state(now)
    age = f"; looked at {display.age(now - state.at)} ago" if state.at is not None else ""
    value = display.badge("holds", tone="ok") if state.ok else display.badge("red", tone="bad")
    return tile("Ledger", value, list_url(InvariantRun), state.note + age)


def waiting_tiles(now: datetime, seen: Collection[str] | None = None) -> list[dict[str, Any]]:
    """Return a tile of each thing that waits for people, or for an order."""
    parked = of_bots(ParkedFact.objects.filter(state=ParkedState.PARKED), seen)
    disobeyed = of_bots(RiskEvent.objects.filter(risk_type=RiskType.HALT_NOT_OBEYED, resolved=False), seen)
    disobeyed_url = list_url(RiskEvent, risk_type__exact=RiskType.HALT_NOT_OBEYED.value, resolved__exact="0")
    cases, inbox, conflicts = (of_bots(rows, seen) for rows in (open_cases(), open_inbox(), open_conflicts()))
    return [
        waiting_tile("Halts not obeyed", disobeyed, disobeyed_url, "event_time", now),
        waiting_tile("Open cases", cases, list_url(ReconciliationCase, status__exact="open"), "opened_at", now),
        waiting_tile("Inbox", inbox, list_url(UnattributedFill, status__exact="open"), "received_at", now),
        waiting_tile("Open conflicts", conflicts, list_url(IngestConflict, status__exact="open"), "received_at",
                     now),
        waiting_tile("Parked facts", parked, list_url(ParkedFact, state__exact="parked"), "received_at", now),
    ]  # fmt: skip


def waiting_tile(name: str, rows: QuerySet[Any], url: str, since: str, now: datetime) -> dict[str, Any]:
    """Return a tile of things that wait: how many, and how long the oldest has."""
    # One question for both; how many beyond 99 is no help.
    waiting = list(rows.order_by(since).values_list(since, flat=True)[: MOST + 1])
    if not waiting:
        return tile(name, "0", url)
    count = f"{MOST}+" if len(waiting) > MOST else str(len(waiting))
    return tile(name, display.badge(count, tone="bad"), url, f"the oldest for {display.age(now - waiting[0])}")


def pnl_tiles(bots: Sequence[Bot], earned: Earned) -> list[dict[str, Any]]:
    """Return today's P&L once a currency and mode: different money is never added up."""
    sums: dict[tuple[str, str], Decimal] = {}
    for bot in bots:
        for currency, net in earned.get(bot.bot_id, {bot.currency: Decimal(0)}).items():
            key = (bot.deployment_mode, currency)
            sums[key] = sums.get(key, Decimal(0)) + net
    return [
        tile("Net P&L today", display.pnl(total), list_url(Trade), f"{currency}, {mode}; closed since 00:00Z")
        for (mode, currency), total in sorted(sums.items())
    ]


def bots_table(bots: Sequence[Bot], earned: Earned, now: datetime) -> Section:
    """Return the worst fifty of the bots."""
    page: Any = admin.site.get_model_admin(Bot)
    ranked = sorted(bots, key=lambda bot: (LIVENESS_ORDER.index(bot.liveness(now)), bot.bot_id))[:BOTS_SHOWN]
    titles = [("Bot", False), ("Heartbeat", False), ("Status", False), ("Mode", False), ("Equity", True),
              ("P&L today", True), ("Total P&L", True), ("Errors", True)]  # fmt: skip
    lines = []
    for bot in ranked:
        nets = earned.get(bot.bot_id, {bot.currency: Decimal(0)})
        today = format_html_join(" ", "{}", [(display.pnl(net, unit=unit),) for unit, net in sorted(nets.items())])
        values: list[SafeString] = [
            display.link(bot.bot_id, "bots_bot_change", bot.bot_id), page.heartbeat(bot), display.badge(bot.status),
            display.badge(bot.deployment_mode), page.num_equity(bot), today, page.num_total_pnl(bot),
            display.number(bot.error_count),
        ]  # fmt: skip
        lines.append(Section.line(titles, values))
    empty = format_html("No bot yet. {}", display.link("Register one", "bots_bot_add"))
    return Section(title="Bots", headings=titles, lines=lines, more_url=list_url(Bot), empty=empty)


def tables(seen: Collection[str] | None) -> list[Section]:
    """Return the tables below the bots."""
    last = RiskMetrics.objects.order_by().aggregate(day=Max("date"))["day"]
    breaches = of_bots(RiskEvent.objects.filter(resolved=False), seen).order_by("-event_time")[:10]
    metrics = of_bots(RiskMetrics.objects.filter(date=last), seen).select_related("bot").order_by("bot_id")
    positions = of_bots(Position.objects.open(), seen).select_related("bot").order_by("-opened_at")
    events = of_bots(SystemEvent.objects.all(), seen).order_by("-event_time", "-id")[:10]
    return [
        table(admin.site, "Open positions", positions,
              ("position_id", "bot", "symbol", "side", "size", "avg_entry_price", "current_price", "unrealized_pnl",
               "opened_at"), more_url=list_url(Position, status__exact="open"), empty="Every bot is flat."),
        table(admin.site, f"Risk metrics of {last}" if last else "Risk metrics", metrics,
              ("date", "show_bot", *METRIC_COLUMNS[1:]), more_url=list_url(RiskMetrics),
              empty="Computed once a day, after the UTC day has ended."),
        table(admin.site, "Unresolved risk events", breaches,
              ("event_time", "show_bot_id", "risk_type", "symbol", "current_value", "limit_value", "action_taken"),
              more_url=list_url(RiskEvent, resolved__exact="0"), empty="No limit was broken."),
        table(admin.site, "Latest events", events,
              ("event_time", "event_level", "event_type", "show_bot_id", "message"), more_url=list_url(SystemEvent),
              empty="Nothing has been reported."),
    ]  # fmt: skip
