"""A code that comes back proves an identity, once."""

import pytest
from django.urls import reverse

from accounts.models import AuthIdentity
from accounts.services.identities import IdentityTaken, identity_confirm
from accounts.services.verification import issue_code
from audit.services.actions import SYSTEM
from tests.factories import AuthIdentityFactory, UserFactory
from tradingdb.lib.errors import PermissionDenied, ValidationFailed

# A wrong answer counts in a transaction of its own, which is the outermost.
pytestmark = pytest.mark.django_db(transaction=True)


def code_for(user, provider="telegram"):
    return issue_code(user_id=user.pk, provider=provider, actor=SYSTEM).code


def confirm(user, code, external_id="4711", provider="telegram"):
    return identity_confirm(user_id=user.pk, provider=provider, external_id=external_id, code=code, actor=SYSTEM)


def test_the_right_code_makes_an_identity_and_is_used_up():
    user = UserFactory()
    code = code_for(user)

    row = confirm(user, code)

    assert (row.user_id, row.metadata) == (user.pk, {"verified": True})
    with pytest.raises(PermissionDenied):
        confirm(user, code, "4712")


def test_a_wrong_code_makes_none():
    user = UserFactory()
    code = code_for(user)

    with pytest.raises(PermissionDenied):
        confirm(user, f"{(int(code) + 1) % 10**6:06}")
    assert not AuthIdentity.objects.exists()


def test_nobody_takes_the_identity_of_somebody_else():
    taken = AuthIdentityFactory(provider="telegram", external_id="4711")
    user = UserFactory()

    with pytest.raises(IdentityTaken):
        confirm(user, code_for(user))
    taken.refresh_from_db()
    assert taken.user_id != user.pk


def test_an_empty_name_is_none():
    user = UserFactory()

    with pytest.raises(ValidationFailed):
        confirm(user, code_for(user), "")


def test_by_the_pages(client):
    user = UserFactory()
    client.force_login(user)
    form = {"provider": "telegram", "external_id": "4711", "code": code_for(user)}

    client.post(reverse("account_identities"), form)

    assert "telegram 4711" in client.get(reverse("account_identities")).content.decode()
