import random
import pytest
from bots.models import *
from tests.bots.ledger_tools import add_fill, place, tell, at
from tests.bots.rich_ledger import registered, balance, report_trade, signal
from tests.ledger_checks import assert_ledger_holds
from bots.services.rebuild import ledger_rebuild
from tradingdb.lib.errors import DomainError
pytestmark = pytest.mark.django_db

@pytest.mark.parametrize("seed", range(250))
def test_fuzz(seed):
    r = random.Random(seed)
    bot = registered(f"fuzz_{seed}", max_positions=r.choice([1, 2, 5]))
    signal(bot, "s1", "long")
    orders, fills = [], []
    n = 0
    for step in range(60):
        kind = r.choices(["order", "fill", "tell", "fillnew"], [4, 6, 3, 1])[0]
        minute = r.randint(0, 40)
        try:
            if kind == "order":
                oid = r.choice([o for o in (f"o{i}" for i in range(25))])
                fields = dict(symbol=r.choice(["BTCUSDT", "ETHUSDT", "XRPUSDT"]))
                if r.random() < 0.4: fields["intent"] = "request"
                elif r.random() < 0.4: fields["status"] = r.choice(["submitted", "cancelled", "filled", "partially_filled", "rejected", "untriggered"])
                if r.random() < 0.3: fields["signal_id"] = "s1"
                place(bot, oid, r.choice(["buy", "sell"]), str(r.randint(1, 6)), **fields)
            elif kind in ("fill", "fillnew"):
                oid = f"o{r.randrange(25)}"
                n += 1
                f = dict(fee=r.choice([None, "0.1", "-0.01"]), fee_currency=r.choice([None, "BTC", "DOGE"]))
                if r.random() < 0.2: f["exchange_trade_id"] = f"x{r.randrange(250)}"
                add_fill(bot, f"f{n:03}", oid, str(r.randint(90, 110)), str(r.randint(1, 4)), minute, **f)
            else:
                tell(bot, f"o{r.randrange(25)}", status=r.choice(["submitted", "cancelled", "filled", "partially_filled", "expired"]), at=at(minute))
        except DomainError:
            pass
    assert_ledger_holds(without=("I32",))
    assert ledger_rebuild(check=True).differences == []

def test_two_parked_same_execution():
    bot = registered("dup_001")
    add_fill(bot, "f1", "o1", "10", "1", 1, exchange_trade_id="x1")
    add_fill(bot, "f2", "o1", "10", "1", 1, exchange_trade_id="x1")
    print(place(bot, "o1", "buy", "5"))
    assert_ledger_holds()

def test_parked_execution_known_by_then():
    bot = registered("dup_002")
    add_fill(bot, "f1", "o1", "10", "1", 1, exchange_trade_id="x1")
    place(bot, "o2", "buy", "5")
    add_fill(bot, "f2", "o2", "10", "1", 1, exchange_trade_id="x1")
    print(place(bot, "o1", "buy", "5"))
    assert_ledger_holds()
