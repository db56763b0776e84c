"""Secrets go into the admin and never come out of it, of no other page, no list, no log and no dump."""

import base64
import json
import logging
import os
import re
import subprocess
import traceback
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.serializers import serialize
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_redis import get_redis_connection

from accounts.models import Session
from audit.models import SystemEvent, SystemLog, UserAction
from audit.services.actions import SYSTEM
from config_app.models import ExchangeApiKey
from config_app.services.api_keys import api_key_create, api_key_use
from jobs.models import JobRun
from tests.factories import ExchangeAccountFactory, ExchangeApiKeyFactory, UserFactory
from tests.factories.config_app import API_KEY
from tradingdb.lib.crypto import Undecryptable
from tradingdb.services.binaries import find_postgres

BASE = "/admin/config_app/exchangeapikey"
KEY, SECRET, PHRASE = "PLANTED-key-7f3a", "PLANTED-secret-91bc", "PLANTED-phrase-55d0"
FORM = {"api_key": KEY, "api_secret": SECRET, "passphrase": PHRASE, "reason": "new account"}


class Browser(Client):
    """A person at a browser, who just proved to be there unless told otherwise."""

    def __init__(self, role: str = "admin", *, is_fresh: bool = True) -> None:
        super().__init__()
        self.user = UserFactory(role=role)
        self.force_login(self.user)
        if is_fresh:
            session = self.session
            session["reauthenticated_at"] = timezone.now().timestamp()
            session.save()


CSV = {"format": "csv"}


def text_of(answer: Any) -> str:
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return body.decode(errors="replace")


@pytest.fixture
def row(db: Any) -> ExchangeApiKey:
    return api_key_create(exchange="okx", label="main", actor=SYSTEM)


def kept(row: ExchangeApiKey) -> ExchangeApiKey:
    return ExchangeApiKey.objects.defer(None).get(pk=row.pk)


# --- in, and not out


def test_an_admin_adds_a_key_sets_tests_and_clears_it(db: Any) -> None:
    ann = Browser()
    added = ann.post(f"{BASE}/add/", {"exchange": "okx", "label": "main", "permissions": '["trade"]'})
    row = ExchangeApiKey.objects.get()

    set_it = ann.post(f"{BASE}/{row.pk}/set-key/", FORM, follow=True)
    tested = ann.post(f"{BASE}/{row.pk}/test-key/", {"reason": "before Monday"}, follow=True)

    assert (added.status_code, set_it.status_code, tested.status_code) == (302, 200, 200)
    now = kept(row)
    assert (now.key_set_by, now.is_set, now.passphrase_encrypted is not None) == (ann.user.email, True, True)
    for part in (now.key_fingerprint, ann.user.email, "opens with version 1"):
        assert part in text_of(tested)
    ann.post(f"{BASE}/{row.pk}/clear-key/", {"reason": "revoked"})
    assert kept(row).is_set is False
    actions = UserAction.objects.filter(user=ann.user, resource_type="exchange_key").order_by("pk")
    assert list(actions.values_list("action", "reason")) == [
        ("exchange_key.create", ""), ("exchange_key.set", "new account"), ("exchange_key.test", "before Monday"),
        ("exchange_key.clear", "revoked"),
    ]  # fmt: skip


@pytest.mark.parametrize("missing", ["api_key", "api_secret", "reason"])
def test_a_form_that_comes_back_is_empty(row: ExchangeApiKey, missing: str) -> None:
    answer = Browser().post(f"{BASE}/{row.pk}/set-key/", {**FORM, missing: ""})

    assert answer.status_code == 200
    assert "PLANTED" not in text_of(answer)
    assert kept(row).is_set is False


def test_what_a_service_refuses_comes_back_empty(row: ExchangeApiKey) -> None:
    answer = Browser().post(f"{BASE}/{row.pk}/set-key/", {**FORM, "api_secret": KEY})

    assert answer.status_code == 409
    assert "Key and secret are the same." in text_of(answer)
    assert "PLANTED" not in text_of(answer)


def test_a_form_without_a_proof_is_kept_nowhere(row: ExchangeApiKey) -> None:
    """What is sent again after a proof lies in the session until then; a secret must not."""
    browser = Browser(is_fresh=False)

    answer = browser.post(f"{BASE}/{row.pk}/set-key/", FORM)

    assert answer.status_code == 302
    assert answer["Location"].startswith("/account/confirm/")
    assert kept(row).is_set is False
    assert "PLANTED" not in str([session.get_decoded() for session in Session.objects.all()])


