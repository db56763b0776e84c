"""Secrets in rows: AES-256-GCM, bound to where they stand, so that a ciphertext moved to another row does not open."""

import base64
import binascii
import secrets
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

# The first byte of a ciphertext says which key made it.
CURRENT_KEY = 1
NONCE = 12


class Undecryptable(Exception):
    """A ciphertext that this key, or this place, did not make."""


@lru_cache(maxsize=4)
def _cipher(key: str) -> AESGCM:
    try:
        raw = base64.b64decode(key, validate=True)
    except binascii.Error as e:
        raise ImproperlyConfigured("FIELD_KEY_FILE does not hold base64.") from e
    if len(raw) != 32:
        raise ImproperlyConfigured("FIELD_KEY_FILE must hold 32 bytes as base64.")
    return AESGCM(raw)


def _key() -> AESGCM:
    if not settings.FIELD_KEY:
        raise ImproperlyConfigured("FIELD_KEY_FILE is not set: secrets in rows have no key.")
    return _cipher(settings.FIELD_KEY)


def encrypt(plaintext: bytes, *, context: str) -> bytes:
    """Return key number, nonce and ciphertext; `context` is table|row|column and must be given again to decrypt."""
    nonce = secrets.token_bytes(NONCE)
    return bytes([CURRENT_KEY]) + nonce + _key().encrypt(nonce, plaintext, context.encode())


def decrypt(ciphertext: bytes, *, context: str) -> bytes:
    """Return the plaintext. Raises Undecryptable for another key, another place or a changed byte."""
    if len(ciphertext) <= NONCE or ciphertext[0] != CURRENT_KEY:
        raise Undecryptable("This was encrypted with a key that is not here.")
    try:
        return _key().decrypt(ciphertext[1 : 1 + NONCE], ciphertext[1 + NONCE :], context.encode())
    except InvalidTag as e:
        raise Undecryptable("The ciphertext does not belong here, or was changed.") from e
