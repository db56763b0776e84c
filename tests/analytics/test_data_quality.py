"""Data-quality cases: one a subject, refreshed by checks, resolved by people, cleared when the cause is gone."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from threading import Event
from typing import Any

import pytest
from django.db import connection, transaction

from analytics.choices import QualityKind, QualitySeverity
from analytics.models import DataQualityCase
from analytics.services.data_quality import CLEARED, clear_case, raise_case, resolve_case, take_case
from audit.models import UserAction
from audit.services.actions import SYSTEM, Actor
from tests.factories import NOON, DataQualityCaseFactory, UserFactory
from tradingdb.lib.errors import Conflict, NotFound, ValidationFailed

LATER = NOON + timedelta(hours=1)
GAP: dict[str, Any] = {"kind": QualityKind.GAP, "table": "trading.market_data", "subject": "bybit BTCUSDT 5m"}
with_threads = pytest.mark.django_db(transaction=True)


def in_thread(call: Callable[[], Any]) -> Callable[[], Any]:
    """Return the call with a connection of its own, which it gives back."""

    def run() -> Any:
        try:
            return call()
        finally:
            connection.close()

    return run


def contents() -> list[dict[str, Any]]:
    return list(DataQualityCase.objects.order_by("id").values())


@pytest.mark.django_db
def test_the_first_sight_opens_a_case():
    details = {"first": NOON, "missing": Decimal("5.0")}
    case = raise_case(**GAP, severity=QualitySeverity.CRITICAL, rows=5, details=details, now=NOON)

    stored = DataQualityCase.objects.get()
    assert stored == case
    assert (stored.kind, stored.table_name, stored.subject) == ("gap", "trading.market_data", "bybit BTCUSDT 5m")
    assert (stored.status, stored.severity, stored.row_count) == ("open", "critical", 5)
    assert stored.details == {"first": "2026-11-19T12:00:00Z", "missing": "5.0"}
    assert stored.first_seen_at == stored.last_seen_at == NOON
    assert (stored.owner, stored.resolved_at, stored.resolution) == (None, None, "")


@pytest.mark.django_db
def test_the_same_sight_again_changes_nothing():
    raise_case(**GAP, rows=5, details={"a": 1}, now=NOON)
    before = contents()

    raise_case(**GAP, rows=5, details={"a": 1}, now=NOON)

    assert contents() == before


@pytest.mark.django_db
def test_a_later_sight_refreshes_what_was_seen_and_keeps_the_beginning():
    first = raise_case(**GAP, rows=5, details={"a": 1}, now=NOON)

    again = raise_case(**GAP, severity=QualitySeverity.INFO, rows=7, details={"b": 2}, now=LATER)

    stored = DataQualityCase.objects.get()
    assert again.pk == first.pk == stored.pk
    assert (stored.row_count, stored.severity, stored.details) == (7, "info", {"b": 2})
    assert (stored.first_seen_at, stored.last_seen_at) == (NOON, LATER)


@pytest.mark.django_db
def test_a_sight_that_was_overtaken_moves_only_the_beginning():
    raise_case(**GAP, rows=7, details={"new": 1}, now=LATER)

    raise_case(**GAP, severity=QualitySeverity.CRITICAL, rows=5, details={"old": 1}, now=NOON)

    stored = DataQualityCase.objects.get()
    assert (stored.row_count, stored.severity, stored.details) == (7, "warning", {"new": 1})
    assert (stored.first_seen_at, stored.last_seen_at) == (NOON, LATER)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "other", [{"kind": QualityKind.STALE}, {"table": "trading.fills"}, {"subject": ""}], ids=lambda other: str([*other])
)
def test_another_kind_table_or_subject_is_another_case(other):
    raise_case(**GAP)
    raise_case(**GAP | other)

    assert DataQualityCase.objects.unresolved().count() == 2


@pytest.mark.django_db
def test_a_taken_case_that_is_seen_again_keeps_its_owner():
    person = UserFactory()
    case = raise_case(**GAP, now=NOON)
    take_case(case_id=case.pk, actor=Actor(person))

    raise_case(**GAP, rows=9, now=LATER)

    stored = DataQualityCase.objects.get()
    assert (stored.status, stored.owner, stored.row_count) == ("acknowledged", person, 9)


@pytest.mark.django_db
def test_a_resolved_case_that_is_seen_again_is_a_new_one():
    old = raise_case(**GAP, now=NOON)
    resolve_case(case_id=old.pk, resolution="filled from the exchange", actor=Actor(UserFactory()))

    new = raise_case(**GAP, now=LATER)

    assert new.pk != old.pk
    assert list(DataQualityCase.objects.order_by("id").values_list("status", flat=True)) == ["resolved", "open"]


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", [{"kind": "odd"}, {"severity": "fatal"}, {"details": {"x": float("nan")}}])
def test_what_the_table_cannot_hold_is_refused_before_it_is_sent(wrong):
    with pytest.raises(ValueError):
        raise_case(**GAP | wrong)

    # The caller's transaction lives on.
    assert DataQualityCase.objects.count() == 0


@with_threads
def test_a_case_goes_with_the_transaction_of_its_check():
    def check() -> None:
        with transaction.atomic():
            raise_case(**GAP)
            raise RuntimeError("it failed later on")

    with pytest.raises(RuntimeError):
        check()

    assert DataQualityCase.objects.count() == 0


@with_threads
def test_many_who_raise_the_same_at_once_leave_one_case():
    def call(number: int) -> int:
        return in_thread(lambda: raise_case(**GAP, rows=number, now=NOON + timedelta(seconds=number)).pk)()

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(call, range(1, 33)))

    case = DataQualityCase.objects.get()
    assert ids == {case.pk}
    assert (case.row_count, case.last_seen_at) == (32, NOON + timedelta(seconds=32))


def somebody_waits_for_us() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
        )
        return bool(cursor.fetchone()[0])


def overtaken(first: Callable[[], Any], second: Callable[[], Any]) -> Any:
    """Do the first in a transaction, start the second, and commit only when that waits; return what it returned."""
    ended = Event()

    def run() -> Any:
        try:
            return in_thread(second)()
        finally:
            ended.set()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            first()
            outcome = pool.submit(run)
            while not somebody_waits_for_us():
                assert not ended.wait(0.01), f"it did not wait: {outcome.result()}"
        return outcome.result()


@with_threads
def test_two_first_sights_at_once_are_one_case():
    later = overtaken(lambda: raise_case(**GAP, rows=1, now=NOON), lambda: raise_case(**GAP, rows=2, now=LATER))

    case = DataQualityCase.objects.get()
    assert later.pk == case.pk
    assert (case.row_count, case.first_seen_at, case.last_seen_at) == (2, NOON, LATER)


@with_threads
def test_a_sight_while_the_case_is_being_resolved_opens_the_next_one():
    old = raise_case(**GAP, rows=1, now=NOON)
    actor = Actor(UserFactory())

    new = overtaken(
        lambda: resolve_case(case_id=old.pk, resolution="filled", actor=actor),
        lambda: raise_case(**GAP, rows=2, now=LATER),
    )

    old.refresh_from_db()
    assert new.pk != old.pk
    assert (old.status, old.row_count) == ("resolved", 1)
    assert (new.status, new.row_count) == ("open", 2)


@with_threads
def test_a_check_that_finds_nothing_does_not_clear_what_another_saw_after_it():
    old = raise_case(**GAP, now=NOON)

    cleared = overtaken(lambda: raise_case(**GAP, now=LATER), lambda: clear_case(**GAP, now=NOON))

    old.refresh_from_db()
    assert cleared is None
    assert (old.status, old.last_seen_at) == ("open", LATER)


@with_threads
def test_of_two_who_resolve_at_once_the_second_is_told():
    case = raise_case(**GAP)
    first, second = Actor(UserFactory()), Actor(UserFactory())

    def late() -> str:
        try:
            resolve_case(case_id=case.pk, resolution="mine", actor=second)
        except Conflict as e:
            return e.code
        return "resolved"

    assert overtaken(lambda: resolve_case(case_id=case.pk, resolution="done", actor=first), late) == "conflict"
    case.refresh_from_db()
    assert (case.resolution, case.resolved_by) == ("done", first.user)
    assert UserAction.objects.count() == 1


@pytest.mark.django_db
def test_a_cause_that_is_gone_resolves_the_case_and_says_so():
    person = UserFactory()
    case = raise_case(**GAP, rows=5, now=NOON)
    take_case(case_id=case.pk, actor=Actor(person))
    actions = UserAction.objects.count()

    cleared = clear_case(**GAP, now=LATER)

    case.refresh_from_db()
    assert cleared == case
    assert (case.status, case.resolution, case.resolved_at) == ("resolved", CLEARED, LATER)
    assert (case.resolved_by, case.owner, case.row_count) == (None, person, 5)
    assert UserAction.objects.count() == actions


@pytest.mark.django_db
def test_clearing_takes_the_check_s_own_words():
    raise_case(**GAP, now=NOON)

    assert clear_case(**GAP, note="The partition was made and the rows moved.", now=LATER).resolution == (
        "The partition was made and the rows moved."
    )


@pytest.mark.django_db
def test_clearing_again_or_something_else_changes_nothing():
    raise_case(**GAP, now=NOON)
    other = raise_case(**GAP | {"subject": "bybit ETHUSDT 5m"}, now=NOON)
    clear_case(**GAP, now=LATER)
    before = contents()

    assert clear_case(**GAP, now=LATER + timedelta(hours=1)) is None
    assert clear_case(kind=QualityKind.ORPHAN, table="trading.fills") is None
    assert contents() == before
    assert list(DataQualityCase.objects.unresolved()) == [other]


@pytest.mark.django_db
def test_taking_a_case_makes_an_owner_and_leaves_an_action():
    case = DataQualityCaseFactory()
    first, second = UserFactory(), UserFactory()

    take_case(case_id=case.pk, actor=Actor(first))
    take_case(case_id=case.pk, actor=Actor(first))
    take_case(case_id=case.pk, actor=Actor(second))

    case.refresh_from_db()
    actions = UserAction.objects.order_by("id")
    assert (case.status, case.owner) == ("acknowledged", second)
    assert [(action.user, action.action, action.resource_id) for action in actions] == [
        (first, "data_quality.take", str(case.pk)), (second, "data_quality.take", str(case.pk)),
    ]  # fmt: skip
    assert (actions[1].before["owner"], actions[1].after["owner"]) == (first.email, second.email)


@pytest.mark.django_db
def test_resolving_leaves_words_person_and_action():
    case = DataQualityCaseFactory()
    person = UserFactory()

    resolve_case(case_id=case.pk, resolution="  filled from the exchange ", actor=Actor(person))
    resolve_case(case_id=case.pk, resolution="filled from the exchange", actor=Actor(person))

    case.refresh_from_db()
    action = UserAction.objects.get()
    assert (case.status, case.resolution, case.resolved_by) == ("resolved", "filled from the exchange", person)
    assert case.resolved_at is not None
    assert (action.action, action.resource_type, action.reason) == (
        "data_quality.resolve", "data_quality_case", "filled from the exchange",
    )  # fmt: skip
    assert (action.before["status"], action.after["status"]) == ("open", "resolved")


@pytest.mark.django_db
def test_a_refused_resolution_changes_nothing():
    case = DataQualityCaseFactory()
    done = DataQualityCaseFactory(status="resolved", resolution="done", resolved_at=NOON)
    before = contents()

    with pytest.raises(ValidationFailed):
        resolve_case(case_id=case.pk, resolution=" \n", actor=SYSTEM)
    with pytest.raises(Conflict):
        resolve_case(case_id=done.pk, resolution="otherwise", actor=SYSTEM)
    with pytest.raises(Conflict):
        take_case(case_id=done.pk, actor=SYSTEM)
    with pytest.raises(NotFound):
        resolve_case(case_id=done.pk + 1, resolution="x", actor=SYSTEM)
    with pytest.raises(NotFound):
        take_case(case_id=done.pk + 1, actor=SYSTEM)

    assert contents() == before
    assert UserAction.objects.count() == 0
