"""The market: `python -m demo.feeder` posts the candles and, four times a candle, the prices."""

import json
import logging
import os
import sys
from collections.abc import Sequence
from datetime import timedelta

from demo.candles import CandleSet, read_library, replayed
from demo.process import Outage, Settings, Time, WallTime, run_until_stopped, set_up_log
from demo.registry import BOTS
from demo.replay import EXCHANGE, TICKS_PER_STEP, Clock, Series, tick_price
from tradingdb_client import Client, ClientError, RateLimited, Unavailable

# The live layer forgets a price after a minute.
REPEAT_EVERY = timedelta(seconds=15)
LONGEST_SLEEP = 0.5


class Feeder:
    """Feeds the API from the candle files, at the pace of the replay clock."""

    def __init__(
        self, *, sets: Sequence[CandleSet], clock: Clock, client: Client, time: Time, log: logging.Logger
    ) -> None:
        self.sets = sets
        self.series = [(candle_set, Series.of(candle_set)) for candle_set in replayed(sets)]
        self.clock = clock
        self.client = client
        self.time = time
        self.log = log
        self.outage = Outage(log)
        self.next_step = 0
        self.sent_tick = (-1, -1)
        self.next_repeat = time.now()

    def run(self) -> None:
        """Post everything once, then follow the clock until the process is to stop."""
        for candle_set in self.sets:
            while not self._posted(candle_set):
                if self.time.wait(1.0):
                    return
        self.next_step = self.clock.step_at(self.time.now())
        run_until_stopped(self.time, self.turn)
        self.log.info("stopped")

    def turn(self) -> float:
        """Post what has happened since, and return the seconds until the next price."""
        try:
            self._post_candles()
            self._post_prices()
        except (Unavailable, RateLimited) as error:
            self.outage.begins(error)
        else:
            self.outage.ends()
        now = self.time.now()
        step, tick = self.clock.step_at(now), self.clock.tick_at(now)
        quarter = self.clock.step_seconds / TICKS_PER_STEP
        due = self.clock.time_of(step) + timedelta(seconds=quarter * (tick + 1))
        return min(LONGEST_SLEEP, max(0.01, (due - now).total_seconds()))

    def _posted(self, candle_set: CandleSet) -> bool:
        """Post a whole file; the API leaves alone what it has."""
        try:
            ack = self.client.candles_csv(
                exchange=EXCHANGE, symbol=candle_set.symbol, interval=candle_set.interval, csv=candle_set.csv()
            )
        except (Unavailable, RateLimited) as error:
            self.outage.begins(error)
            return False
        self.outage.ends()
        counts = {name: ack.data.get(name) for name in ("received", "inserted", "unchanged", "rejected")}
        self.log.info("%s %s candles: %s", candle_set.symbol, candle_set.interval, counts)
        return True

    def _post_candles(self) -> None:
        """Post the candles that are complete now, as an exchange would; after an outage only the newest."""
        complete = self.clock.step_at(self.time.now()) - 1
        if complete < self.next_step:
            return
        self.next_step = complete + 1
        for candle_set, series in self.series:
            c = series.bar(complete).candle
            row = (c.timestamp, c.open, c.high, c.low, c.close, c.volume)
            self.client.candles(
                exchange=EXCHANGE, symbol=candle_set.symbol, interval=candle_set.interval, candles=[row]
            )

    def _post_prices(self) -> None:
        now = self.time.now()
        step, tick = self.clock.step_at(now), self.clock.tick_at(now)
        if (step, tick) == self.sent_tick and now < self.next_repeat:
            return
        self.client.prices(
            {"symbol": series.symbol, "price": tick_price(series.bar(step).candle, tick), "timestamp": now}
            for _, series in self.series
        )
        self.sent_tick, self.next_repeat = (step, tick), now + REPEAT_EVERY


def main() -> int:
    """Feed until SIGTERM or SIGINT."""
    settings = Settings.read(os.environ)
    time = WallTime()
    log = set_up_log("feeder")
    tokens = json.loads((settings.folder / "tokens.json").read_text(encoding="utf-8"))
    clock = Clock.from_json((settings.folder / "clock.json").read_text(encoding="utf-8"))
    sets = read_library(settings.candles).sets
    with Client(settings.base_url, tokens[BOTS[0].bot_id], timeout=10.0, retries=1) as client:
        try:
            Feeder(sets=sets, clock=clock, client=client, time=time, log=log).run()
        except ClientError as error:
            log.warning("stops: %s", error)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
