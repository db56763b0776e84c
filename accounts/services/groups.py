"""The roles as Django's groups: written from the one rule in accounts/models/users.py, for whatever asks groups.

Which group a person is in follows from the person's role, by a trigger in the database.
"""

from typing import Any

from django.apps import apps as current_apps
from django.apps.registry import Apps
from django.contrib.auth.models import Group, Permission
from django.db import router

from accounts.choices import Role
from accounts.models import User


def allowed(role: str) -> set[int]:
    """Return the permissions that a person of this role with all bots has."""
    person = User(role=role)
    rows = Permission.objects.values_list("pk", "content_type__app_label", "codename")
    return {key for key, app, name in rows if person.has_perm(f"{app}.{name}")}


def groups_ensure(sender: Any = None, using: str = "default", apps: Apps = current_apps, **options: Any) -> None:
    """Make the groups and their permissions exactly what the rule says; after migrations, once all apps have theirs.

    apps: the models migrated to.
    """
    last = [config for config in current_apps.get_app_configs() if config.models_module is not None][-1]
    if sender is not None and (sender.name != last.name or not router.allow_migrate_model(using, Group)):
        return
    # On the way back there comes a point without groups or people.
    if "group" not in apps.all_models["auth"] or "user" not in apps.all_models["accounts"]:
        return
    for role in Role.values:
        group, is_new = Group.objects.using(using).get_or_create(name=role)
        due = allowed(role)
        held = set(group.permissions.values_list("pk", flat=True))
        if due != held:
            group.permissions.set(due)
        if is_new:
            group.user_set.set(User.objects.using(using).filter(role=role))
