"""A database that takes no writes, as on a disk without room: whoever reads goes on."""

import json
from collections.abc import Iterator

import pytest
from django.db import connection

from bots.models import BotToken
from tests.api.conftest import Caller, bot_caller, staff_caller
from tests.factories import BotFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def callers() -> Iterator[dict[str, Caller]]:
    """A bot and a person whose tokens were never used, so that their use is due to be noted."""
    yield {"bot": bot_caller(BotFactory(bot_id="reader")), "staff": staff_caller("viewer")}
    # The pool must not hand it to the next test.
    connection.close()
    connection.close_pool()


def take_no_writes() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")


@pytest.mark.parametrize("who", ["bot", "staff"])
def test_a_token_reads_although_its_use_cannot_be_noted(callers: dict[str, Caller], who: str) -> None:
    take_no_writes()

    assert callers[who].get("/fills").status_code == 200
    assert BotToken.objects.get(bot_id="reader").last_used_at is None


def test_a_write_hears_that_there_is_no_room(callers: dict[str, Caller]) -> None:
    take_no_writes()

    event = {"event_id": "e1", "event_type": "TEST", "event_level": "INFO", "message": "no room"}
    answer = callers["bot"].post("/events", {"events": [event]})

    assert (answer.status_code, json.loads(answer.content)["code"]) == (503, "storage_full")
    assert int(answer["Retry-After"]) >= 1
