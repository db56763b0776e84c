"""The paper broker's arithmetic, worked by hand."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.broker import Broker, Execution, Ticket, executions, fee_for, order_quantity

D = Decimal


def fill(broker: Broker, side: str, quantity: str, price: str, fee: str = "0") -> Decimal:
    return broker.apply("BTCUSDT", Execution(side, D(quantity), D(price), D(fee)))


def ticket(
    quantity: str = "100", *, side: str = "buy", number: int = 0, parts: str = "any", slips: bool = True
) -> Ticket:
    return Ticket(side, D(quantity), D("10.00"), D("9.99"), D("10.001"), D("0.001"), number, slips, parts)


def test_a_long_is_entered_twice_and_left_in_two_parts():
    broker = Broker(D(1000))

    fill(broker, "buy", "1", "100", "0.055")
    fill(broker, "buy", "3", "120", "0.198")
    assert broker.held["BTCUSDT"].average_price == D(115)
    assert broker.balance == D("999.747")

    assert fill(broker, "sell", "2", "130", "0.143") == D(30)
    assert fill(broker, "sell", "2", "100", "0.11") == D(-30)
    assert broker.size("BTCUSDT") == 0
    assert broker.balance == D("999.494")
    assert broker.equity() == broker.balance


def test_a_short_earns_when_the_price_falls():
    broker = Broker(D(1000))

    fill(broker, "sell", "2", "50")
    broker.mark("BTCUSDT", D(45))

    assert broker.unrealised() == D(10)
    assert broker.equity() == D(1010)
    assert fill(broker, "buy", "2", "40") == D(20)
    assert broker.balance == D(1020)


def test_a_fill_through_zero_closes_and_opens_the_opposite():
    broker = Broker(D(1000))
    fill(broker, "buy", "2", "100")

    realised = fill(broker, "sell", "5", "110", "1.5")

    assert realised == D(20)
    assert broker.size("BTCUSDT") == D(-3)
    assert broker.held["BTCUSDT"].average_price == D(110)
    assert broker.balance == D("1018.5")


def test_the_fee_is_five_and_a_half_basis_points_of_the_value():
    assert fee_for(D("0.5"), D("20000")) == D("5.5")
    assert fee_for(D("0.00012"), D("16727.3")) == D("0.00110400")


def test_margin_is_the_cost_over_the_leverage_and_never_more_than_the_balance():
    broker = Broker(D(1000))
    fill(broker, "sell", "2", "900")

    assert broker.margin(10) == D(180)
    assert broker.margin(1) == D(1000)


def test_quantities_are_multiples_of_twenty_lots_at_any_price():
    assert order_quantity(D(500), D("16727.3")) == D("0.02988")
    assert order_quantity(D(500), D("1.05227")) == D("475.0")
    assert order_quantity(D(500), D("0.00005330")) == D("9380000")
    assert order_quantity(D("0.1"), D("1.05227")) == 0


@pytest.mark.parametrize(
    ("parts", "number", "shares"),
    [
        ("any", 0, ["100"]),
        ("any", 1, ["60", "40"]),
        ("any", 2, ["100"]),
        ("any", 3, ["50", "30", "20"]),
        ("half", 0, ["100"]),
        ("half", 1, ["40", "60"]),
        ("one", 3, ["100"]),
    ],
)
def test_an_order_is_filled_in_one_to_three_parts(parts, number, shares):
    fills = list(executions(ticket(number=number, parts=parts)))

    assert [execution.quantity for execution in fills] == [D(share) for share in shares]
    assert [execution.fee for execution in fills] == [fee_for(e.quantity, e.price) for e in fills]


def test_later_parts_slip_against_the_order_but_stay_in_the_candle():
    bought = [execution.price for execution in executions(ticket(number=3))]
    sold = [execution.price for execution in executions(ticket(number=3, side="sell"))]
    limited = [execution.price for execution in executions(ticket(number=3, slips=False))]

    assert bought == [D("10.00"), D("10.001"), D("10.001")]
    assert sold == [D("10.00"), D("9.999"), D("9.998")]
    assert limited == [D("10.00")] * 3


FILLS = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell"]),
        st.integers(1, 50).map(lambda n: D(20 * n) / 1000),
        st.integers(1, 10**6).map(lambda n: D(n) / 100),
    ),
    max_size=30,
)


@given(FILLS)
def test_balance_and_equity_agree_with_cash_and_holdings_to_the_last_digit(fills):
    broker, cash, size = Broker(D(10_000)), Fraction(10_000), Fraction(0)
    for side, quantity, price in fills:
        fee = fee_for(quantity, price)
        broker.apply("BTCUSDT", Execution(side, quantity, price, fee))
        signed = Fraction(quantity) * (1 if side == "buy" else -1)
        size += signed
        cash -= signed * Fraction(price) + Fraction(fee)

    broker.mark("BTCUSDT", D("123.45"))

    assert Fraction(broker.size("BTCUSDT")) == size
    assert Fraction(broker.equity()) == cash + size * Fraction("123.45")
