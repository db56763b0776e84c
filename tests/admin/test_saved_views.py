"""Saved views: a list's filters under a name, one's own or shared; never a way to another place or person."""

import pytest
from django.db import IntegrityError, transaction

from accounts.models import SavedView
from accounts.services import saved_views as service
from audit.models import UserAction
from tests.factories import SavedViewFactory, TradeFactory, UserFactory

TRADES = "/admin/bots/trade/"
FILTER = "symbol=BTCUSDT"
ADDRESSES = ["//evil.example", "https://evil.example/?symbol=1", "symbol=x#frag", "\r\nLocation: x"]
NO_LISTS = ["https://evil.example", "../../", "bots.nothing", "", "auth.group", "sessions.session"]


def keep(browser, **fields):
    return browser.send(
        "accounts_savedview_keep", **{"page": "bots.trade", "name": "Bitcoin", "query": FILTER, **fields}
    )


def drop(browser, view):
    return browser.send("accounts_savedview_drop", view.pk)


def words_on(browser, answer):
    """Return the page that an answer leads to."""
    return browser.get(answer.url).content.decode()


@pytest.mark.parametrize("person", ["viewer", "trader", "admin"])
def test_everyone_keeps_views_of_their_own(person, request):
    browser = request.getfixturevalue(person)

    answer = keep(browser)

    view = SavedView.objects.get()
    assert (answer.status_code, answer.url) == (302, f"{TRADES}?{FILTER}")
    assert (view.owner, view.page, view.name, view.query) == (browser.user, "bots.trade", "Bitcoin", FILTER)
    assert view.is_shared is False
    action = UserAction.objects.get(action="saved_view.save")
    assert (action.user, action.after["query"]) == (browser.user, FILTER)


def test_the_menu_of_a_list_offers_its_views_and_only_its_own(viewer, trader):
    SavedViewFactory(owner=viewer.user, name="mine", query="symbol=ETHUSDT")
    SavedViewFactory(owner=viewer.user, name="of another list", page="bots.order")
    SavedViewFactory(owner=trader.user, name="private")
    SavedViewFactory(owner=trader.user, name="shared", is_shared=True)

    page = viewer.get(TRADES).content.decode()

    assert 'href="/admin/bots/trade/?symbol=ETHUSDT"' in page
    assert ">mine</a>" in page
    assert ">shared</a>" in page
    assert "by trader@example.com" in page
    assert "private" not in page
    assert "of another list" not in page


def test_a_view_that_is_chosen_shows_the_list_so(admin):
    TradeFactory(trade_id="t1", symbol="BTCUSDT")
    TradeFactory(trade_id="t2", symbol="ETHUSDT")
    view = SavedViewFactory(owner=admin.user)

    listed = admin.get(f"{TRADES}?{view.query}")

    assert [row.trade_id for row in listed.context["cl"].result_list] == ["t1"]
    assert 'aria-current="true"' in listed.content.decode()


def test_a_name_that_is_there_already_gets_the_new_filters(viewer):
    keep(viewer)
    keep(viewer, query="symbol=ETHUSDT&q=")

    view = SavedView.objects.get()
    assert view.query == "symbol=ETHUSDT"
    last = UserAction.objects.filter(action="saved_view.save").first()
    assert (last.before["query"], last.after["query"]) == (FILTER, "symbol=ETHUSDT")


def test_traders_and_admins_share_and_viewers_do_not(viewer, trader):
    refused = keep(viewer, is_shared="1")
    keep(trader, is_shared="1")

    assert "Only traders and admins share views." in words_on(viewer, refused)
    assert [(view.owner, view.is_shared) for view in SavedView.objects.all()] == [(trader.user, True)]
    assert 'name="is_shared"' in trader.get(TRADES).content.decode()
    assert 'name="is_shared"' not in viewer.get(TRADES).content.decode()


