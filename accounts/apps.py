"""People who may enter the control room."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "People"

    def ready(self) -> None:
        from accounts import sign_in  # noqa: F401 (its receiver is connected by the import)
        from accounts.services.groups import groups_ensure

        post_migrate.connect(groups_ensure, dispatch_uid="accounts.groups")
