"""The commands that make bots, people and the first admin."""

import json
import stat
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command

from accounts.models import User
from audit.models import SystemEvent, UserAction
from bots.models import Bot, CashFlow
from tests.api.conftest import Caller


def run(*words: str, **options: object) -> str:
    out = StringIO()
    call_command(*words, stdout=out, **options)
    return out.getvalue()


@pytest.mark.django_db
def test_create_bots_prints_json_alone_and_each_token_works():
    made = json.loads(run("create_bots", "3"))

    assert [bot["bot_id"] for bot in made] == ["bot_001", "bot_002", "bot_003"]
    me = Caller(made[2]["token"]).get("/me").json()
    assert (me["bot_id"], me["status"], me["deployment_mode"]) == ("bot_003", "active", "demo")
    assert me["limits"] == {
        "max_positions": 1000,
        "leverage_limit": 125,
        "max_daily_loss_pct": None,
        "max_weekly_loss_pct": None,
        "max_drawdown_pct": None,
    }
    assert (me["initial_capital"], me["currency"]) == ("1000000", "USDT")
    assert CashFlow.objects.filter(kind="initial").count() == 3


@pytest.mark.django_db
def test_create_bots_goes_on_counting():
    run("create_bots", "2")
    Bot.objects.filter(bot_id="bot_001").update(status="archived")

    assert [bot["bot_id"] for bot in json.loads(run("create_bots", "1"))] == ["bot_003"]
    assert [bot["bot_id"] for bot in json.loads(run("create_bots", "1", "--prefix=trial"))] == ["trial_001"]


@pytest.mark.django_db
@pytest.mark.parametrize("words", [("0",), ("1001",), ("1", "--prefix=../x")])
def test_create_bots_refuses_nonsense(words: tuple[str, ...]):
    with pytest.raises(CommandError):
        run("create_bots", *words)
    assert Bot.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.parametrize(("role", "status"), [("admin", 422), ("trader", 403), ("viewer", 403)])
def test_create_staff_makes_a_person_with_a_working_token(role: str, status: int):
    made = json.loads(run("create_staff", role))

    user = User.objects.get(email=made["email"])
    assert set(made) == {"email", "password", "token"}
    assert (user.role, user.is_staff) == (role, True)
    assert authenticate(username=made["email"], password=made["password"]) == user
    assert Caller(made["token"]).get("/bots").status_code == 200
    assert Caller(made["token"]).post("/bots", {}).status_code == status


@pytest.mark.django_db
def test_create_staff_refuses_an_address_that_is_taken():
    run("create_staff", "viewer", "--email=a@example.com")

    with pytest.raises(CommandError):
        run("create_staff", "viewer", "--email=A@example.com")
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_bootstrap_makes_the_first_admin_once(tmp_path: Path, settings):
    settings.STATE_DIR = tmp_path

    run("bootstrap")
    run("bootstrap")

    file = tmp_path / "secrets" / "admin_password"
    user = User.objects.get()
    assert (user.email, user.role) == ("admin@tradingdb.local", "admin")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert authenticate(username=user.email, password=file.read_text().strip()) == user
    assert SystemEvent.objects.filter(event_type="SYSTEM_START", source="system").count() == 2
    assert UserAction.objects.get().user_email == "bootstrap"


@pytest.mark.django_db
def test_bootstrap_takes_the_password_that_is_there_and_touches_no_admin(tmp_path: Path, settings):
    settings.STATE_DIR = tmp_path
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "admin_password").write_text("given to me by hand\n")

    run("bootstrap")
    User.objects.update(email="boss@example.com")
    run("bootstrap")

    assert [user.email for user in User.objects.all()] == ["boss@example.com"]
    assert User.objects.get().check_password("given to me by hand")


def test_show_settings_lists_every_setting_and_no_secret():
    rows = {row["name"]: row for row in json.loads(run("show_settings", as_json=True))}

    assert {"DATABASE_URL", "PORT", "STATE_DIR", "RATE_LIMIT_FACTS_PER_MINUTE", "SECRET_KEY_FILE"} <= set(rows)
    assert set(rows["PORT"]) == {"name", "kind", "default", "meaning", "value"}
    assert all(row["meaning"] for row in rows.values())
    for name in ("DATABASE_URL", "BOT_DATABASE_URL", "REDIS_URL"):
        assert rows[name]["value"] in ("", "(set)")
        assert "://" not in rows[name]["default"]
    assert "PERMIT_SECONDS=15" in run("show_settings")
