"""How values look: digits, signs, times, bodies side by side; nothing a bot sends becomes HTML."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from bots.models import AccountBalance, Bot, Fill, Trade
from tradingdb.lib import display
from tradingdb.lib.units import ACCOUNT, FEE, PRICE, QUANTITY, QUOTE, SHARE, unit_of


def inner(html):
    """Return the text a person sees."""
    text, inside = "", False
    for char in str(html):
        inside = char == "<" or (inside and char != ">")
        text += char if not inside and char != ">" else ""
    return text


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("16191.000000000000000000", "16,191"),
        ("1234567.891", "1,234,567.9"),
        ("43123.123456789", "43,123.123"),
        ("0.00001234", "0.00001234"),
        ("0.000012345678912", "0.000012345679"),
        ("-0.5", "-0.5"),
        ("0", "0"),
        ("-0.000", "0"),
        ("0E-18", "0"),
        ("1E+3", "1,000"),
        ("99999999999999999999.5", "100,000,000,000,000,000,000"),
    ],
)
def test_number_shows_eight_digits_without_padding(value, seen):
    assert inner(display.number(Decimal(value))) == seen


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("1234.567", "1,234.57"),
        ("12.5", "12.5"),
        ("12.345", "12.34"),
        ("0.051234", "0.0512"),
        ("0.000001", "0.000001"),
        ("0.004", "0.004"),
    ],
)
def test_money_shows_cents_and_never_rounds_something_to_nothing(value, seen):
    assert inner(display.money(Decimal(value))) == seen


def test_the_title_has_every_digit():
    html = display.number(Decimal("43123.123456789123456789"), unit="USDT")

    assert 'title="43123.123456789123456789 USDT"' in html
    assert inner(html) == "43,123.123 USDT"


@pytest.mark.parametrize(
    ("value", "seen", "tone"),
    [("12.345", "▲+12.34", "up"), ("-12.345", "▼-12.34", "down"), ("0", "0", "flat"), ("-0.001", "▼-0.001", "down")],
)
def test_gain_and_loss_carry_sign_arrow_and_tone(value, seen, tone):
    html = display.pnl(Decimal(value))

    assert inner(html) == seen
    assert f"pnl-{tone}" in html


@pytest.mark.parametrize(
    "show", [display.number, display.money, display.pnl, display.share, display.moment, display.day]
)
def test_unknown_is_a_dash_and_never_zero(show):
    assert inner(show(None)) == display.DASH


def test_share_is_percent_with_the_fraction_behind():
    assert inner(display.share(Decimal("0.051234"))) == "5.12 %"
    assert 'title="0.051234 as a fraction"' in display.share(Decimal("0.051234"))
    assert inner(display.share(Decimal("-0.0512"), signed=True)) == "▼-5.12 %"
    assert inner(display.share(Decimal("0.00001234"))) == "0.001 %"


def test_time_is_utc_with_z_whatever_zone_it_came_in():
    came = datetime(2026, 11, 20, 12, 45, 3, 120000, tzinfo=timezone(timedelta(hours=5)))

    html = display.moment(came)

    assert inner(html) == "2026-11-20 07:45:03Z"
    assert 'datetime="2026-11-20T07:45:03.120000Z"' in html
    assert inner(display.day(date(2026, 11, 20))) == "2026-11-20"


@pytest.mark.parametrize(
    ("seconds", "seen"), [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (7199, "1 h"), (86400 * 3, "3 d")]
)
def test_age_is_said_in_one_unit(seconds, seen):
    assert display.age(timedelta(seconds=seconds)) == seen


def test_badge_always_has_its_word():
    assert inner(display.badge("partially_filled")) == "partially filled"
    assert "badge-alarm" in display.badge("live")
    assert "badge-neutral" in display.badge("never heard of")
    assert inner(display.badge("")) == display.DASH


EVIL = '<img src=x onerror="alert(1)">'


@pytest.mark.parametrize(
    "html",
    [
        display.text(EVIL), display.badge(EVIL), display.identifier(EVIL), display.body({EVIL: EVIL}),
        display.block(EVIL), display.flags([EVIL]), display.explained(EVIL, EVIL),
        display.number(Decimal(1), unit=EVIL),
        display.side_by_side({EVIL: EVIL}, {EVIL: "x"}, titles=(EVIL, EVIL)),
    ],
)  # fmt: skip
def test_what_a_bot_sends_stays_text(html):
    assert "<img" not in html
    assert "&lt;img" in html


def test_side_by_side_compares_meaning_and_marks_differences():
    left = {"price": "1.0", "side": "buy", "deep": {"a": 1, "b": [1, 2]}, "gone": None}
    right = {"price": "1.00", "side": "sell", "deep": {"a": 1, "b": [1, 3]}}

    assert display.differences(left, right) == ["side", "deep.b", "gone"]
    assert display.side_by_side(left, right, titles=("a", "b")).count('<tr class="differs">') == 3


def test_side_by_side_takes_any_json():
    assert inner(display.side_by_side(None, None, titles=("a", "b"))) == display.DASH
    assert inner(display.side_by_side({}, {}, titles=("a", "b"))) == display.DASH
    assert "[1]" in display.side_by_side([1], {"x": 1}, titles=("a", "b"))


def test_token_state_looks_at_revocation_first():
    now = datetime(2026, 11, 20, tzinfo=UTC)
    hour = timedelta(hours=1)

    assert inner(display.token_state(revoked_at=None, expires_at=now + hour, now=now)) == "usable"
    assert inner(display.token_state(revoked_at=None, expires_at=now, now=now)) == "expired"
    assert inner(display.token_state(revoked_at=now, expires_at=now - hour, now=now)) == "revoked"


@pytest.mark.parametrize(
    ("model", "column", "unit"),
    [
        (Trade, "entry_price", PRICE),
        (Trade, "quantity", QUANTITY),
        (Trade, "pnl_usd", QUOTE),
        (Trade, "pnl_pct", SHARE),
        (Fill, "fee", FEE),
        (Fill, "fee_quote", QUOTE),
        (Bot, "total_pnl", ACCOUNT),
        (AccountBalance, "unrealized_pnl", ACCOUNT),
        (Bot, "bot_name", None),
        (Bot, "error_count", None),
    ],
)
def test_unit_follows_from_name_and_table(model, column, unit):
    assert unit_of(model._meta.get_field(column)) is unit
