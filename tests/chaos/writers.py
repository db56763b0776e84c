"""Bots that never stop writing through the project's own client: every write is repeated until it is acknowledged."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from tests.chaos.stories import Story, Write
from tradingdb_client import ApiError, Client, ClientError, NoPermit, Pace, RateLimited, Unavailable

# How long a bot waits for an answer, and between two tries, in seconds.
TIMEOUT = 3.0
PACE = Pace(first=0.05, longest=0.5)
PAUSE = 0.05
NO_PERMIT = "no_permit"


class Bot(threading.Thread, ABC):
    """Tells its story until asked to stop.

    told: every write it has begun; acknowledged: (kind, id) of those the server answered with 2xx; unanswered: calls
    that ended without an answer; refused: answers that no bot should get.
    """

    def __init__(self, url: str, bot: dict[str, str], story: Story, *, breath: float) -> None:
        super().__init__(name=story.name, daemon=True)
        self.url, self.bot_id, self.token = url, bot["bot_id"], bot["token"]
        self.story = story
        self.breath = breath
        self.told: list[Write] = []
        self.acknowledged: set[tuple[str, str]] = set()
        self.unanswered = 0
        self.refused: list[str] = []
        self.failure: BaseException | None = None
        self._enough = threading.Event()
        self._is_given_up = False

    def stop(self) -> None:
        """Ask it to end once what it has begun is acknowledged."""
        self._enough.set()

    def give_up(self) -> None:
        """End it, whatever is left untold."""
        self._is_given_up = True
        self._enough.set()
        self.join(10 * TIMEOUT)

    def run(self) -> None:
        try:
            self.tell()
        except BaseException as error:
            self.failure = error

    @abstractmethod
    def tell(self) -> None:
        """Tell the story until it is enough."""

    def rounds(self) -> Iterator[list[Write]]:
        """Yield what is to be told, whole rounds only, and remember it."""
        for writes in self.story.rounds():
            is_last = self._enough.is_set()
            whole = writes + self.story.rest() if is_last else writes
            self.told += whole
            yield whole
            if is_last:
                return

    def repeat(self, name: str, call: Callable[[], Any]) -> Any:
        """Return the answer to a call, repeated until there is one; None when it is refused."""
        while True:
            try:
                return call()
            except (Unavailable, RateLimited, NoPermit) as error:
                if self._is_given_up:
                    raise
                if isinstance(error, NoPermit) and error.state is not None:
                    self.refused.append(f"{self.name} {name}: {error}")
                    return None
                self.unanswered += 1
                time.sleep(PAUSE)
            except ApiError as error:
                self.refused.append(f"{self.name} {name}: {error}")
                return None


class PlainBot(Bot):
    """Keeps nothing: it calls until it is answered."""

    spool: Path | None = None

    def tell(self) -> None:
        with Client(self.url, self.token, timeout=TIMEOUT, retries=1, pace=PACE, spool=self.spool) as client:
            for writes in self.rounds():
                for write in writes:
                    ack = self.repeat(write.id, lambda write=write: send(client, write))
                    is_kept = ack is not None and ack.spooled
                    if ack is not None and not is_kept:
                        self.acknowledged.add((write.kind, write.id))
                    # What is only kept costs no time: a bot that went on at its pace would tell for minutes in the end.
                    time.sleep(PAUSE if is_kept else self.breath)
            self.finish(client)

    def finish(self, client: Client) -> None:
        """Nothing is left to deliver."""


class SpoolingBot(PlainBot):
    """Keeps facts on its disk through an outage; they count as acknowledged once the spool was delivered."""

    def __init__(self, url: str, bot: dict[str, str], story: Story, *, breath: float, spool: Path) -> None:
        super().__init__(url, bot, story, breath=breath)
        self.spool = spool

    def finish(self, client: Client) -> None:
        flushed = self.repeat("flush", client.flush)
        rejected = Path(f"{self.spool}.rejected")
        if flushed is not None and not flushed.rejected and not (rejected.exists() and rejected.stat().st_size):
            self.acknowledged |= {(write.kind, write.id) for write in self.told}
        else:
            self.refused.append(f"{self.name}: facts in {rejected}")


class BatchBot(Bot):
    """Sends several rounds as one batch, with an answer for each operation."""

    def tell(self) -> None:
        with Client(self.url, self.token, timeout=TIMEOUT, retries=1, pace=PACE) as client:
            rounds = self.rounds()
            while batch := [write for writes in islice(rounds, 4) for write in writes]:
                self._deliver(client, batch)
                time.sleep(self.breath * len(batch))

    def _deliver(self, client: Client, batch: list[Write]) -> None:
        operations: Any = [{"op": write.kind, "data": write.body} for write in batch]
        results = self.repeat("batch", lambda: client.batch(operations))
        # Without a permit the client sends the facts and holds the orders back. What is sent again is a replay.
        while results and any(result.get("code") == NO_PERMIT for result in results) and not self._is_given_up:
            time.sleep(PAUSE)
            results = self.repeat("batch", lambda: client.batch(operations))
        for write, result in zip(batch, results or [], strict=bool(results)):
            if 200 <= result["status"] < 300:
                self.acknowledged.add((write.kind, write.id))
            else:
                self.refused.append(f"{self.name} {write.id}: {result}")


def send(client: Client, write: Write) -> Any:
    """Send one write by the client's method for it."""
    if write.kind == "event":
        return client.events([write.body])  # type: ignore[list-item]
    calls: dict[str, Callable[..., Any]] = {
        "signal": client.signal, "order": client.order, "fill": client.fill, "balance": client.balance,
        "order_update": client.order_update,
    }  # fmt: skip
    return calls[write.kind](**write.body)


class Probe(threading.Thread):
    """Writes straight to the server, without the bad network, to see when writes are taken again."""

    def __init__(self, url: str, bot: dict[str, str]) -> None:
        super().__init__(name="probe", daemon=True)
        self._client = Client(url, bot["token"], timeout=1.0, retries=0)
        self._enough = threading.Event()
        self._taken = threading.Condition()
        self.last_begun = 0.0  # monotonic seconds at which the newest acknowledged write was sent

    def run(self) -> None:
        number = 0
        while not self._enough.is_set():
            number += 1
            began = time.monotonic()
            event = {"event_id": f"probe-{number}", "event_type": "PROBE", "event_level": "INFO", "message": "probe"}
            with suppress(ClientError):
                self._client.events([event])  # type: ignore[list-item]
                with self._taken:
                    self.last_begun = began
                    self._taken.notify_all()
            time.sleep(0.05)

    def wait_for_write(self, since: float, seconds: float) -> bool:
        """Wait until a write that was sent after `since` (monotonic seconds) is acknowledged; False: it took longer."""
        with self._taken:
            return self._taken.wait_for(lambda: self.last_begun > since, seconds)

    def stop(self) -> None:
        self._enough.set()
        self.join()
        self._client.close()
