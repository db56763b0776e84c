"""The check of the audit trail over the API: people read, bots do not."""

from pathlib import Path
from typing import Any

import pytest

from audit.models import Change
from bots.models import Bot
from tests.api.conftest import bot_caller, staff_caller
from tests.audit.trail_tools import give_key, sealed
from tests.bots.rich_ledger import registered

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def bot(settings: Any, tmp_path: Path) -> Bot:
    key = give_key(settings, tmp_path)
    made = registered("api_001")
    sealed(key)
    return made


def test_people_hear_how_the_trail_is(bot: Bot) -> None:
    whole = staff_caller("trader").get("/audit/verify?full=true").json()
    new = staff_caller("viewer").get("/audit/verify").json()

    assert (whole["ok"], whole["kind"], whole["from_seal"], whole["to_seal"], whole["problems"]) == (
        True,
        "full",
        0,
        0,
        [],
    )
    assert whole["rows"] > 0
    assert (new["ok"], new["kind"]) == (True, "incremental")


def test_whole_checks_are_not_for_viewers_and_none_for_bots(bot: Bot) -> None:
    assert staff_caller("viewer").get("/audit/verify?full=true").status_code == 403
    assert bot_caller(bot).get("/audit/verify").status_code == 403


def test_edit_through_the_api_keeps_person_reason_and_request(bot: Bot) -> None:
    admin = staff_caller("admin")
    answer = admin.patch("/bots/api_001", {"max_positions": 7, "reason": "more room"})
    assert answer.status_code == 200

    last = Change.objects.filter(table_name="bots", row_id="api_001").order_by("-id")[0]
    assert (last.after, last.reason) == ({"max_positions": 7}, "more room")
    assert last.request_id == answer["X-Request-ID"]
    assert "@" in last.actor
