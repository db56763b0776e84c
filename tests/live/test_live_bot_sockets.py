"""The socket of a bot: a halt reaches it at once, and only its own token opens it."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from audit.services.actions import Actor
from bots.models import ControlReceipt, ControlState
from bots.services.control import control_set
from bots.services.registry import bot_update
from bots.services.tokens import token_create, token_revoke
from config_app.services.configurations import configuration_activate
from tests.factories import BotFactory
from tests.live.live_browser import SocketServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick")]


class Listening:
    """A bot that listens."""

    def __init__(self, server: SocketServer, bot_id: str, token: str) -> None:
        self._open = ExitStack()
        headers = {"Authorization": f"Bearer {token}"}
        opening = connect(server.url(f"/ws/bots/{bot_id}/"), additional_headers=headers)
        self.socket = self._open.enter_context(opening)

    def until(self, kind: str, timeout: float = 5.0) -> dict[str, Any]:
        deadline = time.monotonic() + timeout
        while True:
            message: dict[str, Any] = json.loads(self.socket.recv(deadline - time.monotonic()))
            if message["type"] == kind:
                return message

    def close(self) -> None:
        self._open.close()


@pytest.fixture
def listen(socket_server: SocketServer) -> Iterator[Any]:
    opened: list[Listening] = []

    def open_one(bot: Any) -> Listening:
        token = token_create(bot_id=bot.bot_id, actor=Actor()).token
        opened.append(Listening(socket_server, bot.bot_id, token))
        return opened[-1]

    yield open_one
    for listening in opened:
        listening.close()


def set_state(state: str, *, scope: str = "all", target: str = "", reason: str = "because") -> None:
    control_set(scope=scope, target=target, state=state, reason=reason, actor=Actor(), on_release=lambda: None)


def test_a_bot_is_greeted_with_what_applies_to_it(listen: Any) -> None:
    bot = BotFactory(status="paused")
    configuration_activate(bot_id=bot.bot_id, config_key="risk", config_type=None, value={"a": 1}, actor=Actor())
    set_state("REDUCING", scope="bot", target=bot.bot_id, reason="earlier")

    listening = listen(bot)
    greeting = listening.until("status")

    assert (greeting["bot_status"], greeting["state"]) == ("paused", "REDUCING")
    assert greeting["config_versions"] == {"risk": 1}
    assert listening.until("halt")["reason"] == "earlier"


@pytest.mark.parametrize(
    ("scope", "target"), [("all", ""), ("bot", None), ("exchange", "bybit"), ("symbol", "BTCUSDT")]
)
def test_a_halt_and_its_end_reach_the_bot(listen: Any, scope: str, target: str | None) -> None:
    bot = BotFactory()
    listening = listen(bot)
    listening.until("status")
    where = {"scope": scope, "target": bot.bot_id if target is None else target}

    set_state("HALTED", **where, reason="kill")
    halted = listening.until("halt", timeout=1.0)
    set_state("ACTIVE", **where, reason="over")
    resumed = listening.until("resume", timeout=1.0)

    assert (halted["state"], halted["reason"], halted["permit_state"]) == ("HALTED", "kill", "HALTED")
    assert (resumed["state"], resumed["reason"], resumed["permit_state"]) == ("ACTIVE", "over", "ACTIVE")
    assert resumed["version"] == halted["version"] + 1


def test_permits_are_pushed_before_they_run_out_and_follow_the_state(listen: Any, settings: Any) -> None:
    settings.PERMIT_SECONDS = 3
    bot = BotFactory()
    listening = listen(bot)

    first, second = listening.until("permit"), listening.until("permit")
    set_state("HALTED", reason="kill")
    halted = listening.until("halt")
    told = listening.until("permit")

    assert (first["state"], told["state"], told["reasons"]) == ("ACTIVE", "HALTED", ["kill"])
    assert first["valid_until"] < second["valid_until"]
    deadline = time.monotonic() + 5
    while not (receipts := list(ControlReceipt.objects.all())):
        assert time.monotonic() < deadline, "nobody noted that the bot was told"
        time.sleep(0.05)
    assert [(row.bot_id, row.change_id, row.told_by) for row in receipts] == [(bot.bot_id, halted["id"], "socket")]


def test_a_halted_symbol_takes_no_permit(listen: Any) -> None:
    set_state("HALTED", scope="symbol", target="BTCUSDT")

    assert listen(BotFactory()).until("permit")["state"] == "ACTIVE"


def test_a_halt_reaches_the_bot_although_its_publish_was_lost(listen: Any) -> None:
    bot = BotFactory()
    listening = listen(bot)
    listening.until("status")

    ControlState.objects.create(scope="all", state="HALTED", reason="written by hand")

    assert listening.until("halt", timeout=1.0)["reason"] == "written by hand"


def test_what_is_left_in_force_is_told_with_a_resume(listen: Any) -> None:
    bot = BotFactory()
    set_state("REDUCING")
    set_state("HALTED", scope="bot", target=bot.bot_id)
    listening = listen(bot)
    listening.until("halt")

    set_state("ACTIVE", scope="bot", target=bot.bot_id)

    assert listening.until("resume")["permit_state"] == "REDUCING"


def test_other_bots_do_not_hear_of_it(listen: Any) -> None:
    bot, other = BotFactory(), BotFactory(exchange="kraken")
    listening = listen(other)
    listening.until("status")

    set_state("HALTED", scope="bot", target=bot.bot_id)
    set_state("HALTED", scope="exchange", target="bybit")
    set_state("HALTED", scope="all", reason="for all")

    assert listening.until("halt")["reason"] == "for all"


def test_a_new_configuration_and_a_new_status_are_told(listen: Any) -> None:
    bot = BotFactory()
    listening = listen(bot)
    listening.until("status")

    configuration_activate(bot_id=bot.bot_id, config_key="risk", config_type=None, value={"a": 1}, actor=Actor())
    assert listening.until("config", timeout=1.0)["config_versions"] == {"risk": 1}
    bot_update(bot_id=bot.bot_id, changes={"status": "paused"}, actor=Actor(), reason="rest")
    assert listening.until("status", timeout=1.0)["bot_status"] == "paused"


def test_a_revoked_token_ends_the_connection(socket_server: SocketServer) -> None:
    bot = BotFactory()
    made = token_create(bot_id=bot.bot_id, actor=Actor())
    listening = Listening(socket_server, bot.bot_id, made.token)
    listening.until("status")

    token_revoke(bot_id=bot.bot_id, prefix=made.row.prefix, actor=Actor())

    with pytest.raises(ConnectionClosed) as caught:
        listening.until("never", timeout=3.0)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 4401
    listening.close()


def test_foreign_unknown_and_bad_are_refused_alike(socket_server: SocketServer) -> None:
    bot, other = BotFactory(), BotFactory()
    token = token_create(bot_id=bot.bot_id, actor=Actor()).token
    wrong = token[:-1] + ("A" if token[-1] != "A" else "B")
    tries = [
        (other.bot_id, f"Bearer {token}"),
        ("nobody", f"Bearer {token}"),
        (bot.bot_id, f"Bearer {wrong}"),
        (bot.bot_id, f"Basic {token}"),
        (bot.bot_id, "Bearer "),
        (bot.bot_id, "nonsense"),
        (bot.bot_id, None),
    ]

    answers = []
    for bot_id, authorization in tries:
        headers = {"Authorization": authorization} if authorization else {}
        with (
            pytest.raises(InvalidStatus) as caught,
            connect(socket_server.url(f"/ws/bots/{bot_id}/"), additional_headers=headers),
        ):
            pass
        response = caught.value.response
        answers.append((response.status_code, bytes(response.body or b"")))

    assert set(answers) == {(403, b"")}
