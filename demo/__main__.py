"""`python -m demo`: starts the feeder and the bots, starts again what dies, and stops them all at the end."""

import hashlib
import json
import logging
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from demo.candles import CandleFileError, CandleSet, account_quote, read_library, traded
from demo.process import Settings, SettingsError, Time, WallTime, run_until_stopped, set_up_log, write_whole
from demo.registry import BOTS
from demo.replay import Clock, series_infos, step_seconds

SUPERVISE_EVERY = 0.5
STOP_WITHIN_SECONDS = 10
# A child that lived this long is started again at once; one that died sooner waits longer each time.
STEADY_AFTER = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(seconds=30)


@dataclass
class Child:
    """One process of the demo."""

    name: str
    command: list[str]
    process: "subprocess.Popen[bytes] | None" = None
    started_at: datetime | None = None
    pause: timedelta = field(default=timedelta(seconds=1))
    not_before: datetime | None = None

    def start(self, now: datetime) -> None:
        self.process = subprocess.Popen(self.command)  # noqa: S603 (the command is ours)  # nosec B603
        self.started_at, self.not_before = now, None


class Supervisor:
    """Keeps the children alive and writes down how far the replay is."""

    def __init__(
        self, *, children: Sequence[Child], clock: Clock, progress: Path, time: Time, log: logging.Logger
    ) -> None:
        self.children = children
        self.clock = clock
        self.progress = progress
        self.time = time
        self.log = log

    def turn(self) -> float:
        now = self.time.now()
        for child in self.children:
            self._keep_alive(child, now)
        self.save_progress()
        return SUPERVISE_EVERY

    def save_progress(self) -> None:
        """Keep the step, so that the next start goes on from there and open positions see no jump."""
        step = self.clock.step_at(self.time.now())
        write_whole(self.progress, json.dumps({"replay_id": self.clock.replay_id, "step": step}))

    def stop(self) -> None:
        """Ask every child to stop, and end those that do not in time."""
        running = [child for child in self.children if child.process and child.process.poll() is None]
        for child in running:
            assert child.process is not None
            child.process.terminate()
        for child in running:
            assert child.process is not None
            try:
                child.process.wait(STOP_WITHIN_SECONDS)
            except subprocess.TimeoutExpired:
                self.log.warning("%s does not stop and is killed", child.name)
                child.process.kill()
                child.process.wait()

    def _keep_alive(self, child: Child, now: datetime) -> None:
        if child.process is None:
            child.start(now)
            return
        code = child.process.poll()
        if code is None:
            return
        if child.not_before is None:
            assert child.started_at is not None
            is_steady = now - child.started_at > STEADY_AFTER
            child.pause = timedelta(seconds=1) if is_steady else min(child.pause * 2, LONGEST_PAUSE)
            child.not_before = now + child.pause
            self.log.info("%s ended with %s and is started again in %ds", child.name, code, child.pause.seconds)
        if now >= child.not_before:
            child.start(now)


def new_clock(sets: Sequence[CandleSet], *, speed: float | None, now: datetime, progress: Path) -> Clock:
    """Return a clock that starts in a moment; it goes on from the last step when the candles are the same."""
    infos = series_infos(sets)
    replay_id = hashlib.sha256(repr(infos).encode()).hexdigest()[:12]
    return Clock(
        replay_id=replay_id,
        start=now + timedelta(seconds=2),
        start_step=_last_step(progress, replay_id),
        step_seconds=step_seconds(sets, speed),
        quote=account_quote(sets),
        series=infos,
    )


def _last_step(progress: Path, replay_id: str) -> int:
    try:
        saved = json.loads(progress.read_text(encoding="utf-8"))
        return int(saved["step"]) if saved["replay_id"] == replay_id else 0
    except (OSError, ValueError, KeyError, TypeError):
        # Never written, or not by us: the replay begins at the beginning.
        return 0


def is_ready(base_url: str) -> bool:
    """Whether the instance answers that it is ready."""
    try:
        with urllib.request.urlopen(f"{base_url}/health/ready", timeout=5) as answer:  # noqa: S310 (our own server, over http)  # nosec B310
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def wait_for_instance(settings: Settings, time: Time, log: logging.Logger) -> bool:
    """Wait for the bots' tokens and a ready instance; False when the process is to stop first."""
    tokens = settings.folder / "tokens.json"
    waited = 0
    while not (tokens.exists() and is_ready(settings.base_url)):
        if waited % 30 == 0:
            log.info("waits for %s and %s/health/ready", tokens.name, settings.base_url)
        waited += 1
        if time.wait(1.0):
            return False
    return True


def _children() -> list[Child]:
    bots = [Child(b.bot_id, [sys.executable, "-m", "demo.bot", b.bot_id]) for b in BOTS]
    return [Child("feeder", [sys.executable, "-m", "demo.feeder"]), *bots]


def main() -> int:
    """Run the demo until SIGTERM or SIGINT."""
    time = WallTime()
    log = set_up_log("demo")
    try:
        settings = Settings.read(os.environ)
        library = read_library(settings.candles)
    except (SettingsError, CandleFileError) as error:
        log.error("%s", error)
        return 2
    for notice in library.notices:
        log.info("%s", notice)
    (settings.folder / "spool").mkdir(mode=0o700, parents=True, exist_ok=True)
    if not wait_for_instance(settings, time, log):
        return 0
    progress = settings.folder / "progress.json"
    clock = new_clock(library.sets, speed=settings.speed, now=time.now(), progress=progress)
    write_whole(settings.folder / "clock.json", clock.to_json())
    symbols = [candle_set.symbol for candle_set in traded(library.sets)]
    log.info("replays %d symbols, a candle each %gs; trades %s", len(clock.series), clock.step_seconds, symbols)
    supervisor = Supervisor(children=_children(), clock=clock, progress=progress, time=time, log=log)
    try:
        run_until_stopped(time, supervisor.turn)
    finally:
        supervisor.stop()
        supervisor.save_progress()
    return 0


if __name__ == "__main__":
    sys.exit(main())
