"""The sockets of bots: what a bot has to know at once, told the moment it changes."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from bots.choices import BotStatus, ControlLevel, ControlScope, ToldBy
from bots.live import messages
from bots.live.load import control_states
from bots.live.outlet import SIGNED_OUT, Outlet, Send
from bots.live.permit import Permit, permit_from
from bots.live.state import HaltKey, LiveState
from bots.live.viewers import usable_prefixes
from bots.models import Bot, ControlChange, ControlReceipt
from config_app.models import BotConfiguration

STRICTNESS = (ControlLevel.ACTIVE, ControlLevel.REDUCING, ControlLevel.HALTED)


@dataclass(frozen=True, slots=True)
class BotNews:
    """What PostgreSQL says about the bots that listen; `prefixes` are those of the tokens `asked` for that are good."""

    asked: set[str]
    statuses: dict[str, str]
    exchanges: dict[str, str]
    configs: dict[str, dict[str, int]]
    halts: list[dict[str, Any]]
    prefixes: set[str]
    # Read no earlier than this; a permit counts from here, however late it is sent.
    read_at: datetime


@dataclass(slots=True, eq=False)
class Listener:
    """One socket of one bot, and what it was told."""

    bot_id: str
    prefix: str
    outlet: Outlet
    exchange: str = ""
    status: str = ""
    config: dict[str, int] = field(default_factory=dict)
    halts: dict[HaltKey, int] = field(default_factory=dict)
    is_greeted: bool = False
    permit_at: datetime | None = None


def load_bot_news(bot_ids: Collection[str], prefixes: Collection[str]) -> BotNews:
    """Read what the listening bots have to know."""
    read_at = timezone.now()
    rows = list(Bot.objects.filter(bot_id__in=bot_ids).values_list("bot_id", "status", "exchange"))
    configs: dict[str, dict[str, int]] = {bot_id: {} for bot_id in bot_ids}
    active = BotConfiguration.objects.filter(bot_id__in=bot_ids, is_active=True).order_by("config_key")
    for bot_id, key, version in active.values_list("bot_id", "config_key", "version"):
        configs[bot_id][key] = version
    return BotNews(
        asked=set(prefixes),
        statuses={bot_id: status for bot_id, status, _ in rows},
        exchanges={bot_id: exchange for bot_id, _, exchange in rows},
        configs=configs,
        halts=control_states(),
        prefixes=usable_prefixes(prefixes),
        read_at=read_at,
    )


def note_told(told: Collection[tuple[str, int]]) -> None:
    """Note which bots were told of which restrictions over their sockets."""
    changes = {number for _, number in told}
    known = set(ControlChange.objects.filter(pk__in=changes).values_list("pk", flat=True))
    ControlReceipt.objects.bulk_create(
        (
            ControlReceipt(bot_id=bot_id, change_id=number, told_by=ToldBy.SOCKET)
            for bot_id, number in sorted(told)
            if number in known
        ),
        ignore_conflicts=True,
    )


class BotDesk:
    """Tells each listening bot what applies to it."""

    def __init__(self, state: LiveState) -> None:
        self._state = state
        self.listeners: set[Listener] = set()
        # Bots and the numbers of the restrictions they were told since somebody noted it.
        self.told: set[tuple[str, int]] = set()

    def join(self, send: Send, *, bot_id: str, prefix: str) -> Listener:
        """Add a socket; it is greeted with the next news."""
        listener = Listener(bot_id, prefix, Outlet(send, newest=lambda: self._greeting(listener)))
        self.listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """Forget a socket."""
        self.listeners.discard(listener)

    def take(self, news: BotNews) -> None:
        """Tell the bots what is new in PostgreSQL's words; close what a token does not open any more."""
        for listener in [listener for listener in self.listeners if listener.prefix in news.asked]:
            if listener.prefix not in news.prefixes:
                self.listeners.discard(listener)
                listener.outlet.close(SIGNED_OUT)
                continue
            status = news.statuses.get(listener.bot_id, "")
            config = news.configs.get(listener.bot_id, {})
            has_new_config = config != listener.config
            is_new = not listener.is_greeted or status != listener.status
            listener.status, listener.config, listener.is_greeted = status, config, True
            listener.exchange = news.exchanges.get(listener.bot_id, "")
            if is_new:
                listener.outlet.push_text(self._greeting(listener))
            elif has_new_config:
                listener.outlet.push_text(messages.bot_config(config))
        self.tell_halts()
        self._renew_permits(news)

    def _renew_permits(self, news: BotNews) -> None:
        """Push a permit to each bot whose last one is a third of its life old; none while PostgreSQL is away."""
        age = timedelta(seconds=settings.PERMIT_SECONDS / 3)
        for listener in self.listeners:
            if listener.prefix not in news.asked or not listener.is_greeted:
                continue
            if listener.permit_at is not None and news.read_at - listener.permit_at < age:
                continue
            listener.permit_at = news.read_at
            listener.outlet.push_text(messages.bot_permit(self._permit(listener, news.read_at)))

    def _permit(self, listener: Listener, read_at: datetime) -> Permit:
        rows = [data for key, data in self._in_force(listener).items() if key[0] != ControlScope.SYMBOL]
        return permit_from(BotStatus(listener.status), rows, read_at)

    def tell_halts(self) -> None:
        """Tell each bot of the restrictions that came, changed or went since it was told."""
        for listener in self.listeners:
            if not listener.is_greeted:
                continue
            in_force = self._in_force(listener)
            state = self._strictest(in_force.values())
            now = {key: int(data["version"]) for key, data in in_force.items()}
            for key, data in in_force.items():
                if listener.halts.get(key) != now[key]:
                    listener.outlet.push_text(messages.bot_control(data, state=state))
                    self.told.add((listener.bot_id, int(data["id"])))
                    # A permit from before says something else.
                    listener.permit_at = None
            for key in listener.halts.keys() - now.keys():
                listener.outlet.push_text(messages.bot_control(self._lifted(key), state=state))
                listener.permit_at = None
            listener.halts = now

    def _greeting(self, listener: Listener) -> str:
        in_force = self._in_force(listener)
        return messages.bot_status(
            status=listener.status,
            state=self._strictest(in_force.values()),
            halts=list(in_force.values()),
            config_versions=listener.config,
        )

    def _in_force(self, listener: Listener) -> dict[HaltKey, dict[str, Any]]:
        targets = {ControlScope.ALL: "", ControlScope.BOT: listener.bot_id, ControlScope.EXCHANGE: listener.exchange}
        # Every bot may send orders in any symbol, so a halted symbol concerns them all.
        return {
            key: data for key, data in self._state.halts.items()
            if key[0] == ControlScope.SYMBOL or targets.get(ControlScope(key[0])) == key[1]
        }  # fmt: skip

    def _lifted(self, key: HaltKey) -> dict[str, Any]:
        return self._state.lifted.get(key, {"scope": key[0], "target": key[1], "state": str(ControlLevel.ACTIVE)})

    @staticmethod
    def _strictest(in_force: Iterable[Mapping[str, Any]]) -> str:
        levels = [STRICTNESS.index(ControlLevel(data["state"])) for data in in_force]
        return str(STRICTNESS[max(levels, default=0)])