@pytest.mark.parametrize("button", ["set-key", "test-key", "clear-key"])
def test_each_button_asks_for_a_proof_and_a_reason(button: str, db: Any) -> None:
    row = ExchangeApiKeyFactory()
    before = kept(row).api_key_encrypted

    unproved = Browser(is_fresh=False).post(f"{BASE}/{row.pk}/{button}/", {**FORM})
    without = Browser().post(f"{BASE}/{row.pk}/{button}/", {**FORM, "reason": ""})

    assert unproved["Location"].startswith("/account/confirm/")
    assert without.status_code == 200
    assert kept(row).api_key_encrypted == before
    assert not UserAction.objects.filter(action__startswith="exchange_key").exists()


def test_a_change_beside_the_secret_asks_for_a_proof_too(db: Any) -> None:
    row = ExchangeApiKeyFactory(is_active=False)
    form = {"label": row.label, "is_active": "on", "permissions": "[]", "reason": "back on"}

    answer = Browser(is_fresh=False).post(f"{BASE}/{row.pk}/change/", form)

    assert "/account/confirm/" in answer["Location"]
    assert kept(row).is_active is False
    Browser().post(f"{BASE}/{row.pk}/change/", form)
    assert kept(row).is_active is True


def test_no_form_takes_a_ciphertext(row: ExchangeApiKey) -> None:
    forged = {"label": "mine", "permissions": "[]", "reason": "x", "api_key_encrypted": "x", "key_version": "9",
              "key_fingerprint": "0" * 16}  # fmt: skip

    Browser().post(f"{BASE}/{row.pk}/change/", forged)

    now = kept(row)
    assert (now.label, now.api_key_encrypted, now.key_version, now.key_fingerprint) == ("mine", None, None, None)


def test_pages_do_not_even_read_the_ciphertexts(db: Any) -> None:
    row, browser = ExchangeApiKeyFactory(), Browser()

    with CaptureQueriesContext(connection) as queries:
        pages = [browser.get(f"{BASE}/{page}") for page in ("", f"{row.pk}/change/", f"{row.pk}/set-key/")]
        pages.append(browser.post(f"{BASE}/export/", CSV))
        shown = repr(ExchangeApiKey.objects.get()) + str(ExchangeApiKey.objects.get().__dict__)

    assert [page.status_code for page in pages] == [200] * 4
    shown += " ".join(map(text_of, pages))
    assert row.label in shown
    for cipher in (kept(row).api_key_encrypted, kept(row).api_secret_encrypted):
        for form in (bytes(cipher).hex(), base64.b64encode(bytes(cipher)).decode(), repr(bytes(cipher))):
            assert form not in shown
    assert API_KEY not in shown
    assert not any("_encrypted" in query["sql"] for query in queries.captured_queries)


# --- whose business it is


@pytest.mark.parametrize("role", ["trader", "viewer"])
def test_keys_are_the_admins_business(role: str, db: Any) -> None:
    row, browser = ExchangeApiKeyFactory(label="secretly"), Browser(role)
    account = ExchangeAccountFactory(api_key=row)
    Browser().post(f"{BASE}/{row.pk}/test-key/", {"reason": "look"})
    before = kept(row).api_key_encrypted

    for page in ("", "add/", f"{row.pk}/change/", f"{row.pk}/history/", f"{row.pk}/set-key/",
                 f"{row.pk}/test-key/", f"{row.pk}/clear-key/"):  # fmt: skip
        assert browser.get(f"{BASE}/{page}").status_code == 403, page
        assert browser.post(f"{BASE}/{page}", FORM).status_code == 403, page
    assert browser.post(f"{BASE}/export/", CSV).status_code == 403
    assert kept(row).api_key_encrypted == before
    # Nor do other pages tell of them.
    for address in ("/admin/", "/admin/audit/useraction/", "/api/v1/audit/actions", "/admin/audit/change/",
                    f"/admin/bots/exchangeaccount/{account.pk}/change/", "/admin/bots/exchangeaccount/export/",
                    "/admin/audit/useraction/export/"):  # fmt: skip
        told = text_of(browser.post(address, CSV) if "export" in address else browser.get(address))
        assert not re.search(r"exchange_key|api_keys|secretly|exchangeapikey", told), address
    # Admins see who did what.
    for address in ("/admin/audit/useraction/", "/api/v1/audit/actions", "/admin/audit/change/"):
        assert re.search(r"exchange_key|api_keys", text_of(Browser().get(address))), address


