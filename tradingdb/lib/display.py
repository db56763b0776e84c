"""How values look on the admin's pages: numbers, money, times, states, bodies side by side. HTML out, no database."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString

DASH = "\N{EN DASH}"
UNKNOWN = format_html('<span class="unknown" title="not known">{}</span>', DASH)
# Wide enough for numeric(76,36).
WIDE = Context(prec=120, rounding=ROUND_HALF_EVEN)
PRICE_DIGITS = 8

TONES = {
    "ok": ("active", "up", "filled", "resolved", "applied", "winner", "yes"),
    "warn": ("paused", "late", "expired", "investigating", "parked", "reducing", "demo", "warning", "loser"),
    "bad": ("down", "rejected", "failed", "liquidated", "halted", "error", "open case"),
    "alarm": ("live", "critical"),
    "info": ("new", "partially_filled", "submitted", "triggered", "info", "open", "partially_closed"),
    "long": ("long", "buy", "close_short"),
    "short": ("short", "sell", "close_long"),
}
TONE_OF = {word: tone for tone, words in TONES.items() for word in words}


def group_digits(value: Decimal) -> str:
    """Return a decimal with thousands separators and without trailing zeros: 16191.00000000 is 16,191."""
    text = f"{value:,f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def rounded(value: Decimal, *, places: int) -> Decimal:
    """Return the value cut for reading; at least one digit that is not zero stays."""
    if not value:
        return Decimal(0)
    least = -value.adjusted()
    return value.quantize(Decimal(1).scaleb(-max(places, least)), context=WIDE)


def price_places(value: Decimal) -> int:
    """How many places a price or quantity shows: eight significant digits."""
    return max(0, PRICE_DIGITS - 1 - value.adjusted()) if value else 0


def money_places(value: Decimal) -> int:
    """How many places money shows: two, or three significant digits below one."""
    return 2 if value.adjusted() >= 0 else 2 - value.adjusted()


def number(value: Decimal | int | float | None, *, places: int | None = None, unit: str = "") -> SafeString:
    """Return a number for a right-aligned column; the full value stands in its title."""
    if value is None:
        return UNKNOWN
    exact = value if isinstance(value, Decimal) else Decimal(str(value))
    shown = rounded(exact, places=price_places(exact) if places is None else places)
    return _figure(group_digits(shown), title=_full(exact, unit), unit=unit)


def money(value: Decimal | None, *, unit: str = "") -> SafeString:
    """Return an amount of money."""
    return UNKNOWN if value is None else number(value, places=money_places(value), unit=unit)


def pnl(value: Decimal | None, *, unit: str = "") -> SafeString:
    """Return a gain or loss: sign, arrow and colour, so that none of them carries the meaning alone."""
    if value is None:
        return UNKNOWN
    text = group_digits(rounded(abs(value), places=money_places(value)))
    return _signed(value, text, title=_full(value, unit), unit=unit)


def share(value: Decimal | None, *, signed: bool = False) -> SafeString:
    """Return a fraction as percent; the title has the fraction itself."""
    if value is None:
        return UNKNOWN
    percent = value * 100
    text = group_digits(rounded(abs(percent) if signed else percent, places=2))
    title = f"{plain(value)} as a fraction"
    return _signed(value, text, title=title, unit="%") if signed else _figure(text, title=title, unit="%")


def unlimited() -> SafeString:
    """Return the sign of a ratio that has no bound."""
    return SafeString('<span class="num" title="no losses, so it has no bound">∞</span>')


def plain(value: Decimal) -> str:
    """Return every digit, without exponent and trailing zeros."""
    return group_digits(value).replace(",", "")


def _full(value: Decimal, unit: str) -> str:
    return f"{plain(value)} {unit}".strip()


def _figure(text: str, *, title: str, unit: str) -> SafeString:
    tail = format_html(' <span class="unit">{}</span>', unit) if unit else ""
    return format_html('<span class="num" title="{}">{}{}</span>', title, text, tail)


def _signed(value: Decimal, text: str, *, title: str, unit: str) -> SafeString:
    tone, arrow, sign = ("up", "▲", "+") if value > 0 else ("down", "▼", "-") if value < 0 else ("flat", "", "")
    tail = format_html(' <span class="unit">{}</span>', unit) if unit else ""
    return format_html(
        '<span class="num pnl pnl-{}" title="{}"><span class="arrow" aria-hidden="true">{}</span>{}{}{}</span>',
        tone, title, arrow, sign, text, tail,
    )  # fmt: skip


def moment(value: datetime | None) -> SafeString:
    """Return a time in UTC, ISO with Z; the page's script adds the reader's own time to the title."""
    if value is None:
        return UNKNOWN
    utc = value.astimezone(UTC)
    return format_html(
        '<time class="moment" datetime="{}" title="{}">{}</time>',
        utc.isoformat().replace("+00:00", "Z"),
        utc.isoformat(" ").replace("+00:00", "Z"),
        f"{utc:%Y-%m-%d %H:%M:%S}Z",
    )


def day(value: date | None) -> SafeString:
    """Return a UTC day."""
    if value is None:
        return UNKNOWN
    return format_html('<time class="moment" datetime="{}" title="UTC day">{}</time>', value, value)


def age(span: timedelta) -> str:
    """Return how long ago, in one unit: 8 s, 3 min, 5 h, 12 d."""
    seconds = max(0, int(span.total_seconds()))
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {name}"
    return f"{seconds} s"


def badge(word: str | None, *, label: str = "", tone: str = "") -> SafeString:
    """Return a state as a labelled badge; the word is always there, the tone only helps."""
    if not word:
        return UNKNOWN
    name = tone or TONE_OF.get(word.lower(), "neutral")
    return format_html('<span class="badge badge-{}">{}</span>', name, label or word.replace("_", " "))


def token_state(*, revoked_at: datetime | None, expires_at: datetime, now: datetime) -> SafeString:
    """Return what an API token is good for."""
    if revoked_at is not None:
        return badge("revoked", tone="neutral")
    return badge("expired") if now >= expires_at else badge("usable", tone="ok")


def flags(words: Sequence[str] | None) -> SafeString:
    """Return a list of flags as badges."""
    if not words:
        return UNKNOWN
    return format_html_join(" ", "{}", ((badge(word, tone="warn"),) for word in words))


def address(view: str, *args: Any, **query: str) -> str:
    """Return the address of a page of the admin, with a query string."""
    return reverse(f"admin:{view}", args=args) + (f"?{urlencode(query)}" if query else "")


def link(label: Any, view: str, *args: Any, **query: str) -> SafeString:
    """Return a link to a page of the admin."""
    return format_html('<a class="ref" href="{}">{}</a>', address(view, *args, **query), label)


def body(value: Any) -> SafeString:
    """Return JSON as an indented block."""
    if value is None or value == {} or value == []:
        return UNKNOWN
    return format_html('<pre class="json">{}</pre>', json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True))


def block(value: str | None) -> SafeString:
    """Return longer text as it was written, line by line."""
    return format_html('<pre class="json">{}</pre>', value) if value else UNKNOWN


def text(value: Any) -> SafeString:
    """Return any other value, escaped; nothing becomes a dash."""
    return UNKNOWN if value is None or value == "" else format_html('<span class="text" title="{0}">{0}</span>', value)


def identifier(value: str | None) -> SafeString:
    """Return an id for a list: the style sheet cuts a long one short, the title has it whole."""
    return format_html('<span class="id" title="{0}">{0}</span>', value) if value else UNKNOWN


def explained(value: Any, help_text: str) -> SafeString:
    """Return a value with a mark that explains it on hover."""
    if not help_text:
        return value if isinstance(value, SafeString) else text(value)
    mark = format_html('<span class="hint" role="img" title="{0}" aria-label="{0}">?</span>', help_text)
    return format_html("{} {}", value, mark)


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return a body as dotted names and leaf values."""
    if not isinstance(value, Mapping) or (prefix and not value):
        return {prefix or "value": value}
    leaves: dict[str, Any] = {}
    for key, inner in value.items():
        leaves.update(flatten(inner, f"{prefix}.{key}" if prefix else str(key)))
    return leaves


