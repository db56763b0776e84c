"""The sealer: a thread beside beat that seals each second and anchors each minute.

Any number may run; of those that seal at the same moment one does. It keeps its last seal in mind: a chain that lost it
was cut, and is told of at once.
"""

import logging
import threading
import time

from django.db import DatabaseError, InterfaceError, close_old_connections

from audit.choices import EventLevel
from audit.models import Seal
from audit.services.events import event_record
from audit.trail.anchors import anchor
from audit.trail.keys import SealKey, seal_key
from audit.trail.seals import last_seal, seal
from tradingdb.lib.acting import acting

logger = logging.getLogger(__name__)

EVERY_SECONDS = 1.0
ANCHOR_SECONDS = 60.0


class Sealer:
    """Seals until it is closed."""

    def __init__(self, key: SealKey) -> None:
        self._key = key
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sealer", daemon=True)
        self._last: Seal | None = None
        self._anchored: tuple[float, int] = (float("-inf"), -1)

    def start(self) -> None:
        """Begin to seal."""
        self._thread.start()

    def close(self) -> None:
        """End after the seal that is under way."""
        self._stop.set()
        self._thread.join(timeout=10)

    def turn(self) -> None:
        """Seal what is due, and anchor once a minute. Raises DatabaseError."""
        made = seal(self._key)
        newest = made or last_seal()
        if newest is None:
            return
        if self._last is not None and self._is_cut(self._last):
            self._tell_cut(self._last)
        self._last = newest
        when, number = self._anchored
        if newest.number > number and time.monotonic() - when >= ANCHOR_SECONDS:
            self._anchor(newest)

    def _is_cut(self, known: Seal) -> bool:
        stored = Seal.objects.filter(number=known.number).values_list("hash", flat=True).first()
        return stored is None or bytes(stored) != bytes(known.hash)

    def _tell_cut(self, known: Seal) -> None:
        # What is remembered here alone is written down before anything else happens.
        self._anchor(known)
        message = f"Seal {known.number} is gone: somebody cut the audit trail, or restored the database under us."
        logger.critical(message)
        event_record(
            event_type="AUDIT_CUT", level=EventLevel.CRITICAL, component="sealer", message=message,
            details={"seal": known.number},
        )  # fmt: skip

    def _anchor(self, newest: Seal) -> None:
        for problem in anchor(newest):
            logger.error("The audit trail could not be anchored in %s", problem)
        self._anchored = (time.monotonic(), newest.number)

    def _run(self) -> None:
        with acting(actor="sealer"):
            while not self._stop.is_set():
                began = time.monotonic()
                try:
                    self.turn()
                except (DatabaseError, InterfaceError) as e:
                    logger.warning("The audit trail could not be sealed: %s", str(e).strip())
                except Exception:
                    # Whatever it is: a sealer that ended would seal nothing for ever.
                    logger.exception("The audit trail could not be sealed.")
                finally:
                    close_old_connections()
                self._stop.wait(max(0.05, EVERY_SECONDS - (time.monotonic() - began)))


def start_sealer() -> Sealer | None:
    """Start the sealer of this process; None without a key: then nothing is sealed, and the checks say so."""
    key = seal_key()
    if key is None:
        logger.warning("AUDIT_KEY_FILE is not set: the audit trail is not sealed.")
        return None
    sealer = Sealer(key)
    sealer.start()
    return sealer
