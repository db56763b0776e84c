"""Through an outage: facts are kept, go out in order and under the same ids, and nothing overtakes them."""

import json
from pathlib import Path

import pytest
from outside_world import FILL, ORDER, Lost, Reply, add_fills, ids, problem

from tradingdb_client import Flushed, Invalid, RateLimited, Unauthorized, Unavailable

FACTS = [
    ("fill", (), {"fill_id": "f-1", **FILL}),
    ("order_update", ("o-1",), {"status": "filled"}),
    ("order", (), {**ORDER, "intent": "report"}),
    (
        "balance",
        (),
        {
            "balance_id": "b-1",
            "total_balance": 1,
            "available_balance": 1,
            "equity": 1,
            "timestamp": "2026-11-20T09:30:00Z",
        },
    ),
    (
        "trade",
        (),
        {
            "trade_id": "t-1",
            "symbol": "BTCUSDT",
            "side": "long",
            "quantity": 1,
            "entry_price": 1,
            "entry_time": "2026-11-20T09:30:00Z",
        },
    ),
    ("events", ([{"event_id": "e-1", "event_type": "x", "event_level": "info", "message": "m"}],), {}),
    ("signal", (), {"signal_id": "s-1", "symbol": "BTCUSDT", "signal_type": "long", "price": 1, "strategy": "x"}),
    ("report_positions", ([],), {"as_of": "2026-11-20T09:30:00Z"}),
]
NOT_KEPT = [
    ("order", (), ORDER),
    ("risk_check", (), ORDER),
    ("position_update", ("p-1",), {"stop_loss": 1}),
    ("batch", ([],), {}),
]


@pytest.mark.parametrize(("name", "args", "fields"), FACTS)
def test_every_kind_of_fact_is_kept_and_goes_out_as_it_was(connect, server, path, name, args, fields):
    client = connect(spool=path, retries=0)
    server.script = [problem(503, "down")]

    ack = getattr(client, name)(*args, **fields)
    flushed = client.flush()

    assert (ack.spooled, ack.status, ack.data, ack.flags, ack.replayed) == (True, 0, {}, [], False)
    assert flushed == Flushed(delivered=1, rejected=0)
    tried, delivered = server.seen
    assert (tried.method, tried.path, tried.content) == (delivered.method, delivered.path, delivered.content)
    assert len(client.spool) == 0
    assert path.read_bytes() == b""


@pytest.mark.parametrize(("name", "args", "fields"), NOT_KEPT)
def test_a_command_is_never_kept(connect, server, path, name, args, fields):
    client = connect(spool=path, retries=0, has_permit=True)
    server.down()

    with pytest.raises(Unavailable):
        getattr(client, name)(*args, **fields)

    assert len(client.spool) == 0


def test_facts_of_an_outage_go_out_in_order_before_the_next_write(server, client):
    server.down()
    kept = add_fills(client, 1, 3)
    server.up()

    ack = client.fill(fill_id="f-4", **FILL)

    assert [ack.spooled for ack in kept] == [True, True, True]
    assert (ack.spooled, ack.status) == (False, 201)
    assert server.fill_ids == ids(1, 4)
    assert len(client.spool) == 0


def test_a_fact_that_the_server_took_before_its_answer_was_lost_goes_out_again_as_it_was(server, client):
    server.script = [Lost]

    assert client.fill(fill_id="f-1", **FILL).spooled is True
    client.flush()

    assert server.fill_ids == ["f-1", "f-1"]
    assert server.seen[0].content == server.seen[1].content


def test_an_outage_in_the_middle_of_delivery_keeps_the_rest_in_order(server, client):
    server.down()
    add_fills(client, 1, 3)
    server.up()
    server.script = [Reply(), problem(503, "down")]

    assert client.fill(fill_id="f-4", **FILL).spooled is True
    assert len(client.spool) == 3
    client.flush()

    assert server.fill_ids == ["f-1", "f-2", "f-2", "f-3", "f-4"]


@pytest.mark.parametrize(("name", "args", "fields"), NOT_KEPT)
def test_a_command_goes_only_after_every_fact(connect, server, path, name, args, fields):
    client = connect(spool=path, retries=0, has_permit=True)
    server.down()
    add_fills(client, 1, 2)
    server.up()
    server.script = [Reply(), problem(503, "down")]

    with pytest.raises(Unavailable):
        getattr(client, name)(*args, **fields)
    server.answer = lambda seen: Reply(200, {"results": []})
    getattr(client, name)(*args, **fields)

    assert server.fill_ids == ["f-1", "f-2", "f-2"]
    assert [seen.path for seen in server.seen].index(server.seen[-1].path) == 3
    assert len(client.spool) == 0


def test_a_heartbeat_lets_facts_go_first_and_goes_itself_when_they_cannot(server, client):
    server.down()
    add_fills(client, 1, 2)
    server.up()
    server.script = [problem(503, "down")]

    client.heartbeat()
    client.heartbeat()

    paths = [seen.path.removeprefix("/api/v1/") for seen in server.seen]
    assert paths == ["fills", "heartbeat", "fills", "fills", "heartbeat"]


