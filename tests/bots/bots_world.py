"""Bots with rows in every table, committed, and connections under their login and the application's."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from psycopg import errors, sql
from pytest_django.plugin import DjangoDbBlocker

from audit.models import RiskEvent
from audit.services.actions import SYSTEM
from bots.services.rights import TABLES
from bots.services.shell import OPTIONS, conninfo
from bots.services.tokens import token_create
from tests.bots.ledger_tools import add_fill, place
from tests.bots.rich_ledger import build_rich_ledger
from tests.factories import BotFactory, ControlReceiptFactory, RiskMetricsFactory, TradeReviewFactory
from tradingdb.lib.db import SEARCH_PATH

Session = psycopg.Connection[Any]
POLICIES = """
    SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relrowsecurity AND n.nspname = ANY (%s) AND EXISTS (
        SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'bot_id' AND NOT a.attisdropped)
"""
RELATIONS = """
    SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY (%s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT EXISTS (
        SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
"""


class World(NamedTuple):
    """Bots with rows in every table: two on accounts of their own, and one that shares the first one's account."""

    bots: tuple[str, ...]
    # How many rows of each table each bot has, as the owner counts them.
    rows: dict[str, dict[str, int]]
    prefixes: dict[str, str]

    def others(self, bot_id: str) -> list[str]:
        return [other for other in self.bots if other != bot_id]


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    assert settings.BOT_ROLE, "these tests need a login of the bots' own: set BOT_DATABASE_URL"
    with django_db_blocker.unblock():
        try:
            yield build_world()
        finally:
            call_command("flush", interactive=False, verbosity=0)


def build_world() -> World:
    rich, plain = build_rich_ledger()
    beside = BotFactory(account=rich.account)
    prefixes = {}
    for bot in (rich, plain, beside):
        place(bot, "rls-order", "buy", "1")
        add_fill(bot, "rls-fill", "rls-order", "100", "1", 5000, exchange_trade_id=f"rls-{bot.bot_id}")
        TradeReviewFactory(bot=bot, trade=bot.trades.filter(exit_time__isnull=True).first())
        RiskEvent.objects.create(
            bot_id=bot.bot_id,
            risk_type="overfill",
            current_value=1,
            limit_value=0,
            action_taken="manual_review_required",
        )
        ControlReceiptFactory(bot=bot)
        prefixes[bot.bot_id] = token_create(bot_id=bot.bot_id, actor=SYSTEM).row.prefix
    RiskMetricsFactory(bot=beside)
    names = tuple(bot.bot_id for bot in (rich, plain, beside))
    with connection.cursor() as cursor:
        cursor.execute(POLICIES, [list(SEARCH_PATH)])
        tables = [row[0] for row in cursor.fetchall()]
        rows = {}
        for table in tables:
            cursor.execute(f"SELECT bot_id, count(*) FROM {table} GROUP BY bot_id")
            rows[table] = dict(cursor.fetchall())
    return World(names, rows, prefixes)


@pytest.fixture
def session(world: World) -> Iterator[Session]:
    """A connection as the bots' role, with the lane's options."""
    with psycopg.connect(conninfo(), options=OPTIONS, autocommit=True) as opened:
        yield opened


def tell(session: Session, bot_id: str | None) -> None:
    """Name the bot for the rest of the transaction, as the lane does; None names nobody."""
    if bot_id is not None:
        session.execute("SELECT set_config('app.bot_id', %s, true)", [bot_id])


def refused(session: Session, statement: Any, bot_id: str | None) -> None:
    """Assert that a statement is refused for lack of rights: 42501."""
    with session.transaction(force_rollback=True):
        tell(session, bot_id)
        with pytest.raises(errors.InsufficientPrivilege):
            session.execute(statement)


def seen(session: Session, table: str, where: str = "true") -> list[Any]:
    return [row[0] for row in session.execute(f"SELECT bot_id FROM {table} WHERE {where}")]


def readable(world: World) -> list[str]:
    """The tables with a bot_id that a bot may read."""
    return [table for table in world.rows if TABLES[table].reads is None or "bot_id" in TABLES[table].reads]


def copied(table: str, bot_id: str, session: Session) -> sql.Composed:
    """An INSERT of one of the visible rows once more, in the name of `bot_id`."""
    columns = [grant[0] for grant in session.execute(
        "SELECT column_name FROM information_schema.column_privileges WHERE table_schema || '.' || table_name = %s "
        "AND grantee = current_user AND privilege_type = 'INSERT' AND column_name <> 'bot_id'", [table]
    )]  # fmt: skip
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("INSERT INTO {table} (bot_id, {names}) SELECT {bot}, {names} FROM {table} LIMIT 1").format(
        table=sql.Identifier(*table.split(".")), names=names, bot=sql.Literal(bot_id)
    )


def connection_as_owner() -> Session:
    """A connection as the application."""
    return psycopg.connect(
        **{key: connection.get_connection_params()[key] for key in ("dbname", "user", "password", "host", "port")},
        options=OPTIONS, autocommit=True,
    )  # fmt: skip
