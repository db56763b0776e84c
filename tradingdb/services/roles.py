"""Roles, database and extensions of the embedded PostgreSQL, made equal to what is written here at every start."""

from collections.abc import Callable, Mapping
from typing import LiteralString

import psycopg
from psycopg import sql

from tradingdb.lib.bounds import REQUESTS

DATABASE = "tradingdb"
APP_ROLE = "tradingdb"
BOT_ROLE = "tradingdb_bot"
SEARCH_PATH = ("public", "trading", "analytics", "config", "audit", "accounts", "messaging", "jobs")
EXTENSIONS = ("pg_trgm", "btree_gin", "btree_gist", "pg_stat_statements")
# Also on a disk so full that everybody else may only read.
WRITING = "-c default_transaction_read_only=off"
ATTRIBUTES = {
    # The application owns its database and makes test databases; it is no superuser.
    APP_ROLE: "LOGIN CREATEDB NOSUPERUSER NOCREATEROLE NOBYPASSRLS NOREPLICATION",
    # Bots are served under it and see their own rows only: row security must hold for it.
    BOT_ROLE: "LOGIN NOCREATEDB NOSUPERUSER NOCREATEROLE NOBYPASSRLS NOREPLICATION",
}
# What the lane asks for itself; through a pooler, which passes no options on, it comes from the role.
BOUNDS = {"statement_timeout": "5s", "lock_timeout": "2s", "idle_in_transaction_session_timeout": "10s"}


def assert_roles(url_of: Callable[[str], str], passwords: Mapping[str, str]) -> None:
    """Create or correct both roles, the database and its extensions.

    url_of: gives the superuser's URL for a database name. passwords: by role.
    """
    with psycopg.connect(url_of("postgres"), autocommit=True, options=WRITING) as connection:
        for role, password in passwords.items():
            _assert_role(connection, role, password)
        # The application may act as a bot, for one transaction: under Django bots are served on its own connection.
        connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(BOT_ROLE), sql.Identifier(APP_ROLE)))
        for name, bound in BOUNDS.items():
            parts = (sql.Identifier(BOT_ROLE), sql.Identifier(name), sql.Literal(bound))
            connection.execute(sql.SQL("ALTER ROLE {} SET {} = {}").format(*parts))
        if not _exists(connection, "SELECT 1 FROM pg_database WHERE datname = %s", DATABASE):
            names = (sql.Identifier(DATABASE), sql.Identifier(APP_ROLE))
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(*names))
        _assert_defaults(connection, sql.SQL("DATABASE {}").format(sql.Identifier(DATABASE)))
    # Databases made later, as tests do, are copies of template1 and so have the extensions too.
    for database in ("template1", DATABASE):
        with psycopg.connect(url_of(database), autocommit=True, options=WRITING) as connection:
            _assert_extensions(connection)


def _assert_role(connection: psycopg.Connection, role: str, password: str) -> None:
    # Only the verifier travels: the server could write a statement with the password into its log.
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    verb = "ALTER" if _exists(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", role) else "CREATE"
    connection.execute(
        sql.SQL("{verb} ROLE {role} WITH {attributes} PASSWORD {verifier}").format(
            verb=sql.SQL(verb),
            role=sql.Identifier(role),
            attributes=sql.SQL(ATTRIBUTES[role]),
            verifier=sql.Literal(verifier),
        )
    )
    target = sql.SQL("ROLE {}").format(sql.Identifier(role))
    _assert_defaults(connection, target)
    for name, value in REQUESTS.settings().items():
        connection.execute(sql.SQL("ALTER {} SET {} = {}").format(target, sql.Identifier(name), sql.Literal(value)))


def _assert_defaults(connection: psycopg.Connection, target: sql.Composable) -> None:
    """Set search path and time zone for a role or a database; a test database has the role's only."""
    schemas = sql.SQL(", ").join(map(sql.Identifier, SEARCH_PATH))
    connection.execute(sql.SQL("ALTER {} SET search_path = {}").format(target, schemas))
    connection.execute(sql.SQL("ALTER {} SET timezone = 'UTC'").format(target))


def _assert_extensions(connection: psycopg.Connection) -> None:
    for name in EXTENSIONS:
        if _exists(connection, "SELECT 1 FROM pg_available_extensions WHERE name = %s", name):
            connection.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(name)))


def _exists(connection: psycopg.Connection, query: LiteralString, value: str) -> bool:
    return connection.execute(query, [value]).fetchone() is not None
