"""Settings of the house, changed by people."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from audit.services.actions import Actor
from config_app.models import SystemSetting
from tradingdb.lib.errors import Conflict, NotFound, ValidationFailed


@transaction.atomic
def setting_create(*, key: str, value: Any, actor: Actor, description: str | None = None) -> SystemSetting:
    """Add a setting. Raises ValidationFailed for no value or a key that is none, Conflict for a key that is taken."""
    _check_value(value)
    row = SystemSetting(key=key, value=value, description=description, updated_by=actor.label[:100])
    if SystemSetting.objects.filter(key=key).exists():
        raise Conflict("There is such a setting.", key=key)
    try:
        row.full_clean()
    except ValidationError as e:
        raise ValidationFailed(" ".join(e.messages)) from e
    row.save()
    actor.record("setting.create", "setting", key, after=_told(row))
    return row


@transaction.atomic
def setting_update(
    *, key: str, value: Any, actor: Actor, description: str | None = None, reason: str = ""
) -> SystemSetting:
    """Give a setting another value or description; the same again changes nothing.

    Raises NotFound, and ValidationFailed for no value.
    """
    _check_value(value)
    row = SystemSetting.objects.select_for_update().filter(key=key).first()
    if row is None:
        raise NotFound("No such setting.", key=key)
    before = _told(row)
    row.value, row.description = value, description
    if _told(row) == before:
        return row
    row.updated_by = actor.label[:100]
    row.save(update_fields=["value", "description", "updated_by", "updated_at"])
    actor.record("setting.update", "setting", key, before=before, after=_told(row), reason=reason)
    return row


def _check_value(value: Any) -> None:
    if value is None:
        raise ValidationFailed("A setting has a value.")


def _told(row: SystemSetting) -> dict[str, Any]:
    return {"value": row.value, "description": row.description}
