"""Under faults: black holes, full disks, interruptions, many tasks and threads, kill -9. Nothing is lost or doubled."""

import asyncio
import os
import signal
import subprocess
import sys
import threading

import httpx
import pytest
from outside_world import FILL, ORDER, TOKEN, Clock, Lost, Reply, Silence, add_fills, ids, problem

from tradingdb_client import AsyncClient, Client, Pace, SpoolError, Unavailable


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

        assert client.spool.head().record.body["fill_id"] == "f-1"


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
            return [client.spool.head().record.body["fill_id"], len(client.spool)]

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


def test_only_one_call_delivers_while_others_queue_behind(server, client):
    server.down()
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
