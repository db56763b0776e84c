"""What the tables of identities and codes refuse, and their pages."""

import pytest

from accounts.models import AuthIdentity
from audit.models import UserAction
from tests.factories import (
    NOON,
    AuthIdentityFactory,
    BotMembershipFactory,
    SessionFactory,
    UserFactory,
    VerificationCodeFactory,
    utc,
)
from tests.rules import assert_refused, assert_refused_sql

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("factory", "columns", "rule"),
    [
        (AuthIdentityFactory, {"provider": "Telegram"}, "auth_identities_valid_provider"),
        (AuthIdentityFactory, {"provider": ""}, "auth_identities_valid_provider"),
        (AuthIdentityFactory, {"external_id": ""}, "auth_identities_named"),
        (AuthIdentityFactory, {"metadata": {"verification_code": "123456"}}, "auth_identities_no_code"),
        (VerificationCodeFactory, {"provider": "'telegram'"}, "verification_codes_valid_provider"),
        (VerificationCodeFactory, {"digest": b"123456"}, "verification_codes_hashed"),
        (VerificationCodeFactory, {"attempts": -1}, "verification_codes_bounded_attempts"),
        (VerificationCodeFactory, {"attempts": 6}, "verification_codes_bounded_attempts"),
        (VerificationCodeFactory, {"used_at": utc("2026-11-19 11:59:59")}, "verification_codes_used_after_sent"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_row_that_breaks_one_rule_is_refused_by_it(factory, columns, rule):
    assert_refused(rule, factory, **columns)


def test_a_name_elsewhere_belongs_to_one_person():
    AuthIdentityFactory(provider="telegram", external_id="42")
    AuthIdentityFactory(provider="google", external_id="42")

    assert_refused("auth_identities_unique_at_provider", AuthIdentityFactory, provider="telegram", external_id="42")


def test_a_time_without_end_is_refused():
    assert_refused_sql("auth_identities_finite_times", AuthIdentityFactory(), "created_at", "infinity")
    code = VerificationCodeFactory(used_at=NOON)
    for column in ("sent_time", "used_at", "created_at"):
        # A code that was sent never could not be used either; the first rule that is broken speaks.
        value = "-infinity" if column == "sent_time" else "infinity"
        assert_refused_sql("verification_codes_finite_times", code, column, value)


def test_admin_tells_under_what_name_a_person_is_known(client):
    admin, person = UserFactory(), UserFactory(role="viewer")
    client.force_login(admin)
    form = {"user": person.pk, "provider": "telegram", "external_id": "42"}

    answer = client.post("/admin/accounts/authidentity/add/", form)

    row = AuthIdentity.objects.get()
    assert answer.status_code == 302
    assert (row.user, row.provider, row.external_id) == (person, "telegram", "42")
    action = UserAction.objects.get(action="auth_identity.create")
    assert (action.user, action.after) == (admin, {"user": person.pk, "provider": "telegram", "external_id": "42"})
    assert "42" in client.get(f"/admin/accounts/user/{person.pk}/change/").content.decode()


def test_a_code_shows_its_state_and_not_its_digest(client):
    client.force_login(UserFactory())
    digest = bytes(range(32))
    states = {
        "used": VerificationCodeFactory(digest=digest, used_at=NOON),
        "failed": VerificationCodeFactory(digest=digest, attempts=5),
        "expired": VerificationCodeFactory(digest=digest),
    }

    for state, row in states.items():
        page = client.get(f"/admin/accounts/verificationcode/{row.pk}/change/").content.decode()
        assert f">{state}</span>" in page
        assert digest.hex() not in page
        assert "digest" not in page.lower()


@pytest.mark.parametrize("role", ["trader", "viewer"])
@pytest.mark.parametrize("name", ["authidentity", "verificationcode"])
def test_only_admins_see_who_is_who(client, role, name):
    client.force_login(UserFactory(role=role))

    assert client.get(f"/admin/accounts/{name}/").status_code == 403


@pytest.mark.parametrize(
    ("factory", "columns", "rule"),
    [
        (SessionFactory, {"session_key": ""}, "sessions_named"),
        (SessionFactory, {"seen_at": utc("2026-11-19 11:59:59")}, "sessions_seen_after_start"),
    ],
)
def test_a_session_that_breaks_one_rule_is_refused_by_it(factory, columns, rule):
    assert_refused(rule, factory, **columns)


def test_a_person_has_a_bot_once():
    row = BotMembershipFactory()

    assert_refused("bot_memberships_unique", BotMembershipFactory, user=row.user, bot=row.bot)
    assert_refused_sql("bot_memberships_finite_times", row, "created_at", "infinity")
