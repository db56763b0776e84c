"""What stands in the ledger where another body came."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection

from bots.choices import FactKind
from bots.ledger.shapes import FILL, shape

# Which fill of which bot an account has as an execution.
TWINS = """
    SELECT k.place, f.* FROM unnest(%(places)s::int[], %(bots)s::varchar[], %(symbols)s::varchar[],
        %(executions)s::varchar[]) AS k(place, bot, symbol, execution)
    JOIN bots b ON b.bot_id = k.bot
    JOIN fills f ON f.account_id = b.account_id AND f.symbol = k.symbol AND f.exchange_trade_id = k.execution
"""


def stored_bodies(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the stored bodies of conflicts; a row has bot_id, kind and stored_body as it was kept.

    Where another bot of the account has the execution, the bot could not see that fill, so its symbol and id alone were
    kept: staff can see it, so it is looked up, for all rows at once.
    """
    bodies = [dict(row["stored_body"]) for row in rows]
    hidden = [place for place, row in enumerate(rows) if row["kind"] == FactKind.FILL and _is_hidden(bodies[place])]
    if not hidden:
        return bodies
    params = {
        "places": hidden,
        "bots": [rows[place]["bot_id"] for place in hidden],
        "symbols": [bodies[place]["symbol"] for place in hidden],
        "executions": [bodies[place]["exchange_trade_id"] for place in hidden],
    }
    with connection.cursor() as cursor:
        cursor.execute(TWINS, params)
        names = [column.name for column in cursor.description]
        for values in cursor.fetchall():
            fill = dict(zip(names, values, strict=True))
            bodies[fill["place"]] = shape(fill, FILL)
    return bodies


def _is_hidden(kept: Mapping[str, Any]) -> bool:
    return "fill_id" not in kept and kept.keys() >= {"symbol", "exchange_trade_id"}


def stored_body(*, bot_id: str, kind: str, kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stored body of one conflict; `kept` is what was kept with it."""
    return stored_bodies([{"bot_id": bot_id, "kind": kind, "stored_body": kept}])[0]


def is_twin(kind: str, natural_id: str, stored: Mapping[str, Any]) -> bool:
    """Whether both bodies are one execution, told under two fill ids."""
    return kind == FactKind.FILL and (_is_hidden(stored) or stored.get("fill_id", natural_id) != natural_id)
