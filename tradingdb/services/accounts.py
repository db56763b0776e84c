"""The account that servers run under: PostgreSQL refuses to run as root."""

import ctypes
import os
import pwd
import struct
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tradingdb.services.errors import ServiceError

CANDIDATES = ("postgres", "nobody")
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
_PR_SET_SECUREBITS = 28
_SECBIT_NO_SETUID_FIXUP = 4
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Account:
    """An ordinary account that root starts servers under; `capability` lets it enter folders closed to it."""

    name: str
    uid: int
    gid: int
    capability: int | None = None


def server_account(folder: Path) -> Account | None:
    """The account for a server whose data lie in `folder`; None when we are not root and need none.

    A folder below /root or a private temporary folder is closed to every other account. Opening it with chmod
    would open it to everybody, so the server alone gets the capability to pass.
    """
    if os.geteuid() != 0:
        return None
    account = _first_account()
    if can_enter(account, folder):
        return account
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        if _effective_capabilities() >> capability & 1:
            return replace(account, capability=capability)
    raise ServiceError(
        f"The account {account.name}, which PostgreSQL runs under, cannot enter {folder}; "
        "set STATE_DIR to a folder it can enter, or start as an ordinary user."
    )


def can_enter(account: Account, folder: Path) -> bool:
    """Whether the account may pass through every folder above `folder` and enter it."""
    return run_as(account, ["/bin/sh", "-c", 'cd -- "$0"', str(folder)]).returncode == 0


def run_as(
    account: Account | None, command: Sequence[str], environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end as the account (None: as ourselves) and return it with its output."""
    return subprocess.run(  # noqa: S603 (the commands are ours)  # nosec B603
        command,
        env=environment,
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=partial(become, account) if account else None,
    )


def become(account: Account) -> None:
    """Turn the calling process into the account, for good. Runs between fork and exec."""
    if account.capability is not None:
        # Otherwise setuid() drops every capability, and access(), which initdb asks about its programs, ignores them.
        _prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setgid(account.gid)
    os.setuid(account.uid)
    if account.capability is not None:
        bit = 1 << account.capability
        header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
        if _libc.capset(header, struct.pack("=6I", bit, bit, bit, 0, 0, 0)) != 0:
            raise OSError(ctypes.get_errno(), "capset")
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, account.capability)


def _first_account() -> Account:
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise ServiceError(
        "PostgreSQL does not run as root and this machine has neither an account postgres nor nobody; "
        "start as an ordinary user."
    )


def _effective_capabilities() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def _prctl(option: int, first: int, second: int = 0) -> None:
    if _libc.prctl(option, first, second, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
