"""Every way into the house: the addresses, the calls of the API, the sockets and the buttons of the admin."""

import re
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.urls import URLPattern, URLResolver, get_resolver

from tests.api.described import description
from tradingdb.routing import websocket_application

# The admin's pages of one row and one list are told by their model and kind; Django's own pages keep their names.
KINDS = ("changelist", "add", "change", "delete", "history", "export", "import", "find")


def addresses(patterns: Any = None, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Yield every address of the site but the API's, with its pattern."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            if route != "api/v1/":
                yield from addresses(pattern.url_patterns, route)
        else:
            yield route, pattern


def pages() -> set[str]:
    """Return the pages outside the admin, as the matrix has them."""
    return {f"/{route}" for route, _ in addresses() if not route.startswith("admin/")}


def admin_pages() -> set[str]:
    """Return the admin's pages that belong to no table."""
    return {f"/{short(route)}" for route, _ in addresses() if route.startswith("admin/") and not table_of(route)}


def short(route: str) -> str:
    """Return an address with names where Django's admin has patterns: those name every app there is."""
    return re.sub(r"\^?\(\?P<(\w+)>[^)]*\)", r"<\1>", route).replace("$", "")


def admin_views() -> set[str]:
    """Return what the admin offers beyond the pages that every table has: buttons, and pages of single tables."""
    found = set()
    for route, pattern in addresses():
        table = table_of(route)
        if table and kind_of(route, pattern, table) not in KINDS:
            found.add(f"{table} {kind_of(route, pattern, table)}")
    return found


def table_of(route: str) -> str:
    """Return app.model of an admin address; empty for pages of no table."""
    parts = route.split("/")
    names = {model._meta.label_lower for model in admin.site._registry}
    name = ".".join(parts[1:3]) if route.startswith("admin/") and len(parts) > 3 else ""
    return name if name in names else ""


def kind_of(route: str, pattern: URLPattern, table: str) -> str:
    """Return what an address of a table does: the last word of its name."""
    name = pattern.name or route.rstrip("/").rpartition("/")[2]
    start = table.replace(".", "_") + "_"
    found = name.removeprefix(start)
    # Django sends the old form of a row's address on to the page of the row.
    return "change" if route.removeprefix(f"admin/{table.replace('.', '/')}/") == "<path:object_id>/" else found


def operations() -> set[str]:
    """Return the calls of the API."""
    paths = description()["paths"]
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}


def sockets() -> set[str]:
    """Return the addresses of sockets."""
    return {f"/{route.pattern}" for route in websocket_application.routes if str(route.pattern)}
