"""The exact replay: positions worked out again in fractions, which an error of the fold cannot pass."""

import random
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.ledger import fold
from bots.ledger.fold import EXACT, EXACT_STEP, Effect, Execution, PositionState
from bots.services.invariants.replay import Chain
from bots.services.invariants.run import invariants_run
from tests.bots.ledger_tools import add_fill, place
from tests.bots.rich_ledger import registered
from tests.ledger_checks import red

pytestmark = pytest.mark.django_db


@pytest.mark.unsound_ledger("written with a planted bug")
def test_an_average_price_bug_passes_every_identity_and_fails_the_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    reduce = fold._reduce

    def reduce_at_mean_of_all_entries(state: PositionState, execution: Execution, direction: Any) -> Effect:
        """The bug: the average forgets that something was sold, and later entries average with what is gone."""
        effect = reduce(state, execution, direction)
        after = effect.reduced
        if after is None or not after.is_open:
            return effect
        mean = EXACT.divide(state.entry_notional, state.quantity)
        cost = EXACT.multiply(mean, effect.closed_quantity).quantize(EXACT_STEP, context=EXACT)
        gain = EXACT.subtract(EXACT.multiply(execution.price, effect.closed_quantity), cost)
        wrong = fold.replace(
            after, cost_basis=state.cost_basis - cost, realized_pnl=EXACT.add(state.realized_pnl, gain)
        )
        return Effect(execution, wrong, effect.entered, effect.closed_quantity, effect.closing_fee, gain)

    monkeypatch.setattr(fold, "_reduce", reduce_at_mean_of_all_entries)
    bot = registered("wrong_001")
    for number, (side, price, quantity) in enumerate(
        [("buy", "100", "2"), ("sell", "110", "1"), ("buy", "130", "1"), ("sell", "120", "1")]
    ):
        place(bot, f"o{number}", side, quantity)
        add_fill(bot, f"f{number}", f"o{number}", price, quantity, number)

    report = invariants_run()

    # Of 100 and 130, one each is held at 115; the mean of all three entries is 110.
    assert red(report) == {"exact_replay"}
    rows = {
        row["field"]: (Decimal(row["stored"]), Decimal(row["exact"]))
        for row in report["invariants"]["exact_replay"]["rows"]
    }
    assert rows == {"cost_basis": (Decimal(120), Decimal(115)), "realized_pnl": (Decimal(20), Decimal(15))}


EXECUTIONS = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell"]),
        st.decimals("0.000000000000000001", "90000", places=18),
        st.decimals("0.000000000000000001", "9", places=18),
        st.decimals("-0.01", "2", places=18),
    ),
    max_size=40,
)


def both(rows: list[tuple[str, Decimal, Decimal, Decimal]]) -> tuple[dict[str, PositionState], Chain]:
    """Fold and replay the same executions."""
    states: dict[str, PositionState] = {}
    chain = Chain()
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    executions = [Execution(f"f{n:05}", moment, *row) for n, row in enumerate(rows)]
    for effect in fold.fold(executions):
        for state in (effect.reduced, effect.entered):
            if state is not None:
                states[state.opening_fill_id] = state
    for one in executions:
        price, quantity = (int(value.scaleb(18, EXACT)) for value in (one.price, one.quantity))
        chain.add(one.fill_id, one.side, price=price, quantity=quantity, fee=int(one.fee.scaleb(36, EXACT)))
    return states, chain


def assert_same(states: dict[str, PositionState], chain: Chain) -> None:
    assert list(chain.positions) == list(states)
    for opening_fill_id, held in chain.positions.items():
        state = states[opening_fill_id]
        assert (held.side, held.fills) == (state.side, state.fill_count)
        assert Fraction(held.size, 10**18) == Fraction(state.size)
        for name in ("cost_basis", "realized_pnl", "fees"):
            exact = Fraction(getattr(held, name)) / 10**36
            assert abs(exact - Fraction(getattr(state, name))) <= Fraction(held.fills, 10**36)


@given(rows=EXECUTIONS)
@settings(max_examples=150, deadline=None)
def test_replay_and_fold_agree_on_any_history(rows: list[tuple[str, Decimal, Decimal, Decimal]]) -> None:
    assert_same(*both(rows))


def test_a_position_that_never_rests_stays_exact_and_its_fractions_short() -> None:
    source = random.Random(7)
    rows = [("buy", Decimal("50000.123456789"), Decimal(1000), Decimal(0))]
    for _ in range(3000):
        price, quantity = Decimal(source.randrange(1, 10**9)).scaleb(-4), Decimal(source.randrange(1, 10**5)).scaleb(-5)
        rows.append((source.choice(["buy", "sell"]), price, quantity, Decimal("0.01")))

    states, chain = both(rows)

    assert_same(states, chain)
    assert chain.held is not None
    assert Fraction(chain.held.cost_basis).denominator.bit_length() < 5000
