"""The main job, end to end: start, sign in, write, lose every process in turn, and lose nothing."""

import json
import os
import re
import signal
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from tests.e2e.checks import (
    assert_all_show_the_same,
    assert_each_write_is_there_once,
    assert_ledger_is_clean,
    assert_money_adds_up,
    assert_redis_agrees,
)
from tests.e2e.running import OURS, PATIENCE, Running, every_page, sign_in
from tests.e2e.screen import open_screen
from tests.e2e.writers import ClientWriter, RawWriter, Write, Writer
from tradingdb.services.processes import marked, wait_until
from tradingdb.services.state import port_is_free

PASSWORD_PLACE = re.compile(r"the admin password is in (\S+)")


def test_up_is_ready_and_bots_and_people_get_in(instance: Running):
    (first, second), staff = instance.bots(2), instance.staff("viewer")

    said = instance.services("up")

    assert f"ready at {instance.base_url}" in said
    health = httpx.get(f"{instance.base_url}/health/ready", trust_env=False)
    assert health.json() == {"status": "ok", "checks": {"postgresql": "ok", "redis": "ok"}}
    assert (first.keys(), staff.keys()) == ({"bot_id", "token"}, {"email", "password", "token"})
    with instance.api(second["token"]) as api:
        me = api.get("/me").json()
        permit = api.get("/permit").json()
    assert (me["bot_id"], me["status"], permit["state"]) == (second["bot_id"], "active", "ACTIVE")
    with instance.api(staff["token"]) as api:
        answer = api.get("/bots")
    assert answer.status_code == 200
    assert {first["bot_id"], second["bot_id"]} <= {bot["bot_id"] for bot in answer.json()["items"]}
    with instance.api("tdb_demo_unknown") as api:
        assert api.get("/bots").status_code == 401


def test_the_generated_admin_password_opens_admin_and_dashboard(instance: Running):
    log = (instance.state.logs / "supervisor.log").read_text()
    place = PASSWORD_PLACE.search(log)
    assert place is not None
    password = Path(place[1]).read_text().strip()

    with instance.browser() as browser:
        stranger = browser.get("/")
        dashboard = sign_in(browser, "admin@tradingdb.local", password)
        admin = browser.get("/admin/")

    assert stranger.url.path == "/admin/login/"
    assert (dashboard.status_code, dashboard.url.path) == (200, "/")
    assert (admin.status_code, admin.url.path) == (200, "/admin/")
    assert password not in log


def test_down_leaves_nothing_and_up_finds_everything_again(instance: Running):
    bot = instance.bots(1)[0]
    event = {"event_id": "kept", "event_type": "CHAOS", "event_level": "INFO", "message": "before the end"}
    with instance.api(bot["token"]) as api:
        assert api.post("/events", json={"events": [event]}).status_code == 201
    processes = instance.state.processes()

    instance.services("down")

    assert set(processes) == {"supervisor", *OURS}
    assert [name for name, process in processes.items() if process.is_alive()] == []
    assert marked(instance.state.root) == []
    assert port_is_free("127.0.0.1", instance.port)
    instance.services("up")
    assert instance.sql("SELECT message FROM audit.system_events WHERE event_id = 'kept'") == [("before the end",)]
    with instance.api(bot["token"]) as api:
        again = api.post("/events", json={"events": [event]})
    assert (again.status_code, again.headers["Idempotent-Replay"]) == (200, "true")


