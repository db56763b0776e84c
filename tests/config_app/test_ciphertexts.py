"""A ciphertext opens where it was put and nowhere else; the only way out leaves a trace that is on disk before it."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from audit.models import Change, SystemEvent, UserAction
from audit.services.actions import SYSTEM, Actor
from config_app.models import ExchangeApiKey
from config_app.services import api_keys
from config_app.services.api_keys import (
    ExchangeSecret,
    KeyNotUsable,
    api_key_clear,
    api_key_create,
    api_key_set,
    api_key_test,
    api_key_update,
    api_key_use,
)
from tests.factories import ExchangeApiKeyFactory
from tests.rules import assert_refused
from tradingdb.lib.acting import acting
from tradingdb.lib.crypto import FORM, HEADER, KeyMissing, Place, Undecryptable, decrypt, encrypt
from tradingdb.lib.errors import Conflict, NotFound, ValidationFailed
from tradingdb.lib.keyring import load, new_keyring, store

HERE = Place("config.api_keys", 7, "api_secret_encrypted")
SECRET = ExchangeSecret("the-key", "the-secret", "the-passphrase")
BOT = Actor(name="bot:momentum_001")


def opens(key_id: int) -> ExchangeSecret:
    return api_key_use(key_id=key_id, purpose="trading", actor=BOT)


# --- bound to its place


@pytest.mark.parametrize(
    "elsewhere",
    [
        HERE._replace(row=8),
        HERE._replace(column="api_key_encrypted"),
        HERE._replace(table="config.others"),
    ],
    ids=["row", "column", "table"],
)
def test_a_ciphertext_opens_in_its_place_alone(elsewhere: Place) -> None:
    ciphertext = encrypt(b"secret", at=HERE)

    assert decrypt(ciphertext, at=HERE) == b"secret"
    with pytest.raises(Undecryptable):
        decrypt(ciphertext, at=elsewhere)


def test_every_byte_of_a_ciphertext_counts() -> None:
    ciphertext = encrypt(b"secret", at=HERE)

    for number in range(len(ciphertext)):
        changed = bytearray(ciphertext)
        changed[number] ^= 1
        with pytest.raises(Undecryptable) as caught:
            decrypt(bytes(changed), at=HERE)
        # The key that it names is looked for first.
        assert isinstance(caught.value, KeyMissing) is (0 < number < HEADER)
    for length in range(len(ciphertext)):
        with pytest.raises(Undecryptable):
            decrypt(ciphertext[:length], at=HERE)


def test_the_same_secret_is_never_the_same_ciphertext() -> None:
    assert len({encrypt(b"secret", at=HERE) for _ in range(100)}) == 100


def test_a_key_that_is_gone_is_named(key_file: Path) -> None:
    ciphertext, name = encrypt(b"secret", at=HERE), load(key_file).current.name
    store(key_file, new_keyring())

    with pytest.raises(KeyMissing) as caught:
        decrypt(ciphertext, at=HERE)

    assert caught.value.message == (
        f"config.api_keys 7 api_secret_encrypted needs key {name}, which is not in FIELD_KEY_FILE."
    )


@pytest.mark.django_db
def test_keys_swapped_between_two_rows_do_not_open() -> None:
    first, second = (api_key_create(exchange="bybit", label=label, actor=SYSTEM) for label in ("one", "two"))
    for row in (first, second):
        api_key_set(key_id=row.pk, secret=ExchangeSecret(f"key {row.pk}", f"secret {row.pk}"), actor=SYSTEM)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE config.api_keys a SET api_key_encrypted = b.api_key_encrypted, "
            "api_secret_encrypted = b.api_secret_encrypted FROM config.api_keys b WHERE a.id <> b.id"
        )

    for row in (first, second):
        with pytest.raises(
            Undecryptable, match=f"config.api_keys {row.pk} api_key_encrypted was changed, or put there"
        ):
            opens(row.pk)

    events = SystemEvent.objects.filter(event_type="KEY_UNREADABLE", event_level="CRITICAL")
    assert sorted(event.details["place"].split()[1] for event in events) == sorted([str(first.pk), str(second.pk)])
    # The attempts are actions as well.
    assert UserAction.objects.filter(action="exchange_key.use").count() == 2


@pytest.mark.django_db
def test_key_and_secret_of_one_row_swapped_do_not_open() -> None:
    row = ExchangeApiKeyFactory()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE config.api_keys SET api_key_encrypted = api_secret_encrypted, "
            "api_secret_encrypted = api_key_encrypted"
        )

    with pytest.raises(Undecryptable):
        opens(row.pk)


@pytest.mark.django_db
def test_an_older_ciphertext_of_the_same_row_opens_but_is_not_what_was_set_last() -> None:
    """The encryption cannot tell it; the fingerprint and the audit trail can."""
    row = ExchangeApiKeyFactory()
    old = bytes(ExchangeApiKey.objects.get().api_key_encrypted)
    api_key_set(key_id=row.pk, secret=SECRET, actor=SYSTEM)
    ExchangeApiKey.objects.update(api_key_encrypted=old)

    with pytest.raises(Conflict, match="not the key of this fingerprint"):
        api_key_test(key_id=row.pk, actor=SYSTEM, reason="suspicion")


# --- what the database refuses


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"api_secret_encrypted": b"a plain secret that somebody wrote by hand"}, "api_keys_are_ciphertexts"),
        ({"api_key_encrypted": bytes([FORM, 0, 1])}, "api_keys_are_ciphertexts"),
        ({"passphrase_encrypted": b"plain"}, "api_keys_are_ciphertexts"),
        ({"api_key_encrypted": bytes([FORM, 0, 2]) + bytes(60)}, "api_keys_are_ciphertexts"),
        ({"key_version": 2}, "api_keys_are_ciphertexts"),
        ({"api_secret_encrypted": None}, "api_keys_set_or_not"),
        ({"key_fingerprint": None}, "api_keys_set_or_not"),
        ({"key_set_at": None}, "api_keys_set_or_not"),
    ],
)
def test_a_row_that_is_not_whole_is_refused(columns: dict[str, Any], rule: str) -> None:
    assert_refused(rule, ExchangeApiKeyFactory, **columns)


@pytest.mark.django_db
def test_a_passphrase_without_a_key_is_refused() -> None:
    row = api_key_create(exchange="bybit", label="one", actor=SYSTEM)

    with pytest.raises(IntegrityError, match="api_keys_set_or_not"), transaction.atomic():
        ExchangeApiKey.objects.filter(pk=row.pk).update(passphrase_encrypted=bytes([FORM, 0, 1]) + bytes(60))


# --- the services


@pytest.mark.django_db
def test_a_key_is_added_set_used_replaced_and_cleared() -> None:
    row = api_key_create(exchange="okx", label="main", actor=SYSTEM, permissions=["trade"])
    with pytest.raises(KeyNotUsable, match="No key is set here"):
        opens(row.pk)

    first = api_key_set(key_id=row.pk, secret=SECRET, actor=Actor(name="ann@example.com"), reason="new account")
    taken = opens(row.pk)
    second = api_key_set(key_id=row.pk, secret=ExchangeSecret("other", "secret"), actor=SYSTEM)

    assert taken == SECRET
    assert (first.key_version, first.key_set_by) == (1, "ann@example.com")
    assert first.key_fingerprint != second.key_fingerprint
    assert opens(row.pk) == ExchangeSecret("other", "secret", "")
    assert api_key_test(key_id=row.pk, actor=SYSTEM, reason="look") == "1"
    api_key_clear(key_id=row.pk, actor=SYSTEM, reason="revoked")
    with pytest.raises(KeyNotUsable):
        opens(row.pk)
    with pytest.raises(KeyNotUsable):
        api_key_clear(key_id=row.pk, actor=SYSTEM)
    assert list(UserAction.objects.order_by("pk").values_list("action", flat=True)) == [
        f"exchange_key.{verb}" for verb in ("create", "set", "use", "set", "use", "test", "clear")
    ]


@pytest.mark.django_db
def test_each_use_says_who_what_for_and_in_which_request() -> None:
    row = ExchangeApiKeyFactory()

    with acting(actor="job:trade", request_id="request-7"):
        for _ in range(3):
            api_key_use(key_id=row.pk, purpose="place orders of momentum_001", actor=BOT)

    uses = UserAction.objects.filter(action="exchange_key.use")
    assert {(use.user_email, use.reason, use.resource_id, use.request_id) for use in uses} == {
        ("bot:momentum_001", "place orders of momentum_001", str(row.pk), "request-7")
    }
    assert len(uses) == 3
    assert uses[0].after == {"version": 1, "fingerprint": row.key_fingerprint, "is_active": True}
    row.refresh_from_db()
    assert row.last_used_at is not None


@pytest.mark.django_db
def test_nobody_gets_a_secret_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    row = ExchangeApiKeyFactory()

    def full(*args: Any, **options: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(Actor, "record", full)
    monkeypatch.setattr(api_keys.crypto, "decrypt", lambda *args, **options: pytest.fail("opened without a trace"))

    with pytest.raises(OSError, match="full"):
        opens(row.pk)


@pytest.mark.django_db(transaction=True)
def test_a_secret_is_not_taken_inside_a_transaction_that_can_be_rolled_back() -> None:
    row = ExchangeApiKeyFactory()

    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        opens(row.pk)

    assert not UserAction.objects.exists()


@pytest.mark.django_db
def test_a_key_that_is_switched_off_is_not_given_out_and_can_be_tested() -> None:
    row = ExchangeApiKeyFactory(is_active=False)

    with pytest.raises(KeyNotUsable, match="switched off"):
        opens(row.pk)

    assert api_key_test(key_id=row.pk, actor=SYSTEM, reason="look") == "1"


@pytest.mark.django_db
@pytest.mark.parametrize("purpose", ["", "   ", "x" * 201, "a\0b"])
def test_a_use_without_a_purpose_is_refused(purpose: str) -> None:
    row = ExchangeApiKeyFactory()

    with pytest.raises(ValidationFailed, match="Say what the key is for"):
        api_key_use(key_id=row.pk, purpose=purpose, actor=SYSTEM)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "secret",
    [
        ExchangeSecret("", "hunter2"),
        ExchangeSecret("hunter2", ""),
        ExchangeSecret("hunter2", "hunter2"),
        ExchangeSecret("hunter2 ", "x"),
        ExchangeSecret("key", "hunter2\0"),
        ExchangeSecret("key", "hunter2" * 2000),
        ExchangeSecret("key", "secret", "hunter2\n"),
    ],
)
def test_half_a_key_is_refused_in_words_that_do_not_show_it(secret: ExchangeSecret) -> None:
    row = api_key_create(exchange="bybit", label="one", actor=SYSTEM)

    with pytest.raises(ValidationFailed) as caught:
        api_key_set(key_id=row.pk, secret=secret, actor=SYSTEM)

    assert "hunter2" not in repr(caught.value) + str(caught.value.detail) + str(caught.value.errors)
    assert ExchangeApiKey.objects.get().is_set is False


@pytest.mark.django_db
def test_what_stands_beside_the_secret_is_changed_alone() -> None:
    row = ExchangeApiKeyFactory(label="one")
    before = bytes(ExchangeApiKey.objects.get().api_key_encrypted)

    api_key_update(key_id=row.pk, changes={"label": "two", "is_active": False}, actor=SYSTEM, reason="renamed")
    api_key_update(key_id=row.pk, changes={"label": "two"}, actor=SYSTEM)

    row.refresh_from_db()
    assert (row.label, row.is_active, bytes(row.api_key_encrypted)) == ("two", False, before)
    action = UserAction.objects.get(action="exchange_key.update")
    assert (action.before, action.after) == (
        {"label": "one", "is_active": True}, {"label": "two", "is_active": False}
    )  # fmt: skip
    with pytest.raises(ValidationFailed, match="can be changed"):
        api_key_update(key_id=row.pk, changes={"api_key_encrypted": b"x"}, actor=SYSTEM)
    with pytest.raises(NotFound):
        api_key_update(key_id=0, changes={"label": "x"}, actor=SYSTEM)
    with pytest.raises(Conflict):
        api_key_create(exchange=row.exchange, label="two", actor=SYSTEM)


def test_a_secret_shows_itself_nowhere() -> None:
    shown = f"{SECRET!r} {SECRET!s} {[SECRET]} {SECRET} %s" % SECRET

    assert "the-" not in shown
    for write in (pickle.dumps, json.dumps):
        with pytest.raises(TypeError):
            write(SECRET)


@pytest.mark.django_db
def test_the_trail_says_that_a_secret_changed_and_not_to_what() -> None:
    row = api_key_create(exchange="okx", label="main", actor=SYSTEM)
    api_key_set(key_id=row.pk, secret=SECRET, actor=SYSTEM)

    change = Change.objects.filter(table_name="api_keys", operation="update").get()

    for column in ("api_key_encrypted", "api_secret_encrypted", "passphrase_encrypted"):
        assert change.after[column].startswith("sha256:")
        assert bytes(getattr(ExchangeApiKey.objects.get(), column)).hex() not in str(change.after)
