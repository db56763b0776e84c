"""No valid permit, no new order: `may_trade` fails closed and trusts no wall clock of this machine."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from outside_world import TOKEN, Clock, Reply, Silence, problem

from tradingdb_client import Client, Pace
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
