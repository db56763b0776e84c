"""The client for ordinary, blocking code. It may be shared by threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
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


def _sends(build: Callable[P, Call[T]]) -> Callable[Concatenate[Client, P], T]:
    """Return the method that sends what `build` builds."""

    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run(self._courier.perform(build(*args, **kwargs)))

    dress(method, build)
    return method


def _pages(build: Callable[P, Listing[T]]) -> Callable[Concatenate[Client, P], Iterator[T]]:
    """Return the method that iterates over the list `build` describes."""

    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self._items(build(*args, **kwargs))

    dress(method, build)
    return method


class Client(Shell):
    """A bot's connection to tradingdb: one method for each call of the HTTP contract."""

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        timeout: float = 10.0,
        retries: int = 5,
        spool: Path | str | None = None,
        transport: httpx.BaseTransport | None = None,
        pace: Pace = DEFAULT_PACE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        options = http_options(base_url, token, timeout)
        self._http = httpx.Client(**options, transport=transport)
        super().__init__(base_url, retries=retries, spool=spool, pace=pace)
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections and give the spool free; what waits in it stays on disk."""
        self._http.close()
        self._close_spool()

    def may_trade(self, *, reducing: bool = False) -> bool:
        """Return whether a valid permit allows a new order; `reducing`: one that shrinks a position.

        The permit is kept until it runs out, and asked for again then; when it cannot be had, the answer is False.
        """
        return self._run(self._courier.may_trade(reducing=reducing))

    def flush(self) -> Flushed:
        """Deliver everything in the spool. Raises Unavailable, or what else hinders, when facts are left."""
        return self._run(self._courier.flush())

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

    def _items(self, listing: Listing[T]) -> Iterator[T]:
        call: Call[Page[T]] | None = listing.first
        while call is not None:
            page = self._run(self._courier.perform(call))
            yield from page["items"]
            call = listing.after(page)

    def _run(self, flow: Flow[T]) -> T:
        advance: Callable[[], Step] = partial(next, flow)
        while True:
            try:
                step = advance()
            except StopIteration as stop:
                return cast(T, stop.value)
            try:
                result = self._do(step)
            except BaseException as error:  # whatever it is, the flow decides: it may have a fact to keep first
                advance = partial(flow.throw, error)
            else:
                advance = partial(flow.send, result)

    def _do(self, step: Step) -> Any:
        match step:
            case Send(call):
                headers = {"Content-Type": call.content_type} if call.content is not None else {}
                return self._http.request(
                    call.method, call.path, params=call.params, content=call.content, headers=headers
                )
            case Pause(seconds):
                return self._sleep(seconds)
            case Disk(work):
                return work()
