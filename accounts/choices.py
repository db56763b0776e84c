"""Closed sets of the accounts app."""

from django.db import models


class Role(models.TextChoices):
    """What a person may do: a viewer reads, a trader intervenes, an admin also edits limits, tokens and users."""

    ADMIN = "admin"
    TRADER = "trader"
    VIEWER = "viewer"
