"""Our migrate keeps the classes of a state's models, and they list what a constraint or an index changed."""

from django.db import models
from django.db.migrations import AddConstraint, AddIndex, RemoveConstraint, RemoveIndex
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState

from tradingdb.management.commands.migrate import models_kept

POSITIVE = models.CheckConstraint(condition=models.Q(size__gt=0), name="thing_positive")
BY_SIZE = models.Index(fields=["size"], name="thing_by_size")
COMES = (AddConstraint("thing", POSITIVE), AddIndex("thing", BY_SIZE))
GOES = (RemoveConstraint("thing", "thing_positive"), RemoveIndex("thing", "thing_by_size"))


def made() -> ProjectState:
    """A state with one model, its class made."""
    state = ProjectState()
    state.add_model(
        ModelState("bots", "Thing", [("id", models.AutoField(primary_key=True)), ("size", models.FloatField())])
    )
    assert state.apps.get_model("bots", "thing")
    return state


def listed(state: ProjectState) -> list[tuple[list[str], list[str]]]:
    """The names of constraints and indexes in the state, and those of its class."""
    options, meta = state.models["bots", "thing"].options, state.apps.get_model("bots", "thing")._meta
    return [
        ([each.name for each in held["constraints"]], [each.name for each in held["indexes"]])
        for held in (options, {"constraints": meta.constraints, "indexes": meta.indexes})
    ]


def run(state: ProjectState, operations: tuple[Operation, ...]) -> None:
    for operation in operations:
        operation.state_forwards("bots", state)


def test_the_class_stays_and_lists_what_came_and_went() -> None:
    state = made()
    model = state.apps.get_model("bots", "thing")

    with models_kept():
        run(state, COMES)
        assert listed(state) == [(["thing_positive"], ["thing_by_size"])] * 2
        run(state, GOES)
        assert listed(state) == [([], [])] * 2

    assert state.apps.get_model("bots", "thing") is model


def test_an_earlier_state_stays_as_it_was() -> None:
    state = made()
    earlier = state.clone()

    with models_kept():
        run(state, COMES)

    assert earlier.models["bots", "thing"].options["constraints"] == []


def test_a_field_still_makes_the_class_anew_with_what_is_listed() -> None:
    state = made()

    with models_kept():
        run(state, COMES)
        state.add_field("bots", "thing", "name", models.TextField(), preserve_default=True)

    assert listed(state) == [(["thing_positive"], ["thing_by_size"])] * 2
    assert state.apps.get_model("bots", "thing")._meta.get_field("name")


def test_afterwards_django_does_as_it_did() -> None:
    before = ProjectState.add_constraint
    with models_kept():
        assert ProjectState.add_constraint is not before
    assert ProjectState.add_constraint is before
