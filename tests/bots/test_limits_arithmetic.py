"""The sums behind limits over bots, against fractions; and the database's way to split symbols against ours."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bots.ledger.symbols import split_symbol
from bots.models import Bot
from tests.bots.ledger_tools import add_fill, place
from tests.bots.test_limits import limit
from tests.factories import BotFactory

pytestmark = pytest.mark.usefixtures("ledger_holds")


@pytest.fixture
def three(db: None) -> list[Bot]:
    return [BotFactory(max_positions=100, leverage_limit=100) for _ in range(3)]


SYMBOLS = ("BTCUSDT", "ETHUSDT", "BTCUSDC", "SOL/USDT:USDT")
AMOUNTS = st.decimals(min_value=Decimal("0.000000001"), max_value=Decimal(10**6), places=9)
ROW = st.tuples(st.integers(0, 2), st.sampled_from(SYMBOLS), st.sampled_from(("buy", "sell")), AMOUNTS, AMOUNTS,
                st.sampled_from(("order", "fill", "reduce")))  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROW, max_size=8), asked=ROW)
def test_usage_is_what_fractions_say(three: list[Bot], rows: list[Any], asked: Any) -> None:
    with transaction.atomic():
        limits = {
            "gross": limit("gross_exposure", "1", scope="all"),
            "net": limit("net_exposure", "1", scope="all"),
            "base": limit("gross_exposure", "1", scope="base_asset"),
        }
        book: dict[tuple[int, str], list[Fraction]] = {}
        for number, (who, symbol, side, quantity, price, how) in enumerate(rows):
            entry = book.setdefault((who, symbol), [Fraction(0), Fraction(0), Fraction(0), Fraction(0)])
            value = Fraction(quantity) * Fraction(price)
            words = {"symbol": symbol, "order_type": "limit", "price": f"{price:f}"}
            place(three[who], f"o{number}", side, f"{quantity:f}", reduce_only=how == "reduce", **words)
            if how == "fill":
                add_fill(three[who], f"f{number}", f"o{number}", f"{price:f}", f"{quantity:f}", number)
                entry[0] += Fraction(quantity) * (1 if side == "buy" else -1)
                entry[1] = Fraction(price)
            elif how == "order":
                entry[2 if side == "buy" else 3] += value
        who, symbol, side, quantity, price, _ = asked
        entry = book.setdefault((who, symbol), [Fraction(0), Fraction(0), Fraction(0), Fraction(0)])
        worst: dict[bool, dict[tuple[int, str], tuple[Fraction, Fraction]]] = {}
        for with_ask in (False, True):
            if with_ask:
                entry[2 if side == "buy" else 3] += Fraction(quantity) * Fraction(price)
            worst[with_ask] = {
                key: (held * mark + buys, held * mark - sells) for key, (held, mark, buys, sells) in book.items()
            }
        quote, base = split_symbol(symbol, "USDT")[1], split_symbol(symbol, "USDT")[0]
        found = usage_of(three[who], symbol, side, quantity, price)
        if quote == "USDT":
            for with_ask, column in ((False, 0), (True, 1)):
                counted = {key: pair for key, pair in worst[with_ask].items() if split_symbol(key[1], "")[1] == "USDT"}
                gross = sum(max(abs(high), abs(low)) for high, low in counted.values())
                net = max(abs(sum(high for high, _ in counted.values())), abs(sum(low for _, low in counted.values())))
                of_base = sum(
                    max(abs(high), abs(low)) for (_, name), (high, low) in counted.items()
                    if split_symbol(name, "")[0] == base
                )  # fmt: skip
                assert Fraction(found[limits["gross"].pk][column]) == gross
                assert Fraction(found[limits["net"].pk][column]) == net
                assert Fraction(found[limits["base"].pk][column]) == of_base
        transaction.set_rollback(True)


def usage_of(bot: Bot, symbol: str, side: str, quantity: Decimal, price: Decimal) -> dict[int, tuple[Decimal, Decimal]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT limit_id, used, asked FROM risk_usage_of(%s, %s, now(), %s, %s, %s) WHERE kind LIKE '%%exposure'",
            [bot.bot_id, symbol, side, quantity, price],
        )
        return {row[0]: (row[1], row[2]) for row in cursor.fetchall()}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(symbol=st.from_regex(r"\A[A-Z0-9][A-Z0-9._:/-]{0,12}(USDT|USD|FDUSD|BTC|ETH|)\Z"))
def test_database_splits_symbols_as_we_do(db: None, symbol: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT trading.symbol_parts(%s, 'EUR')", [symbol])
        assert tuple(cursor.fetchone()[0]) == split_symbol(symbol, "EUR")
