"""Secrets that are planted wherever text comes in, and looked for wherever text is kept or told: none is found."""

import base64
import io
import json
import logging
import logging.config
import subprocess
import sys
from urllib.parse import quote

import pytest
from django.conf import settings as site
from django.db import Error, connection, transaction
from django.test import Client
from django.urls import reverse

from audit.services.actions import SYSTEM, record_action
from audit.services.logs import log_row
from bots.services.tokens import token_create
from jobs.choices import RunStatus
from jobs.models import JobRun
from jobs.services.runs import run_end
from tests.factories import NOON, BotFactory, JobRunFactory, UserFactory
from tradingdb.lib import logs
from tradingdb.lib.logs import redact, scrub
from tradingdb.management.model_pages import our_models

M = "p1anted"
BASIC = base64.b64encode(f"u:{M}Basic".encode()).decode()
JWT = f"eyJhbGciOiJIUzI1NiJ9.{M}Jwt0123456789.{M}Sig0123456789"
# What each way of writing a secret looks like, and the part that must not be seen again.
SECRETS = {
    "bot token": (f"tdb_live_AbCdEfGhIjKl.{M}" + "s" * 36, f"{M}sss"),
    "staff token": (f"tdb_staff_AbCdEfGhIjKl.{M}" + "t" * 36, f"{M}ttt"),
    "bearer": (f"Authorization: Bearer {JWT}", f"{M}Jwt"),
    "basic": (f"authorization: Basic {BASIC}", BASIC[:12]),
    "other scheme": (f"{{'Authorization': 'Digest username={M}Digest'}}", f"{M}Digest"),
    "raw headers": (f"[(b'authorization', b'Token {M}RawHeader'), (b'host', b'x')]", f"{M}RawHeader"),
    "cookie": (f"Cookie: sessionid={M}Session; csrftoken={M}Csrf", M),
    "cookies of a request": (f"{{'sessionid': '{M}Cookies'}}", f"{M}Cookies"),
    "password in JSON": (json.dumps({"password": f"{M}Json\" pass"}), f"{M}Json"),
    "password in a form": (f"<QueryDict: {{'password': ['{M}Form']}}>", f"{M}Form"),
    "password in a query": (f"/login?password={M}Query&next=/", f"{M}Query"),
    "new password": (f"new_password1={M}New", f"{M}New"),
    "dsn": (f"postgresql://app:{M}Dsn@db:5432/x", f"{M}Dsn"),
    "dsn words": (f"host=db password={M}Words dbname=x", f"{M}Words"),
    "redis": (f"redis://:{M}Redis@cache:6379/0", f"{M}Redis"),
    "exchange key": (json.dumps({"api_key": f"{M}Key", "api_secret": f"{M}Secret", "passphrase": f"{M}Phrase"}), M),
    "header of an exchange": (f"X-MBX-APIKEY: {M}Mbx", f"{M}Mbx"),
    "totp": (f"otpauth://totp/tradingdb:me?secret={M.upper()}TOTP&issuer=tradingdb", f"{M.upper()}TOTP"),
    "totp row": (json.dumps({"totp_secret": f"{M}TotpRow"}), f"{M}TotpRow"),
    "pem": (f"-----BEGIN PRIVATE KEY-----\n{M}Pem\n-----END PRIVATE KEY-----", f"{M}Pem"),
    "failing row": (f"DETAIL:  Failing row contains (1, {M}Row, 2026).", f"{M}Row"),
    "key of a row": (f"Key (session_key)=({M}Unique) already exists.", f"{M}Unique"),
}  # fmt: skip
each_secret = pytest.mark.parametrize(("written", "hidden"), SECRETS.values(), ids=SECRETS.keys())


