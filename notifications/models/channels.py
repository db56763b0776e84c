"""Channels: how each is used, and how much of it a recipient gets."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from tradingdb.lib.fields import finite_times

# Names that old configurations keep credentials under.
SECRET_KEYS = ["token", "bot_token", "password", "smtp_password", "secret", "api_key", "api_secret", "auth_token"]


class ChannelConfig(models.Model):
    """How one channel is used: whether it is on, its limits, its settings without credentials."""

    channel = models.CharField(max_length=50, unique=True, help_text="For example telegram, email, sms.")
    enabled = models.BooleanField(default=True, db_default=True)
    config = models.JSONField(default=dict, blank=True, db_default={}, help_text="Settings; never credentials.")
    rate_limit_per_minute = models.IntegerField(
        default=60, db_default=60, help_text="Messages a recipient gets over it, a minute."
    )
    max_retries = models.IntegerField(default=3, db_default=3, help_text="Attempts allowed after the first one.")
    timeout_seconds = models.IntegerField(default=30, db_default=30, help_text="Longest wait for an answer.")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    class Meta:
        db_table = "channel_configs"
        ordering = ["channel"]
        verbose_name = "channel"
        constraints = [
            models.CheckConstraint(
                condition=Q(channel__regex=r"^[a-z][a-z0-9_]*$"),
                name="channel_configs_valid_channel",
                violation_error_message="A channel's name is lower-case letters, digits and underscores.",
            ),
            models.CheckConstraint(
                condition=~Q(config__has_any_keys=SECRET_KEYS),
                name="channel_configs_no_credentials",
                violation_error_message="Credentials do not belong here: this table is shown to all staff.",
            ),
            models.CheckConstraint(condition=Q(rate_limit_per_minute__gt=0), name="channel_configs_positive_rate"),
            models.CheckConstraint(condition=Q(max_retries__gte=0), name="channel_configs_max_retries_not_negative"),
            models.CheckConstraint(condition=Q(timeout_seconds__gt=0), name="channel_configs_positive_timeout"),
            finite_times("channel_configs_finite_times", "created_at", "updated_at"),
        ]

    def __str__(self) -> str:
        return self.channel


class RateLimit(models.Model):
    """One recipient's bucket of tokens for one channel: a message takes one, time puts them back."""

    user_id = models.CharField(max_length=100, help_text="The recipient, as the channel knows it.")
    channel = models.CharField(max_length=50)
    tokens = models.IntegerField(help_text="Whole tokens left at the last refill.")
    last_refill = models.DateTimeField(
        default=timezone.now, db_default=Now(), help_text="Up to when tokens were given; a begun token is not lost."
    )
    max_tokens = models.IntegerField(help_text="Tokens a full bucket holds.")
    refill_rate = models.IntegerField(help_text="Tokens put back a minute.")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        db_table = "rate_limits"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["user_id", "channel"], name="rate_limits_unique_bucket"),
            models.CheckConstraint(condition=~Q(user_id="") & ~Q(channel=""), name="rate_limits_named"),
            models.CheckConstraint(condition=Q(tokens__gte=0), name="rate_limits_tokens_not_negative"),
            models.CheckConstraint(condition=Q(max_tokens__gt=0), name="rate_limits_positive_capacity"),
            models.CheckConstraint(condition=Q(refill_rate__gt=0), name="rate_limits_positive_refill"),
            finite_times("rate_limits_finite_times", "last_refill", "created_at"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} over {self.channel}"