# --- the planted secret


def dump() -> bytes:
    """Return everything that the database holds, as pg_dump writes it."""
    database = connection.settings_dict
    command = [str(find_postgres(os.environ).program("pg_dump")), "--inserts", "-h", database["HOST"], "-p",
               str(database["PORT"]), "-U", database["USER"], database["NAME"]]  # fmt: skip
    done = subprocess.run(command, capture_output=True, check=False,
                          env={**os.environ, "PGPASSWORD": database["PASSWORD"]})  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def forms_of(secret: str) -> list[bytes]:
    """Return a secret as it could stand somewhere: plain, in hexadecimal, in base64 at each of three places."""
    raw = secret.encode()
    bases = [base64.b64encode(b"x" * shift + raw)[4 if shift else 0 : -4] for shift in range(3)]
    return [raw, raw.hex().encode(), raw.hex().upper().encode(), *bases]


@pytest.mark.django_db(transaction=True)
def test_a_planted_secret_is_found_nowhere(caplog: pytest.LogCaptureFixture, key_file: Path) -> None:
    caplog.set_level(logging.DEBUG)
    row, ann = api_key_create(exchange="okx", label="main", actor=SYSTEM), Browser()
    found = BytesIO()
    for form in ({**FORM, "reason": ""}, {**FORM, "api_secret": KEY}, FORM):
        found.write(text_of(ann.post(f"{BASE}/{row.pk}/set-key/", form, follow=True)).encode())
    secret = api_key_use(key_id=row.pk, purpose="trading", actor=SYSTEM)
    assert (secret.api_key, secret.api_secret, secret.passphrase) == (KEY, SECRET, PHRASE)
    try:
        raise RuntimeError(f"cannot sign with {secret}")
    except RuntimeError:
        logging.getLogger("bots").exception("no order: %r", secret)
    ExchangeApiKey.objects.update(api_secret_encrypted=kept(row).api_key_encrypted)
    with pytest.raises(Undecryptable) as refused:
        api_key_use(key_id=row.pk, purpose="trading", actor=SYSTEM)
    # As a report of an error would tell it, with every local variable of every function but this one.
    report = traceback.TracebackException.from_exception(refused.value, capture_locals=True)
    found.write("".join([*report.stack.format()[1:], *report.format_exception_only()]).encode())
    found.write(serialize("json", ExchangeApiKey.objects.all(), fields=["exchange", "label"]).encode())
    pages = ("", f"{row.pk}/change/", f"{row.pk}/history/")
    found.write(text_of(ann.post(f"{BASE}/export/", CSV)).encode())
    found.write("".join(text_of(ann.get(f"{BASE}/{page}")) for page in pages).encode())
    for address in ("/api/v1/audit/actions", "/admin/audit/useraction/", "/admin/audit/change/"):
        found.write(text_of(ann.get(address)).encode())
    redis = get_redis_connection("default")
    for name in redis.scan_iter(count=1000):
        kind = redis.type(name).decode()
        read = {"string": redis.get, "hash": redis.hgetall, "list": lambda each: redis.lrange(each, 0, -1)}.get(kind)
        found.write(name + repr(read(name) if read else b"").encode())
    found.write(caplog.text.encode())
    found.write(json.dumps([*SystemEvent.objects.values("message", "details"), *SystemLog.objects.values("message"),
                            *JobRun.objects.values("result", "error")], default=str).encode())  # fmt: skip
    stored = dump()
    assert b"KEY_UNREADABLE" in stored
    found.write(stored)

    everything = found.getvalue()

    assert kept(row).api_key_encrypted.hex().encode() in stored, "the dump has the ciphertexts"
    for planted in (KEY, SECRET, PHRASE, "PLANTED"):
        for form in forms_of(planted):
            assert form not in everything, form
    raw_keys = [key.split()[1] for key in key_file.read_text().splitlines() if key[:1].isdigit()]
    assert raw_keys
    for text in raw_keys:
        for form in (text.encode(), base64.b64decode(text), base64.b64decode(text).hex().encode()):
            assert form not in everything
