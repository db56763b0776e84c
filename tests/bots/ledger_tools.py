"""Short ways to say orders and fills in ledger tests; everything goes through the input models and the services."""

from datetime import UTC, datetime, timedelta
from typing import Any

from bots.api import inputs
from bots.models import Bot
from bots.services.fills import order_add_fill
from bots.services.orders import order_apply_news, order_place
from bots.services.plan import Outcome

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(minute: float) -> str:
    """Return a moment, `minute` minutes after the start, as bots send it."""
    return (START + timedelta(minutes=minute)).isoformat()


def place(bot: Bot, order_id: str, side: str, quantity: str, **fields: Any) -> Outcome:
    """Report (or, with intent="request", ask for) an order."""
    body = {"order_id": order_id, "symbol": "BTCUSDT", "side": side, "order_type": "market", "quantity": quantity}
    body |= {"intent": "report", **fields}
    return order_place(bot_id=bot.bot_id, order=inputs.OrderIn.model_validate(body).to_domain())


def add_fill(
    bot: Bot, fill_id: str, order_id: str, price: str, quantity: str, minute: float = 0, **fields: Any
) -> Outcome:
    """Report a fill."""
    body = {"fill_id": fill_id, "order_id": order_id, "price": price, "quantity": quantity, "executed_at": at(minute)}
    return order_add_fill(bot_id=bot.bot_id, fill=inputs.FillIn.model_validate(body | fields).to_domain())


def tell(bot: Bot, order_id: str, **news: Any) -> Outcome:
    """Tell something of an order."""
    update = inputs.OrderUpdateIn.model_validate(news)
    return order_apply_news(bot_id=bot.bot_id, news=update.to_domain(order_id))
