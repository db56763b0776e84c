"""Who may do what: docs/access.md has a row for every way into the house, and each row is what happens."""

import re

import pytest
from django.conf import settings
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from audit.services.actions import SYSTEM
from bots.services.tokens import token_create
from tests.access import probing, ways
from tests.access.probing import CALLERS, NO, PROOF, SIGN_IN, YES
from tests.factories import BotFactory
from tests.live.live_browser import SocketServer
from tradingdb.routing import websocket_application

PAGE = settings.BASE_DIR / "docs" / "access.md"
LINE = re.compile(
    r"^\| `([^`]+)` \| " + " \\| ".join([f"({YES}|{NO}|{SIGN_IN}|{PROOF})"] * len(CALLERS)) + r" \|$", re.M
)


def documented():
    """Return the rows of the page: for each way what each caller is told."""
    lines = [line.groups() for line in LINE.finditer(PAGE.read_text())]
    assert len(lines) == len({line[0] for line in lines}), "a way stands twice"
    return {name: cells for name, *cells in lines}


def test_every_way_has_a_row_and_no_row_is_left_over():
    found = ways.pages() | ways.admin_pages() | ways.admin_views() | ways.operations() | ways.sockets()

    assert set(documented()) - set(probing.VARIANTS) == found


def routes_of_views():
    found = {}
    for route, pattern in ways.addresses():
        table = ways.table_of(route)
        if table:
            found.setdefault(f"{table} {ways.kind_of(route, pattern, table)}", route)
    return found


@pytest.mark.django_db
def test_each_way_opens_for_whom_the_page_says(house):
    people = probing.callers(house.token.token)
    rows, routes, wrong = documented(), routes_of_views(), []
    calls = {name: probing.call_operation(name) for name in ways.operations()}
    calls |= {name: probing.call_variant(name) for name in probing.VARIANTS}
    calls |= {name: probing.call_page(name) for name in ways.pages() | ways.admin_pages()}
    calls |= {name: probing.call_view(name, routes[name]) for name in ways.admin_views()}
    # Signing out, last, ends what the others need.
    for name, call in sorted(calls.items(), key=lambda item: ("logout" in item[0], item[0])):
        actual = [probing.told(call(people[caller])) for caller in CALLERS]
        if rows.get(name) != actual:
            wrong.append(f"| `{name}` | {' | '.join(actual)} |")

    assert not wrong, "\n".join(["docs/access.md:", *wrong])


@pytest.mark.django_db(transaction=True)
def test_each_socket_opens_for_whom_the_page_says():
    bot = BotFactory(bot_id="bot_1")
    people = probing.callers(token_create(bot_id=bot.bot_id, actor=SYSTEM).token)
    server = SocketServer(websocket_application)
    try:
        actual = {name: [opens(server, name, people[caller]) for caller in CALLERS] for name in ways.sockets()}
    finally:
        server.stop()

    rows = documented()
    assert {name: rows[name] for name in ways.sockets()} == actual


def opens(server, name, caller):
    """Return whether a socket lets a caller in."""
    headers = (
        {"Authorization": caller.defaults["HTTP_AUTHORIZATION"]} if "HTTP_AUTHORIZATION" in caller.defaults else {}
    )
    if settings.SESSION_COOKIE_NAME in caller.cookies:
        headers["Cookie"] = f"{settings.SESSION_COOKIE_NAME}={caller.cookies[settings.SESSION_COOKIE_NAME].value}"
    address = server.url(name.replace("<str:bot_id>", "bot_1"))
    try:
        with connect(address, additional_headers=headers, origin="http://127.0.0.1"):
            return YES
    except InvalidStatus:
        return NO


def test_the_matrix_has_no_surprises():
    """Rules over the whole matrix, so that a wrong line that was pasted does not pass."""
    open_to_all = {name for name, cells in documented().items() if cells[0] == YES}
    assert open_to_all == OPEN_TO_ALL
    for name, cells in documented().items():
        stranger, viewer, trader, admin, disabled, bot = cells
        assert disabled == stranger, f"{name}: somebody switched off is a stranger"
        order = {SIGN_IN: 0, NO: 0, PROOF: 1, YES: 2}
        if name not in ("GET /api/v1/me",):
            assert order[viewer] <= order[trader] <= max(order[admin], order[PROOF]) or admin == PROOF, name
        if name.startswith(("/admin", "/account")) and stranger == SIGN_IN:
            assert bot == SIGN_IN, f"{name}: a bot has no page"


# Everything else needs somebody.
OPEN_TO_ALL = {
    "/account/inactive/",
    "/account/login/",
    "/admin/logout/",
    "/admin/password_change/",
    "/docs/problems",
    "/favicon.ico",
    "/health/live",
    "/health/ready",
    "/metrics",
}
