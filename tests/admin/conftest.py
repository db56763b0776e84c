"""Browsers of people, and one row of every table, written by the services where there is one."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.services.tokens import personal_token_create
from analytics.services.views import refresh_views
from audit.models import RiskEvent
from audit.services.actions import Actor
from bots.ledger.facts import NewBalance, NewEvent, NewFill, NewOrder, NewSignal
from bots.live.client import sync_client
from bots.models import Bot, Fill, IngestConflict, Order, Position, ReconciliationCase, Signal, Trade
from bots.services.balances import balance_record
from bots.services.control import control_set
from bots.services.events import events_record
from bots.services.fills import order_add_fill
from bots.services.orders import order_place
from bots.services.registry import bot_register
from bots.services.signals import signal_record
from bots.services.tokens import token_create
from config_app.services.configurations import configuration_activate
from marketdata.models import Candle
from tests import factories
from tests.factories import HAND_MADE, NOON, StrategyFactory, TradeReviewFactory, UserFactory
from tradingdb.management.model_pages import our_models


@pytest.fixture(autouse=True)
def own_keys(settings: Any) -> Iterator[None]:
    """Give each test a Redis prefix of its own and remove what it left."""
    settings.REDIS_PREFIX = f"test-{uuid4().hex}:"
    yield
    left = list(sync_client().scan_iter(match=f"{settings.REDIS_PREFIX}*", count=1000))
    if left:
        sync_client().delete(*left)


class Browser(Client):
    """A signed-in browser of one person."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self.user = UserFactory(role=role, email=f"{role}@example.com")
        self.force_login(self.user)
        # The proof that grave actions ask for; tests/accounts/test_proofs.py has what happens without one.
        session = self.session
        session["reauthenticated_at"] = timezone.now().timestamp()
        session.save()

    def open(self, view: str, *args: Any, **query: str) -> Any:
        """Get a page of the admin by the name of its view."""
        return self.get(reverse(f"admin:{view}", args=args), query)

    def send(self, view: str, *args: Any, **fields: Any) -> Any:
        """Post a form of the admin."""
        return self.post(reverse(f"admin:{view}", args=args), fields)


@pytest.fixture
def admin(db: None) -> Browser:
    """A browser of an admin."""
    return Browser("admin")


@pytest.fixture
def trader(db: None) -> Browser:
    """A browser of a trader."""
    return Browser("trader")


@pytest.fixture
def viewer(db: None) -> Browser:
    """A browser of a viewer."""
    return Browser("viewer")


def place(bot: Bot, name: str, side: str, quantity: str, price: str, minute: int) -> None:
    """Report an order that is filled at once."""
    at = NOON + timedelta(minutes=minute)
    order = NewOrder(
        body={"order_id": name}, order_id=name, symbol="BTCUSDT", side=side, order_type="market",
        quantity=Decimal(quantity), intent="report", status="submitted", created_at=at,
    )  # fmt: skip
    order_place(bot_id=bot.bot_id, order=order)
    fill = NewFill(
        body={"fill_id": f"{name}-f"}, fill_id=f"{name}-f", order_id=name, price=Decimal(price),
        quantity=Decimal(quantity), executed_at=at, fee=Decimal("0.5"), fee_currency="USDT",
    )  # fmt: skip
    order_add_fill(bot_id=bot.bot_id, fill=fill)