def test_people_delete_their_own_views_and_nobody_elses(viewer, admin):
    mine = SavedViewFactory(owner=viewer.user)
    shared = SavedViewFactory(owner=admin.user, is_shared=True)

    assert drop(viewer, shared).status_code == 404
    assert SavedView.objects.count() == 2

    answer = drop(viewer, mine)

    assert answer.url == TRADES
    assert list(SavedView.objects.all()) == [shared]
    action = UserAction.objects.get(action="saved_view.delete")
    assert (action.user, action.before["name"]) == (viewer.user, mine.name)


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("no_such=1", "does not open with these filters"),
        ("next=https://evil.example", "does not open with these filters"),
        ("bot__owner__password__startswith=a", "does not open with these filters"),
        ("_popup=1&_to_field=id", "This list has no filter _popup, _to_field."),
        ("bot__bot_id__startswith=a", "This list has no filter bot__bot_id__startswith."),
        ("symbol=a%00b", "characters that cannot be kept"),
    ],
)
def test_only_what_the_list_understands_is_kept(viewer, query, complaint):
    answer = keep(viewer, query=query)

    assert answer.url == TRADES
    assert complaint in words_on(viewer, answer)
    assert not SavedView.objects.exists()


@pytest.mark.parametrize("query", ADDRESSES)
def test_no_query_leads_away(viewer, query):
    answer = keep(viewer, query=query)

    assert answer.url.startswith(TRADES)
    for view in SavedView.objects.all():
        assert view.query == "symbol=x%23frag", "an address in a value is text"


@pytest.mark.parametrize("page", NO_LISTS)
def test_a_page_that_is_no_list_is_not_found(admin, page):
    assert keep(admin, page=page).status_code == 404
    assert not SavedView.objects.exists()


def test_nobody_keeps_a_view_of_a_list_they_may_not_see(viewer, trader):
    assert keep(viewer, page="accounts.user", query="role__exact=admin").status_code == 403
    assert keep(trader, page="bots.bottoken", query="").status_code == 403
    assert not SavedView.objects.exists()


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 61, "a\x00b"])
def test_a_name_is_one_line_of_at_most_sixty_letters(viewer, name):
    answer = keep(viewer, name=name)

    assert answer.url == TRADES
    assert not SavedView.objects.exists()


def test_script_in_a_name_stays_text(viewer, trader):
    evil = "<script>alert(1)</script>"
    keep(trader, name=evil, is_shared="1")

    page = viewer.get(TRADES).content.decode()

    assert evil not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_views_of_a_list_are_bounded(viewer, monkeypatch):
    monkeypatch.setattr(service, "MOST_PER_LIST", 2)
    for name in ("a", "b", "c", "a"):
        answer = keep(viewer, name=name)

    assert sorted(SavedView.objects.values_list("name", flat=True)) == ["a", "b"]
    assert answer.url == f"{TRADES}?{FILTER}"


def test_views_are_kept_by_a_form_only(viewer, client):
    assert viewer.get("/admin/accounts/savedview/keep/", {"name": "x"}).status_code == 405
    assert client.post("/admin/accounts/savedview/keep/", {"name": "x"}).status_code == 302
    assert not SavedView.objects.exists()


def test_forms_need_the_token_of_the_site(viewer):
    viewer.handler.enforce_csrf_checks = True

    assert keep(viewer).status_code == 403
    assert not SavedView.objects.exists()


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"page": "https://evil"}, "saved_views_valid_page"),
        ({"page": "Bots.Trade"}, "saved_views_valid_page"),
        ({"name": " "}, "saved_views_valid_name"),
        ({"name": "a\nb"}, "saved_views_valid_name"),
        ({"query": "//evil.example"}, "saved_views_valid_query"),
        ({"query": "a=1#x"}, "saved_views_valid_query"),
        ({"query": "a=<b>"}, "saved_views_valid_query"),
    ],
)
@pytest.mark.django_db
def test_the_database_refuses_a_bad_view(columns, rule):
    with pytest.raises(IntegrityError, match=rule), transaction.atomic():
        SavedViewFactory(**columns)


@pytest.mark.django_db
def test_a_name_is_unique_for_person_and_list():
    first = SavedViewFactory(name="x")
    SavedViewFactory(name="x", owner=UserFactory())
    SavedViewFactory(name="x", owner=first.owner, page="bots.order")

    with pytest.raises(IntegrityError, match="saved_views_unique_name"), transaction.atomic():
        SavedViewFactory(name="x", owner=first.owner)
