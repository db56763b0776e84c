"""A bot for ledger tests, and the invariants at the end of each."""

import pytest

from bots.models import Bot
from tests.factories import BotFactory
from tests.ledger_checks import ledger_holds

__all__ = ["ledger_holds"]


@pytest.fixture
def bot(db: None) -> Bot:
    """An active demo bot with wide limits."""
    return BotFactory(max_positions=100, leverage_limit=100)
