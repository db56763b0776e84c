"""One round trip of many statements: what comes back, and what a session does when its statements are outdated."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.db import connection
from psycopg.rows import dict_row

from bots.services.pipeline import round_trip, text_of
from bots.services.plan import Row, Sql

pytestmark = pytest.mark.django_db(transaction=True)
Session = psycopg.AsyncConnection[Row]


def in_a_session(use: Callable[[Session], Awaitable[None]], *, prepare_threshold: int | None = 2) -> None:
    """Use a session of the tests' database."""
    parameters = connection.get_connection_params()
    login = {name: parameters[name] for name in ("dbname", "user", "password", "host", "port") if parameters.get(name)}

    async def drive() -> None:
        async with await psycopg.AsyncConnection.connect(
            **login, autocommit=True, row_factory=dict_row, prepare_threshold=prepare_threshold
        ) as session:
            await use(session)

    asyncio.run(drive())


@pytest.mark.parametrize("prepare_threshold", [2, None])
def test_each_statement_has_its_own_rows(prepare_threshold: int | None) -> None:
    moment = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
    given: dict[str, Any] = {"text": "a%b", "number": Decimal("1.50"), "at": moment, "many": ["x", "y"], "none": None}
    columns = "%(text)s::text AS text, %(number)s::numeric AS number, %(at)s::timestamptz AS at"
    every = Sql(f"SELECT {columns}, %(many)s::text[] AS many, %(none)s::int AS none, %(text)s::text AS again", given)

    async def use(session: Session) -> None:
        for _ in range(3):
            first, nothing, two = await round_trip(
                session, [every, Sql("SELECT 1 WHERE false", {}), Sql("SELECT n FROM generate_series(1, 2) n", {})]
            )
            assert first == [given | {"again": "a%b"}]
            assert nothing == []
            assert two == [{"n": 1}, {"n": 2}]

    in_a_session(use, prepare_threshold=prepare_threshold)


def test_a_parameter_that_stands_twice_travels_once() -> None:
    assert text_of("SELECT %(b)s, %(a)s, %(b)s, 7 %% 4").query == b"SELECT $1, $2, $1, 7 % 4"
    assert text_of("SELECT %(b)s, %(a)s, %(b)s").names == ("b", "a")


def test_a_table_that_changed_costs_one_call() -> None:
    async def use(session: Session) -> None:
        read = Sql("SELECT * FROM changing", {})
        await round_trip(session, [Sql("CREATE TEMP TABLE changing AS SELECT 1 AS one", {})])
        assert await round_trip(session, [read]) == [[{"one": 1}]]
        await round_trip(session, [Sql("ALTER TABLE changing ADD COLUMN two int DEFAULT 2", {})])

        with pytest.raises(psycopg.errors.FeatureNotSupported):
            await round_trip(session, [read])

        assert await round_trip(session, [read]) == [[{"one": 1, "two": 2}]]

    in_a_session(use)


def test_a_session_whose_statements_are_gone_prepares_them_anew() -> None:
    async def use(session: Session) -> None:
        read = Sql("SELECT 1 AS one", {})
        await round_trip(session, [read])
        await session.execute("DEALLOCATE ALL")

        with pytest.raises(psycopg.errors.InvalidSqlStatementName):
            await round_trip(session, [read])

        assert await round_trip(session, [read]) == [[{"one": 1}]]

    in_a_session(use)


def test_what_cannot_be_told_is_found_before_anything_is_sent() -> None:
    async def use(session: Session) -> None:
        await round_trip(session, [Sql("CREATE TEMP TABLE kept (word text)", {})])
        bad = [Sql("INSERT INTO kept VALUES ('x')", {}), Sql("SELECT %(word)s::text", {"word": "a\x00b"})]

        with pytest.raises(psycopg.DataError):
            await round_trip(session, bad)

        assert await round_trip(session, [Sql("SELECT * FROM kept", {})]) == [[]]

    in_a_session(use)
