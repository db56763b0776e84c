"""Who gets in where: bots, people by token and by session, strangers."""

import json

import pytest

from audit.models import UserAction
from bots.live import ratelimit
from bots.models import Bot
from tests.api.conftest import Caller, bot_caller, session_caller, staff_caller
from tests.factories import PASSWORD, BotFactory, OrderFactory, UserFactory

READS = ["/me", "/config", "/signals", "/orders", "/fills", "/positions", "/trades", "/balances"]
STAFF_READS = [
    "/bots", "/reconciliation/cases", "/conflicts", "/parked", "/risk/events", "/audit/actions", "/live",
    "/portfolio/current", "/portfolio/snapshots", "/metrics/daily",
]  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize("path", READS + STAFF_READS)
def test_a_stranger_hears_401_everywhere(path: str):
    for caller in (Caller(), Caller("nonsense"), Caller("tdb_demo_" + "a" * 12 + "." + "b" * 43)):
        response = caller.get(path)

        assert response.status_code == 401
        assert response["Content-Type"] == "application/problem+json"
        assert response["WWW-Authenticate"].startswith("Bearer")
        assert response.json()["code"] == "not_authenticated"


@pytest.mark.parametrize("path", STAFF_READS)
def test_a_bot_is_refused_where_staff_work(api: Caller, path: str):
    response = api.get(path)

    assert (response.status_code, response.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("path", STAFF_READS)
def test_a_viewer_reads_what_staff_read(viewer: Caller, path: str):
    assert viewer.get(path).status_code == 200


def test_people_are_refused_where_bots_report(admin: Caller):
    assert admin.get("/me").status_code == 403
    assert admin.post("/trades", {}).status_code == 403
    assert session_caller(UserFactory()).post("/trades", {}).status_code == 403
    assert Caller().post("/trades", {}).status_code == 401


def test_a_missing_scope_is_403(bot: Bot):
    reader = bot_caller(bot, "read")

    assert reader.get("/orders").status_code == 200
    assert reader.post("/trades", {}).status_code == 403
    assert reader.post("/candles", {}).status_code == 403


def test_a_bot_that_names_a_bot_is_refused_alike_for_itself_others_and_nobody(api: Caller, bot: Bot):
    other = BotFactory()

    answers = [api.get("/orders", bot_id=bot_id).json() for bot_id in (bot.bot_id, other.bot_id, "nobody", "é")]

    assert {answer["status"] for answer in answers} == {403}
    assert len({answer["detail"] for answer in answers}) == 1


def test_a_bot_sees_its_own_rows_and_staff_everybodys(api: Caller, viewer: Caller, bot: Bot):
    own = OrderFactory(bot=bot)
    foreign = OrderFactory()

    def ids(response) -> set[str]:
        return {row["order_id"] for row in response.json()["items"]}

    assert ids(api.get("/orders")) == {own.order_id}
    assert ids(viewer.get("/orders")) == {own.order_id, foreign.order_id}
    assert ids(viewer.get("/orders", bot_id=foreign.bot_id)) == {foreign.order_id}
    assert ids(viewer.get("/orders", bot_id="nobody")) == set()


@pytest.mark.django_db
def test_a_session_reads_and_writes_with_the_csrf_token_only():
    trader = UserFactory(role="trader")
    body = {"scope": "all", "state": "HALTED", "reason": "test"}

    assert session_caller(trader, csrf=False).get("/bots").status_code == 200
    refused = session_caller(trader, csrf=False).post("/control", body)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert session_caller(trader).post("/control", body).status_code == 200


@pytest.mark.django_db
def test_a_disabled_person_is_out_at_once():
    user = UserFactory()
    session, token = session_caller(user), staff_caller("admin", user)
    assert (session.get("/bots").status_code, token.get("/bots").status_code) == (200, 200)

    user.is_active = False
    user.save()

    assert (session.get("/bots").status_code, token.get("/bots").status_code) == (401, 401)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path", "body", "least"),
    [
        ("POST", "/control", {"scope": "all", "state": "HALTED", "reason": "test"}, "trader"),
        ("POST", "/bots", {}, "admin"),
        ("DELETE", "/bots/nobody/tokens/abc", None, "admin"),
        ("PATCH", "/bots/nobody", {"status": "paused"}, "trader"),
        ("PATCH", "/bots/nobody", {"bot_name": "x"}, "admin"),
        ("PATCH", "/bots/nobody", {"status": "active"}, "admin"),
        ("PATCH", "/reconciliation/cases/1", {"cause": "x"}, "trader"),
        ("POST", "/risk/events/1/resolve", {"notes": "x"}, "trader"),
    ],
)
def test_each_role_may_do_its_part(method: str, path: str, body: object, least: str):
    ranks = ["viewer", "trader", "admin"]

    refused = {role: staff_caller(role).send(method, path, body).status_code == 403 for role in ranks}

    assert refused == {role: ranks.index(role) < ranks.index(least) for role in ranks}