@pytest.fixture
def log(settings):
    """Everything the configured handler writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    form = settings.LOGGING["formatters"]["line"]
    handler.setFormatter(logs.UtcFormatter(form["format"], style=form["style"]))
    root = logging.getLogger()
    root.addHandler(handler)
    level = root.level
    root.setLevel(logging.DEBUG)
    yield stream
    root.setLevel(level)
    root.removeHandler(handler)


def kept():
    """Return every row of every table of ours as text."""
    found = []
    with connection.cursor() as cursor:
        for model in our_models():
            name = connection.ops.quote_name(model._meta.db_table)
            cursor.execute(f"SELECT coalesce(string_agg(t::text, E'\\n'), '') FROM {name} t")
            found.append(cursor.fetchone()[0])
        cursor.execute("SELECT coalesce(string_agg(c::text, E'\\n'), '') FROM audit.changes c")
        found.append(cursor.fetchone()[0])
    return "\n".join(found)


@each_secret
def test_no_way_of_logging_shows_it(log, written, hidden):
    logger = logging.getLogger("tests.planted")
    logger.warning(written)
    logger.warning("told %s", written)
    logger.warning("told %(it)s", {"it": written})
    logger.warning("args %r", {"args": (written,), "kwargs": {"body": written}})
    try:
        try:
            raise ValueError(written)
        except ValueError as e:
            raise RuntimeError("outer") from e
    except RuntimeError:
        logger.exception("failed")
    logging.getLogger("celery.app.trace").error("Task x[1] raised unexpected: %r", ValueError(written), exc_info=True)

    assert "outer" in log.getvalue()
    assert hidden not in log.getvalue()


@each_secret
def test_no_row_of_a_log_shows_it(written, hidden):
    try:
        raise ValueError(written)
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "told %s", (written,), sys.exc_info())

    row = log_row(record)

    assert hidden not in row.message + json.dumps(row.details)


@pytest.mark.django_db
def test_no_table_keeps_it():
    token = token_create(bot_id=BotFactory().bot_id, actor=SYSTEM).token
    bot = {"content_type": "application/json", "headers": {"authorization": f"Bearer {token}"}}
    events = []
    for number, (written, _) in enumerate(SECRETS.values()):
        event = {"event_id": f"e{number}", "event_type": "ERROR", "event_level": "ERROR", "message": written}
        event |= {"stack_trace": written, "details": {"told": written, "deep": [{"password": written}]}}
        events.append(event)
        named = {"password": written, "deep": {"api_secret": written}}
        record_action(
            user=None,
            action="x",
            resource_type="x",
            resource_id="1",
            reason=written,
            before={"n": written},
            after=named,
        )

    stored = Client().post("/api/v1/events", json.dumps({"events": events}), **bot)
    other = {**events[0], "message": f"other {events[0]['message']}"}
    refused = Client().post("/api/v1/events", json.dumps({"events": [other]}), **bot)

    assert (stored.status_code, refused.status_code) == (201, 409), stored.content
    rows = kept()
    assert "told" in rows
    assert [hidden for _, hidden in SECRETS.values() if hidden in rows] == []
    assert token.rpartition(".")[2] not in rows


@pytest.mark.django_db
def test_no_answer_and_no_line_tells_what_a_request_held(log):
    UserFactory(email="me@example.com")
    answers = []
    browser = Client(raise_request_exception=False)
    for written, _ in SECRETS.values():
        answers.append(browser.post(reverse("account_login"), {"login": "me@example.com", "password": written}))
        for header in (
            {"authorization": f"Bearer {written}".replace("\n", " ")},
            {"cookie": f"sessionid={quote(written)}"},
        ):
            answers.append(browser.get("/api/v1/me", headers=header))
            answers.append(browser.post("/api/v1/orders", json.dumps({"order_id": written, "side": written}),
                                        content_type="application/json", headers=header))  # fmt: skip
        answers.append(browser.get("/api/v1/fills", {"cursor": written, "token": written}))
        answers.append(browser.get(f"/nothing/{quote(written, safe='')}"))

    everything = {"answers": "\n".join(answer.content.decode() for answer in answers), "log": log.getvalue()}
    everything["tables"] = kept()
    found = [(place, hidden) for place, text in everything.items() for _, hidden in SECRETS.values() if hidden in text]
    assert found == []


@pytest.mark.django_db
def test_a_view_that_breaks_with_a_secret_in_its_words_tells_nobody(log, monkeypatch):
    user = UserFactory(email="me@example.com")
    everything = "\n".join(written for written, _ in SECRETS.values())

    def broken(*args, **kwargs):
        password = everything  # noqa: F841 (a local that a debug page would print)
        raise RuntimeError(everything)

    monkeypatch.setattr("bots.api.dashboard.candle_series", broken)
    monkeypatch.setattr("bots.api.dashboard.installed_charts", lambda: {"candles": {}})
    browser = Client(raise_request_exception=False)
    browser.force_login(user)
    answer = browser.get("/")

    assert answer.status_code == 500
    assert "RuntimeError" in log.getvalue()
    for _, hidden in SECRETS.values():
        assert hidden not in answer.content.decode()
        assert hidden not in log.getvalue()


@pytest.mark.django_db
def test_what_postgresql_says_of_a_row_is_not_told(log):
    user = UserFactory(email="me@example.com")
    statements = (
        ("UPDATE users SET role = %s, password = %s WHERE id = %s", ("nonsense", f"{M}Hash", user.pk)),
        ("SELECT %s::int", (f"password={M}Cast",)),
    )
    for sql, values in statements:
        with pytest.raises(Error) as caught, transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql, values)
        logging.getLogger("tests.planted").error("broke", exc_info=caught.value)

    assert "Failing row contains (***" in log.getvalue()
    assert M not in log.getvalue()


@pytest.mark.django_db
def test_a_job_that_fails_keeps_no_secret_of_its_arguments():
    run = JobRunFactory(status=RunStatus.RUNNING, started_at=NOON, worker_id="w")
    told = "\n".join(written for written, _ in SECRETS.values())
    run_end(run, status=RunStatus.FAILED, error=f"ValueError: {told}")

    text = JobRun.objects.get(pk=run.pk).error
    assert [hidden for _, hidden in SECRETS.values() if hidden in (text or "")] == []


def test_the_instances_own_secrets_are_known_without_a_name(settings, log, tmp_path):
    settings.SECRET_KEY = f"{M}-secret-key-0123456789"
    key = base64.b64encode(M.encode() * 5).decode()
    settings.FIELD_KEY_FILE = tmp_path / "keys"
    settings.FIELD_KEY_FILE.write_text(f"1 {key}\n")
    settings.DATABASE_URL = f"postgresql://app:{M}%2Fdatabase@db/x"

    words = [settings.SECRET_KEY, key, f"{M}%2Fdatabase", f"{M}/database"]
    logging.getLogger("tests.planted").warning("seen: %s", " and ".join(words))

    assert log.getvalue().rstrip().endswith("seen: *** and *** and *** and ***")


def test_settings_that_are_wrong_are_told_without_their_value(tmp_path):
    wrong = {"DATABASE_URL": f"postgresql://app:{M}@127.0.0.1:1/x", "REDIS_URL": f"redis://:{M}@127.0.0.1:1/0"}
    for command in (["show_settings"], ["migrate"]):
        done = subprocess.run(
            [sys.executable, "manage.py", *command], cwd=site.BASE_DIR, capture_output=True, text=True, check=False,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "STATE_DIR": str(tmp_path), **wrong},
        )  # fmt: skip
        assert done.stdout + done.stderr
        assert M not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "text",
    [
        "The token lacks the scope read.",
        "Order 17 of bot_1 was filled at 100.5; key=bot_1:BTCUSDT",
        "tdb_live_AbCdEfGhIjKl was revoked",
        "Session of me@example.com ended",
        "https://example.com/a:b@c?limit=5",
        "2 tokens, 3 passwords and a cookie",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redact(text) == text


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "a_",
        "password",
        "password ",
        "token=",
        "cookie:",
        "x://:",
        "Bearer ",
        "Failing row contains (",
        "'",
        '"\\"',
        "csrf",
    ],
)
def test_no_text_takes_long(piece):
    """A text that some pattern tried again and again at each place would take hours here."""
    text = piece * (200_000 // len(piece))

    assert redact(text)
    assert scrub({text[:5000]: text})


def test_data_keeps_its_shape():
    body = {"price": "1.5", "token_count": 3, "has_password": True, "tokens": ["a"], "password": "x", "prefix": "abc"}

    assert scrub(body) == {**body, "password": "***"}


def test_nobody_writes_a_line_that_looks_like_the_logs_own(log):
    logging.getLogger("tests.planted").warning("name\n2026-11-20T00:00:00.000Z INFO django all is well")
    try:
        raise ValueError("x\n2026-11-20T00:00:00.000Z INFO django all is well")
    except ValueError:
        logging.getLogger("tests.planted").exception("it broke")

    assert not [line for line in log.getvalue().splitlines() if line.startswith("2026-11-20T00:00:00.000Z")]
