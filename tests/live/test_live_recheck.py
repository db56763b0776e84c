"""How soon an open socket notices that its person or token is not let in any more."""

from bots.live import hub
from bots.live.outlet import SIGNED_OUT


def test_sessions_people_bots_and_tokens_are_asked_for_within_five_seconds():
    """The sockets' own tests show that what is found closes them; they ask more often than the product does."""
    assert hub.TIMING.viewers <= 4
    assert hub.TIMING.bots <= 4
    assert SIGNED_OUT
