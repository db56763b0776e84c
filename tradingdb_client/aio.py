"""The client for asyncio: the same calls, each awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, cast

import httpx

from . import calls
from .answers import Flushed, Page
from .courier import DEFAULT_PACE, Disk, Flow, Pace, Pause, Send, Step
from .protocol import Call, Listing
from .shell import Shell, dress, http_options

P = ParamSpec("P")
T = TypeVar("T")


def _sends(build: Callable[P, Call[T]]) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    """Return the method that sends what `build` builds."""

    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(self._courier.perform(build(*args, **kwargs)))

    dress(method, build)
    return method


def _pages(build: Callable[P, Listing[T]]) -> Callable[Concatenate[AsyncClient, P], AsyncIterator[T]]:
    """Return the method that iterates over the list `build` describes."""

    def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        return self._items(build(*args, **kwargs))

    dress(method, build)
    return method


class AsyncClient(Shell):
    """A bot's connection to tradingdb for asyncio: one coroutine for each call of the HTTP contract."""

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        timeout: float = 10.0,
        retries: int = 5,
        spool: Path | str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        pace: Pace = DEFAULT_PACE,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        options = http_options(base_url, token, timeout)
        self._http = httpx.AsyncClient(**options, transport=transport)
        super().__init__(base_url, retries=retries, spool=spool, pace=pace)
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections and give the spool free; what waits in it stays on disk."""
        await self._http.aclose()
        self._close_spool()

    async def may_trade(self, *, reducing: bool = False) -> bool:
        """Return whether a valid permit allows a new order; `reducing`: one that shrinks a position.

        The permit is kept until it runs out, and asked for again then; when it cannot be had, the answer is False.
        """
        return await self._run(self._courier.may_trade(reducing=reducing))

    async def flush(self) -> Flushed:
        """Deliver everything in the spool. Raises Unavailable, or what else hinders, when facts are left."""
        return await self._run(self._courier.flush())

    me = _sends(calls.me)
    permit = _sends(calls.permit)
    config = _sends(calls.config)
    heartbeat = _sends(calls.heartbeat)
    signal = _sends(calls.signal)
    risk_check = _sends(calls.risk_check)
    order = _sends(calls.order)
    order_update = _sends(calls.order_update)
    fill = _sends(calls.fill)
    position_update = _sends(calls.position_update)
    trade = _sends(calls.trade)
    balance = _sends(calls.balance)
    report_positions = _sends(calls.report_positions)
    events = _sends(calls.events)
    batch = _sends(calls.batch)
    prices = _sends(calls.prices)
    candles = _sends(calls.candles)
    candles_csv = _sends(calls.candles_csv)
    get_candles = _sends(calls.get_candles)

    signals = _pages(calls.signals)
    orders = _pages(calls.orders)
    fills = _pages(calls.fills)
    positions = _pages(calls.positions)
    trades = _pages(calls.trades)
    balances = _pages(calls.balances)

    async def _items(self, listing: Listing[T]) -> AsyncIterator[T]:
        call: Call[Page[T]] | None = listing.first
        while call is not None:
            page = await self._run(self._courier.perform(call))
            for item in page["items"]:
                yield item
            call = listing.after(page)

    async def _run(self, flow: Flow[T]) -> T:
        advance: Callable[[], Step] = partial(next, flow)
        while True:
            try:
                step = advance()
            except StopIteration as stop:
                return cast(T, stop.value)
            try:
                result = await self._do(step)
            except BaseException as error:  # whatever it is, the flow decides: it may have a fact to keep first
                advance = partial(flow.throw, error)
            else:
                advance = partial(flow.send, result)

    async def _do(self, step: Step) -> Any:
        match step:
            case Send(call):
                headers = {"Content-Type": call.content_type} if call.content is not None else {}
                return await self._http.request(
                    call.method, call.path, params=call.params, content=call.content, headers=headers
                )
            case Pause(seconds):
                return await self._sleep(seconds)
            case Disk(work):
                return await asyncio.to_thread(work)
