"""The secrets of an instance: made once, kept in STATE_DIR/secrets, one file each, readable by the owner only."""

import base64
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tradingdb.lib.keyring import new_keyring
from tradingdb.lib.private_files import write_private
from tradingdb.services.errors import ServiceError


def _password() -> str:
    """A password that needs no quoting in a URL or a configuration file."""
    return secrets.token_urlsafe(32)


def _seed() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


MAKERS: dict[str, Callable[[], str]] = {
    "postgres_superuser": _password,
    "postgres_app": _password,
    "postgres_bot": _password,
    "redis": _password,
    "django_secret_key": lambda: secrets.token_urlsafe(64),
    "field_keys": lambda: new_keyring().text(),
    "audit_key": _seed,
    "admin_password": lambda: secrets.token_urlsafe(18),
}


# Another one in its place would leave what the first one signed without a witness, and what it encrypted closed.
NEVER_WRITTEN = frozenset({"audit_key", "field_keys"})


@dataclass(frozen=True, slots=True)
class Secrets:
    """The passwords the servers are started with, and where each secret's file lies."""

    folder: Path
    superuser_password: str = field(repr=False)
    app_password: str = field(repr=False)
    bot_password: str = field(repr=False)
    redis_password: str = field(repr=False)

    def file(self, name: str) -> Path:
        return self.folder / name


def load_secrets(folder: Path) -> Secrets:
    """Read the secrets in `folder` and make those that are missing."""
    values = {name: _load(folder / name, make) for name, make in MAKERS.items()}
    return Secrets(
        folder=folder,
        superuser_password=values["postgres_superuser"],
        app_password=values["postgres_app"],
        bot_password=values["postgres_bot"],
        redis_password=values["redis"],
    )


def _load(path: Path, make: Callable[[], str]) -> str:
    if not path.exists():
        write_private(path, f"{make().rstrip()}\n", mode=0o400 if path.name in NEVER_WRITTEN else 0o600)
    value = path.read_text().strip()
    if not value:
        raise ServiceError(
            f"The secret {path} is empty; put the old one back, or remove the file to have a new one made."
        )
    return value
