"""Configurations of bots: a change is a new version, one version of a key is active."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from audit.services.actions import Actor
from config_app.choices import ConfigType
from config_app.models import BotConfiguration
from tradingdb.lib.errors import ValidationFailed
from tradingdb.lib.retry import atomic_retried

# Space of advisory lock keys, so that other locks on the same text do not wait for these.
LOCK = "configuration"


@atomic_retried
def configuration_activate(
    *,
    bot_id: str,
    config_key: str,
    config_type: str | None,
    value: Mapping[str, Any] | list[Any],
    actor: Actor,
    reason: str = "",
) -> BotConfiguration:
    """Store a new version of a configuration and make it the active one; the active value again changes nothing.

    Raises ValidationFailed for an unknown type.
    """
    if config_type is not None and config_type not in ConfigType.values:
        raise ValidationFailed(f"config_type is one of {', '.join(ConfigType.values)}.")
    versions = BotConfiguration.objects.filter(bot_id=bot_id, config_key=config_key)
    _lock(bot_id, config_key)
    active = versions.filter(is_active=True).first()
    if active is not None and active.config_value == value and active.config_type == config_type:
        return active
    now = timezone.now()
    number = (versions.aggregate(last=Max("version"))["last"] or 0) + 1
    versions.filter(is_active=True).update(
        is_active=False, effective_until=now, updated_at=now, updated_by=actor.label[:100]
    )
    new = BotConfiguration.objects.create(
        bot_id=bot_id,
        config_key=config_key,
        config_type=config_type,
        config_value=value,
        version=number,
        effective_from=now,
        created_by=actor.label[:100],
        reason=reason,
    )
    before, after = _told(active) if active else None, _told(new)
    resource = ("configuration", f"{bot_id}/{config_key}")
    actor.record("configuration.activate", *resource, before=before, after=after, reason=reason)
    return new


def _told(row: BotConfiguration) -> dict[str, Any]:
    return {"version": row.version, "value": row.config_value}


def _lock(bot_id: str, config_key: str) -> None:
    """Let one change of a key at a time through: the first version has no row yet that could be locked."""
    with transaction.get_connection().cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", ["\x1f".join((LOCK, bot_id, config_key))]
        )


def active_configurations(bot_id: str) -> dict[str, dict[str, Any]]:
    """Return the active configuration of a bot by key, as GET /config answers it."""
    rows = BotConfiguration.objects.filter(bot_id=bot_id, is_active=True).order_by("config_key")
    return {
        row.config_key: {"version": row.version, "config_type": row.config_type, "value": row.config_value}
        for row in rows
    }
