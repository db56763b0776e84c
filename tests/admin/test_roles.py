"""What each role may do with each table: the matrix in docs/admin.md, held against every page of the admin."""

import re

import pytest
from django.conf import settings
from django.contrib import admin as django_admin
from django.test import RequestFactory

from accounts.choices import Role
from accounts.models import User
from tests.factories import UserFactory
from tradingdb.management.model_pages import our_models

RIGHTS = ("view", "add", "change", "delete", "export", "import")
ROLES = (Role.VIEWER, Role.TRADER, Role.ADMIN)
PAGE = settings.BASE_DIR / "docs" / "admin.md"
REGISTERED = sorted(model._meta.label_lower for model in django_admin.site._registry)


def page_of(name):
    [found] = [page for model, page in django_admin.site._registry.items() if model._meta.label_lower == name]
    return found


def rights(name, user):
    """Return what a page lets a person do, in the words of the table."""
    request = RequestFactory().get("/admin/")
    request.user = user
    page = page_of(name)
    return " ".join(right for right in RIGHTS if getattr(page, f"has_{right}_permission")(request)) or "nothing"


def documented():
    """Return the matrix of the page: for each table what viewer, trader and admin may do."""
    lines = re.findall(r"^\| `([a-z_]+\.[a-z]+)` \| ([a-z ]+) \| ([a-z ]+) \| ([a-z ]+) \|$", PAGE.read_text(), re.M)
    assert len(lines) == len({line[0] for line in lines}), "a table stands twice"
    return {name: tuple(cells) for name, *cells in lines}


@pytest.fixture(scope="module")
def people():
    """One person of each role, not stored: a role is all that counts."""
    return {role: User(email=f"{role}@example.com", role=role) for role in ROLES}


@pytest.mark.parametrize("name", REGISTERED)
def test_each_role_may_do_what_the_page_says_and_nothing_else(name, people):
    actual = tuple(rights(name, people[role]) for role in ROLES)

    assert documented().get(name) == actual, f"docs/admin.md: | `{name}` | {' | '.join(actual)} |"


def test_the_page_speaks_of_no_table_that_is_gone():
    assert set(documented()) - set(REGISTERED) == set()


def test_every_table_of_ours_has_a_page():
    assert {model._meta.label_lower for model in our_models()} == set(REGISTERED)


def test_what_is_secret_is_for_admins_alone():
    closed = {name for name, (viewer, trader, _) in documented().items() if viewer == trader == "nothing"}

    assert closed >= {
        "accounts.user", "accounts.personaltoken", "accounts.authidentity", "accounts.verificationcode",
        "bots.bottoken", "config_app.exchangeapikey",
    }  # fmt: skip


def test_the_matrix_has_no_surprises():
    """Rules over the whole matrix, so that a wrong line that was pasted does not pass."""
    for name, (viewer, trader, admin) in documented().items():
        assert set(viewer.split()) <= {"view", "export", "nothing"}, name
        assert set(viewer.split()) - {"nothing"} <= set(trader.split()) <= set(admin.split()) | {"nothing"}, name
        for rights_of_one in (viewer, trader, admin):
            words = set(rights_of_one.split())
            assert "delete" not in words, name
            assert ("view" in words) == ("export" in words), name
            assert "import" not in words or words & {"add", "change"}, name


@pytest.mark.django_db
def test_a_person_who_is_switched_off_may_nothing():
    off = UserFactory(role="admin", is_active=False)

    assert {rights(name, off) for name in REGISTERED} == {"nothing"}
    assert not off.has_module_perms("bots")


@pytest.mark.parametrize(
    ("perm", "viewer", "trader"),
    [
        ("bots.view_trade", True, True),
        ("bots.export_trade", True, True),
        ("bots.change_trade", False, True),
        ("bots.delete_trade", False, False),
        ("bots.change_bot", False, False),
        ("config_app.import_strategytemplate", False, True),
        ("config_app.import_systemsetting", False, False),
        ("accounts.view_user", False, False),
        ("accounts.view_savedview", False, False),
        ("config_app.view_exchangeapikey", False, False),
        ("config_app.export_exchangeapikey", False, False),
        ("nonsense", False, False),
    ],
)
def test_a_permission_follows_from_the_role(perm, viewer, trader, people):
    assert people[Role.VIEWER].has_perm(perm) is viewer
    assert people[Role.TRADER].has_perm(perm) is trader
    assert people[Role.ADMIN].has_perm(perm) is True
