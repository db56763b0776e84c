"""The record of what people do: one row for everything a person changes, in the transaction that changes it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest

from audit.models import UserAction
from tradingdb.lib.acting import who_acts
from tradingdb.lib.logs import redact, scrub


def record_action(
    *,
    user: Any,
    action: str,
    resource_type: str,
    resource_id: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
    request: HttpRequest | None = None,
    name: str = "",
) -> UserAction:
    """Write one row: who did what to which thing, what it was before and after, why, and from where.

    `user` is a person or None; `name` says who acts where no person does: a command, or the system itself.
    """
    acting = who_acts()
    agent = request.headers.get("User-Agent", "").replace("\x00", "") if request is not None else ""
    return UserAction.objects.create(
        user=user,
        user_email=(str(user) if user is not None else name)[:100],
        action=action,
        resource_type=resource_type,
        resource_id=resource_id[:100],
        before=_json(before),
        after=_json(after),
        reason=redact(reason),
        # The address of the peer itself: a forwarded one is whatever the caller says.
        ip_address=(request.META.get("REMOTE_ADDR") or None) if request is not None else None,
        user_agent=agent[:500] or None,
        request_id=getattr(request, "request_id", acting.request_id[:64] if acting is not None else ""),
    )


def _json(value: Mapping[str, Any] | None) -> Any:
    return None if value is None else scrub(json.loads(json.dumps(dict(value), cls=DjangoJSONEncoder)))


# Actions on these tell of keys, which are the admins' business alone.
FOR_ADMINS = ("exchange_key", "field_keys")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and over which request; without a user it is the system or a command, called `name`."""

    user: Any = None
    request: HttpRequest | None = None
    name: str = "system"

    @property
    def label(self) -> str:
        """The person's e-mail address, or the name of what acts."""
        return str(self.user) if self.user is not None else self.name

    def record(
        self,
        action: str,
        resource_type: str,
        resource_id: str,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        reason: str = "",
    ) -> UserAction:
        """Write the row of something this actor just did."""
        return record_action(
            user=self.user,
            action=action,
            resource_type=resource_type,
            resource_id=resource_id,
            before=before,
            after=after,
            reason=reason,
            request=self.request,
            name=self.name,
        )


SYSTEM = Actor()