def test_a_read_takes_no_notice_of_what_waits(server, client):
    server.down()
    add_fills(client, 1, 1)
    server.up()

    client.me()

    assert [seen.path for seen in server.seen] == ["/api/v1/me"]
    assert len(client.spool) == 1


def test_a_refused_fact_is_set_aside_with_the_reason_and_blocks_nothing(server, client, path, caplog):
    server.down()
    add_fills(client, 1, 3)
    server.up()
    fields = [{"loc": ["body", "price"], "msg": "Too long."}]
    server.script = [Reply(), problem(422, "validation_error", errors=fields)]

    flushed = client.flush()

    assert flushed == Flushed(delivered=2, rejected=1)
    assert server.fill_ids == ids(1, 3)
    (line,) = Path(f"{path}.rejected").read_text().splitlines()
    rejected = json.loads(line)
    assert (rejected["method"], rejected["path"], rejected["body"]) == ("POST", "/fills", {"fill_id": "f-2", **FILL})
    assert rejected["problem"] == {
        "status": 422,
        "code": "validation_error",
        "detail": "About validation_error.",
        "errors": fields,
        "request_id": "req-1",
    }
    assert "POST /fills was refused (validation_error)" in caplog.text


@pytest.mark.parametrize("status", [400, 403, 404, 409, 413, 415, 422])
def test_a_refusal_of_the_callers_own_fact_is_raised_and_not_kept(server, client, path, status):
    server.down()
    add_fills(client, 1, 1)
    server.up()
    server.script = [Reply(), problem(status, "refused")]

    with pytest.raises(Exception, match=f"{status} refused"):
        client.fill(fill_id="f-2", **FILL)

    assert len(client.spool) == 0
    assert not Path(f"{path}.rejected").exists()


def test_a_refused_token_keeps_the_facts_and_is_raised(connect, server, client, path):
    server.answer = lambda seen: problem(401, "unauthorized")

    with pytest.raises(Unauthorized):
        client.fill(fill_id="f-1", **FILL)
    with pytest.raises(Unauthorized):
        client.fill(fill_id="f-2", **FILL)
    with pytest.raises(Unauthorized):
        client.order(**ORDER)
    client.close()
    server.answer = lambda seen: Reply()
    flushed = connect(spool=path, token="tdb_demo_the.new-one").flush()

    assert flushed == Flushed(delivered=2, rejected=0)
    assert server.fill_ids[-2:] == ids(1, 2)
    assert not Path(f"{path}.rejected").exists()


@pytest.mark.parametrize(
    "fault", [Reply(200, "<html>"), Reply(302, ""), problem(501, "x"), problem(429, "rate_limited")]
)
def test_a_fact_that_nobody_judged_is_kept(server, client, fault):
    server.script = [fault]

    assert client.fill(fill_id="f-1", **FILL).spooled is True
    assert len(client.spool) == 1


def test_a_flush_that_is_stopped_tells_why_and_keeps_the_rest(server, client):
    server.down()
    add_fills(client, 1, 2)

    with pytest.raises(Unavailable):
        client.flush()
    server.up()
    server.script = [Reply(), problem(429, "rate_limited")]
    with pytest.raises(RateLimited):
        client.flush()

    assert len(client.spool) == 1
    assert server.fill_ids == ids(1, 2)


def test_a_flush_tries_as_often_as_any_call(connect, server, path):
    client = connect(spool=path, retries=2)
    server.script = [problem(503, "down")] * 5
    client.fill(fill_id="f-1", **FILL)

    assert client.flush() == Flushed(delivered=1, rejected=0)
    assert server.fill_ids == ["f-1"] * 6


def test_a_flush_of_nothing_sends_nothing(connect, server, client):
    assert client.flush() == connect().flush() == Flushed(delivered=0, rejected=0)
    assert server.seen == []


def test_one_write_delivers_a_bounded_part_of_a_long_backlog(server, client, monkeypatch):
    monkeypatch.setattr("tradingdb_client.courier.FACTS_PER_WRITE", 3)
    server.down()
    add_fills(client, 1, 4)
    server.up()

    with pytest.raises(Unavailable, match="1 facts wait"):
        client.order(**ORDER)
    ack = client.fill(fill_id="f-5", **FILL)

    assert ack.spooled is False
    assert server.fill_ids == ids(1, 5)


def test_a_rejected_fact_reaches_the_caller_only_when_it_is_its_own(server, client, path):
    server.down()
    add_fills(client, 1, 1)
    server.up()
    server.script = [problem(409, "conflict"), Reply(), problem(422, "validation_error")]

    ack = client.fill(fill_id="f-2", **FILL)
    with pytest.raises(Invalid):
        client.fill(fill_id="f-3", **FILL)

    assert ack.status == 201
    assert len(Path(f"{path}.rejected").read_text().splitlines()) == 1
