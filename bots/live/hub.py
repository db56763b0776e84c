"""The hub of one process: one Redis subscription, the state it keeps, and the sockets that watch it.

No socket has a channel-layer group, a task or a subscription of its own: a change is applied once, encoded once per
view and handed to each socket of the view.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from channels.db import DatabaseSyncToAsync
from django.conf import settings
from django.db import Error as DatabaseError
from django.utils import timezone

from bots.ledger.shapes import stamp
from bots.live import messages
from bots.live.bot_desk import BotDesk, Listener, load_bot_news, note_told
from bots.live.load import load, realized_today
from bots.live.outlet import RESTART, SIGNED_OUT, Outlet, Send
from bots.live.rebuild import rebuild_if_empty
from bots.live.script import LiveUpdate
from bots.live.state import Changes, LiveState
from bots.live.stored import astored_prices
from bots.live.subscription import Subscription, raise_if_cancelled
from bots.live.view import Filter, View
from bots.live.viewers import Viewer, as_they_are

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timing:
    """How often the hub does what nobody asks it for, in seconds."""

    reconcile: float = 3.0
    bots: float = 0.7
    viewers: float = 4.0
    ping: float = 15.0
    age: float = 1.0
    settle_trades: float = 0.2
    ready: float = 5.0


TIMING = Timing()


@dataclass(slots=True, eq=False)
class Watcher:
    """One browser."""

    viewer: Viewer
    view: View
    outlet: Outlet


class Hub:
    """Keeps the state true and the sockets informed."""

    def __init__(self, timing: Timing) -> None:
        self.state = LiveState()
        self.desk = BotDesk(self.state)
        self.sources = {"postgres": False, "redis": False}
        self._timing = timing
        self._as_of = messages.now_stamp()
        self._views: dict[Filter, View] = {}
        self._watchers: set[Watcher] = set()
        self._traded: set[str] = set()
        # Whether Redis was tried once, so that the first snapshot has the prices if there are any.
        self._is_redis_known = asyncio.Event()
        self._is_loaded = asyncio.Event()
        self._loading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: dict[Filter, asyncio.TimerHandle] = {}

    def start(self) -> None:
        """Begin to listen; the tasks end with the event loop."""
        subscription = Subscription(self._take_updates, self._on_connected, self._on_lost)
        self._spawn(subscription.run())
        self._spawn(self._load_first())
        for seconds, job in (
            (self._timing.reconcile, self._reconcile),
            (self._timing.viewers, self._check_viewers),
            (self._timing.bots, self._ask_for_bots),
            (self._timing.ping, self._ping),
            (self._timing.age, self._age),
        ):
            self._spawn(self._every(seconds, job))

    # --- browsers

    async def join(self, send: Send, viewer: Viewer, filter: Filter) -> Watcher:
        """Add a browser and send it the snapshot. Raises TimeoutError when there is no state to show yet."""
        async with asyncio.timeout(self._timing.ready):
            await self._is_loaded.wait()
            if not self._watchers:
                # While nobody watched, nobody compared with PostgreSQL.
                await self._reconcile()
        view = self._views.get(filter)
        if view is None:
            rate = settings.LIVE_MAX_MESSAGES_PER_SECOND
            view = self._views[filter] = View(self.state, filter, rate=rate, about=self._about)
        watcher = Watcher(viewer, view, Outlet(send, newest=view.snapshot))
        view.outlets.add(watcher.outlet)
        self._watchers.add(watcher)
        watcher.outlet.push_text(view.snapshot())
        return watcher

    def leave(self, watcher: Watcher) -> None:
        """Forget a browser, and its view when it was the last one there."""
        self._watchers.discard(watcher)
        view = watcher.view
        view.outlets.discard(watcher.outlet)
        if not view.outlets and self._views.get(view.filter) is view:
            del self._views[view.filter]

    def resync(self, watcher: Watcher) -> None:
        """Send a browser that missed something the whole view."""
        watcher.outlet.push_text(watcher.view.snapshot())

    # --- bots

    async def join_bot(self, send: Send, *, bot_id: str, prefix: str) -> Listener:
        """Add a bot's socket and tell it what applies to it."""
        listener = self.desk.join(send, bot_id=bot_id, prefix=prefix)
        await self._ask_for_bots()
        return listener

    # --- what comes in

    def _take_updates(self, updates: list[LiveUpdate]) -> None:
        try:
            changes = self.state.apply(updates)
        except Exception:
            # One update that is not as it should be must not end the subscription; what it half changed is shown anew.
            logger.exception("Live updates are left out")
            for view in self._views.values():
                view.restart()
            return
        if changes.traded and not self._traded:
            self._spawn(self._settle_trades())
        self._traded |= changes.traded
        self._distribute(changes)

    def _distribute(self, changes: Changes) -> None:
        if not changes:
            return
        for view in list(self._views.values()):
            view.take(changes)
            # A timer that runs will send this along; otherwise it goes out now.
            if view.filter not in self._timers:
                self._flush(view)
        if self.desk.listeners and any(update["kind"] == "halt" for update in changes.news):
            self.desk.tell_halts()

    def _flush(self, view: View) -> None:
        self._timers.pop(view.filter, None)
        wait = view.flush()
        if wait is not None:
            self._timers[view.filter] = asyncio.get_running_loop().call_later(wait, self._flush, view)

    async def _on_connected(self) -> None:
        """Redis is (again) there: what was published meanwhile is lost, so everything is read and shown anew."""
        await self._ask(rebuild_if_empty)
        prices = await astored_prices()
        self.sources["redis"] = True
        self.state.apply(prices)
        self._is_redis_known.set()
        if self._is_loaded.is_set():
            await self._reconcile()
            for view in self._views.values():
                view.restart()

    def _on_lost(self) -> None:
        self._is_redis_known.set()
        if self.sources["redis"]:
            self.sources["redis"] = False
            self._tell_sources()

    # --- what is done again and again

    async def _load_first(self) -> None:
        await self._is_redis_known.wait()
        while not self._is_loaded.is_set():
            await self._reconcile()
            if self.sources["postgres"]:
                self.state.age(timezone.now())
                self._is_loaded.set()
            else:
                await asyncio.sleep(self._timing.age)

    async def _reconcile(self) -> None:
        """Compare with PostgreSQL and correct what differs, so that a lost publish heals by itself."""
        async with self._loading:
            since, now = self.state.clock, timezone.now()
            known = self.state.versions()
            loaded = await self._ask(load, now=now, known=known)
            if loaded is None:
                return
            self._as_of = stamp(now)
            self._distribute(self.state.reconcile(loaded, since=since))

    async def _settle_trades(self) -> None:
        """Read the day's profit of bots that closed trades; several trades in a row are read together."""
        await asyncio.sleep(self._timing.settle_trades)
        bot_ids, self._traded = self._traded, set()
        realized = await self._ask(realized_today, now=timezone.now(), bot_ids=bot_ids)
        if realized is not None:
            changes = Changes()
            self.state.set_realized(realized, bot_ids, changes)
            self._distribute(changes)

    async def _ask_for_bots(self) -> None:
        listeners = self.desk.listeners
        if not listeners:
            return
        bot_ids = {listener.bot_id for listener in listeners}
        prefixes = {listener.prefix for listener in listeners}
        news = await self._ask(load_bot_news, bot_ids, prefixes)
        if news is not None:
            halts = [LiveUpdate(kind="halt", bot_id="", symbol="", data=data) for data in news.halts]
            self._distribute(self.state.apply(halts))
            self.desk.take(news)
            if self.desk.told:
                told, self.desk.told = self.desk.told, set()
                await self._ask(note_told, told)

    async def _check_viewers(self) -> None:
        """Close the sockets of people who signed out or were disabled; who has other bots now connects again."""
        viewers = {watcher.viewer for watcher in self._watchers}
        now = await self._ask(as_they_are, viewers) if viewers else None
        if now is None:
            return
        # Who joined meanwhile was asked at the door.
        for watcher in [each for each in self._watchers if now.get(each.viewer, each.viewer) != each.viewer]:
            self.leave(watcher)
            watcher.outlet.close(SIGNED_OUT if now[watcher.viewer] is None else RESTART)

    async def _ping(self) -> None:
        self._tell_sources()

    def _tell_sources(self) -> None:
        text = messages.ping(self.sources)
        for view in self._views.values():
            view.broadcast_text(text)

    async def _age(self) -> None:
        self._distribute(self.state.age(timezone.now()))
        if self.state.unknown_bots and self._watchers:
            await self._reconcile()

    # --- helpers

    def _about(self) -> dict[str, Any]:
        return {"sources": self.sources, "as_of": self._as_of}

    async def _ask(self, question: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return PostgreSQL's answer; None while it does not answer."""
        try:
            answer = await _in_thread(question)(*args, **kwargs)
        except DatabaseError as e:
            if self.sources["postgres"]:
                logger.warning("The live layer cannot read PostgreSQL: %s", e)
                self.sources["postgres"] = False
                self._tell_sources()
            return None
        if not self.sources["postgres"]:
            self.sources["postgres"] = True
            self._tell_sources()
        return answer

    async def _every(self, seconds: float, job: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            if not self._watchers and not self.desk.listeners:
                continue
            try:
                await job()
            except Exception:
                raise_if_cancelled()
                # One failed round must not end the rounds for the life of the process.
                logger.exception("A round of the live hub failed")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _in_thread(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Run it in any thread, with a database connection of its own: a slow database must not hold up the sync views."""
    in_thread: Callable[..., Awaitable[Any]] = DatabaseSyncToAsync(function, thread_sensitive=False)
    return in_thread


_hubs: "WeakKeyDictionary[asyncio.AbstractEventLoop, Hub]" = WeakKeyDictionary()


def hub() -> Hub:
    """Return the hub of the running event loop, started."""
    loop = asyncio.get_running_loop()
    found = _hubs.get(loop)
    if found is None:
        found = _hubs[loop] = Hub(TIMING)
        found.start()
    return found
