"""With the settings of production: Django's own checks find nothing, and nothing answers without TLS."""

import base64
import io
import json
import os
import subprocess
import sys

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import override_settings

from tradingdb.lib import http
from tradingdb.lib.secure import HttpsOnly

PROBE = """
import django; django.setup()
from django.conf import settings as s
import json
print(json.dumps({name: getattr(s, name) for name in (
    "SESSION_COOKIE_SECURE", "SESSION_COOKIE_HTTPONLY", "SESSION_COOKIE_SAMESITE", "SESSION_COOKIE_NAME",
    "CSRF_COOKIE_SECURE", "CSRF_COOKIE_SAMESITE", "CSRF_COOKIE_NAME", "SECURE_HSTS_SECONDS",
    "SECURE_HSTS_INCLUDE_SUBDOMAINS", "SECURE_SSL_REDIRECT", "DEBUG", "MFA_REQUIRED", "SECURE_PROXY_SSL_HEADER",
)}))
"""


@pytest.fixture(scope="module")
def production(tmp_path_factory):
    """The environment of a production server, with keys of its own."""
    folder = tmp_path_factory.mktemp("keys")
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    key = folder / "secret_key"
    key.touch(mode=0o600)
    key.write_bytes(base64.urlsafe_b64encode(os.urandom(60)))
    call_command("make_key_file", str(folder / "field_keys"), stdout=io.StringIO())
    environment |= {"SECRET_KEY_FILE": str(key), "FIELD_KEY_FILE": str(folder / "field_keys")}
    return environment | {
        "DJANGO_SETTINGS_MODULE": "tradingdb.settings.prod",
        "STATE_DIR": str(folder),
        "DATABASE_URL": "postgresql://app:pw@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }


def run(production, *words):
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=settings.BASE_DIR, env=production, capture_output=True, text=True, check=False)


def test_check_deploy_is_clean(production):
    done = run(production, "-W", "error", "manage.py", "check", "--deploy", "--fail-level", "DEBUG")

    assert done.returncode == 0, done.stderr
    assert "no issues (1 silenced)" in done.stdout


def test_cookies_and_transport_are_strict(production):
    found = json.loads(run(production, "-c", PROBE).stdout)

    assert found == {
        "SESSION_COOKIE_SECURE": True, "SESSION_COOKIE_HTTPONLY": True, "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_NAME": "__Host-sessionid", "CSRF_COOKIE_SECURE": True, "CSRF_COOKIE_SAMESITE": "Lax",
        "CSRF_COOKIE_NAME": "__Host-csrftoken", "SECURE_HSTS_SECONDS": 31536000, "SECURE_HSTS_INCLUDE_SUBDOMAINS": True,
        "SECURE_SSL_REDIRECT": True, "DEBUG": False, "MFA_REQUIRED": True, "SECURE_PROXY_SSL_HEADER": None,
    }  # fmt: skip


async def ask(scope):
    """Send one request to the door; return what it sent and whether it let the request in."""
    sent, inside = [], []

    async def inner(scope, receive, send):
        inside.append(scope["path"])

    async def send(message):
        sent.append(message)

    await HttpsOnly(inner)(scope, None, send)
    return sent, bool(inside)


@pytest.mark.parametrize(
    ("kind", "scheme", "path", "enters"),
    [
        ("http", "https", "/api/v1/orders", True),
        ("http", "http", "/api/v1/orders", False),
        ("websocket", "ws", "/ws/live/", False),
        ("websocket", "wss", "/ws/live/", True),
        ("http", "http", "/admin/", True),  # Django redirects it
        ("http", "http", "/health/ready", True),
    ],
)
async def test_no_call_and_no_socket_comes_in_without_tls(kind, scheme, path, enters):
    with override_settings(SECURE_SSL_REDIRECT=True):
        sent, entered = await ask({"type": kind, "scheme": scheme, "path": path})

    assert entered is enters
    if not enters and kind == "http":
        assert (sent[0]["status"], json.loads(sent[1]["body"])["code"]) == (403, "https_required")


async def test_where_it_is_not_asked_for_everything_comes_in():
    assert (await ask({"type": "http", "scheme": "http", "path": "/api/v1/orders"}))[1]


def test_data_carries_hsts_too():
    http.headers_of_data.cache_clear()
    try:
        with override_settings(SECURE_HSTS_SECONDS=31536000, SECURE_HSTS_INCLUDE_SUBDOMAINS=True):
            headers = dict(http.headers_of_data())
    finally:
        http.headers_of_data.cache_clear()

    assert headers[b"strict-transport-security"] == b"max-age=31536000; includeSubDomains"
    assert headers[b"x-content-type-options"] == b"nosniff"
