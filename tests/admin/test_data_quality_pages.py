"""Data-quality cases and models on their pages: taken, resolved and kept up by people, with what they did recorded."""

import pytest

from analytics.models import DataQualityCase, MLModel
from audit.models import UserAction
from tests.factories import NOON, DataQualityCaseFactory

ADDED = {
    "name": "direction", "version": "1", "type": "classification", "framework": "pytorch", "description": "",
    "hyper_parameters": "{}", "features_list": '["close"]', "symbols": '["BTCUSDT"]', "timeframes": '["5m"]',
    "training_start_date_0": "2026-01-01", "training_start_date_1": "00:00:00",
    "training_end_date_0": "2026-02-01", "training_end_date_1": "00:00:00", "file_path": "",
}  # fmt: skip


def last_action():
    return UserAction.objects.exclude(action__startswith="login").order_by("-id").first()


def test_trader_takes_a_case_and_resolves_it_with_words(trader, house):
    case = DataQualityCase.objects.get()
    trader.send("analytics_dataqualitycase_take", case.pk)
    case.refresh_from_db()
    assert (case.status, case.owner) == ("acknowledged", trader.user)

    empty = trader.send("analytics_dataqualitycase_resolve", case.pk, resolution="")
    case.refresh_from_db()
    assert (empty.status_code, case.status) == (200, "acknowledged")

    trader.send("analytics_dataqualitycase_resolve", case.pk, resolution="filled from the exchange")

    case.refresh_from_db()
    assert (case.status, case.resolved_by, case.resolution) == ("resolved", trader.user, "filled from the exchange")
    assert (last_action().action, last_action().reason) == ("data_quality.resolve", "filled from the exchange")


@pytest.mark.parametrize(("button", "words"), [("take", {}), ("resolve", {"resolution": "x"})])
def test_a_resolved_case_offers_no_button(admin, house, button, words):
    case = DataQualityCaseFactory(status="resolved", resolution="done", resolved_at=NOON)

    page = admin.open("analytics_dataqualitycase_change", case.pk).content.decode()
    admin.send(f"analytics_dataqualitycase_{button}", case.pk, **words)

    case.refresh_from_db()
    assert f"/{button}" not in page
    assert (case.status, case.owner, case.resolution) == ("resolved", None, "done")


@pytest.mark.parametrize(("button", "words"), [("take", {}), ("resolve", {"resolution": "x"})])
def test_viewer_moves_no_case(viewer, house, button, words):
    case = DataQualityCase.objects.get()

    answer = viewer.send(f"analytics_dataqualitycase_{button}", case.pk, **words)

    case.refresh_from_db()
    assert answer.status_code == 403
    assert (case.status, case.owner) == ("open", None)


def test_a_case_shows_the_earlier_ones_of_the_same_subject(viewer, house):
    case = DataQualityCase.objects.get()
    key = {"kind": case.kind, "table_name": case.table_name, "subject": case.subject}
    DataQualityCaseFactory(**key, status="resolved", resolution="was filled once", resolved_at=NOON)

    assert "was filled once" in viewer.open("analytics_dataqualitycase_change", case.pk).content.decode()


@pytest.mark.parametrize(
    "query", [{"status__exact": "open"}, {"table_name": "trading.market_data"}, {"q": "{subject}"}]
)
def test_cases_are_found_by_status_table_and_subject(viewer, house, query):
    case = DataQualityCase.objects.get()
    DataQualityCaseFactory(table_name="trading.fills", status="resolved", resolution="done", resolved_at=NOON)

    asked = {name: text.format(subject=case.subject) for name, text in query.items()}
    rows = viewer.open("analytics_dataqualitycase_changelist", **asked).context["cl"].result_list

    assert [row.pk for row in rows] == [case.pk]


def test_admin_adds_a_model_and_archives_it_with_a_reason(admin):
    added = admin.send("analytics_mlmodel_add", **ADDED)

    model = MLModel.objects.get()
    assert added.status_code == 302, added.context["errors"]
    assert (model.symbols, model.status, last_action().action) == (["BTCUSDT"], "training", "ml_model.create")

    changed = {"status": "archived", "description": "old", "training_metrics": "", "validation_metrics": "",
               "file_path": "", "reason": "replaced by version 2"}  # fmt: skip
    answer = admin.send("analytics_mlmodel_change", model.pk, **changed)

    assert answer.status_code == 302, answer.context["errors"]
    model.refresh_from_db()
    assert (model.status, model.description, model.name) == ("archived", "old", "direction")
    assert (last_action().action, last_action().reason) == ("ml_model.update", "replaced by version 2")
    assert last_action().before == {"status": "training", "description": ""}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"symbols": '["=1+1"]'}, "each must be a symbol"), ({"symbols": '"BTCUSDT"'}, "a JSON list is expected"),
     ({"features_list": '{"close": 1}'}, "a JSON list is expected"),
     ({"hyper_parameters": "[1]"}, "a JSON object is expected"),
     ({"training_end_date_0": "2025-01-01"}, "cannot end before"), ({"name": ""}, "This field is required"),
     ({"type": "clustering"}, "not one of the available choices")],
)  # fmt: skip
def test_a_model_that_cannot_be_is_refused_with_words(admin, wrong, words):
    answer = admin.send("analytics_mlmodel_add", **ADDED | wrong)

    assert answer.status_code == 200
    assert words in str(answer.context["errors"])
    assert MLModel.objects.count() == 0


def test_trader_adds_no_model(trader):
    assert trader.send("analytics_mlmodel_add", **ADDED).status_code == 403
    assert MLModel.objects.count() == 0
