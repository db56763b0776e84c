"""Errors are said in the admin's look, with the id of the request, and without the database."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bots.admin.trades import TradeAdmin
from tests.admin.conftest import Browser
from tradingdb.lib import error_pages


def says(answer, status, words):
    """Check an error page: its look, its words, its request id, and no trace of our code."""
    text = answer.content.decode()
    assert answer.status_code == status
    assert words in text
    assert f'<code id="request-id">{answer["X-Request-ID"]}</code>' in text
    assert "admin_site/pages.css" in text
    assert 'href="/admin/"' in text
    assert "Traceback" not in text
    assert "<script>" not in text
    return text


def test_not_found(admin):
    says(admin.get("/admin/bots/nothing/"), 404, "There is nothing at this address")


def test_not_found_for_a_stranger(client, db):
    says(client.get("/nothing/<script>alert(1)</script>"), 404, "There is nothing at this address")


def test_not_allowed(viewer):
    says(viewer.get("/admin/accounts/user/"), 403, "not for your role")


def test_a_form_from_elsewhere(viewer):
    viewer.handler.enforce_csrf_checks = True

    says(viewer.post("/admin/bots/trade/export/"), 403, "did not come from a page of this site")


def test_an_error_of_ours_hides_its_cause(db, monkeypatch):
    def breaks(*args, **kwargs):
        raise RuntimeError("secret detail")

    browser = Browser("admin")
    browser.raise_request_exception = False
    monkeypatch.setattr(TradeAdmin, "get_queryset", breaks)

    text = says(browser.get("/admin/bots/trade/"), 500, "Something broke")

    assert "secret detail" not in text


@pytest.mark.parametrize("status", [403, 404, 500])
def test_no_error_page_needs_the_database(rf, status, db):
    request = rf.get("/admin/")
    request.request_id = "abc"

    with CaptureQueriesContext(connection) as queries:
        answer = error_pages.page(request, status)

    assert len(queries) == 0
    assert "abc" in answer.content.decode()


def test_the_api_answers_in_its_own_way(client, db):
    answer = client.get("/api/v1/nothing")

    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
