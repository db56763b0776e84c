"""Attempts: what is tried again, after which wait, and that each try is the same request."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from outside_world import FILL, ORDER, Lost, Reply, Silence, problem

from tradingdb_client import Invalid, Pace, RateLimited, ServerError, Unavailable


def test_a_lost_answer_is_asked_for_again_with_the_same_bytes(connect, server):
    stored = {}

    def answer(seen):
        first_time = stored.setdefault(seen.body["fill_id"], seen.content) is seen.content
        return Lost if first_time else Reply(200, {"fill": seen.body}, {"Idempotent-Replay": "true"})

    server.answer = answer

    ack = connect().fill(fill_id="f-1", **FILL)

    assert (ack.status, ack.replayed, ack.spooled) == (200, True, False)
    assert len(server.seen) == 2
    assert server.seen[0].content == server.seen[1].content == stored["f-1"]


@pytest.mark.parametrize(
    "fault",
    [Lost, problem(408, "timeout"), problem(500, "internal"), problem(502, "x"), Reply(503, "down"), problem(504, "x")],
)
def test_a_passing_fault_is_overcome(connect, server, fault):
    server.script = [fault, fault]
    client = connect(has_permit=True)

    assert client.order(**ORDER).status == 201
    assert len({seen.content for seen in server.seen}) == 1
    assert len(server.seen) == 3


def test_the_waits_double_up_to_a_bound_and_half_of_each_is_chance(connect, server):
    server.answer = lambda seen: problem(503, "storage_full")
    full = connect(retries=5, pace=Pace(first=1.0, longest=8.0, jitter=lambda: 1.0))
    half = connect(retries=2, pace=Pace(first=1.0, longest=8.0, jitter=lambda: 0.0))

    with pytest.raises(Unavailable, match=r"POST /fills got no answer in 6 attempt\(s\): 503 storage_full") as caught:
        full.fill(fill_id="f-1", **FILL)
    with pytest.raises(Unavailable):
        half.fill(fill_id="f-2", **FILL)

    assert connect.clock.naps == [1.0, 2.0, 4.0, 8.0, 8.0, 0.5, 1.0]
    assert isinstance(caught.value.__cause__, ServerError)
    assert len(server.seen) == 9


def test_a_rate_limit_is_waited_out_as_long_as_the_server_asks(connect, server):
    server.script = [
        problem(
            429,
            "rate_limited",
        )
        for _ in range(2)
    ]
    server.script[0].headers["Retry-After"] = "7"

    assert connect(pace=Pace(first=0.5, jitter=lambda: 1.0)).fill(fill_id="f-1", **FILL).status == 201
    assert connect.clock.naps == [7.0, 1.0]


def test_a_rate_limit_that_stays_is_told_with_its_wait(connect, server):
    server.answer = lambda seen: Reply(429, problem(429, "rate_limited").body, {"Retry-After": "3"})

    with pytest.raises(RateLimited) as caught:
        connect(retries=2).me()

    assert caught.value.retry_after == 3.0
    assert caught.value.__cause__ is None
    assert connect.clock.naps == [3.0, 3.0]


def test_a_wait_of_more_than_a_minute_is_the_callers_to_take(connect, server):
    server.answer = lambda seen: Reply(429, problem(429, "rate_limited").body, {"Retry-After": "3600"})

    with pytest.raises(RateLimited) as caught:
        connect().me()

    assert caught.value.retry_after == 3600.0
    assert (connect.clock.naps, len(server.seen)) == ([], 1)


def test_a_wait_may_be_told_as_a_date(connect, server):
    an_hour_on = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    server.script = [Reply(503, {}, {"Retry-After": an_hour_on}), Reply(503, {}, {"Retry-After": "soon"}), Reply(200)]
    client = connect(pace=Pace(first=0.5, jitter=lambda: 1.0))

    with pytest.raises(Unavailable) as caught:
        client.me()
    client.me()

    assert caught.value.__cause__.retry_after == pytest.approx(3600, abs=60)
    assert connect.clock.naps == [0.5]


def test_what_the_server_judged_is_not_sent_again(connect, server):
    server.answer = lambda seen: problem(422, "validation_error")

    with pytest.raises(Invalid):
        connect().fill(fill_id="f-1", **FILL)

    assert (len(server.seen), connect.clock.naps) == (1, [])


def test_a_server_that_is_down_is_unavailable(connect, server):
    server.down()

    with pytest.raises(Unavailable, match=r"GET /me got no answer in 3 attempt\(s\): ConnectError"):
        connect(retries=2).me()

    assert len(connect.clock.naps) == 2


def test_a_black_hole_is_unavailable_after_the_timeout(connect, server):
    server.answer = lambda seen: Silence

    with pytest.raises(Unavailable, match="ReadTimeout"):
        connect(retries=1, timeout=0.1).me()

    assert len(server.seen) == 2


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, "<html>Welcome to the hotel</html>"),
        Reply(302, "", {"Location": "http://hotel.example/"}),
        Reply(200, [1, 2]),
    ],
)
def test_an_answer_of_something_else_acknowledges_nothing(connect, server, reply):
    server.answer = lambda seen: reply

    with pytest.raises(Unavailable, match="unexpected_answer"):
        connect(retries=1).fill(fill_id="f-1", **FILL)

    assert len(server.seen) == 2


def test_an_accepted_write_may_have_no_body(connect, server):
    server.script = [Reply(202, "")]

    ack = connect().prices([])

    assert (ack.status, ack.data) == (202, {})
