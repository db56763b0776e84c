"""The main job, end to end: start, sign in, write, lose every process in turn, and lose nothing."""

import logging
import os
import re
import signal
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import httpx

from tests.chaos.__main__ import report
from tests.chaos.stage import Stage
from tests.e2e.checks import assert_ledger_is_clean, assert_redis_agrees
from tests.e2e.running import OURS, PATIENCE, Running, every_page, sign_in
from tests.e2e.screen import open_screen
from tradingdb.services.processes import marked, wait_until
from tradingdb.services.state import port_is_free
from tradingdb.services.storage import MIB, DiskWatch

logger = logging.getLogger(__name__)
EVENT = {"event_id": "kept", "event_type": "CHAOS", "event_level": "INFO", "message": "before the end"}
PASSWORD_PLACE = re.compile(r"the admin password is in (\S+)")


def test_up_is_ready_and_bots_and_people_get_in(instance: Running):
    (first, second), staff = instance.bots(2), instance.staff("viewer")

    said = instance.services("up")

    assert f"ready at {instance.base_url}" in said
    health = httpx.get(f"{instance.base_url}/health/ready", trust_env=False)
    ready = health.json()
    assert (ready["status"], ready["checks"]) == ("ok", {"postgresql": "ok", "redis": "ok"})
    # Bots have a login of their own here, so there is nothing to say of row security.
    assert ready.keys() == {"status", "checks", "pools"}
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

    assert stranger.url.path == "/account/login/"
    assert (dashboard.status_code, dashboard.url.path) == (200, "/")
    assert (admin.status_code, admin.url.path) == (200, "/admin/")
    assert password not in log


def test_down_leaves_nothing_and_up_finds_everything_again(instance: Running):
    bot = instance.bots(1)[0]
    with instance.api(bot["token"]) as api:
        assert api.post("/events", json={"events": [EVENT]}).status_code == 201
    processes = instance.state.processes()

    instance.services("down")

    assert set(processes) == {"supervisor", *OURS}
    assert [name for name, process in processes.items() if process.is_alive()] == []
    assert marked(instance.state.root) == []
    assert port_is_free("127.0.0.1", instance.port)
    instance.services("up")
    assert instance.sql("SELECT message FROM audit.system_events WHERE event_id = 'kept'") == [("before the end",)]
    with instance.api(bot["token"]) as api:
        again = api.post("/events", json={"events": [EVENT]})
    assert (again.status_code, again.headers["Idempotent-Replay"]) == (200, "true")


def test_a_disk_that_gets_low_stops_writing_and_nothing_else(instance: Running):
    """The real watch over the real folder; only its mark moves, where in test_full_disk the room does."""
    said: list[str] = []
    data = instance.state.root / "postgres" / "data"
    found = os.statvfs(data)
    # Twice what is free: others on this disk come and go.
    watch = DiskWatch(instance.state, data, 2 * found.f_bavail * found.f_frsize, said.append)
    bot = instance.bots(1)[0]
    with instance.api(bot["token"]) as api:
        assert fill_arrives(api, 1, "BTCUSDT", "buy", second=1) == 201
        try:
            watch.look()
            # The server reads its settings in its own time; what it stored until then it replays, read-only or not.
            numbers = count()
            assert wait_until(lambda: event_arrives(api, f"low{next(numbers)}") == 503, PATIENCE)
            assert fill_arrives(api, 2, "BTCUSDT", "sell", second=2) == 503
            refused = api.post("/events", json={"events": [EVENT | {"event_id": "refused"}]})
            permit, fills = api.get("/permit"), every_page(api, "/fills")
            is_ready = instance.is_ready()
            instance.staff("viewer")
        finally:
            watch.mark = MIB
            watch.look()
        assert wait_until(lambda: fill_arrives(api, 2, "BTCUSDT", "sell", second=2) in (200, 201), PATIENCE)
        stored = every_page(api, "/fills")

    assert (refused.status_code, refused.json()["code"]) == (503, "storage_full")
    assert int(refused.headers["Retry-After"]) >= 1
    assert (permit.status_code, is_ready) == (200, True)
    assert [row["fill_id"] for row in fills] == ["f1"]
    assert {row["fill_id"] for row in stored} == {"f1", "f2"}
    assert [words.partition("; ")[2] for words in said] == [
        "it is read-only until there is room again", "it takes writes again",
    ]  # fmt: skip
    assert_ledger_is_clean(instance)


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


def event_arrives(api: httpx.Client, event_id: str) -> int:
    return api.post("/events", json={"events": [EVENT | {"event_id": event_id}]}).status_code


def fill_arrives(api: httpx.Client, number: int, symbol: str, side: str, *, second: int) -> int:
    """Report a fill of one at a price of 100, executed `second` seconds after MOMENT, along with its order."""
    order = {"order_id": f"o{number}", "symbol": symbol, "side": side, "order_type": "market"}
    order |= {"quantity": "1", "intent": "report"}
    fill = {"fill_id": f"f{number}", "order_id": f"o{number}", "price": "100", "quantity": "1", "order": order}
    fill["executed_at"] = (MOMENT + timedelta(seconds=second)).isoformat()
    return api.post("/fills", json=fill).status_code


def test_no_acknowledged_write_is_lost_or_doubled_whatever_happens(instance: Running, staff_token: str, tmp_path: Path):
    """The small form of `make chaos`. It comes last: overfills leave cases, which the tests above want none of."""
    stage: Stage
    with Stage.open(instance, seed=1, bots=4, breath=0.004, folder=tmp_path, say=logger.info) as stage:
        stage.await_progress(20)
        for harm in stage.conductor.all_harms:
            stage.conductor.do(harm)
            stage.await_progress(20)
        outcome = stage.end(staff_token)
        # Had something been lost, it would say so.
        fill_id = stage.plant_loss()
        with_a_loss = stage.end(staff_token)

    assert outcome.problems == []
    assert outcome.verdict.acknowledged == outcome.verdict.stored > 500
    assert outcome.kills == dict.fromkeys(OURS, 2) | {"web": 3}
    # The network did its part.
    assert outcome.unanswered > 0
    assert {"lose_answer", "late", "twice"} <= outcome.faults.keys()
    assert report(outcome) == 0
    assert [name.split()[-1] for name in with_a_loss.verdict.lost] == [fill_id]
    # Beat may have corrected the figures by what is left of the fills meanwhile; then they are not what was told.
    assert with_a_loss.differences or with_a_loss.verdict.wrong
    assert report(with_a_loss) == 1
