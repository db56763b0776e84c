"""The baseline of many clients: one process and one connection each, so that no interpreter lock is in the way."""

import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

from bench.ledger_hand import Hand, Owner
from bench.ledger_script import Fill

ANSWER_SECONDS = 120.0


class Workers:
    """Processes that write fills by hand, each for one bot, when told to."""

    def __init__(self, url: str, options: str | Sequence[str], *, count: int) -> None:
        """options: of every connection, or of each."""
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes = []
        for told in [options] * count if isinstance(options, str) else options:
            ours, theirs = context.Pipe()
            process = context.Process(target=work, args=(theirs, url, told), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def __enter__(self) -> Self:
        for pipe in self._pipes:
            self._answer(pipe)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(10)

    def write(self, owners: Sequence[Owner], fills: Sequence[Sequence[Fill]]) -> float:
        """Write each bot's fills, all bots at the same time, and return the seconds it took."""
        for pipe, owner, own in zip(self._pipes, owners, fills, strict=True):
            pipe.send((owner, own))
        for pipe in self._pipes:
            self._answer(pipe)
        begin = time.perf_counter()
        for pipe in self._pipes:
            pipe.send("go")
        for pipe in self._pipes:
            self._answer(pipe)
        return time.perf_counter() - begin

    @staticmethod
    def _answer(pipe: Connection) -> None:
        if not pipe.poll(ANSWER_SECONDS):
            raise RuntimeError("A worker of the baseline does not answer.")
        pipe.recv()


def work(pipe: Connection, url: str, options: str) -> None:
    """Write what the pipe brings until it closes."""
    hand = Hand(url, options)
    pipe.send("ready")
    while True:
        try:
            owner, fills = pipe.recv()
        except EOFError:
            return
        pipe.send("ready")
        pipe.recv()
        for fill in fills:
            hand.write(owner, (fill,))
        pipe.send("done")
