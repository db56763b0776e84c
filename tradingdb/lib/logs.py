"""What is written down about what happens: in UTC, one line each, and without a secret.

A secret is known by its form (tokens, Authorization, passwords in addresses, keys in PEM), by the name beside it, or by
being one of this instance's own. Who writes free text into a table cleans it here as well.
"""

import logging
import re
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings

GONE = "***"
TOKEN = re.compile(r"(tdb_(?:live|demo|staff)_[A-Za-z0-9]{12}\.)[A-Za-z0-9_-]+")
BEARER = re.compile(r"((?:Bearer|Basic)\s{1,9})[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
URL_PASSWORD = re.compile(r"(\w://[^:/@\s]*:)[^@/\s]+(@)")
PEM = re.compile(r"(-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----).*?(-----END|\Z)", re.DOTALL)
# PostgreSQL tells a row that breaks a rule whole, up to a bracket and a point at the end of a line.
FAILING_ROW = re.compile(r"(Failing row contains \().*?(\)\.[ \t]*(?=\n|\Z)|\Z)", re.DOTALL)
# A header with all that follows it, in a line, a dict or a pair.
HEADER = re.compile(
    r"""(?ix) (\b(?:proxy-)?(?:authorization|cookie|set-cookie)\b ['"]? \s{0,9}[:=,]\s{0,9} \[? (?:b(?=["']))?)
    ("[^"\n]*" | '[^'\n]*' | [^\n]+)"""
)
WORD = (
    r"(?:password|passwd|passphrase|secret|api[-_]?key|private[-_]?key|session[-_]?(?:id|key)|csrf\w{0,20}token|totp"
    r"|(?<![a-z])token)"
)
NAME = re.compile(rf"(?:[a-z0-9]+[-_])*{WORD}(?:[-_](?:encrypted|hash|digest|value|raw|file))?\d?", re.IGNORECASE)
# The name's end, with what stands between it and the value in a line, JSON, a dict, a query string or PostgreSQL's
# detail. Everything is bounded: the texts come from anybody.
NAMED = re.compile(
    rf"""(?ix) ({WORD}[\w-]{{0,40}} ["')\]]{{0,3}} \s{{0,9}}[:=]\s{{0,9}} [\[(]{{0,3}} (?:b(?=["']))?)
    ("(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' | [^\s,;&)}}\]"']+)"""
)
# Shorter ones of the instance would blot out words.
SHORTEST = 8
SHORTEST_KEY = 32


def redact(text: str) -> str:
    """Return the text with every secret blotted out."""
    own = _own(*_configured())
    if own is not None:
        text = own.sub(GONE, text)
    text = TOKEN.sub(rf"\1{GONE}", text)
    text = PEM.sub(rf"\1{GONE}\2", text)
    text = URL_PASSWORD.sub(rf"\1{GONE}\2", text)
    text = FAILING_ROW.sub(rf"\1{GONE}\2", text)
    text = HEADER.sub(_blot, text)
    text = BEARER.sub(rf"\1{GONE}", text)
    return NAMED.sub(_blot, text)


def scrub(value: Any) -> Any:
    """Return JSON-safe data with its texts cleaned; what a secret's name holds is gone, whatever it looks like."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {
            key: GONE if isinstance(key, str) and isinstance(one, str) and one and NAME.fullmatch(key) else scrub(one)
            for key, one in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [scrub(one) for one in value]
    return value


def _blot(match: re.Match[str]) -> str:
    """Blot out a value and keep its quotes; the name of a token, which may be shown, stays."""
    name, value = match[1], match[2]
    if GONE in value and TOKEN.search(value):
        return match[0]
    quote = value[0] if value[0] in "\"'" else ""
    return f"{name}{quote}{GONE}{quote}"


def _configured() -> tuple[str, ...]:
    """Return the settings that are or hold secrets; none while they are being read."""
    if not settings.configured:
        return ()
    names = ("SECRET_KEY", "FIELD_KEY_FILE", "AUDIT_KEY_FILE", "DATABASE_URL", "BOT_DATABASE_URL", "REDIS_URL")
    return tuple(str(getattr(settings, name, "") or "") for name in names)


@lru_cache(maxsize=4)
def _own(*values: str) -> re.Pattern[str] | None:
    secrets: set[str] = set()
    for value in values:
        if value.startswith("/"):
            secrets |= _keys_in(Path(value))
            continue
        if "://" not in value:
            secrets.add(value)
            continue
        try:
            password = urlsplit(value).password or ""
        except ValueError:
            continue
        secrets |= {password, unquote(password)}
    found = sorted((one for one in secrets if len(one) >= SHORTEST), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, found))) if found else None


def _keys_in(file: Path) -> set[str]:
    """Return the long words of a key file, as it is when a process first logs."""
    try:
        return {word for word in file.read_text().split() if len(word) >= SHORTEST_KEY}
    except (OSError, ValueError):
        return set()


class UtcFormatter(logging.Formatter):
    """ISO time in UTC. What somebody sent cannot look like a line of its own, and no secret is in any line."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03d"

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        record.message = record.message.replace("\r", "\\r").replace("\n", "\\n")
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 (logging's name)
        return "\n".join(f"  {line}" for line in super().formatException(ei).splitlines())
