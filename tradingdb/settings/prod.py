"""Settings of a production server: every secret is given, every connection is encrypted by the proxy in front."""

from django.core.exceptions import ImproperlyConfigured

from tradingdb.settings.base import *  # noqa: F403
from tradingdb.settings.base import DATABASE_URL, FIELD_KEY_FILE, REDIS_URL, SECRET_KEY

_NEEDED = {
    "SECRET_KEY_FILE": SECRET_KEY,
    "FIELD_KEY_FILE": FIELD_KEY_FILE,
    "DATABASE_URL": DATABASE_URL,
    "REDIS_URL": REDIS_URL,
}
for _name, _value in _NEEDED.items():
    if not _value:
        raise ImproperlyConfigured(f"{_name} is not set: production has no default for it.")

SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
# Who speaks TLS is what uvicorn hears from the proxy that FORWARDED_ALLOW_IPS names. There is no header setting of
# Django's here, since anybody could send that header past the proxy.
SECURE_SSL_REDIRECT = True
# Probes of the machine itself; and the API, which refuses instead (tradingdb.lib.secure).
SECURE_REDIRECT_EXEMPT = ["^health/", "^metrics", "^api/"]
SECURE_HSTS_SECONDS = 365 * 24 * 3600
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
# Putting a domain on the browsers' preload list is its owner's step, and cannot be taken back for months.
SILENCED_SYSTEM_CHECKS = ["security.W021"]
SESSION_COOKIE_NAME = "__Host-sessionid"
CSRF_COOKIE_NAME = "__Host-csrftoken"
# Whoever may move money proves more than a password.
MFA_REQUIRED = True
