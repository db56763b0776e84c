"""Notes of people on ledger rows: the one column of a ledger row that a person may write."""

from typing import Any

from django.db import models, transaction

from audit.services.actions import Actor
from tradingdb.lib.errors import NotFound


def ledger_id(row: Any) -> str:
    """Return how actions of people name a ledger row: its bot and its own id."""
    return f"{row.bot_id} {getattr(row, f'{row._meta.model_name}_id')}"[:100]


@transaction.atomic
def notes_set(*, model: type[models.Model], pk: Any, notes: str, actor: Actor) -> models.Model:
    """Write the notes of a trade, position or signal and return the row; the same notes again change nothing.

    Raises NotFound for a row that is not there.
    """
    row: Any = model._default_manager.select_for_update().filter(pk=pk).first()
    if row is None:
        raise NotFound("No such row.")
    before = row.notes or ""
    if before != notes:
        row.notes = notes
        row.save(update_fields=["notes"])
        name = str(model._meta.model_name)
        actor.record(f"{name}.notes", name, ledger_id(row), before={"notes": before}, after={"notes": notes})
    return row  # type: ignore[no-any-return]
