"""Settings of a production server: every secret is given, every connection is encrypted by the proxy in front."""

from django.core.exceptions import ImproperlyConfigured

from tradingdb.settings.base import *  # noqa: F403
from tradingdb.settings.base import DATABASE_URL, REDIS_URL, SECRET_KEY

for _name, _value in {"SECRET_KEY_FILE": SECRET_KEY, "DATABASE_URL": DATABASE_URL, "REDIS_URL": REDIS_URL}.items():
    if not _value:
        raise ImproperlyConfigured(f"{_name} is not set: production has no default for it.")

SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 365 * 24 * 3600
SECURE_CONTENT_TYPE_NOSNIFF = True
SESSION_COOKIE_NAME = "__Host-sessionid"
