"""Every error is a problem with a stable code, and none shows internals."""

from typing import Any

import psycopg
import pytest
from django.db import DataError, OperationalError
from psycopg.errors import DiskFull

from bots.api import reads
from tests.api.conftest import Caller

FIELDS = {"type", "title", "status", "detail", "code", "request_id", "errors"}


def check(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert set(body) >= FIELDS
    assert (body["status"], body["code"]) == (status, code)
    assert body["request_id"] == response["X-Request-ID"]
    return body


def test_an_unknown_address_is_a_problem(api: Caller):
    for caller in (api, Caller()):
        for path in ("/nothing", "/orders/a/b/c", "/", "/me/", "/%00", "/ordérs"):
            check(caller.get(path), 404, "not_found")
    check(Caller().post("/nothing", {}), 404, "not_found")


def test_a_wrong_method_is_a_problem_that_names_the_right_ones(api: Caller):
    response = api.delete("/trades")

    check(response, 405, "method_not_allowed")
    assert sorted(response["Allow"].split(", ")) == ["GET", "POST"]
    check(api.post("/positions/reported/x", {}), 404, "not_found")
    check(api.send("PUT", "/me"), 405, "method_not_allowed")


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"", "application/json", 400, "malformed_body"),
        (b"{", "application/json", 400, "malformed_body"),
        (b"\xff", "application/json", 400, "malformed_body"),
        (b"{}", "text/plain", 415, "unsupported_media_type"),
        (b"a=1", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b'{"trade_id": "a", "trade_id": "b"}', "application/json", 422, "validation_error"),
        (b'{"quantity": NaN}', "application/json", 422, "validation_error"),
        (b'{"notes": "\\u0000"}', "application/json", 422, "validation_error"),
        (b'{"notes": "\\ud800"}', "application/json", 422, "validation_error"),
        (b"[" * 1000, "application/json", 422, "validation_error"),
        (b"null", "application/json", 422, "validation_error"),
        (b"[]", "application/json", 422, "validation_error"),
        (b"{}" + b" " * 1024 * 1024, "application/json", 413, "body_too_large"),
        (b"{}" + b" " * 16 * 1024 * 1024, "application/json", 413, "body_too_large"),
    ],
)
def test_bodies_that_cannot_be_read(api: Caller, body: bytes, content_type: str, status: int, code: str):
    check(api.send("POST", "/trades", body, content_type=content_type), status, code)


def test_a_wrong_field_is_named_without_its_value(api: Caller):
    body = check(api.post("/trades", {"trade_id": "has a blank"}), 422, "validation_error")

    places = {tuple(error["loc"]) for error in body["errors"]}
    assert {("body", "trade_id"), ("body", "symbol"), ("body", "entry_time")} <= places
    assert "has a blank" not in str(body)


def test_the_callers_request_id_is_used_where_it_is_sane(api: Caller):
    assert api.send("GET", "/me", "", **{"X-Request-ID": "my-request-1"})["X-Request-ID"] == "my-request-1"
    answer = api.send("GET", "/me", "", **{"X-Request-ID": "x y"})
    assert answer["X-Request-ID"] != "x y"


@pytest.fixture
def failing(monkeypatch):
    """Let the next read fail inside."""

    def fail(error: Exception) -> None:
        def raises(*args: Any, **kwargs: Any) -> None:
            raise error

        monkeypatch.setattr(reads, "bot_get", raises)

    return fail


def test_an_unexpected_error_shows_nothing_and_is_logged_with_its_id(api: Caller, failing, caplog):
    failing(RuntimeError("password=hunter2"))

    response = api.get("/me")

    body = check(response, 500, "internal_error")
    assert "hunter2" not in response.content.decode()
    assert "RuntimeError" not in response.content.decode()
    (record,) = [record for record in caplog.records if record.name == "tradingdb.api"]
    assert body["request_id"] in record.getMessage()
    assert record.exc_info is not None


@pytest.mark.parametrize(("cause", "code"), [(None, "unavailable"), (DiskFull("no space left"), "storage_full")])
def test_a_database_that_is_away_or_full_is_503_to_be_tried_again(
    api: Caller, failing, cause: Exception | None, code: str
):
    error = OperationalError("connection to 10.0.0.1 failed")
    error.__cause__ = cause
    failing(error)

    response = api.get("/me")

    check(response, 503, code)
    assert int(response["Retry-After"]) >= 1
    assert "10.0.0.1" not in response.content.decode()


def test_psycopgs_own_errors_are_told_the_same(api: Caller, failing):
    failing(psycopg.OperationalError("terminating connection"))

    check(api.get("/me"), 503, "unavailable")


def test_a_value_that_no_check_caught_is_422(api: Caller, failing):
    failing(DataError("numeric field overflow"))

    check(api.get("/me"), 422, "validation_error")
