"""Sessions: how long they live, who sees and ends them, and that an ended one is over at once."""

from datetime import timedelta

import pytest
import time_machine
from django.contrib.sessions.backends.base import UpdateError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Session
from accounts.services.people import person_set_password, person_update
from accounts.services.sessions import session_id
from accounts.tasks import remove_ended_sessions
from audit.models import UserAction
from audit.services.actions import SYSTEM
from tests.accounts.conftest import is_in, sign_in
from tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock():
    with time_machine.travel(timezone.now(), tick=False) as traveller:
        yield traveller


def signed_in(**columns):
    user = UserFactory(**columns)
    browser = Client(REMOTE_ADDR="198.51.100.7", HTTP_USER_AGENT="Firefox on the desk")
    sign_in(browser, user.email)
    return browser, user


def test_a_session_says_whose_it_is_and_from_where():
    _, user = signed_in()

    row = Session.objects.get(user=user)

    assert (row.ip_address, row.user_agent) == ("198.51.100.7", "Firefox on the desk")


def test_a_session_ends_after_thirty_minutes_without_a_sign_of_the_person(clock):
    browser, _ = signed_in()
    for _ in range(3):
        clock.shift(29 * MINUTE)
        assert is_in(browser)

    clock.shift(31 * MINUTE)
    assert not is_in(browser)


def test_what_a_page_fetches_by_itself_keeps_no_session_alive(clock):
    browser, _ = signed_in()
    for _ in range(4):
        clock.shift(10 * MINUTE)
        answer = browser.get("/api/v1/live", headers={"sec-fetch-mode": "cors"})

    assert answer.status_code == 401


def test_a_session_ends_after_twelve_hours_whatever_the_person_does(clock):
    browser, _ = signed_in()
    for _ in range(35):
        clock.shift(20 * MINUTE)
        assert is_in(browser)

    clock.shift(21 * MINUTE)
    assert not is_in(browser)


def test_signs_of_life_are_written_once_a_minute(clock, django_assert_num_queries):
    browser, user = signed_in()
    clock.shift(2 * MINUTE)
    is_in(browser)
    before = Session.objects.get(user=user).seen_at
    clock.shift(timedelta(seconds=30))
    is_in(browser)
    assert Session.objects.get(user=user).seen_at == before
    clock.shift(MINUTE)
    browser.post(reverse("account_seen"))
    assert Session.objects.get(user=user).seen_at > before


@pytest.mark.parametrize("changes", [{"role": "viewer"}, {"is_active": False}, {"has_all_bots": False}])
def test_a_change_of_what_a_person_may_ends_all_sessions(changes):
    browser, user = signed_in(role="trader")
    other, _ = signed_in()

    person_update(user_id=user.pk, changes=changes, actor=SYSTEM)

    assert not Session.objects.filter(user=user).exists()
    assert not is_in(browser)
    assert is_in(other)


def test_a_new_name_ends_nothing():
    browser, user = signed_in()

    person_update(user_id=user.pk, changes={"full_name": "Ada"}, actor=SYSTEM)

    assert is_in(browser)


def test_a_password_somebody_else_sets_ends_all_sessions():
    browser, user = signed_in()

    person_set_password(user_id=user.pk, password="another horse battery", actor=SYSTEM)

    assert not is_in(browser)


def test_a_person_changes_the_password_and_stays_here_alone():
    here, user = signed_in()
    there = Client()
    sign_in(there, user.email)

    form = {"old": PASSWORD, "new": "another horse battery", "again": "another horse battery"}
    wrong = here.post(reverse("account_change_password"), form | {"old": "guess"})
    assert b"The old password is wrong." in wrong.content
    here.post(reverse("account_change_password"), form)

    assert is_in(here)
    assert not is_in(there)
    assert UserAction.objects.filter(action="user.password", user=user).count() == 1


def test_a_person_sees_and_ends_the_own_sessions_and_no_other():
    here, user = signed_in()
    there = Client()
    sign_in(there, user.email)
    stranger, other = signed_in()
    [foreign] = Session.objects.filter(user=other)
    [away] = Session.objects.filter(user=user).exclude(session_key=here.session.session_key)
    page = reverse("account_sessions")

    assert away.session_key not in here.get(page).content.decode(), "the key opens the session"
    here.post(page, {"session": session_id(foreign)})
    assert is_in(stranger)
    here.post(page, {"session": session_id(away)})
    assert not is_in(there)
    assert is_in(here)
    there = Client()
    sign_in(there, user.email)
    here.post(page, {"session": "others"})
    assert (is_in(here), is_in(there)) == (True, False)


def test_an_admin_ends_the_sessions_of_anyone_with_a_proof_and_a_reason():
    browser, user = signed_in(role="viewer")
    admin, _ = signed_in(role="admin")
    page = reverse("admin:accounts_user_end_sessions", args=[user.pk])

    asked = admin.post(page, {"reason": "lost laptop"})
    assert asked["Location"].startswith(reverse("account_reauthenticate"))
    assert is_in(browser)
    admin.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    assert admin.post(page, {"reason": ""}).status_code == 200
    admin.post(page, {"reason": "lost laptop"})

    assert not is_in(browser)
    assert UserAction.objects.get(action="session.end_all").reason == "lost laptop"


def test_a_session_that_was_ended_is_not_brought_back_by_a_request_on_its_way():
    browser, user = signed_in()
    session = browser.session
    assert session.get("started_at"), "read before it ends"
    Session.objects.filter(user=user).delete()

    session["reauthenticated_at"] = 1.0
    with pytest.raises(UpdateError):
        session.save()
    assert not Session.objects.filter(user=user).exists()


def test_what_ended_by_time_is_removed(clock):
    _, user = signed_in()
    clock.shift(31 * MINUTE)
    signed_in()

    assert remove_ended_sessions() == 1
    assert not Session.objects.filter(user=user).exists()


def test_the_key_of_a_session_is_in_no_page_and_no_export():
    admin, user = signed_in(role="admin")
    key = admin.session.session_key

    shown = admin.get(reverse("admin:accounts_session_changelist")).content.decode()
    exported = b"".join(admin.post(reverse("admin:accounts_session_export"), {"format": "csv"}).streaming_content)

    assert session_id(Session.objects.get(user=user)) in shown
    assert key not in exported.decode()
    assert "session_data" not in exported.decode()
