"""Keys to exchanges: given by people, kept encrypted, and taken out by what needs them, each time with a trace.

There is one way out, `api_key_use`; what it returns shows itself nowhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NoReturn

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import salted_hmac

from audit.choices import EventLevel
from audit.services.actions import Actor
from audit.services.events import event_record
from config_app.models import ExchangeApiKey
from config_app.models.api_keys import SECRET_COLUMNS, TOLD_COLUMNS
from tradingdb.lib import crypto
from tradingdb.lib.errors import Conflict, NotFound, ValidationFailed
from tradingdb.lib.retry import atomic_retried

TABLE = "config.api_keys"
RESOURCE = "exchange_key"
CHANGEABLE = frozenset({"label", "is_testnet", "is_active", "permissions"})
# Some exchanges give a private key in several lines.
LONGEST = 8192
PURPOSE_LENGTH = 200
NOTED_EVERY = timedelta(minutes=1)


class KeyNotUsable(Conflict):
    """The key is switched off, or nobody has set it."""

    code = "key_not_usable"


@dataclass(frozen=True, slots=True)
class ExchangeSecret:
    """What an exchange knows a caller by. It shows itself in no message, and cannot be sent to another process."""

    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    passphrase: str = field(default="", repr=False)

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret is not written anywhere.")

    def __str__(self) -> str:
        return "ExchangeSecret(…)"

    def by_column(self) -> dict[str, str]:
        """Return the texts by the columns that keep them; without those that are empty."""
        texts = zip(SECRET_COLUMNS, (self.api_key, self.api_secret, self.passphrase), strict=True)
        return {column: text for column, text in texts if text}


@transaction.atomic
def api_key_create(
    *, exchange: str, label: str, actor: Actor, is_testnet: bool = False, permissions: list[Any] | None = None
) -> ExchangeApiKey:
    """Add a key without its secrets. Raises ValidationFailed, and Conflict for a label that is taken."""
    row = ExchangeApiKey(exchange=exchange, label=label, is_testnet=is_testnet, permissions=permissions or [])
    _check(row)
    row.save()
    actor.record(f"{RESOURCE}.create", RESOURCE, str(row.pk), after=_told(row))
    return row


@transaction.atomic
def api_key_update(*, key_id: int, changes: Mapping[str, Any], actor: Actor, reason: str = "") -> ExchangeApiKey:
    """Change what stands beside the secrets; the same again changes nothing. Raises as api_key_create, and NotFound."""
    if set(changes) - CHANGEABLE:
        raise ValidationFailed(f"Only {', '.join(sorted(CHANGEABLE))} can be changed.")
    row = _locked(key_id)
    before = _told(row)
    for name, value in changes.items():
        setattr(row, name, value)
    _check(row)
    after = _told(row)
    new = {name: value for name, value in after.items() if value != before[name]}
    if not new:
        return row
    row.save(update_fields=[*new, "updated_at"])
    was = {name: before[name] for name in new}
    actor.record(f"{RESOURCE}.update", RESOURCE, str(row.pk), before=was, after=new, reason=reason)
    return row


@atomic_retried
def api_key_set(*, key_id: int, secret: ExchangeSecret, actor: Actor, reason: str = "") -> ExchangeApiKey:
    """Encrypt and keep the secrets of a key, in place of those before. Raises NotFound, ValidationFailed."""
    _check_secret(secret)
    row = _locked(key_id)
    before = _kept(row)
    ring, texts = crypto.keyring(), secret.by_column()
    for column in SECRET_COLUMNS:
        text = texts.get(column)
        place = crypto.Place(TABLE, row.pk, column)
        setattr(row, column, crypto.encrypt(text.encode(), at=place, ring=ring) if text else None)
    row.key_fingerprint = fingerprint(secret.api_key)
    row.key_version = ring.current_version
    row.key_set_at, row.key_set_by = timezone.now(), actor.label[:100]
    row.save(update_fields=[*SECRET_COLUMNS, *TOLD_COLUMNS, "updated_at"])
    actor.record(f"{RESOURCE}.set", RESOURCE, str(row.pk), before=before, after=_kept(row), reason=reason)
    return row


@atomic_retried
def api_key_clear(*, key_id: int, actor: Actor, reason: str = "") -> ExchangeApiKey:
    """Remove the secrets of a key. Raises NotFound, and KeyNotUsable for one that has none."""
    row = _locked(key_id)
    if not row.is_set:
        raise KeyNotUsable("No key is set here.", id=key_id)
    before = _kept(row)
    for column in (*SECRET_COLUMNS, *TOLD_COLUMNS):
        setattr(row, column, None)
    row.save(update_fields=[*SECRET_COLUMNS, *TOLD_COLUMNS, "updated_at"])
    actor.record(f"{RESOURCE}.clear", RESOURCE, str(row.pk), before=before, after=_kept(row), reason=reason)
    return row


def api_key_use(*, key_id: int, purpose: str, actor: Actor) -> ExchangeSecret:
    """Return the secrets of a key; who took them, and what for, is on disk before that.

    So it opens a transaction of its own, and raises RuntimeError inside another one: rolled back, that would leave a
    secret in somebody's hands and no trace. Raises NotFound, KeyNotUsable, ValidationFailed without a purpose, and
    Undecryptable or KeyMissing, which are also an event.
    """
    row = _take(key_id, "use", purpose, actor)
    if not row.is_active:
        raise KeyNotUsable("This key is switched off.", id=key_id)
    return _open(row, actor)


def api_key_test(*, key_id: int, actor: Actor, reason: str) -> str:
    """Decrypt a key, look whether it is the one that was set, and return the version of its key; it goes nowhere.

    Raises as api_key_use; a key that is switched off can be tested.
    """
    row = _take(key_id, "test", reason, actor)
    if fingerprint(_open(row, actor).api_key) != row.key_fingerprint:
        raise Conflict("It opens, and is not the key of this fingerprint.", id=key_id)
    return str(row.key_version)


def fingerprint(api_key: str) -> str:
    """Return what tells one API key from another, for whoever has this installation's secret key."""
    return salted_hmac("config_app.exchange_key", api_key, algorithm="sha256").hexdigest()[:16]


