"""Verifying the audit trail: every seal, every change under it, anchors, triggers, and the tables themselves."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypedDict

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from audit.choices import CheckKind, EventLevel, SealKind
from audit.models import AuditCheck, Seal
from audit.services.events import event_record
from audit.trail.anchors import Anchor, remembered
from audit.trail.chain import now_in, one_moment
from audit.trail.keys import is_signed, public_keys
from audit.trail.live import live_problems
from audit.trail.problems import Findings, Problem
from audit.trail.seals import UNSEALED_SECONDS, unsealed
from audit.trail.triggers import wrong_triggers
from audit.trail.verify_seals import verify_seals
from tradingdb.lib.errors import Unavailable

AnchorList = Sequence[Anchor]
Keys = Mapping[str, Ed25519PublicKey]
VERIFY_SECONDS = 3600
SHOWN = 20
ALONE = "SELECT pg_try_advisory_xact_lock(hashtextextended('audit check', 0))"


class Report(TypedDict):
    """What a check found. `problems` has those of seals first, in their order."""

    at: str
    kind: str
    ok: bool
    from_seal: int
    to_seal: int
    rows: int
    seconds: float
    unsealed_rows: int
    unsealed_seconds: float
    anchors: int
    problems: list[Problem]


def trail_verify(*, full: bool = True) -> Report:
    """Check the trail, keep what was found and return it. Not full: from the last good check on.

    All questions are asked of one moment of the database. Raises Unavailable while another check is under way.
    """
    began, at = time.perf_counter(), timezone.now()
    start = 0 if full else _start()
    with one_moment(VERIFY_SECONDS, reads_only=True) as cursor:
        cursor.execute(ALONE)
        if not cursor.fetchone()[0]:
            raise Unavailable("Another check of the audit trail is under way; ask again in a minute.")
        found, keys = Findings(), public_keys()
        last = verify_seals(cursor, found, keys, start)
        anchors = _verify_anchors(found, keys, last)
        _verify_cluster(cursor, found, anchors)
        for name in wrong_triggers(cursor):
            found.other("trigger_missing", f"{name} is switched off, missing or changed: changes go unrecorded")
        for problem, detail in live_problems(cursor, since=None if full else _since(start)):
            found.other(problem, detail)
        open_rows, open_seconds = unsealed()
        if open_seconds > UNSEALED_SECONDS:
            found.other("unsealed", f"{open_rows} changes are not sealed, the oldest for {open_seconds:.0f} s")
    problems = sorted(found.of_seals, key=lambda one: one["seal"] or 0) + found.others
    seconds = time.perf_counter() - began
    report: Report = {
        "at": at.isoformat(), "kind": (CheckKind.FULL if full else CheckKind.INCREMENTAL).value, "ok": not problems,
        "from_seal": start, "to_seal": last, "rows": found.rows, "seconds": round(seconds, 3),
        "unsealed_rows": open_rows, "unsealed_seconds": round(open_seconds, 3), "anchors": found.anchors,
        "problems": problems,
    }  # fmt: skip
    _keep(report, at)
    return report


def _start() -> int:
    """Return the last seal that a good check looked at; it is looked at again, to go on from."""
    last = AuditCheck.objects.order_by("-at").first()
    good = AuditCheck.objects.filter(ok=True).order_by("-at").first()
    # What was wrong stays wrong until a whole check finds nothing.
    return max(0, good.to_seal) if good is not None and last is not None and last.ok else 0


def _since(start: int) -> datetime | None:
    return Seal.objects.filter(number=start).values_list("sealed_at", flat=True).first()


def last_check() -> AuditCheck | None:
    """Return what the newest check found."""
    return AuditCheck.objects.order_by("-at").first()


def _keep(report: Report, at: datetime) -> None:
    before = last_check()
    AuditCheck.objects.create(
        at=at, kind=report["kind"], ok=report["ok"], from_seal=report["from_seal"], to_seal=report["to_seal"],
        rows=report["rows"], duration_ms=round(report["seconds"] * 1000), problems=list(report["problems"][:SHOWN]),
    )  # fmt: skip
    if not report["ok"] and (before is None or before.ok):
        first = report["problems"][0]
        event_record(
            event_type="AUDIT_BROKEN", level=EventLevel.CRITICAL, component="audit trail",
            message=f"{first['problem']}: {first['detail']}", details={"problems": list(report["problems"][:3])},
        )  # fmt: skip


def _verify_cluster(cursor: CursorWrapper, found: Findings, anchors: AnchorList) -> None:
    """Name every restore of the database that nobody vouched for."""
    accepted = {one.number: one.hash for one in anchors if one.accepts}
    for seal in Seal.objects.filter(kind=SealKind.RESTORED).order_by("number"):
        if accepted.get(seal.number) != bytes(seal.hash):
            found.seal(seal.number, "restored", "the database was restored from a copy, and nobody vouched for it")
    last = Seal.objects.order_by("-number").first()
    _, high, _, cluster = now_in(cursor)
    if last is not None and (last.cluster != cluster or high < last.high):
        found.seal(last.number, "restored", "the database is another one than was sealed, and not sealed since")


def _verify_anchors(found: Findings, keys: Keys, last: int) -> AnchorList:
    """Compare what was remembered with the chain; return the good anchors."""
    good: list[Anchor] = []
    for place in remembered():
        if place.bad:
            found.other("anchor_forged", f"{place.folder}: {place.bad} lines are no anchors")
        for one in place.anchors:
            if is_signed(keys, one.key, one.signature, one.message()):
                good.append(one)
            else:
                found.other("anchor_forged", f"{place.folder}: the anchor of seal {one.number} is not signed by us")
    found.anchors = len(good)
    accepts = [one for one in good if one.accepts]
    claims = {one.number: one for one in good if not one.accepts and not _is_excused(one, accepts)}
    stored = dict(Seal.objects.filter(number__in=list(claims)).values_list("number", "hash"))
    lost = [one for number, one in sorted(claims.items()) if bytes(stored.get(number, b"")) != one.hash]
    if lost:
        first = lost[0].number
        known = max((one.number for one in claims.values() if one.number < first), default=-1)
        found.seal(
            min(known + 1, first), "cut_tail",
            f"seal {first} was anchored at {lost[0].at} and is not in the chain, which ends at {last}: what was sealed "
            f"after seal {known} was cut off or replaced",
        )  # fmt: skip
    return good


def _is_excused(one: Anchor, accepts: AnchorList) -> bool:
    return any(one.number >= each.number and one.at < each.at for each in accepts)
