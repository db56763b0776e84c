"""A short history under seals, and what a superuser can do to it."""

import base64
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from audit.models import Seal
from audit.trail.anchors import anchor
from audit.trail.keys import SealKey, seal_key
from audit.trail.seals import seal
from audit.trail.verify import Report, trail_verify
from bots.models import Bot
from tests.bots.ledger_tools import add_fill, place
from tests.factories import AccountBalanceFactory, BotFactory
from tradingdb.lib.acting import acting
from tradingdb.lib.db import SEARCH_PATH


def give_key(settings: Any, folder: Path) -> SealKey:
    """Let the settings name a key and a place for anchors in a folder."""
    file = folder / "audit_key"
    file.write_text(base64.b64encode(os.urandom(32)).decode())
    file.chmod(0o400)
    settings.AUDIT_KEY_FILE, settings.AUDIT_PUBLIC_KEYS = file, []
    settings.AUDIT_ANCHOR_DIR, settings.AUDIT_ANCHOR_COPIES = folder / "anchors", [str(folder / "copies")]
    settings.AUDIT_ANCHOR_COMMAND = []
    key = seal_key()
    assert key is not None
    return key


def sealed(key: SealKey) -> Seal:
    """Seal now; something must be there to be sealed."""
    made = seal(key)
    assert made is not None
    return made


class Story:
    """A bot with an order and two fills, a balance, and an edit of a limit, under four seals; the last is anchored."""

    def __init__(self, key: SealKey) -> None:
        self.key = key
        self.bot: Bot = BotFactory(max_positions=5)
        self.first = sealed(key)
        place(self.bot, "o1", "buy", "2")
        add_fill(self.bot, "f1", "o1", "100", "1")
        self.second = sealed(key)
        add_fill(self.bot, "f2", "o1", "101", "1", minute=1)
        self.balance = AccountBalanceFactory(bot=self.bot)
        self.third = sealed(key)
        with acting(actor="ann@example.com", request_id="request-1", reason="more room"):
            self.bot.max_positions = 7
            self.bot.save()
        self.last = sealed(key)
        assert anchor(self.last) == []


@contextmanager
def superuser() -> Iterator[psycopg.Connection[Any]]:
    """A session of PostgreSQL's superuser in the database of the tests."""
    url = os.environ.get("ADMIN_DATABASE_URL")
    if not url:
        pytest.fail("these tests act as superuser: set ADMIN_DATABASE_URL, or let the tests start the embedded server")
    name = connection.settings_dict["NAME"]
    options = f"-c search_path={','.join(SEARCH_PATH)} -c timezone=UTC"
    with psycopg.connect(url, dbname=name, options=options, autocommit=True) as session:
        yield session


def unseen(*statements: str, params: Sequence[Any] = ()) -> None:
    """Run statements as superuser with every trigger switched off."""
    with superuser() as session, session.transaction():
        session.execute("SET LOCAL session_replication_role = replica")
        for statement in statements:
            session.execute(statement, params if "%s" in statement else None)


def problems(report: Report | None = None) -> list[tuple[int | None, str]]:
    """Return what a whole check finds: seal and name of each problem."""
    report = report or trail_verify()
    return [(one["seal"], one["problem"]) for one in report["problems"]]
