"""What every page shows beside its content: the sidebar with what waits for people, and the mode we trade in."""

import copy
from typing import Any

from django.db import models
from django.http import HttpRequest

from bots.choices import CaseStatus, ConflictStatus, ControlLevel, ControlScope, DeploymentMode, InboxStatus
from bots.models import Bot, ControlState, IngestConflict, ReconciliationCase, UnattributedFill
from tradingdb.lib.bot_rows import of_bots, visible_bots
from tradingdb.settings.unfold import NAVIGATION

# Above this a badge says "99+": the exact number is no help, and counting costs.
MOST = 99


def open_cases() -> models.QuerySet[ReconciliationCase]:
    """Cases nobody has closed."""
    return ReconciliationCase.objects.exclude(status=CaseStatus.RESOLVED)


def open_conflicts() -> models.QuerySet[IngestConflict]:
    """Conflicts nobody has judged."""
    return IngestConflict.objects.filter(status=ConflictStatus.OPEN)


def open_inbox() -> models.QuerySet[UnattributedFill]:
    """Fills that wait for someone to say whose they are."""
    return UnattributedFill.objects.filter(status=InboxStatus.OPEN)


def bounded_count(rows: models.QuerySet[Any]) -> str:
    """Return how many there are, at most 99+; empty for none."""
    found = len(rows.order_by().values_list("pk", flat=True)[: MOST + 1])
    return f"{MOST}+" if found > MOST else str(found or "")


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the sidebar, with the number of open cases and conflicts where there are any."""
    seen = visible_bots(request.user)
    waiting = {
        "Cases": bounded_count(of_bots(open_cases(), seen)),
        "Inbox": bounded_count(of_bots(open_inbox(), seen)),
        "Conflicts": bounded_count(of_bots(open_conflicts(), seen)),
    }
    groups = copy.deepcopy(NAVIGATION)
    for item in (item for group in groups for item in group["items"]):
        if waiting.get(item["title"]):
            item.update(badge=waiting[item["title"]], badge_variant="danger")
    return groups


def mode_banner(request: HttpRequest) -> tuple[str, str] | None:
    """Return word and tone of the banner: red while any running bot trades live, amber for demo; halts beside it."""
    if not request.user.is_authenticated:
        return None
    running = of_bots(Bot.objects.running(), visible_bots(request.user))
    modes = set(running.order_by().values_list("deployment_mode", flat=True).distinct())
    everything = ControlState.objects.filter(scope=ControlScope.ALL).exclude(state=ControlLevel.ACTIVE)
    halt = everything.values_list("state", flat=True).first()
    words = [mode.upper() for mode in DeploymentMode.values if mode in modes] or ["NO BOTS"]
    tone = "danger" if DeploymentMode.LIVE in modes or halt else "warning" if modes else "info"
    sign = "⚠ " if tone == "danger" else "● "
    return sign + " + ".join(words) + (f" \N{MIDDLE DOT} {halt}" if halt else ""), tone