def test_a_call_above_the_limit_hears_429_and_when_to_come_back(api: Caller, settings):
    settings.RATE_LIMIT_READS_PER_MINUTE = 2

    statuses = [api.get("/me").status_code for _ in range(4)]
    refused = api.get("/me")

    assert statuses == [200, 200, 429, 429]
    assert refused.json()["code"] == "rate_limited"
    assert 1 <= int(refused["Retry-After"]) <= 60
    # Facts have a bucket of their own.
    assert api.post("/trades", {}).status_code == 422


def test_reads_go_on_in_the_process_while_redis_is_away(api: Caller, settings, monkeypatch):
    monkeypatch.setattr(ratelimit.outage, "is_over", lambda: False)
    settings.RATE_LIMIT_READS_PER_MINUTE = 1

    assert [api.get("/me").status_code for _ in range(2)] == [200, 429]


@pytest.mark.django_db
def test_a_confirmed_password_counts_at_that_session_only():
    user = UserFactory()
    session, other = session_caller(user), session_caller(user)
    release = {"scope": "all", "state": "ACTIVE", "reason": "checked"}

    first = session.post("/control", release)
    wrong = session.post("/auth/confirm", {"password": "wrong"})
    right = session.post("/auth/confirm", {"password": PASSWORD})

    assert (first.status_code, first.json()["code"]) == (403, "reauthentication_required")
    assert (wrong.status_code, wrong.json()["code"]) == (403, "wrong_password")
    assert right.status_code == 200
    assert session.post("/control", release).status_code == 200
    assert other.post("/control", release).json()["code"] == "reauthentication_required"
    actions = list(UserAction.objects.filter(action__startswith="reauthentication").values_list("action", flat=True))
    assert sorted(actions) == ["reauthentication.confirm", "reauthentication.failed"]


@pytest.mark.django_db
def test_a_confirmation_is_over_after_five_minutes(monkeypatch):
    user = UserFactory()
    session = session_caller(user)
    session.post("/auth/confirm", {"password": PASSWORD})
    stored = session.client.session
    stored["reauthenticated_at"] -= 301
    stored.save()

    response = session.post("/control", {"scope": "all", "state": "ACTIVE", "reason": "checked"})

    assert response.json()["code"] == "reauthentication_required"


@pytest.mark.django_db
def test_passwords_cannot_be_guessed_at_the_confirmation():
    session = session_caller(UserFactory())

    statuses = [session.post("/auth/confirm", {"password": "wrong"}).status_code for _ in range(6)]
    right = session.post("/auth/confirm", {"password": PASSWORD})

    assert statuses == [403] * 5 + [429]
    assert right.status_code == 429


@pytest.mark.django_db
def test_a_personal_token_is_never_fresh():
    admin = staff_caller("admin")

    assert admin.post("/auth/confirm", {"password": PASSWORD}).json()["code"] == "reauthentication_required"
    release = admin.post("/control", {"scope": "all", "state": "ACTIVE", "reason": "checked"})
    assert release.json()["code"] == "reauthentication_required"


def test_no_answer_shows_a_secret(api: Caller, admin: Caller, bot: Bot):
    texts = [
        admin.get(f"/bots/{bot.bot_id}").content.decode(),
        admin.get("/bots").content.decode(),
        api.get("/me").content.decode(),
        admin.get("/audit/actions").content.decode(),
    ]

    for text in texts:
        assert "digest" not in text
        assert "api_key_hash" not in text
        for caller in (api, admin):
            assert caller.headers["Authorization"].partition(".")[2] not in text
    assert json.loads(texts[0])["tokens"][0]["revoked_at"] is None
