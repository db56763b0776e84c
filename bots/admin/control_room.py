"""What the control page shows: restrictions in force, what the numbers prove of them, and how far each bot is."""

from collections.abc import Collection
from typing import Any

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from bots.choices import ControlLevel
from bots.models import ControlChange, ControlState
from bots.selectors.control import accepted_since, progress_of, restrictions_in_force
from tradingdb.lib import display
from tradingdb.lib.bot_rows import of_bots
from tradingdb.lib.sections import Section, list_url

SHOWN = 20
STATES = [("Scope", False), ("State", False), ("Reason", False), ("By", False), ("Since", False), ("Number", True),
          ("Orders accepted since", True), ("", False)]  # fmt: skip
BOTS = [("Bot", False), ("Stage", False), ("Requested", False), ("Received", False), ("By way of", False),
        ("Done", False), ("Open orders", False)]  # fmt: skip
HISTORY = [("Number", True), ("When", False), ("Scope", False), ("State", False), ("Before", False), ("By", False),
           ("Reason", False)]  # fmt: skip
STAGE_TONE = {"requested": "bad", "received": "warn", "done": "ok"}


def room_url() -> str:
    """Return the address of the control page."""
    return reverse("admin:bots_controlstate_room")


def room_context(*, may_release: bool, among: Collection[str] | None) -> dict[str, Any]:
    """Return what the page shows to somebody who sees some of the bots; None: all."""
    rows = restrictions_in_force(among=among)
    changes = ControlChange.objects.in_bulk([row.server_seq for row in rows[:SHOWN]])
    newest = max(changes, default=None)
    sections = [_in_force(rows, changes, may_release=may_release)]
    if newest is not None:
        sections.append(_bots(changes[newest], among))
    return {"is_restricted": bool(rows), "sections": [*sections, _history(among)]}


def proof_of(change: ControlChange, *, among: Collection[str] | None) -> list[Section]:
    """Return what is known of one change: orders accepted since, and how far each bot is."""
    if change.state == ControlLevel.ACTIVE:
        return []
    words = format_html(
        "Orders accepted since: {}. Counted are the order requests with a number above {} that were admitted "
        "(control_seq is set), up to the next change of this scope. {}",
        proof(change), change.pk,
        "Under REDUCING, orders that shrink a position pass." if change.state == ControlLevel.REDUCING else "",
    )  # fmt: skip
    return [Section(title="Proof", content=words), _bots(change, among)]


def proof(change: ControlChange) -> SafeString:
    """Return the number of orders accepted since a change; any under a halt is bad."""
    count = accepted_since(change)
    is_bad = bool(count) and change.state == ControlLevel.HALTED
    return display.badge(str(count), tone="bad" if is_bad else "ok")


def _in_force(rows: list[ControlState], changes: dict[int, ControlChange], *, may_release: bool) -> Section:
    lines = []
    for row in rows[:SHOWN]:
        change = changes.get(row.server_seq)
        release = display.link("Release", "bots_controlstate_release", row.pk) if may_release else ""
        values = [
            display.link(f"{row.scope} {row.target}".strip(), "bots_controlstate_change", row.pk),
            display.badge(row.state, tone="bad"), display.text(row.reason), display.text(row.changed_by_name),
            display.moment(row.changed_at), row.server_seq, proof(change) if change else display.DASH, release,
        ]  # fmt: skip
        lines.append(Section.line(STATES, values))
    return Section(
        title="In force", headings=STATES, lines=lines, more_url=list_url(ControlState) if len(rows) > SHOWN else "",
        empty="Nothing is restricted: bots trade within their limits.",
    )  # fmt: skip


def _bots(change: ControlChange, among: Collection[str] | None) -> Section:
    lines = []
    for row in progress_of(change, among=among)[: 5 * SHOWN]:
        values = [
            display.link(row.bot_id, "bots_bot_change", row.bot_id),
            display.badge(row.stage, tone=STAGE_TONE[row.stage]), display.moment(row.requested_at),
            display.moment(row.received_at), display.text(row.told_by), display.moment(row.done_at),
            display.badge("open", tone="warn") if row.has_open_orders else display.text("none"),
        ]  # fmt: skip
        lines.append(Section.line(BOTS, values))
    return Section(title=f"Bots, and number {change.pk} ({change})", headings=BOTS, lines=lines, empty="No bot in it.")


def _history(among: Collection[str] | None) -> Section:
    lines = [
        Section.line(
            HISTORY,
            [
                display.link(str(row.pk), "bots_controlchange_change", row.pk), display.moment(row.changed_at),
                display.text(f"{row.scope} {row.target}".strip()), display.badge(row.state),
                display.badge(row.previous_state), display.text(row.changed_by_name), display.text(row.reason),
            ],
        )
        for row in of_bots(ControlChange.objects.all(), among).order_by("-id")[:SHOWN]
    ]  # fmt: skip
    return Section(title="Latest changes", headings=HISTORY, lines=lines, more_url=list_url(ControlChange),
                   empty="Nothing was ever restricted.")  # fmt: skip
