"""A halt holds: ten bots, real processes, Redis dead, the web server frozen, everything started anew."""

import logging
import os
from pathlib import Path

from tests.chaos.halt import report
from tests.chaos.halt_drill import Drill
from tests.e2e.running import Running

logger = logging.getLogger(__name__)
# Long enough to see that no permit is valid after 15 seconds; `make halt-drill` takes a minute.
FROZEN = float(os.environ.get("HALT_FROZEN_SECONDS", "16.5"))


def test_no_order_is_accepted_after_a_halt_whatever_is_broken(instance: Running, tmp_path: Path) -> None:
    figures = Drill(instance, frozen=FROZEN, settle=0.5, folder=tmp_path, say=logger.info).run()

    report(figures)
    assert figures.accepted_after == 0
    assert figures.permits_after_freeze == 0
    assert figures.facts_stored == figures.facts_told > 0
    assert figures.problems == []
    assert figures.accepted > 0
