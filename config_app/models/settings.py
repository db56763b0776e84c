"""Settings of the house."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from tradingdb.lib.fields import finite_times

# A name with dots for its parts: telegram.welcome_text.
KEY = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$"


class SystemSetting(models.Model):
    """One setting of the whole house; what it was before stands among the actions of people."""

    key = models.CharField(max_length=100, unique=True, help_text="Letters, digits and _ . : - without blanks.")
    # Blank, for 0, "", [] and {} are values too; the column takes no NULL.
    value = models.JSONField(blank=True, help_text="Any JSON. No secret: everybody who signs in can read it.")
    description = models.TextField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())
    updated_by = models.CharField(max_length=100, default="system", db_default="system")

    class Meta:
        db_table = "system_settings"
        ordering = ["key"]
        constraints = [
            models.CheckConstraint(condition=Q(key__regex=KEY), name="system_settings_valid_key"),
            finite_times("system_settings_finite_times", "created_at", "updated_at"),
        ]

    def __str__(self) -> str:
        return self.key
