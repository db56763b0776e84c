"""The keys that encrypt secrets in rows: whether the file fits the database, and how versions come, serve and go.

A rotation has three steps, each safe to run again: a new version becomes the current one, rows under older ones are
encrypted again, and a version that no row needs leaves the file.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from audit.services.actions import Actor
from config_app.services.key_stores import STORES, Row, Store
from tradingdb.lib import crypto
from tradingdb.lib.acting import acting
from tradingdb.lib.errors import Conflict
from tradingdb.lib.keyring import KeyFileError, KeyName, Keyring, load, store
from tradingdb.lib.retry import AWAY

RESOURCE = "field_keys"
# Rows of one transaction: held for a few hundredths of a second.
BATCH = 200
# A job has 240 s; what is left is done by the next one.
SECONDS = 180.0
# Rows that somebody held are asked for again, so many times.
ROUNDS = 5
PAUSE_SECONDS = 0.2
NAMED = 20
# One command at a time changes the file.
FILE_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('field keys', 0))"


class KeyRotationFailed(Conflict):
    """Some rows are not under the current key, and stay as they were."""

    code = "key_rotation_failed"


class KeysUnfit(Exception):
    """The key file must not be used with this database; the message is what to tell the person who starts it."""


@dataclass
class Rotated:
    """How far a rotation is."""

    version: int
    rewritten: int = 0
    left: int = 0
    unreadable: list[str] = field(default_factory=list)
    free: list[int] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        told = {"version": self.version, "rewritten": self.rewritten, "left": self.left, "free": self.free}
        return {**told, "unreadable": len(self.unreadable), "examples": self.unreadable[:NAMED]}


# --- what is there


def rows_by_key() -> dict[str, Counter[KeyName | None]]:
    """Return for each table the rows under each key; under None what is no ciphertext of ours."""
    found: dict[str, Counter[KeyName | None]] = {}
    with connection.cursor() as cursor:
        for each in STORES:
            if each.exists(cursor):
                found[each.name] = Counter()
                for header, rows in each.headers(cursor):
                    found[each.name][crypto.key_of(header)] += rows
    return found


def unfit() -> list[str]:
    """Return why the key file must not be used with this database, a sentence each; none when all is well."""
    path: Path | None = settings.FIELD_KEY_FILE
    ring: Keyring | None = None
    if path is not None:
        try:
            ring = load(path)
        except KeyFileError as e:
            return [str(e)]
    lacking: Counter[KeyName] = Counter()
    for counted in rows_by_key().values():
        for name, rows in counted.items():
            if name is not None and (ring is None or ring.find(name) is None):
                lacking[name] += rows
    where = f"{path} does not hold" if path else "no file is named that holds"
    return [
        f"FIELD_KEY_FILE: {rows} rows are encrypted with key {name}, and {where} it; put the file with that key back."
        for name, rows in sorted(lacking.items())
    ]


def field_keys_require() -> None:
    """Raise KeysUnfit when the key file is bad or lacks a key that rows need; without a database look at the file."""
    try:
        found = unfit()
    except AWAY:
        return
    finally:
        if not connection.in_atomic_block:
            connection.close()
    if found:
        raise KeysUnfit(found[0])


def keys_status() -> dict[str, Any]:
    """Return each version with the rows under it, which may go, and what is wrong."""
    ring = crypto.keyring()
    rows = rows_by_key()
    total: Counter[KeyName | None] = sum(rows.values(), Counter())
    return {
        "current": ring.current_version,
        "versions": [
            {
                "version": key.version,
                "check": key.name.check.hex(),
                "is_current": key.version == ring.current_version,
                "rows": {table: counted[key.name] for table, counted in rows.items()},
            }
            for key in sorted(ring.keys.values(), key=lambda key: key.version)
        ],
        "free": _free(ring, total),
        "unknown": total[None],
        "problems": unfit(),
    }


def _free(ring: Keyring, total: Counter[KeyName | None]) -> list[int]:
    """Return the versions before the current one that no row needs."""
    return sorted(
        key.version for key in ring.keys.values() if key.version < ring.current_version and not total[key.name]
    )


# --- versions come and go


@contextmanager
def _changing_file() -> Iterator[Path]:
    """Hold the right to change the file until what was written about it is on disk. Raises KeyFileError without one."""
    if settings.FIELD_KEY_FILE is None:
        raise KeyFileError("FIELD_KEY_FILE is not set.")
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(FILE_LOCK)
        yield settings.FIELD_KEY_FILE


def version_stage(*, actor: Actor, reason: str = "") -> int:
    """Add a version to the file without using it, and return it; one that waits already stays the one.

    For several machines: each gets the file before any of them encrypts with the new version.
    """
    with _changing_file() as path:
        ring = load(path)
        if (waiting := ring.staged()) is not None:
            return waiting.version
        ring = ring.with_new()
        version = max(ring.keys)
        actor.record(f"{RESOURCE}.stage", RESOURCE, str(version), reason=reason)
        store(path, ring)
    return version


def version_use(*, actor: Actor, reason: str = "") -> int:
    """Encrypt from now on with the version that was staged, or with a new one, and return it."""
    with _changing_file() as path:
        ring = load(path)
        if ring.staged() is None:
            ring = ring.with_new()
        version = max(ring.keys)
        before = {"current": ring.current_version}
        actor.record(f"{RESOURCE}.use", RESOURCE, str(version), before=before, after={"current": version},
                     reason=reason)  # fmt: skip
        store(path, ring.using(version))
    return version


def versions_remove(*, actor: Actor, reason: str = "") -> list[int]:
    """Remove from the file the versions that no row needs, and return them."""
    with _changing_file() as path:
        with connection.cursor() as cursor:
            for each in STORES:
                # Waits for whoever is writing, and lets nobody write until the file has changed.
                cursor.execute(f"LOCK TABLE {each.name} IN SHARE MODE")
        ring = load(path)
        total: Counter[KeyName | None] = sum(rows_by_key().values(), Counter())
        free = _free(ring, total)
        for version in free:
            ring = ring.without(version)
            actor.record(f"{RESOURCE}.remove", RESOURCE, str(version), reason=reason)
        if free:
            store(path, ring)
    return free


# --- rows


def rows_rotate(
    *, tell: Callable[[dict[str, Any]], object] = lambda told: None, seconds: float = SECONDS, batch: int = BATCH
) -> Rotated:
    """Encrypt every row that is under another key than the current one again, and say how far it came.

    A batch is a transaction: killed, it leaves whole rows under either key, and the next run goes on. Rows are locked
    while they are read and written, so that nothing that somebody writes meanwhile is lost; those that somebody holds
    are left for the end. A row that does not open is left alone and named. tell: gets the state after each batch.
    """
    deadline = time.monotonic() + seconds
    done = Rotated(crypto.keyring().current_version, left=_left())
    tell(done.as_json())
    for number in range(ROUNDS):
        if number:
            time.sleep(PAUSE_SECONDS)
        done.unreadable.clear()
        for each in STORES:
            after = 0
            while time.monotonic() < deadline:
                last, rewritten = _rotate_batch(each, after, batch, done.unreadable)
                if last is None:
                    break
                after = last
                done.rewritten += rewritten
                done.left -= rewritten
                tell(done.as_json())
        done.left = _left()
        if done.left <= len(done.unreadable) or time.monotonic() >= deadline:
            break
    ring = crypto.keyring()
    done.version, done.free = ring.current_version, _free(ring, sum(rows_by_key().values(), Counter()))
    tell(done.as_json())
    return done


def rotation_end(done: Rotated) -> dict[str, Any]:
    """Return how a rotation ended. Raises KeyRotationFailed when rows stayed under another key."""
    if done.unreadable:
        raise KeyRotationFailed(
            f"{len(done.unreadable)} rows do not open and stay as they are: {'; '.join(done.unreadable[:NAMED])}"
        )
    if done.left:
        raise KeyRotationFailed(f"{done.left} rows are left: somebody held them, or the time was over. Run it again.")
    return done.as_json()


def _rotate_batch(each: Store, after: int, limit: int, unreadable: list[str]) -> tuple[int | None, int]:
    """Encrypt the next rows again; return the last id that was looked at, None at the end, and how many it were."""
    with acting(reason="encrypted again under the current key"), transaction.atomic():
        # Read after the file: a version that becomes current meanwhile is the business of the next run.
        ring = crypto.keyring()
        with connection.cursor() as cursor:
            if not each.exists(cursor):
                return None, 0
            rows = each.lock(cursor, header=crypto.header_of(ring.current.name), after=after, limit=limit)
            if not rows:
                return None, 0
            ready = []
            for row in rows:
                try:
                    ready.append((row.pk, _encrypted_again(row, ring)))
                except crypto.Undecryptable as e:
                    unreadable.append(e.message)
            each.write(cursor, ready, ring.current_version)
    return rows[-1].pk, len(ready)


def _encrypted_again(row: Row, ring: Keyring) -> dict[str, bytes]:
    """Return all ciphertexts of a row under the current key. Raises Undecryptable."""
    return {
        cell.name: crypto.encrypt(crypto.decrypt(cell.ciphertext, at=cell.place, ring=ring), at=cell.place, ring=ring)
        for cell in row.cells
    }


def _left() -> int:
    """Return the number of rows under another key than the current one."""
    current = crypto.keyring().current.name
    return sum(rows for counted in rows_by_key().values() for name, rows in counted.items() if name != current)
