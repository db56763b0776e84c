"""Over the sockets no token learns anything of another bot, and no token that is closed opens one."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from audit.services.actions import SYSTEM
from bots.models import BotToken
from bots.services.registry import bot_update
from bots.services.tokens import token_create, token_revoke
from config_app.services.configurations import configuration_activate
from tests.api.doors import by_views
from tests.api.foreign import Names, settle
from tests.factories import BotFactory
from tests.live.live_browser import SocketServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick")]


def refusal(url: str, **options: Any) -> tuple[int, bytes]:
    """How a handshake is refused."""
    with pytest.raises(InvalidStatus) as caught, connect(url, **options):
        pass
    return caught.value.response.status_code, bytes(caught.value.response.body or b"")


def test_a_bot_hears_nothing_of_others(socket_server: SocketServer) -> None:
    me, zebra, hyena = Names(mark="asker"), Names(mark="zebra", figure="86753.0901"), Names(mark="hyena")
    account = settle(by_views, me).account
    url = socket_server.url(f"/ws/bots/{me.bot_id}/")
    heard = ""
    with connect(url, additional_headers={"Authorization": f"Bearer {me.token}"}) as socket:
        # The greeting comes first, so that all that follows is told while somebody listens.
        heard += str(socket.recv(5))
        settle(by_views, zebra)
        settle(by_views, hyena, account)
        for other in (zebra, hyena):
            bot_update(bot_id=other.bot_id, changes={"status": "paused"}, actor=SYSTEM, reason=other.mark)
        last = uuid.uuid4().hex
        configuration_activate(bot_id=me.bot_id, config_key=last, config_type=None, value={}, actor=SYSTEM)
        while last not in heard:
            heard += str(socket.recv(10))

    for word in ("zebra", "hyena", zebra.figure, zebra.position_id, hyena.position_id, zebra.prefix, hyena.prefix):
        assert word not in heard.replace(word.upper(), word)


def test_closed_tokens_open_no_socket(socket_server: SocketServer) -> None:
    bot = BotFactory()
    revoked, expired = (token_create(bot_id=bot.bot_id, actor=SYSTEM) for _ in range(2))
    token_revoke(bot_id=bot.bot_id, prefix=revoked.row.prefix, actor=SYSTEM)
    yesterday = timezone.now() - timedelta(days=1)
    BotToken.objects.filter(pk=expired.row.pk).update(created_at=yesterday - timedelta(days=1), expires_at=yesterday)
    tokens = [revoked.token, expired.token, "tdb_demo_AAAAAAAAAAAA." + revoked.token.partition(".")[2]]

    own, unknown = socket_server.url(f"/ws/bots/{bot.bot_id}/"), socket_server.url("/ws/bots/nobody/")
    knocks = [(url, {"Authorization": f"Bearer {token}"}) for url in (own, unknown) for token in tokens]
    answers = {refusal(url, additional_headers=headers) for url, headers in knocks}

    assert answers == {(403, b"")}


def test_no_token_of_a_bot_opens_the_control_room(socket_server: SocketServer) -> None:
    bot, other = BotFactory(), BotFactory()
    token = token_create(bot_id=bot.bot_id, actor=SYSTEM).token
    headers = {"Authorization": f"Bearer {token}"}
    url = socket_server.url("/ws/live/")

    origin = "http://127.0.0.1"
    answers = {
        refusal(f"{url}{query}", additional_headers=given, origin=origin)
        for query in ("", f"?bot={bot.bot_id}", f"?bot={other.bot_id}", "?bot=nobody", f"?token={token}")
        for given in (headers, {}, {**headers, "Cookie": f"sessionid={token}"})
    }

    assert answers == {(403, b"")}
