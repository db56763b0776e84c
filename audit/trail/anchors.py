"""Anchors: the newest seal, written each minute where the owner of the database cannot reach it.

A chain proves what lies between its ends. Whoever cuts its end off leaves a shorter chain that is whole; only somebody
who remembers a later seal can tell.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from audit.models import Seal
from audit.trail.keys import SealKey

COMMAND_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Anchor:
    """A seal that was remembered, or (`accepts`) a restore that a person vouches for."""

    number: int
    hash: bytes
    key: str
    signature: bytes
    at: str
    accepts: bool = False
    reason: str = ""

    def message(self) -> bytes:
        """Return what is signed: of a seal its hash, as in the database."""
        if not self.accepts:
            return self.hash
        return b"accepted " + json.dumps([self.number, self.hash.hex(), self.at, self.reason]).encode()

    def line(self) -> str:
        """Return it as it is kept."""
        values: dict[str, Any] = {
            "seal": self.number, "hash": self.hash.hex(), "key": self.key, "signature": self.signature.hex(),
            "at": self.at,
        }  # fmt: skip
        if self.accepts:
            values |= {"accepts": True, "reason": self.reason}
        return json.dumps(values) + "\n"


def anchor(seal: Seal) -> list[str]:
    """Remember a seal in every place there is; return what went wrong, in words."""
    return _keep(Anchor(seal.number, bytes(seal.hash), seal.key, bytes(seal.signature), timezone.now().isoformat()))


def accept_restore(seal: Seal, key: SealKey, reason: str) -> list[str]:
    """Vouch for a restore: what was anchored before it, of seals from this one on, is gone for a known reason."""
    at = timezone.now().isoformat()
    bare = Anchor(seal.number, bytes(seal.hash), key.name, b"", at, accepts=True, reason=reason)
    return _keep(Anchor(bare.number, bare.hash, bare.key, key.sign(bare.message()), at, accepts=True, reason=reason))


def _keep(one: Anchor) -> list[str]:
    wrong = []
    for folder in folders():
        try:
            _append(folder / f"anchors-{datetime.now(UTC):%Y-%m}.jsonl", one.line())
        except OSError as e:
            wrong.append(f"{folder}: {e.strerror}")
    if settings.AUDIT_ANCHOR_COMMAND:
        try:
            subprocess.run(  # noqa: S603 (the operator's own command)  # nosec B603
                settings.AUDIT_ANCHOR_COMMAND, input=one.line().encode(), timeout=COMMAND_SECONDS, check=True,
                capture_output=True,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as e:
            wrong.append(f"AUDIT_ANCHOR_COMMAND: {type(e).__name__}")
    return wrong


def _append(file: Path, line: str) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def folders() -> list[Path]:
    """Return where anchors are kept on disks."""
    return [settings.AUDIT_ANCHOR_DIR, *map(Path, settings.AUDIT_ANCHOR_COPIES)]


@dataclass(frozen=True, slots=True)
class Remembered:
    """The anchors of one place in their order; `bad` counts lines that are none."""

    folder: Path
    anchors: Sequence[Anchor]
    bad: int


def remembered() -> Iterator[Remembered]:
    """Read every place."""
    for folder in folders():
        found: list[Anchor] = []
        bad = 0
        for file in sorted(folder.glob("anchors-*.jsonl")):
            for line in file.read_text(errors="replace").splitlines():
                try:
                    found.append(_parsed(line))
                except (ValueError, KeyError, TypeError):
                    bad += 1
        yield Remembered(folder, found, bad)


def _parsed(line: str) -> Anchor:
    values = json.loads(line)
    return Anchor(
        number=int(values["seal"]),
        hash=bytes.fromhex(values["hash"]),
        key=str(values["key"]),
        signature=bytes.fromhex(values["signature"]),
        at=str(values["at"]),
        accepts=bool(values.get("accepts")),
        reason=str(values.get("reason", "")),
    )
