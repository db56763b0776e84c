"""Sealing: each second what was committed since the last seal is hashed, linked to it and signed.

Which changes are new is told by PostgreSQL's snapshots: those of transactions that have begun since the last seal, and
of those that were open then and are no more. So nothing waits for a long transaction, and none is updated.
"""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

from django.db import IntegrityError, connection, transaction
from django.db.backends.utils import CursorWrapper

from audit.choices import SealKind
from audit.models import Change, Seal
from audit.trail.chain import FIRST, Link, now_in, one_moment, sums_of, sums_of_listed, unpacked
from audit.trail.keys import SealKey

# An empty seal after this time: a change cannot be dated back behind the seal before its transaction.
EMPTY_AFTER = timedelta(seconds=60)
SEAL_SECONDS = 900
# A sealer that is well leaves nothing open for so long.
UNSEALED_SECONDS = 60
# How far behind the last seal changes are looked for that a restored database brings and no seal covers.
LOOK_BEHIND = timedelta(days=1)
ALONE = "SELECT pg_try_advisory_xact_lock(hashtextextended('audit seals', 0))"
COLUMNS = (
    "number", "kind", "sealed_at", "cluster", "low", "high", "running", "waited", "floor", "rows", "root", "marks",
    "previous",
)  # fmt: skip
UNSEALED = """
    WITH last AS (SELECT coalesce(max(high), 0) AS high, coalesce(max(floor), 0) AS floor,
        (SELECT running FROM audit.seals ORDER BY number DESC LIMIT 1) AS running
        FROM (SELECT high, floor FROM audit.seals ORDER BY number DESC LIMIT 1) s)
    SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(at)), 0)::float8 FROM (
        SELECT c.at FROM audit.changes c, last WHERE c.xid >= last.high AND c.id > last.floor
        UNION ALL
        SELECT c.at FROM last CROSS JOIN jsonb_array_elements_text(last.running) AS open
        JOIN audit.changes c ON c.xid = open::bigint AND c.id > last.floor
    ) AS unsealed
"""


class Unsealed(NamedTuple):
    """Changes that no seal covers yet, and the age of the oldest in seconds."""

    rows: int
    seconds: float


def link_of(seal: Seal) -> Link:
    """Return what a stored seal says."""
    values = {name: getattr(seal, name) for name in COLUMNS}
    for name in ("root", "marks", "previous"):
        values[name] = bytes(values[name])
    for name in ("running", "waited"):
        values[name] = tuple(values[name])
    return Link(**values)


def last_seal() -> Seal | None:
    """Return the newest seal."""
    return Seal.objects.order_by("-number").first()


def seal(key: SealKey) -> Seal | None:
    """Seal what was committed since the last seal and return the new one; None when nothing is due, or another does.

    A database that was restored counts transactions anew: then one seal says so, over what no seal covered.
    """
    # Of two that seal at the same time the later one finds its number taken.
    with suppress(IntegrityError), one_moment(SEAL_SECONDS, reads_only=False) as cursor, transaction.atomic():
        cursor.execute(ALONE)
        if not cursor.fetchone()[0]:
            return None
        link = _next(cursor, last_seal())
        if link is None:
            return None
        hash_of = link.hash()
        values = {name: getattr(link, name) for name in COLUMNS}
        values |= {name: list(values[name]) for name in ("running", "waited")}
        return Seal.objects.create(**values, hash=hash_of, key=key.name, signature=key.sign(hash_of))
    return None


def _next(cursor: CursorWrapper, last: Seal | None) -> Link | None:
    at, high, running, cluster = now_in(cursor)
    if last is not None and (last.cluster != cluster or high < last.high):
        return _after_restore(cursor, last, at, high, running, cluster)
    still, before = {*running}, tuple(last.running) if last else ()
    link = Link(
        number=last.number + 1 if last else 0,
        kind=SealKind.SEAL.value,
        sealed_at=at,
        cluster=cluster,
        low=last.high if last else 0,
        high=high,
        running=running,
        waited=tuple(each for each in before if each not in still),
        floor=last.floor if last else 0,
        rows=0,
        root=b"",
        marks=b"",
        previous=bytes(last.hash) if last else FIRST,
    )
    sums = sums_of(cursor, link)
    if last is not None and not sums.rows and at - last.sealed_at < EMPTY_AFTER:
        return None
    return replace(link, rows=sums.rows, root=sums.root, marks=sums.marks)


def _after_restore(
    cursor: CursorWrapper, last: Seal, at: object, high: int, running: tuple[int, ...], cluster: str
) -> Link:
    since = last.sealed_at - LOOK_BEHIND
    recent = Seal.objects.filter(sealed_at__gte=since - LOOK_BEHIND).values_list("marks", flat=True)
    covered = {number for marks in recent for number in unpacked(bytes(marks))}
    found = Change.objects.filter(at__gte=since, id__gt=last.floor).order_by("id").values_list("id", flat=True)
    ids = [number for number in found if number not in covered]
    newest = Change.objects.order_by("-id").values_list("id", flat=True).first() or 0
    sums = sums_of_listed(cursor, last.number + 1, ids)
    return Link(
        number=last.number + 1,
        kind=SealKind.RESTORED.value,
        sealed_at=at,  # type: ignore[arg-type]
        cluster=cluster,
        # What has already been written since lies below the floor and is listed here.
        low=high,
        high=high,
        running=running,
        waited=(),
        floor=newest,
        rows=sums.rows,
        root=sums.root,
        marks=sums.marks,
        previous=bytes(last.hash),
    )


def unsealed() -> Unsealed:
    """Return how many changes no seal covers yet, and how old the oldest of them is."""
    with connection.cursor() as cursor:
        cursor.execute(UNSEALED)
        return Unsealed(*cursor.fetchone())
