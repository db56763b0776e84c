"""The ledger from its fills: orders, positions, trades and the fills' own derived columns, worked out anew.

Fills are the truth; whatever else says otherwise is made to follow them, chain by chain (one bot in one symbol), each
in a transaction under the chain's lock. What people and bots wrote on a position (stops, notes, marks) stays.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import transaction
from django.utils import timezone
from redis.exceptions import RedisError

from bots.choices import OrderStatus
from bots.ledger.fold import position_id_of, quotient, trade_id_of
from bots.ledger.orders import status_of
from bots.ledger.shapes import plain, wire
from bots.live.rebuild import rebuild as rebuild_live
from bots.services.context import BotContext, bot_context
from bots.services.fills import refold
from bots.services.ledger_store import drop_positions
from bots.services.locks import lock_symbol
from bots.services.plan import Plan, Row, Sql, drive, run_plan

logger = logging.getLogger(__name__)