def _take(key_id: int, verb: str, purpose: str, actor: Actor) -> ExchangeApiKey:
    """Write down that a key is taken, and return its row with the ciphertexts."""
    purpose = purpose.strip()
    if not 0 < len(purpose) <= PURPOSE_LENGTH or "\0" in purpose:
        raise ValidationFailed(f"Say what the key is for, in at most {PURPOSE_LENGTH} characters.")
    with transaction.atomic(durable=True):
        row = ExchangeApiKey.objects.defer(None).filter(pk=key_id).first()
        if row is None:
            raise NotFound("No such key.", id=key_id)
        if not row.is_set:
            raise KeyNotUsable("No key is set here.", id=key_id)
        told = {"version": row.key_version, "fingerprint": row.key_fingerprint, "is_active": row.is_active}
        actor.record(f"{RESOURCE}.{verb}", RESOURCE, str(key_id), after=told, reason=purpose)
        now = timezone.now()
        due = Q(last_used_at__isnull=True) | Q(last_used_at__lte=now - NOTED_EVERY)
        ExchangeApiKey.objects.filter(due, pk=key_id).update(last_used_at=now)
    return row


def _open(row: ExchangeApiKey, actor: Actor) -> ExchangeSecret:
    try:
        texts = [_plain(row, column) for column in SECRET_COLUMNS]
    except crypto.Undecryptable as e:
        details = {"code": e.code, "place": e.detail.get("place"), "actor": actor.label}
        event_record(
            event_type="KEY_UNREADABLE", level=EventLevel.CRITICAL, component=__name__, message=e.message,
            details=details,
        )  # fmt: skip
        raise
    return ExchangeSecret(*texts)


def _plain(row: ExchangeApiKey, column: str) -> str:
    ciphertext = getattr(row, column)
    if ciphertext is None:
        return ""
    return crypto.decrypt(bytes(ciphertext), at=crypto.Place(TABLE, row.pk, column)).decode()


def _locked(key_id: int) -> ExchangeApiKey:
    row = ExchangeApiKey.objects.select_for_update(no_key=True).filter(pk=key_id).first()
    if row is None:
        raise NotFound("No such key.", id=key_id)
    return row


def _check(row: ExchangeApiKey) -> None:
    same = ExchangeApiKey.objects.filter(exchange=row.exchange, label=row.label).exclude(pk=row.pk)
    if same.exists():
        raise Conflict(f"There is a key {row} already.")
    try:
        row.full_clean(exclude=[*SECRET_COLUMNS, *TOLD_COLUMNS])
    except ValidationError as e:
        raise ValidationFailed(" ".join(e.messages)) from e


def _check_secret(secret: ExchangeSecret) -> None:
    """Look at secrets that a person gave; no message shows them."""
    named = {"key": secret.api_key, "secret": secret.api_secret, "passphrase": secret.passphrase}
    for name, text in named.items():
        if len(text) > LONGEST or "\0" in text or text != text.strip():
            raise ValidationFailed(f"The {name} has blanks around it, or more than {LONGEST} characters.")
    if not secret.api_key or not secret.api_secret:
        raise ValidationFailed("A key has two parts: the key and its secret.")
    if secret.api_key == secret.api_secret:
        raise ValidationFailed("Key and secret are the same.")


def _told(row: ExchangeApiKey) -> dict[str, Any]:
    names = ("exchange", "label", "is_testnet", "is_active", "permissions")
    return {name: getattr(row, name) for name in names}


def _kept(row: ExchangeApiKey) -> dict[str, Any]:
    """Return what may be told of the secrets."""
    return {"fingerprint": row.key_fingerprint, "version": row.key_version, "set_by": row.key_set_by}
