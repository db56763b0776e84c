"""What a bot's login gets of limits over all bots: the sums its orders are judged by, and nothing else."""

import pytest
from psycopg import errors

from bots.models import ControlState, RiskLimit
from bots.services.limits import risk_limits_begin
from tests.bots.bots_world import Session, World, connection_as_owner, refused, session, tell, world

__all__ = ["session", "world"]

CLOSED = (
    "SELECT * FROM trading.risk_limits", "SELECT * FROM trading.risk_latches", "SELECT * FROM trading.risk_groups",
    "SELECT * FROM trading.risk_book('demo', NULL, NULL, NULL, NULL, NULL)",
    "SELECT * FROM trading.risk_usage_of('other', 'BTCUSDT', now(), NULL, NULL, NULL)",
    "SELECT * FROM trading.risk_loss('other', 'daily_loss_limit', now())",
    "SELECT * FROM trading.risk_positions('all', 'all', 'demo', NULL)",
    "SELECT trading.risk_restrict('other', 'HALTED', 'mine', now())",
    "SELECT trading.risk_enforce_of('other', 'BTCUSDT', now())",
    "SELECT trading.risk_note(1, 'x', 'x', '', 'breach', 'x', '', 1, 1, 'alert_sent', '{}', 0, now())",
    "SELECT trading.risk_act(1, 'x', 'HALTED', ARRAY['other'], 1, 1, 'mine', now())",
)  # fmt: skip
USAGE = "SELECT kind, subject, used FROM trading.risk_usage('BTCUSDT', now(), 'buy', 1, 100, false)"


@pytest.mark.parametrize("statement", CLOSED)
def test_what_is_of_others_is_closed(world: World, session: Session, statement: str) -> None:
    refused(session, statement, world.bots[0])


def test_a_bot_hears_the_sum_over_all_and_acts_for_itself_alone(world: World, session: Session) -> None:
    risk_limits_begin()
    columns = {"deployment_mode": "demo", "limit_value": 1_000_000_000, "currency": "USDT", "reason": "test"}
    RiskLimit.objects.create(kind="gross_exposure", scope="all", target="", **columns)
    with connection_as_owner() as owner:
        (whole,) = owner.execute(
            "SELECT sum(greatest(abs(high), abs(low))) FROM risk_book('demo', NULL, NULL, NULL, NULL, NULL) "
            "WHERE quote = 'USDT'"
        ).fetchone() or (None,)

    heard = set()
    for bot_id in world.bots:
        with session.transaction():
            tell(session, bot_id)
            heard |= {tuple(row) for row in session.execute(USAGE) if row[0] == "gross_exposure"}
            session.execute("SELECT * FROM trading.risk_enforce('BTCUSDT', now())")

    assert heard == {("gross_exposure", "all", whole)}
    assert not ControlState.objects.filter(target=world.bots[0], changed_by_name="risk limits").exists()


def test_nobody_hears_nothing(world: World, session: Session) -> None:
    for nobody in ("", "no-such-bot"):
        with session.transaction():
            tell(session, nobody)
            assert session.execute(USAGE).fetchall() == []
            assert session.execute("SELECT * FROM trading.risk_enforce('BTCUSDT', now())").fetchall() == []
    with pytest.raises(errors.NotNullViolation), session.transaction():
        session.execute("SELECT trading.risk_refused('overfill', 'x', NULL, 'BTCUSDT', 'o', 1, 1, '{}', now())")
