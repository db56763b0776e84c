"""Database logins of single bots, for those that write by SQL or by this project's services instead of HTTP.

The name of such a login says whose it is, and row security takes the bot from there: nothing that a session sets
makes it another (docs/security.md).
"""

import secrets

import psycopg
from django.conf import settings
from django.db import connection
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from audit.services.actions import Actor
from bots.models import Bot
from tradingdb.lib.bounds import REQUESTS
from tradingdb.lib.db import SEARCH_PATH
from tradingdb.lib.errors import Conflict, NotFound

PREFIX = "bot:"
# One bot must not take the connections of all.
CONNECTIONS = 10
ATTRIBUTES = f"LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOREPLICATION CONNECTION LIMIT {CONNECTIONS}"


def login_create(*, bot_id: str, admin_url: str, actor: Actor) -> str:
    """Give a bot a login to the database, or the one it has a new password; return its URL, which is kept nowhere.

    admin_url: of a login that may create roles. Raises NotFound, and Conflict where there is no role for bots.
    """
    name = _name(bot_id)
    password = secrets.token_urlsafe(32)
    with psycopg.connect(_here(admin_url), autocommit=True) as admin, admin.transaction():
        verb = "ALTER" if _exists(admin, name) else "CREATE"
        # Only the verifier travels: the server could write the statement into its log.
        verifier = admin.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
        role = sql.Identifier(name)
        admin.execute(
            sql.SQL("{} ROLE {} WITH {} PASSWORD {}").format(
                sql.SQL(verb), role, sql.SQL(ATTRIBUTES), sql.Literal(verifier)
            )
        )
        for key, value in REQUESTS.settings().items():
            admin.execute(sql.SQL("ALTER ROLE {} SET {} = {}").format(role, sql.Identifier(key), sql.Literal(value)))
        path = sql.SQL(", ").join(map(sql.Identifier, SEARCH_PATH))
        admin.execute(sql.SQL("ALTER ROLE {} SET search_path = {}").format(role, path))
        admin.execute(sql.SQL("ALTER ROLE {} SET timezone = 'UTC'").format(role))
        admin.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(_bots_role()), role))
    actor.record("bot.login_create", "bot", bot_id, after={"login": name})
    server = connection.get_connection_params()
    return f"postgresql://{name.replace(':', '%3A')}:{password}@{server['host']}:{server['port']}/{server['dbname']}"


def login_drop(*, bot_id: str, admin_url: str, actor: Actor) -> None:
    """Take a bot's login away and end its sessions. Raises NotFound when it has none."""
    name = _name(bot_id)
    with psycopg.connect(_here(admin_url), autocommit=True) as admin:
        if not _exists(admin, name):
            raise NotFound("This bot has no login to the database.", bot_id=bot_id)
        role = sql.Identifier(name)
        admin.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(role))
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [name])
        admin.execute(sql.SQL("DROP ROLE {}").format(role))
    actor.record("bot.login_drop", "bot", bot_id, before={"login": name})


def _name(bot_id: str) -> str:
    if not Bot.objects.filter(bot_id=bot_id).exists():
        raise NotFound("No such bot.", bot_id=bot_id)
    # Never cut: a bot's id has 50 characters at most, the name of a role 63.
    return f"{PREFIX}{bot_id}"


def _bots_role() -> str:
    role: str | None = settings.BOT_ROLE
    if role is None:
        raise Conflict("BOT_DATABASE_URL is the application's own login: there is no role that row security binds.")
    return role


def _here(admin_url: str) -> str:
    """The administrator's login to the database that Django is in, also in tests."""
    return make_conninfo(**{**conninfo_to_dict(admin_url), "dbname": connection.settings_dict["NAME"]})


def _exists(admin: psycopg.Connection, name: str) -> bool:
    return admin.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).fetchone() is not None
