"""A bot for ledger tests."""

import pytest

from bots.models import Bot
from tests.factories import BotFactory


@pytest.fixture
def bot(db: None) -> Bot:
    """An active demo bot with wide limits."""
    return BotFactory(max_positions=100, leverage_limit=100)
