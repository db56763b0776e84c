"""Log formatting: UTC stamps, and no secret in any line."""

import logging
import re
import time

TOKEN = re.compile(r"(tdb_(?:live|demo|staff)_[A-Za-z0-9]{12}\.)[A-Za-z0-9_-]+")
BEARER = re.compile(r"((?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
URL_PASSWORD = re.compile(r"(\w+://[^:/@\s]*:)[^@/\s]+(@)")


def redact(text: str) -> str:
    """Return the text with tokens, Authorization values and passwords in URLs blotted out."""
    text = TOKEN.sub(r"\1***", text)
    text = BEARER.sub(r"\1***", text)
    return URL_PASSWORD.sub(r"\1***\2", text)


class RedactSecrets(logging.Filter):
    """Blot out secrets in the message; the traceback is cleaned by the formatter."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), None
        return True


class UtcFormatter(logging.Formatter):
    """ISO time in UTC; secrets are removed from tracebacks too."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03d"

    def formatException(self, ei: object) -> str:  # noqa: N802 (logging's name)
        return redact(super().formatException(ei))  # type: ignore[arg-type]
