"""Who dies when: kills, freezes and network outages in a seeded order, and how long each recovery takes."""

import os
import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.chaos.proxy import FaultProxy
from tests.chaos.writers import Probe
from tests.e2e.running import OURS, PATIENCE, Running
from tradingdb.services.processes import wait_until

# How long a frozen server and a dead network stay so, in seconds.
FROZEN, DEAD = 3.0, 2.0
# The bound of each recovery that is promised, in seconds; 95 of 100 must keep it.
TARGETS = {"web": 5.0, "web and its spare": 5.0, "postgres": 10.0}


@dataclass
class Conductor:
    """Does one harm after another to an instance and its network, and waits until each is over.

    kills counts deaths of each process, recoveries holds the seconds until service was back for each kind of harm:
    for web, postgres and redis until a write that was sent after the kill is acknowledged and the instance says it
    is ready; for worker and beat until the supervisor has started them again.
    """

    instance: Running
    proxy: FaultProxy
    probe: Probe
    seed: int
    say: Callable[[str], None]
    kills: Counter[str] = field(default_factory=Counter)
    harms: Counter[str] = field(default_factory=Counter)
    recoveries: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    @property
    def all_harms(self) -> dict[str, Callable[[], None]]:
        """What can be done, by name."""
        kills = {name: lambda name=name: self.kill(name) for name in OURS}
        return {
            **kills, "web and its spare": self.kill_all_web, "blackout": self.blackout, "frozen web": self.freeze,
            "refused": self.refuse, "silence": self.swallow,
        }  # fmt: skip

    def perform(self, *, seconds: float, rounds: int) -> None:
        """Do every harm once a round, each round in an order of its own, spread over the time."""
        dice = random.Random(f"{self.seed} harms")
        names = [name for _ in range(rounds) for name in dice.sample(sorted(self.all_harms), len(self.all_harms))]
        begin = time.monotonic()
        for number, name in enumerate(names):
            wait = begin + seconds * (number + 0.5) / len(names) - time.monotonic()
            time.sleep(max(wait, 0.0))
            self.do(name)
        time.sleep(max(begin + seconds - time.monotonic(), 0.0))

    def do(self, name: str) -> None:
        """Do one harm and return when it is over."""
        self.all_harms[name]()
        self.harms[name] += 1
        took = f": {self.recoveries[name][-1]:.2f} s" if self.recoveries[name] else ""
        self.say(f"{name}{took}")

    def kill(self, name: str) -> None:
        """Kill one process without warning."""
        killed = time.monotonic()
        self._end([name])
        self._await_recovery(name, [name], killed)

    def kill_all_web(self) -> None:
        """Kill the web server together with the one that stands by, so that it starts from nothing."""
        killed = time.monotonic()
        self._end(["web"], with_spares=True)
        self._await_recovery("web and its spare", ["web"], killed)

    def blackout(self) -> None:
        """Kill everything at once."""
        killed = time.monotonic()
        self._end(list(OURS), with_spares=True)
        self._await_recovery("blackout", list(OURS), killed)

    def freeze(self) -> None:
        """Stop the web server where it stands, and let it go on later."""
        process = self.instance.process("web")
        process.send(signal.SIGSTOP)
        time.sleep(FROZEN)
        process.send(signal.SIGCONT)
        self._await_recovery("frozen web", [], time.monotonic())

    def refuse(self) -> None:
        """Break every connection of the bots, and refuse new ones for a while."""
        self.proxy.refuse()
        time.sleep(DEAD)
        self.proxy.accept()

    def swallow(self) -> None:
        """Let nothing through for a while; then it all arrives."""
        self.proxy.swallow()
        time.sleep(DEAD)
        self.proxy.pass_on()

    def _end(self, names: list[str], *, with_spares: bool = False) -> None:
        # First, before one of them is called up.
        for spare in self.instance.spares() if with_spares else ():
            spare.send(signal.SIGKILL)
        self._before = {name: self.instance.process(name) for name in names}
        for process in self._before.values():
            os.kill(process.pid, signal.SIGKILL)
        self.kills.update(names)

    def _await_recovery(self, harm: str, names: list[str], since: float) -> None:
        state = self.instance.state
        for name in names:
            new = wait_until(lambda name=name: state.process(name) not in (None, self._before[name]), PATIENCE)
            assert new, f"{name} stays dead"
        if not {*names} <= {"worker", "beat"} or not names:
            assert self.probe.wait_for_write(since, PATIENCE), f"no write is taken after {harm}"
        if "redis" in names:
            assert wait_until(self.instance.is_ready, PATIENCE), f"not ready after {harm}"
        self.recoveries[harm].append(time.monotonic() - since)
