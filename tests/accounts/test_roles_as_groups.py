"""The groups say what the rule says, whoever writes a role; nobody is a superuser."""

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import IntegrityError, connection, transaction

from accounts.models import User
from accounts.services.groups import groups_ensure
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db
ROLES = ("viewer", "trader", "admin")


@pytest.mark.parametrize("role", ROLES)
def test_a_group_has_the_permissions_of_its_role(role):
    held = {f"{p.content_type.app_label}.{p.codename}" for p in Permission.objects.filter(group__name=role)}
    person = User(role=role)
    rule = {
        name
        for p in Permission.objects.select_related("content_type")
        if person.has_perm(name := f"{p.content_type.app_label}.{p.codename}")
    }

    assert held == rule
    assert held


def test_a_person_is_in_the_group_of_the_role_whoever_writes_it():
    user = UserFactory(role="viewer")
    assert [group.name for group in user.groups.all()] == ["viewer"]

    with connection.cursor() as cursor:
        cursor.execute("UPDATE users SET role = 'admin' WHERE id = %s", [user.pk])

    assert [group.name for group in user.groups.all()] == ["admin"]


def test_a_permission_somebody_added_by_hand_goes_again():
    group = Group.objects.get(name="viewer")
    group.permissions.add(Permission.objects.get(codename="change_bot"))

    groups_ensure()

    assert not group.permissions.filter(codename="change_bot").exists()


def test_nobody_is_a_superuser():
    user = UserFactory()

    with pytest.raises(IntegrityError, match="users_no_superuser"), transaction.atomic():
        User.objects.filter(pk=user.pk).update(is_superuser=True)
    assert User.objects.create_superuser("root@example.com", "a long pass phrase").is_superuser is False
