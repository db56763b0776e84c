"""Cron expressions: five fields, UTC, and the times they name. No database and no clock.

Celery's crontab reads the fields and knows their ranges; it is lax about what stands around them and takes no 7 for
Sunday, so the text is checked first and weekdays are read here. Times are found by walking the calendar, because
crontab only answers "how long from now" and wants both day fields to match where cron wants either.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import takewhile

from celery.schedules import ParseException, crontab, crontab_parser

MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
WEEKDAYS = "sun|mon|tue|wed|thu|fri|sat"
SUNDAY = 7
MINUTE = timedelta(minutes=1)
ONE_DAY = timedelta(days=1)
# 29 February falls on a given weekday once in 28 years, in 40 across a year such as 2100.
HORIZON = timedelta(days=41 * 366)


def _field(name: str = "") -> str:
    value = f"(?:[0-9]{{1,2}}|{name})" if name else "[0-9]{1,2}"
    part = rf"(?:\*(?:/[0-9]{{1,2}})?|{value}(?:-{value}(?:/[0-9]{{1,2}})?)?)"
    return f"{part}(?:,{part})*"


EXPRESSION = re.compile(" ".join([_field(), _field(), _field(), _field(MONTHS), _field(WEEKDAYS)]))


@dataclass(frozen=True, slots=True)
class Cron:
    """One expression, as the values each field names; months and days count from 1, weekdays from 0 for Sunday."""

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    # Both day fields are limited: a day that either of them names will do, as in every cron.
    either_day: bool

    def next_after(self, moment: datetime) -> datetime:
        """Return the first time after a moment, on a whole UTC minute. Raises ValueError when there is none."""
        for at in self._walk(moment.astimezone(UTC).replace(second=0, microsecond=0) + MINUTE):
            return at
        raise ValueError(f"{self.text!r} never comes.")

    def times(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Return every time from start to end, both included, the oldest first."""
        return takewhile(lambda at: at <= end, self._walk(start.astimezone(UTC)))

    def _walk(self, start: datetime) -> Iterator[datetime]:
        day = last = start.date()
        while day < last + HORIZON:
            if self._names(day):
                for at in self._times(day):
                    if at >= start:
                        last = day
                        yield at
            day += ONE_DAY

    def _names(self, day: date) -> bool:
        by_number, by_weekday = day.day in self.days, day.isoweekday() % SUNDAY in self.weekdays
        is_day = by_number or by_weekday if self.either_day else by_number and by_weekday
        return is_day and day.month in self.months

    def _times(self, day: date) -> Iterator[datetime]:
        for hour in self.hours:
            for minute in self.minutes:
                yield datetime.combine(day, time(hour, minute), tzinfo=UTC)


def cron_read(text: str) -> Cron:
    """Return the times an expression names; blanks and letter case do not matter.

    A range may run over its end (22-2). Where both day fields are limited (neither starts with *), a day that either
    names will do. Raises ValueError, with a message for people, for anything but five fields in their ranges and for
    days that no month has.
    """
    words = text.lower().split()
    normal = " ".join(words)
    if len(words) != 5:
        raise ValueError("Cron has exactly five fields: minute, hour, day of month, month, weekday.")
    if not EXPRESSION.fullmatch(normal):
        raise ValueError(f"{normal!r} is no cron expression.")
    minute, hour, day, month, weekday = words
    try:
        read = crontab(minute=minute, hour=hour, day_of_month=day, month_of_year=month)
        weekdays = frozenset(number % SUNDAY for number in crontab_parser(SUNDAY + 1).parse(weekday))
    except (ValueError, ParseException) as e:
        raise ValueError(f"{normal!r} is no cron expression: {e}") from e
    return Cron(
        text=normal,
        minutes=tuple(sorted(read.minute)),
        hours=tuple(sorted(read.hour)),
        days=frozenset(read.day_of_month),
        months=frozenset(read.month_of_year),
        weekdays=weekdays,
        either_day=not day.startswith("*") and not weekday.startswith("*"),
    )
