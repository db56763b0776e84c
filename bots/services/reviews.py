"""Reviews of trades: what a person thinks of one, once each."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from audit.services.actions import Actor
from bots.models import Trade, TradeReview
from tradingdb.lib.errors import Conflict, NotFound, PermissionDenied, ValidationFailed

CHANGEABLE = frozenset({"verdict", "tags", "note"})


@transaction.atomic
def review_create(*, trade_pk: int, says: Mapping[str, Any], actor: Actor) -> TradeReview:
    """Store what a person says of a trade (verdict, tags, note) and return the review.

    Raises NotFound for a trade that is not there, Conflict when this person has reviewed it already, and
    ValidationFailed.
    """
    _check(says)
    trade = Trade.objects.select_for_update().filter(pk=trade_pk).first()
    if trade is None:
        raise NotFound("No such trade.", id=trade_pk)
    # Under the trade's lock the same person adds no other one meanwhile.
    if TradeReview.objects.filter(trade=trade, reviewer=actor.user).exists():
        raise Conflict(f"You have reviewed {trade.trade_id} already; change that review.", id=trade.trade_id)
    review = TradeReview.objects.create(
        trade=trade, bot_id=trade.bot_id, reviewed_trade_id=trade.trade_id, reviewer=actor.user, **says
    )
    actor.record("trade_review.create", "trade_review", review_id(review), after=says)
    return review


@transaction.atomic
def review_update(*, pk: int, changes: Mapping[str, Any], actor: Actor, reason: str = "") -> TradeReview:
    """Change what a person has said of a trade, and return the review; the same again changes nothing.

    Raises NotFound for a review that is not there, PermissionDenied for one of somebody else, and ValidationFailed.
    """
    _check(changes)
    review = TradeReview.objects.select_for_update().filter(pk=pk).first()
    if review is None:
        raise NotFound("No such review.", id=pk)
    if actor.user is None or review.reviewer_id != actor.user.pk:
        raise PermissionDenied("Only its reviewer changes a review.")
    new = {name: value for name, value in changes.items() if getattr(review, name) != value}
    if new:
        before = {name: getattr(review, name) for name in new}
        for name, value in new.items():
            setattr(review, name, value)
        review.save(update_fields=[*new, "updated_at"])
        actor.record(
            "trade_review.update", "trade_review", review_id(review), before=before, after=new, reason=reason
        )  # fmt: skip
    return review


def review_id(review: TradeReview) -> str:
    """Return how actions of people name a review: its bot and the trade it spoke of when it was made."""
    return f"{review.bot_id} {review.reviewed_trade_id}"[:100]


def _check(says: Mapping[str, Any]) -> None:
    if set(says) - CHANGEABLE:
        raise ValidationFailed(f"A review says {', '.join(sorted(CHANGEABLE))} and nothing else.")
