"""Keys to exchanges."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from tradingdb.lib.ciphertexts import ciphertexts
from tradingdb.lib.fields import finite_times

SECRET_COLUMNS = ("api_key_encrypted", "api_secret_encrypted", "passphrase_encrypted")
# What is there when a key is set, beside the secrets themselves.
TOLD_COLUMNS = ("key_fingerprint", "key_version", "key_set_at", "key_set_by")
NEEDED_COLUMNS = (*SECRET_COLUMNS[:2], *TOLD_COLUMNS)


class ExchangeApiKeyManager(models.Manager["ExchangeApiKey"]):
    """Leaves the ciphertexts in the database: whoever needs one names its column."""

    def get_queryset(self) -> models.QuerySet["ExchangeApiKey"]:
        return super().get_queryset().defer(*SECRET_COLUMNS)


class ExchangeApiKey(models.Model):
    """One key to one exchange. What is secret of it is kept encrypted only, and no page or export shows it.

    A row without its ciphertexts is a key that is not set yet, or was cleared.
    """

    exchange = models.CharField(max_length=50, help_text="For example bybit.")
    label = models.CharField(max_length=100, help_text="What people call it; unique for the exchange.")
    api_key_encrypted = models.BinaryField(null=True, help_text="Ciphertext. Never shown.")
    api_secret_encrypted = models.BinaryField(null=True, help_text="Ciphertext. Never shown.")
    passphrase_encrypted = models.BinaryField(
        null=True, help_text="Ciphertext, for exchanges that ask for a passphrase as well. Never shown."
    )
    key_fingerprint = models.CharField(
        max_length=16,
        null=True,
        editable=False,
        help_text="Tells one key from another. A keyed hash of the API key: it says nothing of it.",
    )
    key_version = models.PositiveSmallIntegerField(
        null=True, editable=False, help_text="Version of the key file under which it is encrypted."
    )
    key_set_at = models.DateTimeField(null=True, editable=False, help_text="When a person gave key and secret.")
    key_set_by = models.CharField(max_length=100, null=True, editable=False, help_text="Who gave them.")
    is_testnet = models.BooleanField(default=False, db_default=False)
    is_active = models.BooleanField(default=True, db_default=True, help_text="Off: nobody gets it.")
    permissions = models.JSONField(
        default=list, blank=True, db_default=[], help_text='What the exchange lets the key do, for example ["trade"].'
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())
    last_used_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was decrypted last, at most a minute late; each time is an action."
    )

    objects = ExchangeApiKeyManager()

    class Meta:
        db_table = "api_keys"
        ordering = ["exchange", "label"]
        verbose_name = "exchange API key"
        constraints = [
            models.UniqueConstraint(fields=["exchange", "label"], name="api_keys_unique_label"),
            models.CheckConstraint(condition=~Q(exchange="") & ~Q(label=""), name="api_keys_named"),
            models.CheckConstraint(
                condition=Q(**{f"{name}__isnull": True for name in (*NEEDED_COLUMNS, SECRET_COLUMNS[2])})
                | Q(**{f"{name}__isnull": False for name in NEEDED_COLUMNS}),
                name="api_keys_set_or_not",
            ),
            ciphertexts("api_keys_are_ciphertexts", *SECRET_COLUMNS, version="key_version"),
            finite_times("api_keys_finite_times", "created_at", "updated_at", "last_used_at", "key_set_at"),
        ]

    def __str__(self) -> str:
        return f"{self.exchange} {self.label}"

    @property
    def is_set(self) -> bool:
        return self.key_version is not None
