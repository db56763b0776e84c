"""What goes wrong is named by what the caller does next, and never tells the token."""

import logging
import pickle
import traceback

import httpx
import pytest
from outside_world import FILL, ORDER, TOKEN, Lost, Reply, problem

from tradingdb_client import (
    ApiError,
    BotHalted,
    Client,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    RateLimited,
    RiskRejected,
    ServerError,
    Unauthorized,
    Unavailable,
)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "malformed_json", Invalid),
        (401, "unauthorized", Unauthorized),
        (403, "forbidden", Forbidden),
        (404, "not_found", NotFound),
        (409, "conflict", Conflict),
        (409, "risk_rejected", RiskRejected),
        (409, "bot_halted", BotHalted),
        (403, "bot_halted", BotHalted),
        (413, "too_large", Invalid),
        (415, "unsupported_media_type", Invalid),
        (418, "teapot", ApiError),
        (422, "validation_error", Invalid),
        (501, "not_implemented", ServerError),
    ],
)
def test_a_problem_becomes_its_error_at_the_first_answer(connect, server, status, code, kind):
    server.answer = lambda seen: problem(status, code, errors=[{"loc": ["body", "price"], "msg": "Too long."}])

    with pytest.raises(ApiError) as caught:
        connect().fill(fill_id="f-1", **FILL)

    error = caught.value
    assert type(error) is kind
    assert (error.status, error.code, error.detail, error.request_id) == (status, code, f"About {code}.", "req-1")
    assert error.errors == [{"loc": ["body", "price"], "msg": "Too long."}]
    assert str(error) == f"{status} {code}: About {code}. (body.price: Too long.)"
    assert len(server.seen) == 1


def test_a_refused_order_tells_the_limits_that_refused_it(connect, server):
    reasons = [{"rule": "max_position", "current": "5", "limit": "4"}]
    server.script = [problem(409, "risk_rejected", reasons=reasons)]

    with pytest.raises(RiskRejected) as caught:
        connect(has_permit=True).order(**ORDER)

    assert caught.value.reasons == reasons


@pytest.mark.parametrize("body", [{"order_id": "o-1", "status": "rejected"}, {"order": {"status": "rejected"}}])
def test_a_refusal_whose_answer_was_lost_is_still_a_refusal_when_replayed(connect, server, body):
    server.script = [Lost, Reply(200, body, {"Idempotent-Replay": "true"})]

    with pytest.raises(RiskRejected, match="The stored order is rejected"):
        connect(has_permit=True).order(**ORDER)

    assert server.seen[0].content == server.seen[1].content


def test_an_order_reported_as_rejected_is_an_ordinary_fact(connect, server):
    server.script = [Reply(201, {"order_id": "o-1", "status": "rejected"})]

    ack = connect().order(**ORDER, intent="report", status="rejected")

    assert (ack.status, ack.data["status"]) == (201, "rejected")


def test_an_error_page_of_something_else_has_its_status_for_a_code(connect, server):
    server.script = [Reply(404, "<h1>nginx</h1>")]

    with pytest.raises(NotFound) as caught:
        connect().me()

    assert (caught.value.code, caught.value.detail, caught.value.errors) == ("http_404", "Not Found", [])


def test_an_error_travels_between_processes():
    error = Conflict(409, "conflict", "Same id.", [{"loc": ["body"], "msg": "m"}], "req-1", {"a": 1}, 2.0)

    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is Conflict
    assert vars(copy) == vars(error)


@pytest.mark.parametrize(
    ("url", "token", "message"),
    [
        ("127.0.0.1:8000", TOKEN, "base_url"),
        ("ftp://127.0.0.1", TOKEN, "base_url"),
        ("http://", TOKEN, "base_url"),
        ("http://user:password@127.0.0.1", TOKEN, "credentials"),
        ("http://127.0.0.1", "", "token"),
        ("http://127.0.0.1", f"{TOKEN}\n", "token"),
        ("http://127.0.0.1", f"{TOKEN} x", "token"),
        ("http://127.0.0.1", f"{TOKEN}é", "token"),
    ],
)
def test_an_address_or_a_token_that_cannot_work_is_refused_at_once(connect, url, token, message):
    with pytest.raises(ValueError, match=message) as caught:
        connect(url, token)

    assert TOKEN not in str(caught.value)
    assert "password" not in str(caught.value)


def test_a_number_of_retries_below_zero_is_refused(connect):
    with pytest.raises(ValueError, match="retries"):
        connect(retries=-1)


def test_the_token_stands_in_no_repr_no_log_and_no_error(connect, server, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    server.script = [problem(401, "unauthorized"), problem(429, "rate_limited"), Reply(500, "oops"), Lost]
    client = connect(spool=tmp_path / "spool", retries=0)
    errors = []

    for _ in range(4):
        with pytest.raises((ApiError, Unavailable)) as caught:
            client.me()
        errors.append(caught.value)
    server.down()
    assert client.fill(fill_id="f-1", **FILL).spooled

    assert [type(error) for error in errors] == [Unauthorized, RateLimited, Unavailable, Unavailable]
    told = [repr(client), repr(client.spool), caplog.text, (tmp_path / "spool").read_text()]
    for error in errors:
        told += [repr(error), "".join(traceback.format_exception(error))]
    assert "f-1" in told[3]
    assert "kept in" in caplog.text
    assert [text for text in told if "THE-SECRET" in text] == []


def test_a_server_on_this_machine_is_not_sought_behind_a_proxy(connect, server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    assert connect(retries=0).me() == {}


def test_a_transport_may_be_given():
    def answer(request):
        return httpx.Response(200, json={"bot_id": str(request.url)})

    with Client("https://tradingdb.example/", TOKEN, transport=httpx.MockTransport(answer)) as client:
        assert client.me() == {"bot_id": "https://tradingdb.example/api/v1/me"}
        assert repr(client) == "<Client https://tradingdb.example/>"
