"""Typed readers of the environment. Each reader records what it read, so that one command lists every setting."""

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")
BASE_DIR = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable: its meaning, its default as text, and whether its value may be shown."""

    name: str
    kind: str
    default: str
    help: str
    secret: bool
    value: str


REGISTRY: dict[str, Setting] = {}


def _instance() -> dict[str, str]:
    """Read STATE_DIR/run/tradingdb.env, which a running instance writes: unset variables come from there."""
    state = Path(os.environ.get("STATE_DIR") or BASE_DIR / ".state")
    try:
        lines = (state / "run" / "tradingdb.env").read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except PermissionError as e:
        raise ImproperlyConfigured(f"{e.filename} belongs to another user; set STATE_DIR.") from e
    return dict(line.split("=", 1) for line in lines if "=" in line)


INSTANCE = _instance()


def _read(name: str, kind: str, convert: Callable[[str], T], default: T, help: str, secret: bool = False) -> T:
    raw = os.environ.get(name) or INSTANCE.get(name)
    if raw is None:
        value = default
    else:
        try:
            value = convert(raw)
        except ValueError as e:
            raise ImproperlyConfigured(f"{name} must be {kind}: {'(hidden)' if secret else raw!r}") from e
    shown = "(set)" if secret and value else str(value)
    REGISTRY[name] = Setting(name, kind, "" if default is None or secret else str(default), help, secret, shown)
    return value


def text(name: str, default: str, help: str, *, secret: bool = False) -> str:
    """A text setting."""
    return _read(name, "text", str, default, help, secret)


def number(name: str, default: int, help: str, *, least: int = 0) -> int:
    """A whole number of at least `least`."""

    def convert(raw: str) -> int:
        value = int(raw)
        if value < least:
            raise ValueError(raw)
        return value

    return _read(name, f"a whole number from {least}", convert, default, help)


def switch(name: str, default: bool, help: str) -> bool:
    """1/0, true/false, yes/no, on/off."""
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}

    def convert(raw: str) -> bool:
        if raw.lower() not in words:
            raise ValueError(raw)
        return words[raw.lower()]

    return _read(name, "true or false", convert, default, help)


def one_of(name: str, default: str, choices: Collection[str], help: str) -> str:
    """One of a few words."""

    def convert(raw: str) -> str:
        if raw not in choices:
            raise ValueError(raw)
        return raw

    return _read(name, f"one of {', '.join(choices)}", convert, default, help)


def listing(name: str, default: list[str], help: str) -> list[str]:
    """Comma-separated text."""
    return _read(
        name, "a list with commas", lambda raw: [x.strip() for x in raw.split(",") if x.strip()], default, help
    )


def path(name: str, default: Path | None, help: str) -> Path | None:
    """A path, made absolute."""
    return _read(name, "a path", lambda raw: Path(raw).resolve(), default, help)


def private_file(name: str, help: str) -> Path | None:
    """The path of a file that nobody else can read, which is not read here; None when unset."""
    file = path(name, None, help)
    if file is None:
        return None
    try:
        if file.stat().st_mode & 0o077:
            raise ImproperlyConfigured(f"{name}: {file} can be read by others; chmod 400 it.")
    except FileNotFoundError as e:
        raise ImproperlyConfigured(f"{name}: {file} does not exist.") from e
    return file


def secret_from_file(name: str, help: str) -> str | None:
    """What the file that `name` points to holds; None when unset. Refuses a missing, empty or world-readable file."""
    file = path(name, None, help)
    if file is None:
        return None
    try:
        if file.stat().st_mode & 0o077:
            raise ImproperlyConfigured(f"{name}: {file} can be read by others; chmod 600 it.")
        content = file.read_text().strip()
    except FileNotFoundError as e:
        raise ImproperlyConfigured(f"{name}: {file} does not exist.") from e
    if not content:
        raise ImproperlyConfigured(f"{name}: {file} is empty.")
    return content
