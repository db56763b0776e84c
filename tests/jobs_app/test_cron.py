"""Cron expressions: what is refused, the times that are named, and Celery's own answer beside ours."""

import random
from datetime import UTC, timedelta
from itertools import islice

import pytest
from celery.schedules import crontab

from jobs.cron import cron_read
from tests.factories import utc

# A Friday.
NOW = utc("2026-11-20 12:00:30")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* * * * *", "2026-11-20 12:01"),
        ("0 12 * * *", "2026-11-21 12:00"),
        ("*/5 * * * *", "2026-11-20 12:05"),
        ("59 23 31 12 *", "2026-12-31 23:59"),
        ("0 22-2 * * *", "2026-11-20 22:00"),
        ("0 0 1 jan *", "2027-01-01 00:00"),
        ("0 0 29 2 *", "2028-02-29 00:00"),
        ("  0   9  * * MON-FRI ", "2026-11-23 09:00"),
        # Sunday is 0 and 7, Monday is 1: no Monday is skipped and none is taken for a Tuesday.
        ("0 9 * * 0", "2026-11-22 09:00"),
        ("0 9 * * 7", "2026-11-22 09:00"),
        ("0 9 * * 1", "2026-11-23 09:00"),
        ("0 9 * * 6", "2026-11-21 09:00"),
        ("0 9 * * 6-7", "2026-11-21 09:00"),
        ("0 13 * * 5-7", "2026-11-20 13:00"),
        ("0 9 * * sat-mon", "2026-11-21 09:00"),
        # Either day: the 1st, or any Monday.
        ("0 9 1 * 1", "2026-11-23 09:00"),
        # A field that starts with * is no limit: every second day that is a Monday.
        ("0 9 */2 * 1", "2026-11-23 09:00"),
        ("0 0 29 2 */6", "2032-02-29 00:00"),
    ],
)
def test_next_time_is_the_first_one_after_the_moment(text, expected):
    assert cron_read(text).next_after(NOW) == utc(expected)


@pytest.mark.parametrize(
    "text",
    [
        "", "* * * *", "* * * * * *", "@daily", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *",
        "* * * 0 *", "* * * * 8", "*/0 * * * *", "-1 * * * *", "0/15 * * * *", "1-5-9 * * * *", "*/5/2 * * * *",
        "sat * * * *", "0 0 * mon *", "0 0 * * jan", "0 0 L * *", "0 0 31 2 *", "0 0 30,31 2 *", "1, * * * *",
        "a b c d e", "* * * * *; rm", "5 4 * * sun\x00", "\u0665 * * * *",
    ],
)  # fmt: skip
def test_what_is_no_cron_expression_is_refused(text):
    with pytest.raises(ValueError, match=r"[Cc]ron"):
        cron_read(text)


def test_times_are_all_of_them_with_both_ends():
    cron = cron_read("*/20 9 * * *")

    times = list(cron.times(utc("2026-11-20 09:20"), utc("2026-11-21 09:00")))

    assert times == [utc("2026-11-20 09:20"), utc("2026-11-20 09:40"), utc("2026-11-21 09:00")]
    assert list(cron.times(utc("2026-11-20 09:20:01"), utc("2026-11-20 09:39:59"))) == []


@pytest.mark.parametrize(("left", "right"), [("0 9 * * 0", "0 9 * * 7"), ("0 9 * * 5-7", "0 9 * * fri,sat,sun")])
def test_both_ways_to_write_sunday_name_the_same_times(left, right):
    far = utc("2030-01-01")

    assert list(islice(cron_read(left).times(NOW, far), 100)) == list(islice(cron_read(right).times(NOW, far), 100))


def _field(low: int, high: int, dice: random.Random) -> str:
    first, last = sorted((dice.randint(low, high), dice.randint(low, high)))
    some = [str(dice.randint(low, high)) for _ in range(dice.randint(1, 3))]
    return dice.choice(["*", "*", f"*/{dice.randint(1, 9)}", f"{first}-{last}", f"{first}-{last}/2", ",".join(some)])


def test_times_are_those_that_celery_finds():
    """Where at most one day field is limited; where both are, Celery wants both and cron wants either."""
    dice, compared = random.Random(7), 0
    while compared < 300:
        minute, hour, month = _field(0, 59, dice), _field(0, 23, dice), _field(1, 12, dice)
        day, weekday = dice.choice([("*", _field(0, 6, dice)), (_field(1, 28, dice), "*")])
        text = f"{minute} {hour} {day} {month} {weekday}"
        moment = utc("2026-01-01") + timedelta(seconds=dice.randrange(900 * 86400))

        last, step, _ = crontab.from_string(text).remaining_delta(moment, tz=UTC)

        assert cron_read(text).next_after(moment) == last + step, (text, moment)
        compared += 1
