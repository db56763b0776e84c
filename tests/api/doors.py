"""The two doors of the API, for tests that knock at both: Django's views, and the ASGI application with its lane."""

import asyncio
import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import httpx
from django.db import connection
from django.test import Client

from tests.api.conftest import BASE
from tradingdb.asgi import Application

# Rows that no request can touch; the rest of the database is compared.
STILL = ("auth_permission", "auth_group_permissions", "django_content_type", "django_migrations")
TABLES = """
    SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT IN ('pg_catalog', 'information_schema')
        AND c.relname <> ALL(%s) ORDER BY 1
"""


class Reply(NamedTuple):
    """An answer."""

    status: int
    kind: str
    content: bytes
    headers: Mapping[str, str]

    @property
    def body(self) -> Any:
        return json.loads(self.content) if self.content else None


class Door(Protocol):
    """Sends one request; `path` comes after /api/v1 and is written as it goes over the wire."""

    def __call__(
        self, method: str, path: str, token: str | None, content: bytes = b"", kind: str | None = "application/json"
    ) -> Reply: ...


VIEWS = Client()


def by_views(
    method: str, path: str, token: str | None, content: bytes = b"", kind: str | None = "application/json"
) -> Reply:
    """Ask Django's views."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    # By itself the client forgets the type of an empty body.
    headers["Content-Type"] = kind or ""
    response = VIEWS.generic(method, BASE + path, content, kind or "", headers=headers)
    return Reply(response.status_code, response.get("Content-Type", ""), response.content, response.headers)


@contextmanager
def by_application() -> Generator[Door]:
    """Ask the whole ASGI application, the lane before Django; needs rows that are committed."""
    with asyncio.Runner() as runner:
        application = Application()
        transport = httpx.ASGITransport(app=application)  # type: ignore[arg-type]
        client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")

        def ask(
            method: str, path: str, token: str | None, content: bytes = b"", kind: str | None = "application/json"
        ) -> Reply:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            if kind is not None:
                headers["Content-Type"] = kind
            response = runner.run(client.request(method, BASE + path, content=content, headers=headers))
            return Reply(
                response.status_code, response.headers.get("Content-Type", ""), response.content, response.headers
            )

        yield ask
        runner.run(client.aclose())
        runner.run(application.lane.close())


def tables() -> list[str]:
    """Name every table of the database that a request could write to."""
    with connection.cursor() as cursor:
        cursor.execute(TABLES, [list(STILL)])
        return [name for (name,) in cursor.fetchall()]


def digest(names: list[str]) -> dict[str, tuple[int, Any]]:
    """Count and hash the rows of each table. When a token was last used is no content."""
    total = "sum(hashtextextended((to_jsonb(t) - 'last_used_at')::text, 0)::numeric)"
    queries = [f"SELECT '{name}', count(*), {total} FROM {name} t" for name in names]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(queries))
        return {name: (count, total) for name, count, total in cursor.fetchall()}
