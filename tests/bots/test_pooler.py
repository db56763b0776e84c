"""Bots behind PgBouncer in transaction pooling: sessions are shared, bots are not."""

import asyncio
import random
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from django.core.asgi import get_asgi_application
from django.db import connection

from audit.services.actions import SYSTEM
from bots.api.lane import Lane
from bots.models import Fill, Order
from bots.services.shell import conninfo
from bots.services.tokens import token_create
from tests.bots.ledger_tools import add_fill, at, place
from tests.bots.pooler import pooler
from tests.factories import BotFactory

pytestmark = pytest.mark.django_db(transaction=True)
BOTS, SESSIONS, CLIENTS, ROUNDS = 6, 3, 12, 60
NAME_BOT = "SELECT set_config('app.bot_id', %s, true)"


@pytest.fixture
def through(settings: Any) -> Iterator[None]:
    """Lead the lane through the pooler; Debian's version knows no prepared statements of clients."""
    settings.REDIS_PREFIX = f"test:{uuid.uuid4().hex}:"
    settings.LANE_PREPARES = False
    with pooler(settings.BOT_DATABASE, connection.settings_dict["NAME"], sessions=SESSIONS) as login:
        settings.BOT_DATABASE = login
        yield


def test_lane_of_several_bots_through_shared_sessions(through: None) -> None:
    tokens = {}
    for _ in range(BOTS):
        bot = BotFactory()
        tokens[bot.bot_id] = token_create(bot_id=bot.bot_id, actor=SYSTEM).token

    async def drive() -> list[int]:
        lane = Lane(get_asgi_application())
        transport = httpx.ASGITransport(app=lane)
        try:
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1/api/v1") as client:
                statuses = await asyncio.gather(*(trade(client, token) for token in tokens.values()))
        finally:
            await lane.close()
        return [status for each in statuses for status in each]

    async def trade(client: httpx.AsyncClient, token: str) -> list[int]:
        """Every bot tells the same ids, and each fill twice."""
        statuses = []
        headers = {"Authorization": f"Bearer {token}"}
        order = {"order_id": "o", "symbol": "BTCUSDT", "side": "buy", "order_type": "market", "quantity": "10"}
        answer = await client.post("/orders", json=order | {"intent": "report"}, headers=headers)
        statuses.append(answer.status_code)
        for number in range(10):
            fill = {"fill_id": f"f{number}", "order_id": "o", "price": "1", "quantity": "1", "executed_at": at(number)}
            for _ in range(2):
                answer = await client.post("/fills", json=fill, headers=headers)
                statuses.append(answer.status_code)
        return statuses

    statuses = asyncio.run(drive())

    assert (statuses.count(201), statuses.count(200)) == (BOTS * 11, BOTS * 10)
    for bot_id in tokens:
        assert Order.objects.filter(bot_id=bot_id, filled_quantity=10).count() == 1
        assert Fill.objects.filter(bot_id=bot_id).count() == 10


def test_no_row_of_another_bot_in_thousands_of_transactions(through: None) -> None:
    names = []
    for _ in range(BOTS):
        bot = BotFactory()
        place(bot, "o", "buy", "1")
        add_fill(bot, "f", "o", "1", "1")
        names.append(bot.bot_id)
    foreign: list[Any] = []
    seen = [0] * CLIENTS
    failures: list[BaseException] = []

    def client(number: int) -> None:
        choose = random.Random(number)
        try:
            with psycopg.connect(conninfo(), autocommit=True, prepare_threshold=None) as session:
                for _ in range(ROUNDS):
                    own = choose.choice(names)
                    session.execute("BEGIN")
                    session.execute(NAME_BOT, [own])
                    rows = [row[0] for row in session.execute("SELECT bot_id FROM fills WHERE true OR bot_id = 'x'")]
                    seen[number] += len(rows)
                    foreign.extend(row for row in rows if row != own)
                    if choose.random() < 0.3:
                        session.execute("UPDATE bots SET error_count = error_count + 1")
                    session.execute("ROLLBACK" if choose.random() < 0.2 else "COMMIT")
                    # A forgotten BEGIN, in whatever session comes.
                    foreign.extend(session.execute("SELECT bot_id FROM fills").fetchall())
                    foreign.extend(
                        row for row in session.execute("SELECT current_setting('app.bot_id', true)") if row[0]
                    )
        except BaseException as e:
            failures.append(e)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert foreign == []
    assert seen == [ROUNDS] * CLIENTS
