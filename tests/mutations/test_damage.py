"""Every planted damage is found, and every planted bug still has its place; `make test-mutations` tries the bugs."""

from collections import Counter
from pathlib import Path

import pytest
from django.db import IntegrityError, connection, transaction

from bots.services.invariants.run import invariants, invariants_run
from bots.services.rebuild import ledger_rebuild
from tests.bots.rich_ledger import Ledger, execute, ledger, scratch  # noqa: F401 (fixtures)
from tests.bots.test_invariants import CORRUPTIONS
from tests.bots.test_rebuild import CORRUPTIONS as SPOILT
from tests.mutations.damage import DERIVED, NAMED, REFUSED
from tests.mutations.planted import PLANTED

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "statements"), [pytest.param(*one, id=f"{n:02}-{one[0]}") for n, one in enumerate(NAMED)]
)
def test_damage_is_named_by_its_invariant(scratch: Ledger, name: str, statements: list[str]) -> None:
    execute(*statements)

    red = [one for one, found in invariants_run()["invariants"].items() if found["count"]]

    assert [one for one in red if one.startswith(name)], red


@pytest.mark.parametrize("statement", DERIVED)
def test_damage_that_only_the_fills_can_tell_is_found_by_the_rebuild(scratch: Ledger, statement: str) -> None:
    execute(statement)

    assert ledger_rebuild(check=True).differences


@pytest.mark.parametrize(("rule", "statement"), REFUSED)
def test_damage_is_refused_by_the_database(scratch: Ledger, rule: str, statement: str) -> None:
    with pytest.raises(IntegrityError) as caught, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)

    assert caught.value.__cause__.diag.constraint_name == rule


def test_every_invariant_has_several_kinds_of_damage() -> None:
    known = [name for name, _ in (*CORRUPTIONS, *NAMED)]
    times = Counter(one.name for one in invariants() for name in known if one.name.startswith(name))

    assert [one.name for one in invariants() if times[one.name] < 2] == []
    assert len(CORRUPTIONS) + len(NAMED) + len(SPOILT) + len(DERIVED) + len(REFUSED) >= 60


def test_every_planted_bug_has_its_place() -> None:
    texts = {path: (ROOT / path).read_text() for path in {bug.path for bug in PLANTED}}

    assert [bug.name for bug in PLANTED if texts[bug.path].count(bug.old) != 1 or bug.old == bug.new] == []
    assert len({bug.name for bug in PLANTED}) == len(PLANTED) >= 20