def test_no_acknowledged_write_is_lost_or_doubled_whatever_is_killed(
    instance: Running, staff_token: str, tmp_path: Path
):
    shared, alone, first, second = instance.bots(4)
    # Two writers of one bot tell of the same symbols, so that fills arrive out of order all the time.
    writers: list[Writer] = [
        RawWriter(instance, shared, name="shared-1", seed=1),
        RawWriter(instance, shared, name="shared-2", seed=2),
        RawWriter(instance, alone, name="alone", seed=3),
        ClientWriter(instance, first, name="client-1", seed=4, spool=tmp_path / "1.jsonl"),
        ClientWriter(instance, second, name="client-2", seed=5, spool=tmp_path / "2.jsonl"),
    ]
    for writer in writers:
        writer.start()
    try:
        await_progress(writers, 40)
        for name in OURS:
            instance.kill(name)
            await_progress(writers, 40)
    finally:
        for writer in writers:
            writer.finish()

    told: defaultdict[str, list[Write]] = defaultdict(list)
    for writer in writers:
        assert (writer.acknowledged, writer.unanswered > 0) == (len(writer.story.told), True), writer.name
        told[writer.bot_id] += writer.story.told
    assert [file.name for file in tmp_path.iterdir() if file.stat().st_size and file.suffix != ".lock"] == []
    for bot_id, writes in told.items():
        assert_each_write_is_there_once(instance, bot_id, writes)
        assert_money_adds_up(instance, bot_id, writes)
    assert_ledger_is_clean(instance)
    assert_all_show_the_same(instance, staff_token)


def test_redis_forgets_what_was_closed_while_it_hung(instance: Running):
    bot = instance.bots(1)[0]
    with instance.api(bot["token"]) as api:
        assert fill_arrives(api, 1, "BTCUSDT", "buy", second=1) == 201
        assert fill_arrives(api, 2, "ETHUSDT", "sell", second=2) == 201
        assert_redis_agrees(instance, [bot["bot_id"]])
        # It hangs, so what is told meanwhile never reaches it; then it dies.
        os.kill(instance.process("redis").pid, signal.SIGSTOP)
        assert fill_arrives(api, 3, "BTCUSDT", "sell", second=3) == 201
        assert fill_arrives(api, 4, "ETHUSDT", "sell", second=4) == 201
        instance.kill("redis")

    assert_redis_agrees(instance, [bot["bot_id"]])
    assert_ledger_is_clean(instance)


def test_browsers_and_redis_see_what_late_fills_make_of_a_position(instance: Running):
    bot, staff = instance.bots(1)[0], instance.staff("viewer")
    # The second opens the position instead of the first; the third ends that one, so the first opens another.
    late_fills = ((20, "buy"), (10, "buy"), (15, "sell"))

    with instance.browser() as browser, instance.api(bot["token"]) as api:
        sign_in(browser, staff["email"], staff["password"])
        with open_screen(instance, browser, bot["bot_id"]) as screen:
            for number, (second, side) in enumerate(late_fills):
                assert fill_arrives(api, number, "BTCUSDT", side, second=second) == 201
                stored = {row["position_id"]: row["size"] for row in every_page(api, "/positions", status="open")}
                assert len(stored) == 1
                assert screen.comes_to_show(stored) == stored
    assert_redis_agrees(instance, [bot["bot_id"]])


MOMENT = datetime.now(UTC) - timedelta(minutes=10)


def fill_arrives(api: httpx.Client, number: int, symbol: str, side: str, *, second: int) -> int:
    """Report a fill of one at a price of 100, executed `second` seconds after MOMENT, along with its order."""
    order = {"order_id": f"o{number}", "symbol": symbol, "side": side, "order_type": "market"}
    order |= {"quantity": "1", "intent": "report"}
    fill = {"fill_id": f"f{number}", "order_id": f"o{number}", "price": "100", "quantity": "1", "order": order}
    fill["executed_at"] = (MOMENT + timedelta(seconds=second)).isoformat()
    return api.post("/fills", json=fill).status_code


def await_progress(writers: list[Writer], count: int) -> None:
    """Wait until each writer has had so many more writes acknowledged."""
    goals = [writer.acknowledged + count for writer in writers]

    def are_there() -> bool:
        for writer in writers:
            assert writer.failure is None, f"{writer.name}: {writer.failure!r}"
        return all(writer.acknowledged >= goal for writer, goal in zip(writers, goals, strict=True))

    progress = {writer.name: (writer.acknowledged, writer.unanswered) for writer in writers}
    assert wait_until(are_there, PATIENCE), f"writers do not get on from {json.dumps(progress)}"
