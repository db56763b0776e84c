"""The history of one row, as the audit trail has it."""

from dataclasses import dataclass

from django.utils.safestring import SafeString

from audit.models import Change, UserAction
from audit.trail.tables import EXCUSED, RECORDED, Facts
from tradingdb.lib import display

PAGE = 50
ACTIONS = 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One change as the page shows it."""

    change: Change
    bodies: SafeString


@dataclass(frozen=True, slots=True)
class History:
    """A page of changes, newest first; `before` asks for the next page. `note` says what is not recorded, and why."""

    entries: list[Entry]
    before: int | None
    note: str
    actions: list[UserAction]


def history_of(*, table: str, row_id: str, resource: tuple[str, str], before: int | None = None) -> History:
    """Return the history of a row. resource: how actions of people name it."""
    found = Change.objects.filter(table_name=table, row_id=row_id)
    if before is not None:
        found = found.filter(id__lt=before)
    changes = list(found.order_by("-id")[: PAGE + 1])
    more = len(changes) > PAGE
    changes = changes[:PAGE]
    kind, name = resource
    actions = UserAction.objects.filter(resource_type=kind, resource_id=name).order_by("-created_at")[:ACTIONS]
    return History(
        entries=[Entry(change, bodies(change)) for change in changes],
        before=changes[-1].pk if more else None,
        note=note_of(table),
        actions=list(actions) if before is None else [],
    )


def bodies(change: Change) -> SafeString:
    """Return what a change did."""
    if change.before is None and change.after is None:
        return display.text(f"a digest of what was told: {bytes(change.digest).hex()}" if change.digest else "")
    return display.side_by_side(change.before, change.after, titles=("Before", "After"))


def note_of(table: str) -> str:
    """Return what is not recorded of a table, in words; empty where nothing is left out."""
    if table in EXCUSED:
        return f"Changes of this table are not recorded: {EXCUSED[table]}."
    recorded = RECORDED.get(table)
    if recorded is None:
        return "Changes of this table are not recorded."
    left_out = tuple(recorded.derived if isinstance(recorded, Facts) else recorded.ignores)
    if not left_out:
        return ""
    who = "by a bot's own facts" if isinstance(recorded, Facts) else "by jobs and bots"
    return f"Not recorded when moved {who}: {', '.join(left_out)}."
