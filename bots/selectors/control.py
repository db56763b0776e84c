"""What the numbers prove: which orders were accepted while a restriction was in force, and which bots know of it."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from django.db import connection
from django.db.models import Exists, OuterRef

from bots.choices import ACTIVE_ORDER_STATUSES, BotStatus, ControlLevel, ControlScope
from bots.models import Bot, ControlChange, ControlReceipt, ControlState, Order
from tradingdb.lib.bot_rows import of_bots

# Orders and changes are numbered by one counter; an order's number between those of a change and the next one of the
# same scope says that it was checked while that change was the newest. `control_seq` says that it was admitted.
ACCEPTED = """
    SELECT count(*) FROM trading.orders o JOIN trading.bots b USING (bot_id)
    WHERE o.id > %(id)s AND o.control_seq IS NOT NULL
        AND o.id < coalesce((
            SELECT min(c.id) FROM trading.control_changes c
            WHERE c.scope = %(scope)s AND c.target = %(target)s AND c.id > %(id)s
        ), 9223372036854775807)
        AND CASE %(scope)s WHEN 'all' THEN true WHEN 'bot' THEN o.bot_id = %(target)s
            WHEN 'symbol' THEN o.symbol = %(target)s ELSE b.exchange = %(target)s END
"""


class Progress(NamedTuple):
    """How far one bot is with one restriction."""

    bot_id: str
    requested_at: datetime
    received_at: datetime | None
    told_by: str
    done_at: datetime | None
    has_open_orders: bool

    @property
    def stage(self) -> str:
        """How far it is, in a word."""
        if self.done_at is not None:
            return "done"
        return "received" if self.received_at is not None else "requested"


def accepted_since(change: ControlChange) -> int:
    """Return how many order requests were accepted after a change, until the next one of its scope."""
    with connection.cursor() as cursor:
        cursor.execute(ACCEPTED, {"id": change.pk, "scope": change.scope, "target": change.target})
        return int(cursor.fetchone()[0])


def progress_of(change: ControlChange, *, among: Collection[str] | None = None) -> list[Progress]:
    """Return how far each running bot in the scope of a change is, those that lag behind first; `among` narrows."""
    bots = of_bots(Bot.objects.exclude(status=BotStatus.ARCHIVED), among)
    if change.scope == ControlScope.BOT:
        bots = bots.filter(bot_id=change.target)
    elif change.scope == ControlScope.EXCHANGE:
        bots = bots.filter(exchange=change.target)
    orders = Order.objects.filter(bot=OuterRef("pk"), status__in=ACTIVE_ORDER_STATUSES)
    if change.scope == ControlScope.SYMBOL:
        orders = orders.filter(symbol=change.target)
    found = bots.order_by().values_list("bot_id", Exists(orders))
    receipts = {receipt.bot_id: receipt for receipt in ControlReceipt.objects.filter(change=change)}
    rows = [_progress(bot_id, change, receipts.get(bot_id), is_open) for bot_id, is_open in found]
    stages = ("requested", "received", "done")
    return sorted(rows, key=lambda row: (stages.index(row.stage), row.bot_id))


def restrictions_in_force(*, among: Collection[str] | None = None) -> list[ControlState]:
    """Return every restriction in force, the widest scope first; `among` leaves out those of other bots."""
    return list(of_bots(ControlState.objects.exclude(state=ControlLevel.ACTIVE), among).order_by("scope", "target"))


def _progress(bot_id: str, change: ControlChange, receipt: ControlReceipt | None, is_open: bool) -> Progress:
    if receipt is None:
        return Progress(bot_id, change.changed_at, None, "", None, is_open)
    return Progress(bot_id, change.changed_at, receipt.received_at, receipt.told_by, receipt.done_at, is_open)
