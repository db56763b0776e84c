"""Derived rows that contradict themselves, found while a fact was written: the fact is stored, the rows are marked.

See docs/adr/0009. The mark is an open case of the kind ledger_mismatch: its chain (one bot in one symbol) is worked
out from the fills again by a job, which writes into the case what differed. A person closes it.
"""

from collections.abc import Sequence
from datetime import datetime

from django.utils import timezone

from bots.choices import CaseKind, CaseStatus
from bots.ledger.shapes import stamp
from bots.live.publish import LiveUpdate
from bots.models import ReconciliationCase
from bots.services.breaches import open_case, restricted, restriction
from bots.services.context import BotContext
from bots.services.plan import Plan
from bots.services.rebuild import Difference, ledger_rebuild

SHOWN = 20


def unsound_mark(
    bot: BotContext, *, symbol: str, fill_id: str, broken: Sequence[str], now: datetime
) -> Plan[list[LiveUpdate]]:
    """Open the case of a chain, and let the bot only reduce until a person has looked."""
    reason = f"{symbol}: {', '.join(broken)} broken when fill {fill_id} was stored."
    case = open_case(
        bot, CaseKind.LEDGER_MISMATCH, symbol=symbol, subject_id="", now=now,
        expected={}, reported={"fill_id": fill_id, "broken": ", ".join(broken)},
    )  # fmt: skip
    _, changed = yield [case, restriction(bot, reason, now)]
    return restricted(bot, changed, reason, now)


def unsound_rebuild() -> int:
    """Rebuild every marked chain that was not rebuilt since it was marked last; return how many figures differed."""
    marked = ReconciliationCase.objects.filter(kind=CaseKind.LEDGER_MISMATCH).exclude(status=CaseStatus.RESOLVED)
    found = 0
    for case in marked.filter(expected={}).order_by("pk"):
        result = ledger_rebuild(bot_id=case.bot_id, symbol=case.symbol)
        found += len(result.differences)
        # A fill that marks the chain once more empties `expected` again, and wins.
        ReconciliationCase.objects.filter(pk=case.pk, last_seen_at=case.last_seen_at).update(
            expected=_told(result.differences)
        )
    return found


def _told(differences: Sequence[Difference]) -> dict[str, str]:
    told = {f"{one.kind} {one.id} {one.field}": f"{one.derived}, not {one.stored}" for one in differences[:SHOWN]}
    return {"rebuilt_at": stamp(timezone.now()), "figures_that_differed": str(len(differences)), **told}
