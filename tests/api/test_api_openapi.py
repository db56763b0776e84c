"""The description says what the API does, and the page that shows it needs nothing from elsewhere."""

import re
from typing import Any

import pytest
from django.test import Client

from tradingdb.settings.env import BASE_DIR

CONTRACT = """
GET /me | GET /config | POST /trades | PATCH /positions/{position_id} | POST /positions/reported
GET /candles | POST /candles | GET /signals | GET /orders | GET /fills | GET /positions | GET /trades | GET /balances
GET /bots | POST /bots | GET /bots/{bot_id} | PATCH /bots/{bot_id} | POST /bots/{bot_id}/tokens
DELETE /bots/{bot_id}/tokens/{prefix} | POST /control | GET /live | GET /metrics/daily | GET /portfolio/current
GET /portfolio/snapshots | GET /risk/events | POST /risk/events/{event_id}/resolve | GET /reconciliation/cases
PATCH /reconciliation/cases/{case_id} | GET /conflicts | GET /parked | GET /audit/actions | POST /auth/confirm
"""


@pytest.fixture
def openapi() -> dict[str, Any]:
    response = Client().get("/api/v1/openapi.json")
    assert response.status_code == 200
    return response.json()


def test_every_call_of_the_contract_is_described(openapi: dict[str, Any]):
    described = {f"{method.upper()} {path}" for path, calls in openapi["paths"].items() for method in calls}

    wanted = {f"{call.split()[0]} /api/v1{call.split()[1]}" for call in re.split(r"\||\n", CONTRACT) if call.strip()}
    assert openapi["openapi"].startswith("3.1")
    assert wanted <= described


def test_every_call_says_who_may_call_and_what_can_go_wrong(openapi: dict[str, Any]):
    for path, calls in openapi["paths"].items():
        for method, call in calls.items():
            where = f"{method} {path}"
            assert call["security"], where
            assert call["summary"], where
            assert {"401", "403", "422", "429", "500", "503"} <= set(call["responses"]), where
            if method in ("post", "patch"):
                assert {"413", "415"} <= set(call["responses"]) or "requestBody" not in call, where
            for status, response in call["responses"].items():
                if int(status) >= 400:
                    assert list(response["content"]) == ["application/problem+json"], where


def test_every_reference_leads_somewhere(openapi: dict[str, Any]):
    text = str(openapi)

    for name in re.findall(r"#/components/schemas/(\w+)", text):
        assert name in openapi["components"]["schemas"]
    for call in (call for calls in openapi["paths"].values() for call in calls.values()):
        for access in call["security"]:
            assert set(access) <= set(openapi["components"]["securitySchemes"])


def test_decimals_are_described_as_text_with_a_pattern(openapi: dict[str, Any]):
    schemas = openapi["components"]["schemas"]

    text, number = schemas["TradeIn"]["properties"]["quantity"]["anyOf"]
    assert (text["type"], number["type"]) == ("string", "number")
    assert re.fullmatch(text["pattern"], "12.5")
    assert schemas["TradeOut"]["properties"]["net_pnl"]["type"] == "string"
    assert schemas["TradeIn"]["additionalProperties"] is False


def test_the_page_works_under_the_content_security_policy():
    response = Client().get("/api/v1/docs")

    html = response.content.decode()
    assert response.status_code == 200
    assert "'unsafe-inline'" not in response["Content-Security-Policy"].partition("script-src")[2].partition(";")[0]
    assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>", html)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", html)
    assert 'data-openapi="/api/v1/openapi.json"' in html
    for name in re.findall(r'(?:src|href)="/static/([^"]+)"', html):
        assert (BASE_DIR / "static" / name).is_file()
