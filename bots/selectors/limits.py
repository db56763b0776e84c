"""How far limits are used, and what all bots hold together, for people and for the watch."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from django.db import connection

# Each bot once by itself, and each symbol that is held or ordered once for each exchange and mode.
PLACES = """
    SELECT b.bot_id, NULL AS symbol FROM bots b WHERE b.status IN ('active', 'paused')
        AND EXISTS (SELECT FROM risk_limits l WHERE l.is_active AND l.deployment_mode = b.deployment_mode)
    UNION ALL
    SELECT min(k.bot_id), k.symbol FROM (SELECT DISTINCT deployment_mode AS mode FROM risk_limits
        WHERE is_active AND scope <> 'bot') m
    CROSS JOIN LATERAL risk_book(m.mode, NULL, NULL, NULL, NULL, NULL) k
    GROUP BY m.mode, k.exchange, k.symbol
    ORDER BY 1, 2 NULLS FIRST
"""
# Of each limit what has used it up most.
USE = f"""
    SELECT DISTINCT ON (u.limit_id) u.limit_id, u.subject, u.used, u.limit_value
    FROM ({PLACES}) p CROSS JOIN LATERAL risk_usage_of(p.bot_id, p.symbol, %s, NULL, NULL, NULL) u
    ORDER BY u.limit_id, u.used / u.limit_value DESC, u.subject
"""  # noqa: S608 (text comes from code)  # nosec B608
EXPOSURE = """
    SELECT m.mode, {by}, k.quote, sum(greatest(abs(k.high), abs(k.low))),
        greatest(abs(sum(k.high)), abs(sum(k.low))), count(DISTINCT k.bot_id)
    FROM (VALUES ('live'), ('demo')) m(mode) CROSS JOIN LATERAL risk_book(m.mode, NULL, NULL, NULL, NULL, NULL) k
    WHERE k.high <> 0 OR k.low <> 0
    GROUP BY 1, 2, 3 ORDER BY 1 DESC, 4 DESC, 2
"""
GROUPINGS = {"symbol": "k.symbol", "base asset": "k.base", "exchange": "k.exchange", "all": "'all'"}


class Use(NamedTuple):
    """The subject that uses a limit most, and how far."""

    subject: str
    used: Decimal
    limit: Decimal

    @property
    def percent(self) -> Decimal:
        return self.used / self.limit * 100


class Exposure(NamedTuple):
    """What bots of a mode hold or may come to hold together, in the quote currency."""

    mode: str
    subject: str
    currency: str
    gross: Decimal
    net: Decimal
    bots: int


def limit_uses(*, now: datetime) -> dict[int, Use]:
    """Return how far each active limit is used, by its number; limits that nothing touches are not there."""
    with connection.cursor() as cursor:
        cursor.execute(USE, [now])
        return {row[0]: Use(*row[1:]) for row in cursor.fetchall()}


def exposures(by: str) -> list[Exposure]:
    """Return exposures over bots by symbol, base asset or exchange, or of all; open orders count as filled."""
    with connection.cursor() as cursor:
        cursor.execute(EXPOSURE.format(by=GROUPINGS[by]))
        return [Exposure(*row) for row in cursor.fetchall()]