def same(left: Any, right: Any) -> bool:
    """Whether two leaves mean the same: "1.0" is "1.00"."""
    if left == right:
        return True
    try:
        return isinstance(left, str) and isinstance(right, str) and Decimal(left) == Decimal(right)
    except InvalidOperation:
        return False


def differences(left: Any, right: Any) -> list[str]:
    """Return the dotted names in which two bodies differ."""
    one, other = flatten(left), flatten(right)
    names = dict.fromkeys([*one, *other])
    return [name for name in names if name not in one or name not in other or not same(one[name], other[name])]


def side_by_side(
    left: Any, right: Any, *, titles: tuple[str, str], with_difference: bool = False, absent_differs: bool = True
) -> SafeString:
    """Return two bodies as a table, one line a field; fields that differ are marked with a sign and a colour.

    `with_difference` adds by how much the right one is larger, to the last digit. absent_differs: whether a field that
    only one of them has is a difference.
    """
    left, right = ({} if side is None else side for side in (left, right))
    one, other = flatten(left), flatten(right)
    names = list(dict.fromkeys([*one, *other]))
    if not names:
        return UNKNOWN
    differing = {name for name in differences(left, right) if absent_differs or (name in one and name in other)}
    lines = []
    for name in names:
        row_class, mark = ("differs", "≠") if name in differing else ("", "")
        cells = (_leaf(one, name), _leaf(other, name))
        more = format_html("<td>{}</td>", _more(one.get(name), other.get(name))) if with_difference else ""
        lines.append((format_html('<tr class="{}">', row_class), name, mark, *cells, more))
    rows = format_html_join("", '{}<th scope="row">{}</th><td class="mark">{}</td><td>{}</td><td>{}</td>{}</tr>', lines)
    last = SafeString("<th>Difference</th>") if with_difference else ""
    return format_html(
        '<table class="bodies"><thead><tr><th>Field</th><th></th><th>{}</th><th>{}</th>{}</tr></thead>'
        "<tbody>{}</tbody></table>",
        *titles,
        last,
        rows,
    )


def _more(left: Any, right: Any) -> str:
    """Return by how much the right one of two decimals is larger; nothing for other values, or when they are equal."""
    if not isinstance(left, str) or not isinstance(right, str):
        return ""
    try:
        more = WIDE.subtract(Decimal(right), Decimal(left))
    except InvalidOperation:
        return ""
    return f"{'+' if more > 0 else ''}{plain(more)}" if more else ""


def _leaf(leaves: Mapping[str, Any], name: str) -> SafeString:
    if name not in leaves:
        return SafeString('<span class="unknown">absent</span>')
    value = leaves[name]
    if isinstance(value, Decimal):
        return conditional_escape(plain(value))
    return conditional_escape(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))
