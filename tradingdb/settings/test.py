"""Settings of the tests: real PostgreSQL and Redis, cheap password hashes."""

from typing import Any

from tradingdb.settings.base import *  # noqa: F403
from tradingdb.settings.base import DATABASES, MIDDLEWARE, SECRET_KEY, startup_options

SECRET_KEY = SECRET_KEY or "test-" + "0" * 60
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# A pool per database outlives the test database's name; plain connections let pytest drop it.
_options: dict[str, Any] = DATABASES["default"]["OPTIONS"]
_options.pop("pool")
# Test databases are made, copied and emptied in single statements.
_options["options"] = startup_options("command")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
MIDDLEWARE = [
    "tests.static_files.static_files" if name == "servestatic.middleware.ServeStaticMiddleware" else name
    for name in MIDDLEWARE
]
