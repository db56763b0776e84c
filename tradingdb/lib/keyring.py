"""The file with the keys that encrypt secrets in rows: versions of 32 random bytes, one of which is current.

    current 2
    1 <base64>
    2 <base64>

A line that begins with # is a comment. The file is the only place that has the keys: not the database, not the
environment. Processes look at it each time they need a key and read it again when it has changed.
"""

import base64
import binascii
import hmac
import logging
import os
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tradingdb.lib.private_files import PrivateFileError, read_private, write_private

logger = logging.getLogger(__name__)

KEY_LENGTH = 32
CHECK_LENGTH = 6
# Two bytes of a ciphertext, and a smallint of the database.
HIGHEST = 32_767
# Of 32 random bytes about 30 differ; fewer than these come from a typist.
LEAST_DIFFERENT = 16
MODE = 0o400


class KeyFileError(Exception):
    """A key file that must not be used; the message is one sentence and says nothing of what is in it."""


class KeyName(NamedTuple):
    """What a ciphertext says of its key: the version, and a check by which another key of that number is told."""

    version: int
    check: bytes

    def __str__(self) -> str:
        return f"{self.version} ({self.check.hex()})"


@dataclass(frozen=True, slots=True)
class FieldKey:
    """One version."""

    version: int
    raw: bytes = field(repr=False)

    @property
    def name(self) -> KeyName:
        """The version with its check, which says nothing of the key."""
        check = hmac.digest(self.raw, b"tradingdb: which key is it", "sha256")[:CHECK_LENGTH]
        return KeyName(self.version, check)


@dataclass(frozen=True, slots=True)
class Keyring:
    """Every version of a file, and the number of the one that encrypts."""

    keys: Mapping[int, FieldKey]
    current_version: int

    @property
    def current(self) -> FieldKey:
        return self.keys[self.current_version]

    def find(self, name: KeyName) -> FieldKey | None:
        """Return the key that a ciphertext names; None when the file lacks it or has another one of that number."""
        key = self.keys.get(name.version)
        return key if key is not None and key.name == name else None

    def staged(self) -> FieldKey | None:
        """Return the newest version that was added after the current one."""
        newest = max(self.keys)
        return self.keys[newest] if newest > self.current_version else None

    def with_new(self) -> "Keyring":
        """Return these with a new version, which nothing is encrypted with yet."""
        version = max(self.keys) + 1
        if version > HIGHEST:
            raise KeyFileError(f"A key file has at most {HIGHEST} versions.")
        new = FieldKey(version, secrets.token_bytes(KEY_LENGTH))
        return Keyring({**self.keys, version: new}, self.current_version)

    def using(self, version: int) -> "Keyring":
        """Return these with another current version."""
        return Keyring(self.keys, self.keys[version].version)

    def without(self, version: int) -> "Keyring":
        """Return these without a version that is not the current one."""
        if version == self.current_version:
            raise KeyFileError(f"Version {version} is the current one.")
        return Keyring({number: key for number, key in self.keys.items() if number != version}, self.current_version)

    def text(self) -> str:
        """Return the file's text."""
        lines = [f"{number} {base64.b64encode(key.raw).decode()}" for number, key in sorted(self.keys.items())]
        return "\n".join(["# Keys of secrets in rows. Keep a copy apart from the database.",
                          f"current {self.current_version}", *lines, ""])  # fmt: skip


def new_keyring() -> Keyring:
    """Return a ring of one new key."""
    return Keyring({1: FieldKey(1, secrets.token_bytes(KEY_LENGTH))}, 1)


def parse(text: str) -> Keyring:
    """Return what a file's text says. Raises KeyFileError, in words that show no part of a key."""
    keys: dict[int, FieldKey] = {}
    current: int | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2 or not (words[0] == "current" or words[0].isdecimal()):
            raise KeyFileError(f"line {number} is neither “current VERSION” nor “VERSION KEY”")
        if words[0] == "current":
            if current is not None or not words[1].isdecimal():
                raise KeyFileError(f"line {number} does not say once which version is current")
            current = int(words[1])
            continue
        key = _key(words[0], words[1], line=number)
        if key.version in keys:
            raise KeyFileError(f"version {key.version} is there twice")
        if any(hmac.compare_digest(key.raw, other.raw) for other in keys.values()):
            raise KeyFileError(f"version {key.version} is the same key as another version")
        keys[key.version] = key
    if not keys:
        raise KeyFileError("it holds no key")
    if current is None:
        raise KeyFileError("no line says which version is current")
    if current not in keys:
        raise KeyFileError(f"version {current} is said to be current and is not there")
    return Keyring(keys, current)


def _key(version: str, text: str, *, line: int) -> FieldKey:
    if not 1 <= int(version[:6]) <= HIGHEST:
        raise KeyFileError(f"line {line}: versions go from 1 to {HIGHEST}")
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise KeyFileError(f"the key of version {version} is not base64") from None
    if len(raw) != KEY_LENGTH:
        raise KeyFileError(f"the key of version {version} has {len(raw)} bytes and not {KEY_LENGTH}")
    if len({*raw}) < LEAST_DIFFERENT:
        raise KeyFileError(f"the key of version {version} is not random")
    return FieldKey(int(version), raw)


def load(path: Path) -> Keyring:
    """Return the keys of a file. Raises KeyFileError."""
    try:
        return parse(read_private(path))
    except PrivateFileError as e:
        raise KeyFileError(f"FIELD_KEY_FILE: {e}.") from e
    except KeyFileError as e:
        raise KeyFileError(f"FIELD_KEY_FILE: {path}: {e}.") from e


def store(path: Path, ring: Keyring) -> None:
    """Write a key file in one step. Raises KeyFileError where it cannot be written."""
    try:
        write_private(path, ring.text(), mode=MODE)
    except OSError as e:
        raise KeyFileError(f"{path} cannot be written ({e.strerror}).") from e


class KeyFile:
    """A key file as a process sees it: read again when it has changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, ...] | None = None
        self._ring: Keyring | None = None

    def ring(self) -> Keyring:
        """Return the keys as they are in the file now. Raises KeyFileError.

        A file that was good and is no more does not stop a process that has its keys: it says so and goes on with them.
        """
        signature = self._signature()
        ring = self._ring
        if ring is not None and signature == self._seen:
            return ring
        with self._lock:
            if self._ring is not None and signature == self._seen:
                return self._ring
            try:
                self._ring = load(self.path)
            except KeyFileError as e:
                if self._ring is None:
                    raise
                logger.error("%s The keys read before stay in use.", e)
            # The state that was looked at before reading: a change in between is seen at the next call.
            self._seen = signature
            return self._ring

    def _signature(self) -> tuple[int, ...]:
        try:
            found = os.stat(self.path)
        except OSError:
            return ()
        return (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)
