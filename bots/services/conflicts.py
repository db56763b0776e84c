"""The same natural id with other content: keep both bodies, change nothing else."""

from collections.abc import Mapping
from typing import Any

from bots.choices import FactKind
from bots.ledger.content import content_hash
from bots.services.context import BotContext
from bots.services.plan import Outcome, Plan, insert
from tradingdb.lib.errors import Conflict
from tradingdb.lib.http import current_request_id

COUNT_AGAIN = """
    ON CONFLICT (bot_id, kind, natural_id, received_hash)
    DO UPDATE SET received_count = ingest_conflicts.received_count + 1
"""


def conflict(
    bot: BotContext, kind: FactKind, natural_id: str, *, stored: Mapping[str, Any], received: Mapping[str, Any],
    error: Conflict | None = None,
) -> Plan[Outcome]:  # fmt: skip
    """Keep the two bodies for staff and return the 409; the fact in the ledger stays as it is."""
    yield [
        insert(
            "ingest_conflicts",
            {
                "bot_id": bot.bot_id,
                "kind": kind,
                "natural_id": natural_id,
                "stored_body": stored,
                "received_body": received,
                "received_hash": content_hash(received),
                "request_id": current_request_id(),
            },
            suffix=COUNT_AGAIN,
        )
    ]
    error = error or Conflict(f"{kind.label} {natural_id} is already stored with other content.", id=natural_id)
    return Outcome(409, {}, error=error)
