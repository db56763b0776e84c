"""What both clients are made of beside their I/O: checked settings, the courier, a repr without the token."""

from __future__ import annotations

import functools
import inspect
import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

import httpx

from .answers import PermitState
from .courier import Courier, Pace
from .spool import Spool

BASE_PATH = "/api/v1"


class HttpOptions(TypedDict):
    """What an httpx client is built with."""

    base_url: str
    headers: dict[str, str]
    timeout: float
    trust_env: bool


class Shell:
    """The common part of both clients. It never holds the token: only httpx's headers do, masked in their repr."""

    def __init__(self, base_url: str, *, retries: int, spool: Path | str | None, pace: Pace) -> None:
        if retries < 0:
            raise ValueError("retries: must not be negative.")
        self.base_url = base_url
        self.spool = None if spool is None else Spool(spool)
        self._courier = Courier(retries=retries, spool=self.spool, pace=pace)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.base_url}>"

    def permit_state(self) -> PermitState | None:
        """What the valid permit held says, None when none is held; asks nobody."""
        return self._courier.permit_state

    def _close_spool(self) -> None:
        if self.spool is not None:
            self.spool.close()


def http_options(base_url: str, token: str, timeout: float) -> HttpOptions:
    """Return the settings of the httpx client. Raises ValueError, which never shows the token."""
    url = httpx.URL(base_url)
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("base_url: expected http://host[:port] or https://host[:port].")
    if url.userinfo:
        raise ValueError("base_url: must not hold credentials; pass the token.")
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError("token: expected printable ASCII text without spaces.")
    return {
        "base_url": base_url.rstrip("/") + BASE_PATH,
        "headers": {"Authorization": f"Bearer {token}", "Accept": "application/json", "User-Agent": "tradingdb-client"},
        "timeout": timeout,
        # A server on this machine is not behind the proxy the environment names.
        "trust_env": not _is_loopback(url.host),
    }


def dress(method: Callable[..., Any], build: Callable[..., Any]) -> None:
    """Give a method the name, the docstring and, behind `self`, the parameters of the function whose call it sends."""
    functools.update_wrapper(method, build, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    del method.__dict__["__wrapped__"]
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__dict__["__signature__"] = inspect.Signature([this, *inspect.signature(build).parameters.values()])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
