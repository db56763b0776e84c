"""Accounts at exchanges."""

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from tradingdb.lib.fields import finite_times


class ExchangeAccount(models.Model):
    """One account at one exchange. An account is not a bot: several bots may trade on it."""

    account_id = models.CharField(max_length=100, unique=True, help_text="Our name of the account.")
    exchange = models.CharField(max_length=50, default="bybit", db_default="bybit")
    currency = models.CharField(max_length=20, default="USDT", db_default="USDT", help_text="Currency it settles in.")
    description = models.TextField(blank=True, default="", db_default="")
    api_key = models.ForeignKey(
        "config_app.ExchangeApiKey",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="accounts",
        help_text="Key with which we ask the exchange about this account.",
    )
    positions_reported_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Moment of the newest report of its positions that was compared with the fills.",
    )
    is_active = models.BooleanField(default=True, db_default=True)
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        db_table = "exchange_accounts"
        ordering = ["account_id"]
        constraints = [
            models.CheckConstraint(condition=~models.Q(account_id=""), name="exchange_accounts_named"),
            finite_times("exchange_accounts_finite_times", "positions_reported_at", "created_at"),
        ]

    def __str__(self) -> str:
        return self.account_id
