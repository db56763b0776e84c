"""Through an outage: facts are kept, go out in order and under the same ids, and nothing overtakes them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from outside_world import FILL, ORDER, TOKEN, Clock, Lost, Reply, Silence, problem

from tradingdb_client import (
    AsyncClient,
    Client,
    Flushed,
    Invalid,
    Pace,
    RateLimited,
    SpoolError,
    Unauthorized,
    Unavailable,
)

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


@pytest.fixture
def path(tmp_path):
    return tmp_path / "bot.spool"


@pytest.fixture
def client(connect, path):
    return connect(spool=path, retries=0)


def add_fills(client, first, last):
    return [client.fill(fill_id=f"f-{number}", **FILL) for number in range(first, last + 1)]


def ids(first, last):
    return [f"f-{number}" for number in range(first, last + 1)]


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
def test_a_command_is_never_kept(server, client, name, args, fields):
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
def test_a_command_goes_only_after_every_fact(server, client, name, args, fields):
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


def test_in_a_black_hole_only_every_other_moment_is_spent_on_tries(path):
    clock, tries = Clock(), []

    def black_hole(request):
        tries.append(clock.now)
        clock.now += 10
        raise httpx.ReadTimeout("", request=request)

    client = Client(
        "http://tradingdb.example",
        TOKEN,
        retries=0,
        spool=path,
        transport=httpx.MockTransport(black_hole),
        pace=Pace(clock=clock),
    )
    with client:
        for number in range(4):
            clock.now += 4
            assert client.fill(fill_id=f"f-{number}", **FILL).spooled is True

        assert tries == [1004.0, 1026.0]
        assert len(client.spool) == 4


def test_any_answer_ends_the_pause_between_tries(path):
    clock, down = Clock(), [True]

    def answer(request):
        if down:
            clock.now += 10
            raise httpx.ReadTimeout("", request=request)
        return httpx.Response(201, json={})

    transport = httpx.MockTransport(answer)
    with Client(
        "http://tradingdb.example", TOKEN, retries=0, spool=path, transport=transport, pace=Pace(clock=clock)
    ) as client:
        add_fills(client, 1, 1)
        down.clear()
        client.heartbeat()

        assert len(client.spool) == 1
        assert add_fills(client, 2, 2)[0].spooled is False
        assert len(client.spool) == 0


def test_what_waits_is_tried_once_however_many_retries_a_call_has(connect, server, path):
    with Client(server.url, TOKEN, spool=path, retries=0) as client:
        server.down()
        add_fills(client, 1, 1)
    later = connect(spool=path, retries=5)

    add_fills(later, 2, 2)

    assert (connect.clock.naps, len(later.spool)) == ([], 2)


def test_a_rate_limit_during_delivery_is_waited_out_without_a_try(connect, server, client):
    server.answer = lambda seen: Reply(429, problem(429, "rate_limited").body, {"Retry-After": "20"})
    add_fills(client, 1, 2)
    connect.clock.now += 19.9
    add_fills(client, 3, 3)
    server.answer = lambda seen: Reply()
    connect.clock.now += 0.1
    add_fills(client, 4, 4)

    assert server.fill_ids == ["f-1", *ids(1, 4)]


def test_what_a_full_disk_cannot_keep_is_told(client, server, monkeypatch):
    server.down()
    add_fills(client, 1, 1)

    def full(descriptor, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(SpoolError, match=r"neither delivered nor kept: .*No space left"):
        client.fill(fill_id="f-2", **FILL)
    monkeypatch.undo()
    server.up()
    client.flush()

    assert server.fill_ids == ["f-1"]


def test_ctrl_c_in_the_middle_of_a_fact_keeps_it(path):
    def interrupted(request):
        raise KeyboardInterrupt

    with Client("http://tradingdb.example", TOKEN, spool=path, transport=httpx.MockTransport(interrupted)) as client:
        with pytest.raises(KeyboardInterrupt):
            client.fill(fill_id="f-1", **FILL)

        assert client.spool.head().body["fill_id"] == "f-1"


def test_a_cancelled_task_keeps_its_fact_once(server, path):
    arrived = threading.Event()

    def swallow(seen):
        arrived.set()
        return Silence

    server.answer = swallow

    async def cancel_in_flight():
        async with AsyncClient(server.url, TOKEN, spool=path) as client:
            task = asyncio.create_task(client.fill(fill_id="f-1", **FILL))
            await asyncio.to_thread(arrived.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return [client.spool.head().body["fill_id"], len(client.spool)]

    assert asyncio.run(cancel_in_flight()) == ["f-1", 1]


def test_tasks_that_report_at_once_lose_and_double_nothing(server, path):
    server.script = [problem(503, "down"), Lost] * 10

    async def report():
        async with AsyncClient(server.url, TOKEN, spool=path, retries=0) as client:
            acks = await asyncio.gather(*(client.fill(fill_id=fill_id, **FILL) for fill_id in ids(0, 59)))
            faults = 20 - len(server.script)
            server.script.clear()
            await client.flush()
            return faults, sum(ack.spooled for ack in acks), len(client.spool)

    faults, spooled, left = asyncio.run(report())

    assert faults > 0
    assert spooled > 0
    assert left == 0
    assert set(server.fill_ids) == set(ids(0, 59))
    assert len(server.fill_ids) == 60 + faults


def test_threads_that_report_at_once_lose_and_double_nothing(server, path):
    script = [problem(503, "down"), Reply(), Lost, Reply()] * 10
    server.script = list(script)

    with Client(server.url, TOKEN, spool=path, retries=0) as client:
        threads = [threading.Thread(target=add_fills, args=(client, start, start + 9)) for start in range(0, 80, 10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        replies_left = len(server.script)
        server.script.clear()
        client.flush()

        assert len(client.spool) == 0
    faults = sum(not isinstance(reply, Reply) or reply.status == 503 for reply in script[: len(script) - replies_left])
    assert faults > 0
    assert set(server.fill_ids) == set(ids(0, 79))
    assert len(server.fill_ids) == 80 + faults


def test_only_one_call_delivers_while_others_queue_behind(server, path):
    server.down()
    with Client(server.url, TOKEN, spool=path, retries=0) as client:
        add_fills(client, 1, 2)
        server.up()
        assert client.spool.start_drain() is True

        with pytest.raises(Unavailable, match="Another call is delivering"):
            client.order(**ORDER)
        ack = client.fill(fill_id="f-3", **FILL)
        client.spool.end_drain()
        client.flush()

    assert ack.spooled is True
    assert server.fill_ids == ids(1, 3)


def test_what_waits_outlives_the_client(connect, server, path):
    server.down()
    with Client(server.url, TOKEN, spool=path, retries=0) as client:
        add_fills(client, 1, 2)
    server.up()

    later = connect(spool=path)

    assert repr(later.spool) == f"<Spool {path}, 2 waiting>"
    later.heartbeat()
    assert server.fill_ids == ids(1, 2)


DRAIN = """
import sys
from tradingdb_client import Client
Client(sys.argv[1], "tdb_demo_a.b", spool=sys.argv[2]).flush()
"""


def test_kill_9_in_the_middle_of_delivery_loses_and_reorders_nothing(server, path):
    server.down()
    with Client(server.url, TOKEN, spool=path, retries=0) as client:
        add_fills(client, 1, 10)
    server.up()
    started = threading.Event()

    def kill_at_the_fifth(seen):
        started.wait()
        if len(server.seen) == 5:
            os.kill(process.pid, signal.SIGKILL)
        return Reply()

    server.answer = kill_at_the_fifth
    process = subprocess.Popen([sys.executable, "-c", DRAIN, server.url, str(path)])
    started.set()
    assert process.wait(timeout=60) == -signal.SIGKILL
    with Client(server.url, TOKEN, spool=path) as client:
        client.flush()

    assert server.fill_ids[:5] == ids(1, 5)
    assert server.fill_ids[5:] in (ids(5, 10), ids(6, 10))
    assert len({seen.content for seen in server.seen}) == 10


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
