"""Reviews of trades: what the database lets in, and what becomes of them when the ledger is folded again."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from time import sleep
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.db.models import ProtectedError

from audit.models import UserAction
from audit.services.actions import Actor
from bots.models import Bot, Fill, Position, Trade, TradeReview
from bots.services.rebuild import ledger_rebuild
from bots.services.reviews import review_create, review_update
from tests.bots.ledger_tools import add_fill, place
from tests.factories import BotFactory, TradeFactory, TradeReviewFactory, UserFactory
from tests.rules import assert_refused, assert_refused_sql
from tradingdb.lib.errors import Conflict, NotFound, PermissionDenied, ValidationFailed

pytestmark = pytest.mark.django_db

GOOD = {"verdict": "bad_execution", "tags": ["slippage"], "note": "Market order in a thin book."}
BAD = [
    ({"verdict": "good"}, "trade_reviews_valid_verdict"),
    ({"reviewed_trade_id": ""}, "trade_reviews_names_trade"),
    ({"tags": ["late", ""]}, "trade_reviews_no_empty_tag"),
]


@pytest.mark.parametrize(("columns", "rule"), BAD, ids=str)
def test_bad_review_is_refused_by_its_rule(columns: dict[str, Any], rule: str) -> None:
    assert_refused(rule, TradeReviewFactory, **columns)


@pytest.mark.parametrize("column", ["created_at", "updated_at"])
def test_no_time_is_infinite(column: str) -> None:
    assert_refused_sql("trade_reviews_finite_times", TradeReviewFactory(), column, "infinity")


def test_one_review_per_person_and_trade() -> None:
    person, other = UserFactory(), UserFactory()
    first = TradeReviewFactory(reviewer=person)

    assert_refused("trade_reviews_one_per_person", TradeReviewFactory, trade=first.trade, reviewer=person)
    TradeReviewFactory(trade=first.trade, reviewer=other)

    assert first.trade.reviews.count() == 2


def test_a_reviewed_trade_is_not_deleted_by_hand_and_its_review_outlives_the_reviewer() -> None:
    review = TradeReviewFactory(reviewer=UserFactory())

    with pytest.raises(ProtectedError):
        review.trade.delete()
    review.reviewer.delete()

    review.refresh_from_db()
    assert (review.reviewer, review.trade.trade_id) == (None, review.reviewed_trade_id)


def test_review_is_stored_with_what_it_speaks_of_and_recorded() -> None:
    trade, person = TradeFactory(trade_id="t1"), UserFactory()

    review = review_create(trade_pk=trade.pk, says=GOOD, actor=Actor(person))

    review.refresh_from_db()
    assert (review.trade, review.bot, review.reviewed_trade_id, review.reviewer) == (trade, trade.bot, "t1", person)
    assert (review.verdict, review.tags, review.note) == tuple(GOOD.values())
    action = UserAction.objects.get()
    assert (action.action, action.resource_id, action.after) == ("trade_review.create", f"{trade.bot_id} t1", GOOD)


def test_second_review_of_the_same_person_is_a_conflict_and_changes_nothing() -> None:
    trade, person = TradeFactory(), UserFactory()
    review_create(trade_pk=trade.pk, says=GOOD, actor=Actor(person))

    with pytest.raises(Conflict):
        review_create(trade_pk=trade.pk, says=GOOD | {"verdict": "unclear"}, actor=Actor(person))

    assert TradeReview.objects.get().verdict == "bad_execution"
    assert UserAction.objects.count() == 1


def test_reviewer_changes_the_review_and_the_change_is_recorded_once() -> None:
    person = UserFactory()
    review = review_create(trade_pk=TradeFactory().pk, says=GOOD, actor=Actor(person))

    for _ in range(2):
        review_update(pk=review.pk, changes={"tags": ["fees"]}, actor=Actor(person), reason="looked again")

    review.refresh_from_db()
    assert (review.tags, review.verdict) == (["fees"], "bad_execution")
    action = UserAction.objects.get(action="trade_review.update")
    assert (action.before, action.after, action.reason) == (
        {"tags": ["slippage"]}, {"tags": ["fees"]}, "looked again"
    )  # fmt: skip


def test_nobody_else_changes_a_review() -> None:
    review = TradeReviewFactory(reviewer=UserFactory())

    with pytest.raises(PermissionDenied):
        review_update(pk=review.pk, changes={"verdict": "unclear"}, actor=Actor(UserFactory()))

    review.refresh_from_db()
    assert review.verdict == "as_planned"


def test_what_is_not_there_and_what_a_review_does_not_say_is_refused() -> None:
    actor = Actor(UserFactory())
    trade = TradeFactory()

    with pytest.raises(NotFound):
        review_create(trade_pk=0, says=GOOD, actor=actor)
    with pytest.raises(NotFound):
        review_update(pk=0, changes={"note": "x"}, actor=actor)
    with pytest.raises(ValidationFailed):
        review_create(trade_pk=trade.pk, says=GOOD | {"reviewed_trade_id": "other"}, actor=actor)

    assert not TradeReview.objects.exists()


def round_trip(bot: Bot, name: str, minute: int) -> Trade:
    """Buy one and sell it again a minute later."""
    for side, way in (("buy", "in"), ("sell", "out")):
        place(bot, f"{name}-{way}", side, "1")
    add_fill(bot, f"{name}-1", f"{name}-in", "100", "1", minute)
    add_fill(bot, f"{name}-2", f"{name}-out", "110", "1", minute + 1)
    return Trade.objects.get(bot=bot, entry_time__minute=minute)


def test_a_late_fill_that_joins_two_trades_is_stored_and_the_review_of_the_lost_one_stays(bot: Bot) -> None:
    kept, lost = round_trip(bot, "a", 10), round_trip(bot, "b", 20)
    reviews = [TradeReviewFactory(trade=trade, reviewer=UserFactory()) for trade in (kept, lost)]
    place(bot, "early", "buy", "1")

    outcome = add_fill(bot, "e", "early", "90", "1", 5)

    # From minute 5 on something is always held: one trade, still open.
    connection.check_constraints()
    assert outcome.status == 201
    assert Trade.objects.get(bot=bot).exit_time is None
    for review in reviews:
        review.refresh_from_db()
    # The joined trade is the first one's row, under a new id; the second one's is gone.
    assert [review.trade for review in reviews] == [Trade.objects.get(bot=bot), None]
    assert kept.pk == reviews[0].trade.pk
    assert [review.reviewed_trade_id for review in reviews] == [kept.trade_id, lost.trade_id]
    assert [review.bot for review in reviews] == [bot, bot]


WAITING = """
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@pytest.mark.django_db(transaction=True)
def test_a_review_that_is_just_being_written_does_not_keep_a_late_fill_out(settings: Any) -> None:
    settings.REDIS_PREFIX = f"test:{uuid4().hex}:"
    bot, person = BotFactory(max_positions=100, leverage_limit=100), UserFactory()
    round_trip(bot, "a", 10)
    lost = round_trip(bot, "b", 20)
    place(bot, "early", "buy", "1")
    written = Event()

    def review() -> int:
        try:
            with transaction.atomic():
                made = review_create(trade_pk=lost.pk, says=GOOD, actor=Actor(person))
                written.set()
                wait_for(lambda: waiting() > 0)
            return made.pk
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(review)
        assert written.wait(20)
        outcome = add_fill(bot, "e", "early", "90", "1", 5)
        pk = found.result(20)

    assert outcome.status == 201
    assert Trade.objects.count() == 1
    review_left = TradeReview.objects.get(pk=pk)
    assert (review_left.trade, review_left.reviewed_trade_id) == (None, lost.trade_id)


def waiting() -> int:
    """Return how many statements wait for a lock."""
    with connection.cursor() as cursor:
        cursor.execute(WAITING)
        return int(cursor.fetchone()[0])


def wait_for(happened: Callable[[], bool]) -> None:
    """Return as soon as something has happened."""
    for _ in range(400):
        if happened():
            return
        sleep(0.05)
    raise AssertionError("It did not happen.")


def test_a_rebuild_that_drops_a_trade_keeps_its_review(bot: Bot) -> None:
    trade = round_trip(bot, "a", 10)
    review = TradeReviewFactory(trade=trade, reviewer=UserFactory())
    with connection.cursor() as cursor:
        cursor.execute("UPDATE trades SET position_id = NULL WHERE id = %s", [trade.pk])

    ledger_rebuild(bot_id=bot.bot_id)

    connection.check_constraints()
    review.refresh_from_db()
    assert (review.trade, review.reviewed_trade_id) == (None, trade.trade_id)
    assert Fill.objects.count() == 2
    assert Position.objects.count() == Trade.objects.count() == 1
