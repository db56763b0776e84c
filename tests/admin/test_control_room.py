"""The control page: halting from it, releasing by an admin alone, what the numbers prove, who heard and who obeys."""

import re

import pytest

from audit.models import UserAction
from bots.ledger.facts import Heartbeat
from bots.models import ControlChange, ControlState
from bots.services.heartbeats import bot_record_heartbeat

ROOM = "bots_controlstate_room"


def everything() -> ControlState | None:
    return ControlState.objects.filter(scope="all").first()


def test_one_button_halts_everything(trader, house):
    answer = trader.send(ROOM, reason="the exchange is on fire")

    row = everything()
    assert row is not None
    assert (answer.status_code, row.state, row.reason) == (302, "HALTED", "the exchange is on fire")
    assert row.changed_by == trader.user
    assert UserAction.objects.filter(action="control.halted", reason=row.reason).count() == 1


def test_a_halt_needs_a_reason_and_a_viewer_halts_nothing(trader, viewer, house):
    assert trader.send(ROOM, reason=" ").status_code == 200
    assert viewer.send(ROOM, reason="because").status_code == 403

    assert everything() is None
    assert "Halt everything</button>" not in viewer.open(ROOM).content.decode()


@pytest.mark.parametrize("person", ["viewer", "trader", "admin"])
def test_every_page_leads_to_the_control_page(person, request, house):
    browser = request.getfixturevalue(person)

    for name in ("index", "bots_fill_changelist", ROOM):
        assert "/bots/controlstate/room/" in browser.open(name).content.decode()
    assert "/bots/controlstate/room/" in browser.get("/").content.decode()


def test_the_page_shows_the_proof_and_each_bot(admin, house):
    admin.send(ROOM, reason="stop")
    change = ControlChange.objects.get(scope="all")

    requested = admin.open(ROOM).content.decode()
    told = bot_record_heartbeat(bot_id="bot_1", beat=Heartbeat()).body["halt"]["id"]
    received = admin.open(ROOM).content.decode()
    bot_record_heartbeat(bot_id="bot_1", beat=Heartbeat(acknowledged_halt=told))
    done = admin.open(ROOM).content.decode()

    assert told == change.pk
    of_bot = re.compile(r">bot_1</a>.*?>(requested|received|done)<", re.DOTALL)
    assert [of_bot.findall(page) for page in (requested, received, done)] == [["requested"], ["received"], ["done"]]
    page = admin.open("bots_controlchange_change", change.pk).content.decode()
    assert "Orders accepted since:" in page
    assert f"a number above {change.pk}" in page
    assert "of what the bot says" not in page
    assert str(change.pk) in admin.open("bots_bot_change", "bot_1").content.decode()


def test_an_admin_weakens_a_halt_to_reducing_with_the_password(admin, house):
    row = ControlState.objects.get(scope="symbol")

    admin.send("bots_controlstate_release", row.pk, state="REDUCING", reason="slowly")

    row.refresh_from_db()
    assert row.state == "REDUCING"


def test_a_trader_weakens_nothing_by_restricting_anew(trader, house):
    answer = trader.send(
        "bots_controlstate_restrict", scope="symbol", target="BTCUSDT", state="REDUCING", reason="less"
    )

    assert answer.status_code == 409
    assert ControlState.objects.get(scope="symbol").state == "HALTED"


def test_a_release_without_words_is_none(admin, house):
    """One without a fresh proof of the person is refused for every such page in tests/accounts/test_proofs.py."""
    row = ControlState.objects.get(scope="symbol")

    assert admin.send("bots_controlstate_release", row.pk, reason="").status_code == 200

    row.refresh_from_db()
    assert row.state == "HALTED"


def test_with_the_setting_a_second_person_releases(admin, house, settings):
    settings.RELEASE_NEEDS_SECOND_PERSON = True
    row = ControlState.objects.get(scope="symbol")

    answer = admin.send("bots_controlstate_release", row.pk, reason="on")

    assert answer.status_code == 409
    row.refresh_from_db()
    assert row.state == "HALTED"
