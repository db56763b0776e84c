"""Verifying seals: that each continues the one before, is signed, and covers the very changes it was made over."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db.backends.utils import CursorWrapper

from audit.choices import SealKind
from audit.models import Change, Seal
from audit.trail.chain import FIRST, MEMBERS, NO_END, NOTHING, SUMS, Link, Sums, sums_of_listed, unpacked
from audit.trail.keys import is_signed
from audit.trail.problems import Findings
from audit.trail.seals import link_of

# Seals, and changes, that one question is about.
SEALS_AT_ONCE, ROWS_AT_ONCE = 500, 100_000
# What a clock that is set may go back by.
CLOCK_STEP = timedelta(seconds=2)
SHOWN = 5
OF_SEALS = f"""
    WITH s AS (SELECT number, low, high, array(SELECT jsonb_array_elements_text(running)::bigint) AS running,
        array(SELECT jsonb_array_elements_text(waited)::bigint) AS waited, floor,
        coalesce((SELECT min(r.floor) FROM audit.seals r WHERE r.kind = 'restored' AND r.number > o.number),
            {NO_END}) AS ceiling
        FROM audit.seals o WHERE number BETWEEN %(first)s AND %(last)s AND kind = 'seal'),
    members AS ({MEMBERS}) {SUMS}
"""  # noqa: S608 (our own text)  # nosec B608


class SealCheck:
    """One walk over the chain."""

    def __init__(self, cursor: CursorWrapper, found: Findings, keys: Mapping[str, Ed25519PublicKey]) -> None:
        self._cursor, self._found, self._keys = cursor, found, keys
        self._before: Link | None = None
        self._hash_before = FIRST
        # Moments of the seals before those that wait to be asked about, by number.
        self._since: dict[int, datetime] = {}
        self._waiting: list[Link] = []
        listed = Seal.objects.filter(kind=SealKind.RESTORED).values_list("marks", flat=True)
        self._apart = [number for marks in listed for number in unpacked(bytes(marks))]

    def walk(self, start: int) -> int:
        """Check the seals from one on; return the number of the last."""
        expected = start
        for seal in Seal.objects.filter(number__gte=start).order_by("number").iterator(chunk_size=1000):
            link = link_of(seal)
            if link.number != expected:
                self._found.seal(expected, "seal_missing", f"the next one that is there is {link.number}")
            self._check_link(link, seal, is_next=link.number == expected)
            self._hash_before, self._before = bytes(seal.hash), link
            expected = link.number + 1
        self._ask()
        return expected - 1

    def _check_link(self, link: Link, seal: Seal, *, is_next: bool) -> None:
        before, number = self._before, link.number
        if link.hash() != bytes(seal.hash):
            self._found.seal(number, "seal_rewritten", "its content is not what was hashed")
        elif not is_signed(self._keys, seal.key, bytes(seal.signature), bytes(seal.hash)):
            known = "" if seal.key in self._keys else f", and its key {seal.key} is not known here"
            self._found.seal(number, "seal_forged", f"its signature is not ours{known}")
        elif is_next and (before is not None or number == 0) and link.previous != self._hash_before:
            self._found.seal(number, "seal_rewritten", "it does not continue the seal before")
        elif is_next and before is not None and not continues(before, link):
            self._found.seal(number, "seal_rewritten", "its transactions do not continue those of the seal before")
        if before is not None:
            self._since[number] = before.sealed_at
        self._waiting.append(link)
        if len(self._waiting) >= SEALS_AT_ONCE or sum(each.rows for each in self._waiting) >= ROWS_AT_ONCE:
            self._ask()

    def _ask(self) -> None:
        """Compare the seals that wait with the changes in the database."""
        if not self._waiting:
            return
        first, last = self._waiting[0].number, self._waiting[-1].number
        asked: dict[str, Any] = {"first": first, "last": last, "apart": self._apart}
        self._cursor.execute(OF_SEALS, asked)
        sums = {row[0]: Sums(row[1], bytes(row[2]), bytes(row[3]), row[4], row[5]) for row in self._cursor.fetchall()}
        for link in self._waiting:
            if link.kind == SealKind.RESTORED:
                actual = sums_of_listed(self._cursor, link.number, list(unpacked(link.marks)))
            else:
                actual = sums.get(link.number, NOTHING)
            self._found.rows += actual.rows
            self._compare(link, actual)
        self._waiting.clear()
        self._since.clear()

    def _compare(self, link: Link, actual: Sums) -> None:
        if (actual.rows, actual.root) != (link.rows, link.root):
            for problem, ids in differences(unpacked(link.marks), unpacked(actual.marks)):
                self._found.seal(link.number, problem, described(ids))
            return
        since = self._since.get(link.number)
        if since is not None and actual.earliest is not None and actual.earliest < since - CLOCK_STEP:
            detail = f"a change says {actual.earliest}, but its transaction began after {since}"
            self._found.seal(link.number, "back_dated_row", detail)
        if actual.latest is not None and actual.latest > link.sealed_at + CLOCK_STEP:
            detail = f"a change says {actual.latest}, but was sealed at {link.sealed_at}"
            self._found.seal(link.number, "post_dated_row", detail)


def verify_seals(cursor: CursorWrapper, found: Findings, keys: Mapping[str, Ed25519PublicKey], start: int) -> int:
    """Check chain, signatures and changes from a seal on; return the number of the last seal, -1 without any."""
    return SealCheck(cursor, found, keys).walk(start)


def continues(before: Link, link: Link) -> bool:
    """Whether a seal begins where the one before it ended."""
    if link.kind == SealKind.RESTORED:
        return link.sealed_at >= before.sealed_at - CLOCK_STEP
    waited = tuple(each for each in before.running if each not in {*link.running})
    return (
        link.low == before.high
        and link.waited == waited
        and link.floor == before.floor
        and link.cluster == before.cluster
        and link.sealed_at >= before.sealed_at - CLOCK_STEP
    )


def differences(sealed: Mapping[int, bytes], actual: Mapping[int, bytes]) -> list[tuple[str, list[int]]]:
    """Return what is wrong with the changes of a seal, by its name."""
    named = {
        "deleted_row": sorted({*sealed} - {*actual}),
        "inserted_row": sorted({*actual} - {*sealed}),
        "edited_row": sorted(each for each in {*sealed} & {*actual} if sealed[each] != actual[each]),
    }
    wrong = [(problem, ids) for problem, ids in named.items() if ids]
    # The marks are beginnings of hashes; where all of them agree, a whole hash does not.
    return wrong or [("edited_row", [])]


def described(ids: Sequence[int]) -> str:
    """Return the changes of a problem in words, with what they speak of where they are still there."""
    known = {
        change.pk: f"{change.pk} ({change.operation} of {change.table_name} {change.row_id}, said to be of {change.at})"
        for change in Change.objects.filter(pk__in=list(ids[:SHOWN]))
    }
    words = ", ".join(known.get(each, str(each)) for each in ids[:SHOWN])
    return f"change {words}" + (f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else "")
