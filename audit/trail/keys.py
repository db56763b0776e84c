"""The key that signs seals: a file that the database does not have, and the public keys that are believed."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


@dataclass(frozen=True, slots=True)
class SealKey:
    """The private key. `name` is the beginning of its public key's hash."""

    private: Ed25519PrivateKey = field(repr=False)
    name: str

    def sign(self, message: bytes) -> bytes:
        """Return the signature over a message."""
        return self.private.sign(message)


def name_of(public: Ed25519PublicKey) -> str:
    """Return the name of a key."""
    return sha256(public.public_bytes_raw()).hexdigest()[:16]


def seal_key() -> SealKey | None:
    """Return the key of AUDIT_KEY_FILE; None where there is none. Raises ImproperlyConfigured for a bad file."""
    path = settings.AUDIT_KEY_FILE
    if path is None:
        return None
    try:
        seed = base64.b64decode(path.read_text().strip(), validate=True)
        private = Ed25519PrivateKey.from_private_bytes(seed)
    except (OSError, binascii.Error, ValueError) as e:
        raise ImproperlyConfigured(f"AUDIT_KEY_FILE: {path} holds no key of 32 bytes in base64.") from e
    return SealKey(private, name_of(private.public_key()))


def public_keys() -> dict[str, Ed25519PublicKey]:
    """Return the keys whose signatures are believed, by name: that of the file, and those of AUDIT_PUBLIC_KEYS."""
    found = {}
    key = seal_key()
    if key is not None:
        found[key.name] = key.private.public_key()
    for text in settings.AUDIT_PUBLIC_KEYS:
        try:
            public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
        except ValueError as e:
            raise ImproperlyConfigured("AUDIT_PUBLIC_KEYS: each is a public key as 64 hexadecimal digits.") from e
        found[name_of(public)] = public
    return found


def is_signed(keys: Mapping[str, Ed25519PublicKey], name: str, signature: bytes, message: bytes) -> bool:
    """Whether a signature is by a key that is believed."""
    public = keys.get(name)
    if public is None:
        return False
    try:
        public.verify(signature, message)
    except InvalidSignature:
        return False
    return True
