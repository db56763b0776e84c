"""Times at the door: RFC 3339 text with an offset becomes an aware UTC datetime, everything else is refused."""

import re
from datetime import UTC, datetime, timedelta

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
# How far a bot's clock may be ahead of ours.
CLOCK_TOLERANCE = timedelta(minutes=5)
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6}0*)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_LONG_FRACTION = re.compile(r"(\.[0-9]{6})0+")
MAX_LENGTH = 64


def parse_utc(text: str) -> datetime:
    """Return the moment that RFC 3339 text with an offset names, in UTC.

    Raises ValueError, with a message for the sender, for other text, for years before 2000 or from 2100, and for
    fractions of a second beyond microseconds, which the database would cut.
    """
    if len(text) > MAX_LENGTH or not _RFC3339.fullmatch(text):
        raise ValueError("must be an RFC 3339 time with an offset and at most microseconds, e.g. 2026-11-20T09:30:00Z")
    try:
        moment = datetime.fromisoformat(_LONG_FRACTION.sub(r"\1", text).upper())
    except ValueError as e:
        raise ValueError("is not a date and time that exists") from e
    return to_utc(moment)


def to_utc(moment: datetime) -> datetime:
    """Return an aware moment in UTC; raise ValueError for a naive one or one before 2000 or from 2100."""
    if moment.utcoffset() is None:
        raise ValueError("must have an offset from UTC")
    # Compared before the conversion, which would overflow at the ends of the calendar.
    if not EARLIEST <= moment < LATEST:
        raise ValueError("must lie between the years 2000 and 2100")
    return moment.astimezone(UTC)


def refuse_future(moment: datetime, now: datetime) -> datetime:
    """Return the moment of a fact; raise ValueError when it lies more than 5 minutes ahead of `now`."""
    if moment > now + CLOCK_TOLERANCE:
        raise ValueError("must not lie more than 5 minutes in the future")
    return moment
