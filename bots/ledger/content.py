"""The meaning of a body, as a hash: two bodies that mean the same have the same hash, whatever their bytes."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from bots.ledger.shapes import plain, stamp


def canonical(value: Any) -> str:
    """Return a decimal or a time as it is written inside a body."""
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return stamp(value)
    raise TypeError(f"{type(value).__name__} has no canonical form")


def canonical_json(body: Mapping[str, Any]) -> str:
    """Return the body as JSON with sorted keys, plain decimals and UTC times; "1.0" equals "1.00"."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=canonical)


def content_hash(body: Mapping[str, Any]) -> bytes:
    """Return the 16-byte BLAKE2b hash of the canonical form of a validated body, defaults included."""
    return hashlib.blake2b(canonical_json(body).encode(), digest_size=16).digest()
