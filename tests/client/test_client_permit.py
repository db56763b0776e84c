"""No valid permit, no new order: `may_trade` fails closed and trusts no wall clock of this machine."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from outside_world import FILL, ORDER, TOKEN, Clock, Reply, Silence, problem

from tradingdb_client import Client, NoPermit, Pace
from tradingdb_client.answers import Answer
from tradingdb_client.permits import PermitKeeper

# The server's clock is years away from this machine's on purpose.
SERVER_NOW = datetime(2031, 1, 1, 12, 0, tzinfo=UTC)


def permit(state="ACTIVE", seconds=16):
    """A permit for so many seconds of the server's clock; the Date header costs one of them."""
    body = {
        "state": state,
        "version": 1,
        "valid_until": (SERVER_NOW + timedelta(seconds=seconds)).isoformat(),
        "reasons": [],
    }
    return Reply(200, body, {"Date": format_datetime(SERVER_NOW, usegmt=True)})


def heartbeat(state, seconds=15):
    return Reply(200, {"server_time": SERVER_NOW.isoformat(), "permit": permit(state, seconds).body, "halt": None})


@pytest.mark.parametrize(
    ("state", "opening", "reducing"), [("ACTIVE", True, True), ("REDUCING", False, True), ("HALTED", False, False)]
)
def test_the_state_decides(connect, server, state, opening, reducing):
    server.script = [permit(state)]
    client = connect()

    assert client.may_trade() is opening
    assert client.may_trade(reducing=True) is reducing
    assert [seen.path for seen in server.seen] == ["/api/v1/permit"]


def test_a_permit_is_asked_for_again_when_it_runs_out(connect, server):
    server.script = [permit("ACTIVE"), permit("HALTED")]
    client = connect()

    assert client.may_trade() is True
    connect.clock.now += 14.9
    assert client.may_trade() is True
    assert len(server.seen) == 1
    connect.clock.now += 0.1
    assert client.may_trade() is False
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    "fault",
    [Silence, problem(401, "unauthorized"), problem(503, "down"), Reply(200, {}), Reply(200, {"state": "ACTIVE"})],
)
def test_without_a_permit_the_answer_is_no_after_one_try(connect, server, fault):
    server.answer = lambda seen: fault

    assert connect(timeout=0.1).may_trade(reducing=True) is False
    assert (len(server.seen), connect.clock.naps) == (1, [])


def test_a_dead_server_stops_trading_when_the_permit_runs_out(connect, server):
    server.script = [permit("ACTIVE")]
    client = connect()
    assert client.may_trade() is True

    server.down()
    connect.clock.now += 15

    assert client.may_trade() is False


def test_a_heartbeat_brings_the_permit_along(connect, server):
    server.script = [heartbeat("ACTIVE"), heartbeat("HALTED")]
    client = connect()

    client.heartbeat()
    assert client.may_trade() is True
    answer = client.heartbeat()
    assert client.may_trade() is False

    assert answer["permit"]["state"] == "HALTED"
    assert [seen.path for seen in server.seen] == ["/api/v1/heartbeat"] * 2


def test_an_expired_permit_allows_nothing(connect, server):
    server.answer = lambda seen: permit("ACTIVE", seconds=0)

    assert connect().may_trade() is False


def slow_client(clock, *answers, seconds=0.0):
    """A client whose server takes so many seconds to give each of these answers."""
    replies = iter(answers)

    def answer(request):
        clock.now += seconds
        return next(replies)

    transport = httpx.MockTransport(answer)
    return Client("http://tradingdb.example", TOKEN, transport=transport, pace=Pace(clock=clock))


def test_the_time_an_answer_takes_is_taken_off_the_permit():
    clock = Clock()
    beat = httpx.Response(200, json=heartbeat("ACTIVE", seconds=15).body)

    with slow_client(clock, beat, httpx.Response(503), seconds=10) as client:
        client.heartbeat()
        clock.now += 4.9
        assert client.may_trade() is True
        clock.now += 0.1
        assert client.may_trade() is False


