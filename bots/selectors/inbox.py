"""Whose an unattributed fill may be: a hint for people, never a decision."""

from django.db.models import Q, QuerySet

from bots.models import Bot, Order, UnattributedFill


def bots_of(row: UnattributedFill) -> QuerySet[Bot]:
    """Return the bots that trade on its account."""
    return Bot.objects.filter(account_id=row.account_id).order_by("bot_id")


def orders_that_fit(row: UnattributedFill) -> QuerySet[Order]:
    """Return orders of the account's bots that the exchange names by one of their ids, newest first."""
    named = Q(pk__in=[])
    if row.exchange_order_id:
        named |= Q(exchange_order_id=row.exchange_order_id)
    if row.client_order_id:
        named |= Q(client_order_id=row.client_order_id)
    found = Order.objects.filter(named, bot__in=bots_of(row), symbol=row.symbol, side=row.side)
    return found.order_by("-created_at")


def likely_bot(row: UnattributedFill) -> str | None:
    """Return the bot whose order it names, or whose name its client order id begins with; else the only one there."""
    order = orders_that_fit(row).first()
    if order is not None:
        return order.bot_id
    bots = list(bots_of(row).values_list("bot_id", flat=True))
    # The old bots wrote "bot:reason:time".
    told = (row.client_order_id or "").partition(":")[0]
    if told in bots:
        return told
    return bots[0] if len(bots) == 1 else None
