"""The page around the live figures: who gets it, and what its rules allow."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from bots.api import dashboard
from bots.live.series import SeriesName, candle_series
from marketdata.models import Candle
from tests.factories import NOON, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def page() -> Any:
    client = Client()
    client.force_login(UserFactory(role="viewer"))
    return client.get("/")


class Elements(HTMLParser):
    """Collects the start tags of a page and the text inside scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_a_stranger_is_sent_to_the_login() -> None:
    answer = Client().get("/?bot=alpha")

    assert (answer.status_code, answer["Location"]) == (302, "/account/login/?next=/%3Fbot%3Dalpha")


@pytest.mark.parametrize("role", ["viewer", "trader", "admin"])
def test_every_role_may_look(role: str) -> None:
    client = Client()
    client.force_login(UserFactory(role=role))

    answer = client.get("/")

    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]


def test_the_page_only_reads() -> None:
    client = Client()
    client.force_login(UserFactory())

    assert client.post("/").status_code == 405


def test_its_rules_allow_no_inline_code(page: Any) -> None:
    rules = dict(rule.split(" ", 1) for rule in page["Content-Security-Policy"].split("; "))

    assert rules["script-src"] == "'self'"
    assert rules["style-src"].startswith("'self'")
    assert "unsafe" not in page["Content-Security-Policy"]


def test_it_holds_no_inline_code(page: Any) -> None:
    for tag, attributes in Elements(page.content.decode()).tags:
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        if tag == "script":
            assert attributes.get("src") or attributes.get("type") == "application/json"


def test_every_file_it_names_is_there(page: Any) -> None:
    tags = Elements(page.content.decode()).tags
    named = [
        attributes.get("src") or attributes.get("href") for tag, attributes in tags if tag in ("script", "link", "img")
    ]
    files = [name.removeprefix("/static/") for name in named if name]

    assert "dashboard/main.js" in files
    assert [name for name in files if not finders.find(name)] == []


def test_every_part_a_script_looks_for_is_there(page: Any) -> None:
    html = page.content.decode()
    identifiers = set(re.findall(r'\bid="([\w-]+)"', html))
    folder = finders.find("dashboard/main.js").removesuffix("main.js")
    wanted: set[str] = set()
    for name in ("main", "cards", "feed", "filters", "keys", "candles", "equity"):
        with open(f"{folder}{name}.js") as script:
            wanted |= set(re.findall(r'find\("#([\w-]+)"\)', script.read()))

    charts = {name for name in wanted if name.startswith(("equity", "candles", "series"))}
    assert wanted - charts <= identifiers
    assert not dashboard.installed_charts() or charts <= identifiers


def test_without_charts_the_page_has_none(page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard, "CHARTS", {"uplot": {"script": "npm/none.js"}, "candles": {"script": "npm/none.js"}})
    client = Client()
    client.force_login(UserFactory())

    html = client.get("/").content.decode()

    assert "equity-chart" not in html
    assert "candles-chart" not in html
    assert "npm/" not in html
    assert 'id="positions-table"' in html


def test_the_series_of_the_chart_are_named_once() -> None:
    for exchange, symbol, interval in (("bybit", "BTCUSDT", "1h"), ("bybit", "ADAUSDT", "5m"), ("a", "BTCUSDT", "1h")):
        for hour in (1, 2, 3):
            Candle.objects.create(
                exchange=exchange, symbol=symbol, interval=interval, timestamp=NOON.replace(hour=hour),
                open_price=1, high_price=2, low_price=1, close_price=2, volume=1,
            )  # fmt: skip

    assert candle_series() == [
        SeriesName("a", "BTCUSDT", "1h"),
        SeriesName("bybit", "ADAUSDT", "5m"),
        SeriesName("bybit", "BTCUSDT", "1h"),
    ]