@pytest.mark.parametrize(
    ("seconds", "after", "allowed"), [(10, 3, True), (10, 11, False), (7200, 14, True), (7200, 15, False)]
)
def test_without_a_server_time_a_permit_is_trusted_for_fifteen_seconds_at_most(seconds, after, allowed):
    clock = Clock()
    valid_until = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    bare = httpx.Response(200, json={"state": "ACTIVE", "valid_until": valid_until})

    with slow_client(clock, bare, httpx.Response(503)) as client:
        assert client.may_trade() is True
        clock.now += after
        assert client.may_trade() is allowed


def test_an_answer_overtaken_by_a_newer_one_changes_nothing():
    keeper = PermitKeeper()
    active, halted = (Answer(200, False, permit(state).body, SERVER_NOW) for state in ("ACTIVE", "HALTED"))

    keeper.notice(path="/permit", answer=halted, asked_at=2.0)
    keeper.notice(path="/permit", answer=active, asked_at=1.0)

    assert keeper.allows(reducing=True, now=3.0) is False


def paths(server):
    return [seen.path.removeprefix("/api/v1/") for seen in server.seen]


def test_an_order_is_sent_under_a_permit_that_is_asked_for_once(connect, server):
    server.script = [permit("ACTIVE")]
    client = connect()

    assert client.order(**ORDER).status == 201
    assert client.order(**{**ORDER, "order_id": "o-2"}).status == 201
    assert paths(server) == ["permit", "orders", "orders"]


@pytest.mark.parametrize(
    ("answer", "state"),
    [(permit("HALTED"), "HALTED"), (problem(503, "down"), None), (permit("ACTIVE", seconds=0), None), (Silence, None)],
)
def test_without_a_valid_permit_no_order_is_sent(connect, server, answer, state):
    server.script = [answer]

    with pytest.raises(NoPermit) as caught:
        connect(timeout=0.1).order(**ORDER)

    assert (caught.value.state, caught.value.was_admitted) == (state, False)
    assert paths(server) == ["permit"]


def test_under_reducing_the_server_decides_what_reduces(connect, server):
    server.script = [permit("REDUCING")]

    assert connect().order(**ORDER).status == 201


def test_facts_and_cancels_need_no_permit(connect, server):
    server.script = [permit("HALTED")]
    client = connect()
    assert client.may_trade(reducing=True) is False

    client.fill(fill_id="f-1", **FILL)
    client.order_update("o-1", status="cancelled")
    client.order(**ORDER, intent="report")

    assert paths(server) == ["permit", "fills", "orders/o-1", "orders"]


def test_an_attempt_after_the_permit_ran_out_is_not_made(connect, server):
    """The server freezes in the middle: what was sent once is not sent again without a permit."""
    server.script = [permit("ACTIVE", seconds=3), problem(503, "down"), permit("HALTED")]
    client = connect(pace=Pace(first=2.5, jitter=lambda: 1.0, clock=connect.clock))

    with pytest.raises(NoPermit):
        client.order(**ORDER)

    assert paths(server) == ["permit", "orders", "permit"]


def test_an_answer_that_comes_after_the_permit_ran_out_is_no_go():
    clock = Clock()
    beat = httpx.Response(200, json=heartbeat("ACTIVE", seconds=15).body)
    replies = iter([(0, beat), (16, httpx.Response(201, json={"order_id": "o-1", "status": "pending"}))])

    def answer(request):
        seconds, reply = next(replies)
        clock.now += seconds
        return reply

    with Client("http://x", TOKEN, transport=httpx.MockTransport(answer), pace=Pace(clock=clock)) as client:
        client.heartbeat()
        with pytest.raises(NoPermit) as caught:
            client.order(**ORDER)

    assert caught.value.was_admitted is True


def test_of_a_batch_the_orders_stay_and_the_facts_go(connect, server):
    server.script = [permit("HALTED"), Reply(200, {"results": [{"status": 201, "id": "f-1"}]})]
    operations = [
        {"op": "order", "data": ORDER},
        {"op": "fill", "data": {**FILL, "fill_id": "f-1"}},
    ]

    results = connect().batch(operations)

    assert results == [{"status": 0, "code": "no_permit", "id": "o-1"}, {"status": 201, "id": "f-1"}]
    assert [one["op"] for one in server.seen[1].body["operations"]] == ["fill"]


def test_a_batch_of_orders_alone_is_not_sent_at_all(connect, server):
    server.script = [permit("HALTED")]

    with pytest.raises(NoPermit):
        connect().batch([{"op": "order", "data": ORDER}])

    assert paths(server) == ["permit"]