def report(bot: Bot) -> None:
    """Let a bot tell something of every kind: a closed trade, an open one, a fill before its order."""
    signal = NewSignal(
        body={"signal_id": "s1"}, signal_id="s1", symbol="BTCUSDT", signal_type="long", price=Decimal(100),
        strategy="x", timestamp=NOON,
    )  # fmt: skip
    signal_record(bot_id=bot.bot_id, signal=signal)
    place(bot, "entry1", "buy", "2", "100", 0)
    place(bot, "exit1", "sell", "2", "110.123456789", 5)
    place(bot, "entry2", "buy", "1", "105", 10)
    early = NewFill(
        body={"fill_id": "early"}, fill_id="early", order_id="unknown", price=Decimal(1), quantity=Decimal(1),
        executed_at=NOON,
    )  # fmt: skip
    order_add_fill(bot_id=bot.bot_id, fill=early)
    balance = NewBalance(
        body={"balance_id": "b1"}, balance_id="b1", total_balance=Decimal(10000), available_balance=Decimal(10000),
        equity=Decimal(10000), timestamp=NOON,
    )  # fmt: skip
    balance_record(bot_id=bot.bot_id, balance=balance)
    event = NewEvent(
        body={"event_id": "e1"}, event_id="e1", event_type="ERROR", event_level="ERROR", message="It broke",
        event_time=NOON,
    )  # fmt: skip
    events_record(bot_id=bot.bot_id, events=[event])


def desk(bot: Bot) -> None:
    """Add what waits for people, and what the jobs compute."""
    bodies = {"stored_body": {"price": "100", "side": "buy"}, "received_body": {"price": "101", "side": "buy"}}
    IngestConflict.objects.create(bot=bot, kind="fill", natural_id="entry1-f", received_hash=b"x" * 32, **bodies)
    ReconciliationCase.objects.create(
        kind="position_mismatch", bot=bot, symbol="BTCUSDT", expected={"size": "1"}, reported={"size": "2"}
    )
    RiskEvent.objects.create(
        bot_id=bot.bot_id, risk_type="daily_loss_limit", current_value=-600, limit_value=-500, action_taken="alert_sent"
    )
    money = {"starting_equity": 10000, "ending_equity": 10010}
    factories.RiskMetricsFactory(bot=bot, date=NOON.date(), gross_profit=10, inputs_hash="0" * 64, **money)
    factories.PortfolioSnapshotFactory(timestamp=NOON, total_equity=10010, total_balance=10000)
    prices = dict.fromkeys(("open_price", "high_price", "low_price", "close_price"), 100)
    candle = {"symbol": "BTCUSDT", "interval": "1m", "volume": 1, **prices}
    Candle.objects.create(timestamp=NOON, **candle)
    StrategyFactory(name="x")
    TradeReviewFactory(trade=Trade.objects.get(exit_time__isnull=False))
    refresh_views(NOON)
    # Metrics and snapshot are made up: no invariant is asked of this bot at the end of a test.
    HAND_MADE.update({bot.bot_id, "USDT"})
    # A day that waits to be added up again.
    Candle.objects.create(timestamp=NOON + timedelta(minutes=1), **candle)


def furnish() -> None:
    """Add a row, from its factory, to each table that nobody above has written to."""
    for model in our_models():
        if not model._default_manager.exists():
            getattr(factories, f"{model.__name__}Factory")()


@pytest.fixture
def house(admin: Browser) -> SimpleNamespace:
    """A bot that has reported something of every kind, with the rows the tests speak of."""
    actor = Actor(admin.user)
    bot = bot_register(
        bot_id="bot_1", bot_name="Bot one", bot_type="custom", strategy_name="x", deployment_mode="demo",
        initial_capital=Decimal(10000), actor=actor,
    ).bot  # fmt: skip
    report(bot)
    desk(bot)
    control_set(scope="symbol", target="BTCUSDT", state="HALTED", reason="news", actor=actor)
    for value in ({"fast": 9}, {"fast": 12, "slow": 26}):
        configuration = configuration_activate(
            bot_id=bot.bot_id, config_key="strategy", config_type="strategy_params", value=value, actor=actor
        )
    house = SimpleNamespace(
        bot=bot,
        configuration=configuration,
        token=token_create(bot_id=bot.bot_id, actor=actor),
        personal_token=personal_token_create(user=admin.user, name="export", actor=actor),
        trade=Trade.objects.get(exit_time__isnull=False),
        position=Position.objects.open().get(),
        order=Order.objects.get(order_id="exit1"),
        fill=Fill.objects.get(fill_id="exit1-f"),
        signal=Signal.objects.get(),
    )
    furnish()
    return house
