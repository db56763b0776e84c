"""Keys to exchanges."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from tradingdb.lib.fields import finite_times

SECRET_COLUMNS = ("api_key_encrypted", "api_secret_encrypted")


class ExchangeApiKeyManager(models.Manager["ExchangeApiKey"]):
    """Leaves the ciphertexts in the database: whoever needs one names its column."""

    def get_queryset(self) -> models.QuerySet["ExchangeApiKey"]:
        return super().get_queryset().defer(*SECRET_COLUMNS)


class ExchangeApiKey(models.Model):
    """One key to one exchange. Key and secret are kept encrypted only, and no page or export shows them."""

    exchange = models.CharField(max_length=50, help_text="For example bybit.")
    label = models.CharField(max_length=100, help_text="What people call it; unique for the exchange.")
    api_key_encrypted = models.BinaryField(help_text="Ciphertext. Never shown.")
    api_secret_encrypted = models.BinaryField(help_text="Ciphertext. Never shown.")
    is_testnet = models.BooleanField(default=False, db_default=False)
    is_active = models.BooleanField(default=True, db_default=True)
    permissions = models.JSONField(
        default=list, blank=True, db_default=[], help_text='What the exchange lets the key do, for example ["trade"].'
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())
    last_used_at = models.DateTimeField(null=True, blank=True)

    objects = ExchangeApiKeyManager()

    class Meta:
        db_table = "api_keys"
        ordering = ["exchange", "label"]
        verbose_name = "exchange API key"
        constraints = [
            models.UniqueConstraint(fields=["exchange", "label"], name="api_keys_unique_label"),
            models.CheckConstraint(condition=~Q(exchange="") & ~Q(label=""), name="api_keys_named"),
            finite_times("api_keys_finite_times", "created_at", "updated_at", "last_used_at"),
        ]

    def __str__(self) -> str:
        return f"{self.exchange} {self.label}"
