"""Secrets in rows: AES-256-GCM, bound to table, row and column: a ciphertext that is moved elsewhere does not open.

A ciphertext is: one byte for this form, two for the version of the key, six by which that key is told from another of
the same number, twelve of nonce, then what AES-GCM made. All of it, and the place, is authenticated.
"""

import secrets
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from tradingdb.lib.errors import DomainError
from tradingdb.lib.keyring import CHECK_LENGTH, KeyFile, KeyFileError, KeyName, Keyring

FORM = 1
HEADER = 3 + CHECK_LENGTH
NONCE = 12
TAG = 16


class Undecryptable(DomainError):
    """A ciphertext that was changed, or that does not belong where it stands."""

    code = "undecryptable"
    http_status = 500


class KeyMissing(Undecryptable):
    """A ciphertext whose key is not in the key file."""

    code = "key_missing"


class Place(NamedTuple):
    """Where a secret stands."""

    table: str
    row: int
    column: str

    def bound(self, header: bytes) -> bytes:
        """Return what is authenticated with the secret."""
        if "|" in self.table or "|" in self.column:
            raise ValueError("No table and no column has | in its name.")
        return header + f"{self.table}|{self.row:d}|{self.column}".encode()

    def __str__(self) -> str:
        return f"{self.table} {self.row} {self.column}"


@lru_cache(maxsize=4)
def _file(path: Path) -> KeyFile:
    return KeyFile(path)


def keyring() -> Keyring:
    """Return the keys of FIELD_KEY_FILE as they are now. Raises ImproperlyConfigured for none or a bad file."""
    if settings.FIELD_KEY_FILE is None:
        raise ImproperlyConfigured("FIELD_KEY_FILE is not set: secrets in rows have no key.")
    try:
        return _file(settings.FIELD_KEY_FILE).ring()
    except KeyFileError as e:
        raise ImproperlyConfigured(str(e)) from e


def header_of(name: KeyName) -> bytes:
    """Return how ciphertexts of a key begin."""
    return bytes([FORM]) + name.version.to_bytes(2, "big") + name.check


def key_of(ciphertext: bytes) -> KeyName | None:
    """Return the key that a ciphertext, or its beginning, names; None for what is no ciphertext of ours."""
    if len(ciphertext) < HEADER or ciphertext[0] != FORM:
        return None
    return KeyName(int.from_bytes(ciphertext[1:3], "big"), ciphertext[3:HEADER])


def encrypt(plaintext: bytes, *, at: Place, ring: Keyring | None = None) -> bytes:
    """Return the ciphertext for one place, under the current key."""
    key = (ring or keyring()).current
    header, nonce = header_of(key.name), secrets.token_bytes(NONCE)
    return header + nonce + AESGCM(key.raw).encrypt(nonce, plaintext, at.bound(header))


def decrypt(ciphertext: bytes, *, at: Place, ring: Keyring | None = None) -> bytes:
    """Return the plaintext. Raises KeyMissing, and Undecryptable for another place or a changed byte."""
    name = key_of(ciphertext)
    if name is None or len(ciphertext) < HEADER + NONCE + TAG:
        raise Undecryptable(f"{at} holds no ciphertext.", place=str(at))
    key = (ring or keyring()).find(name)
    if key is None:
        raise KeyMissing(f"{at} needs key {name}, which is not in FIELD_KEY_FILE.", place=str(at))
    header, nonce, body = ciphertext[:HEADER], ciphertext[HEADER : HEADER + NONCE], ciphertext[HEADER + NONCE :]
    try:
        return AESGCM(key.raw).decrypt(nonce, body, at.bound(header))
    except InvalidTag:
        raise Undecryptable(f"{at} was changed, or put there from elsewhere.", place=str(at)) from None
