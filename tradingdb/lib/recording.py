"""What the admin's base classes ask of the apps above: the record of what people do, the proof who is there."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.module_loading import import_string


def record(
    request: HttpRequest, action: str, resource_type: str, *, after: Mapping[str, Any], reason: str = ""
) -> None:
    """Write what the person of this request just did with a whole list."""
    write = import_string(settings.ACTION_RECORDER)
    write(
        user=request.user, action=action, resource_type=resource_type, resource_id="list", after=after, reason=reason,
        request=request,
    )  # fmt: skip


def require_fresh(request: HttpRequest, *, keeps_form: bool = False) -> None:
    """Raise ReauthenticationRequired unless the person of this request just proved to be there."""
    import_string(settings.FRESHNESS)(request, keeps_form=keeps_form)
