"""Callers of each kind, and what they are told at each way into the house."""

import re
from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.http.response import HttpResponseBase
from django.test import Client

from tests.access.ways import table_of
from tests.factories import UserFactory

CALLERS = ("stranger", "viewer", "trader", "admin", "disabled", "bot")
YES, NO, SIGN_IN, PROOF = "yes", "no", "sign in", "proof"
Caller = Client


def callers(bot_token: str) -> dict[str, Caller]:
    """Return a browser of each kind, and a bot. Nobody just proved to be there."""
    found = {"stranger": Client(), "bot": Client(headers={"authorization": f"Bearer {bot_token}"})}
    for role in ("viewer", "trader", "admin"):
        found[role] = Client()
        found[role].force_login(UserFactory(role=role, email=f"{role}-at-the-door@example.com"))
    gone = UserFactory(role="admin", email="gone@example.com")
    found["disabled"] = Client()
    found["disabled"].force_login(gone)
    # Not by the service, which would end the session: the door itself has to notice.
    type(gone).objects.filter(pk=gone.pk).update(is_active=False)
    return found


def told(answer: HttpResponseBase) -> str:
    """Return in one word what an answer says about who asks."""
    where = answer.headers.get("Location", "")
    # Not answer.close(), which would end the connection of the test as well.
    for close in answer._resource_closers:
        close()
    if answer.status_code == 401 or where.startswith(("/account/login/", "/admin/login/")):
        return SIGN_IN
    if where.startswith("/account/confirm/"):
        return PROOF
    assert answer.status_code < 500, f"{answer.request['PATH_INFO']} broke"
    if answer.status_code == 403:
        body = b"" if answer.streaming else answer.content
        return PROOF if b"reauthentication_required" in body else NO
    return YES


def call_operation(operation: str) -> Callable[[Caller], HttpResponseBase]:
    """Return the call of an operation, about things that do not exist and with nothing in its body."""
    method, path = operation.split(" ")
    # A number fits where an id is one and where it is text.
    address = re.sub(r"\{\w+\}", "1", path.replace("{bot_id}", "bot_1"))
    body: dict[str, Any] = (
        {} if method == "GET" else {"data": BODIES.get(operation, "{}"), "content_type": "application/json"}
    )

    def call(caller: Caller) -> HttpResponseBase:
        return getattr(caller, method.lower())(address, **body)

    return call


# Where who may do it depends on what is asked.
RELEASE = '{"scope": "all", "state": "ACTIVE", "reason": "over"}'
HALT = '{"scope": "symbol", "target": "NONE", "state": "HALTED", "reason": "probe"}'
BODIES = {
    "POST /api/v1/control": HALT,
    "PATCH /api/v1/bots/{bot_id}": '{"bot_name": "Bot one"}',
}
# Beside the calls as they are: what a body makes of them.
VARIANTS = {
    "POST /api/v1/control, ACTIVE": ("POST /api/v1/control", RELEASE),
    "PATCH /api/v1/bots/{bot_id}, pausing": ("PATCH /api/v1/bots/{bot_id}", '{"status": "paused"}'),
    "PATCH /api/v1/bots/{bot_id}, a higher limit": ("PATCH /api/v1/bots/{bot_id}", '{"max_positions": 10000}'),
}


def call_variant(name: str) -> Callable[[Caller], HttpResponseBase]:
    """Return the call of an operation with a body that changes who may."""
    operation, body = VARIANTS[name]
    method, path = operation.split(" ")
    address = path.replace("{bot_id}", "bot_1")
    return lambda caller: getattr(caller, method.lower())(address, data=body, content_type="application/json")


def call_page(route: str) -> Callable[[Caller], HttpResponseBase]:
    """Return the opening of a page; of those that only take forms, the sending of an empty one."""
    address = re.sub(r"<int:\w+>", "1", route)
    address = re.sub(r"<path:\w+>", "1", address)
    address = address.replace("<app_label>", "bots").replace("<url>", "nothing-here")

    def call(caller: Caller) -> HttpResponseBase:
        answer = caller.get(address)
        return caller.post(address) if answer.status_code == 405 else answer

    return call


def call_view(view: str, route: str) -> Callable[[Caller], HttpResponseBase]:
    """Return the opening of a button's page, for a row of its table."""
    table, _ = view.split(" ")
    assert table_of(route) == table
    [model] = [model for model in admin.site._registry if model._meta.label_lower == table]

    def call(caller: Caller) -> HttpResponseBase:
        row = model._default_manager.order_by("pk").first()
        return call_page("/" + re.sub(r"<path:\w+>|<str:\w+>", str(row.pk if row else 1), route))(caller)

    return call
