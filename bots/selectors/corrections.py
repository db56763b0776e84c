"""Which fill takes back or replaces which: a correcting entry carries the row of the wrong fill in its id."""

from django.db.models import QuerySet

from bots.models import Fill

SOURCE = "correction"
VOID, FIX = "void_", "fix_"


def corrections_of(fill: Fill) -> QuerySet[Fill]:
    """Return the fill that takes this one back and the one in its place, if there are any."""
    names = (f"{VOID}{fill.pk}", f"{FIX}{fill.pk}")
    return Fill.objects.filter(bot_id=fill.bot_id, fill_id__in=names, source=SOURCE).order_by("id")


def corrected_by(fill: Fill) -> QuerySet[Fill]:
    """Return the wrong fill that this one is a correcting entry for; nothing when it is an ordinary fill."""
    row = fill.fill_id.removeprefix(VOID).removeprefix(FIX)
    if fill.source != SOURCE or not row.isdecimal():
        return Fill.objects.none()
    return Fill.objects.filter(bot_id=fill.bot_id, pk=int(row))


def may_be_corrected(fill: Fill) -> bool:
    """Whether nobody has corrected it yet, and it is not itself the half of a correction that takes something back."""
    is_void = fill.source == SOURCE and fill.fill_id.startswith(VOID)
    return not is_void and not corrections_of(fill).exists()
