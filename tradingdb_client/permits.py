"""What the last permit allows, and for how long on this machine's own clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .answers import Answer, PermitState

# A permit of a server that tells no time is trusted no longer than this, however wrong the clock here is.
LONGEST_WITHOUT_SERVER_TIME = timedelta(seconds=15)


@dataclass(frozen=True)
class HeldPermit:
    """A permit with its times on the monotonic clock, in seconds: asked for at, good until."""

    state: PermitState
    asked_at: float
    good_until: float


class PermitKeeper:
    """Keeps the newest permit seen, timed by the server's clock and this machine's monotonic one."""

    def __init__(self) -> None:
        self._held: HeldPermit | None = None

    def notice(self, *, path: str, answer: Answer, asked_at: float) -> None:
        """Keep the permit an answer carries, if it carries one. An answer overtaken by a newer one is left aside."""
        if path not in ("/permit", "/heartbeat"):
            return
        if self._held is not None and asked_at < self._held.asked_at:
            return
        try:
            permit = answer.data if path == "/permit" else answer.data["permit"]
            lifetime = _lifetime(answer, valid_until=datetime.fromisoformat(permit["valid_until"]))
            # Counted from the moment of asking: the time the answer took is time the permit has already lived.
            self._held = HeldPermit(permit["state"], asked_at, asked_at + lifetime.total_seconds())
        except (KeyError, TypeError, ValueError):
            # An answer whose permit cannot be read gives none; the one held runs out by itself.
            return

    def state(self, *, now: float) -> PermitState | None:
        """Return what the valid permit says, None when none is held."""
        return None if self._held is None or now >= self._held.good_until else self._held.state

    def allows(self, *, reducing: bool, now: float) -> bool | None:
        """Return whether a new order is allowed, None when no valid permit is held."""
        state = self.state(now=now)
        return None if state is None else state == "ACTIVE" or (reducing and state == "REDUCING")


def _lifetime(answer: Answer, *, valid_until: datetime) -> timedelta:
    if "server_time" in answer.data:
        return valid_until - datetime.fromisoformat(answer.data["server_time"])
    if answer.server_date is not None:
        # The Date header is cut to the second, so the true rest may be up to one second less.
        return valid_until - answer.server_date - timedelta(seconds=1)
    return min(valid_until - datetime.now(UTC), LONGEST_WITHOUT_SERVER_TIME)
