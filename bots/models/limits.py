"""Limits: what bots are held to, alone and together, and what a breach holds them to."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from bots.choices import (
    COLUMN_LIMITS,
    LIMIT_SCOPES,
    LOSS_LIMITS,
    MONEY_LIMITS,
    DeploymentMode,
    LatchEffect,
    LimitAction,
    LimitKind,
    LimitScope,
)
from tradingdb.lib.fields import FiniteDecimalField, amount, exact, finite_times, named, one_of, positive, ratio

EACH = "*"
ORDER_ONLY = (LimitKind.LEVERAGE_LIMIT, LimitKind.ORDER_QUANTITY_LIMIT, LimitKind.ORDER_NOTIONAL_LIMIT,
              LimitKind.ORDER_RATE_LIMIT)  # fmt: skip


def _scopes_fit() -> Q:
    rule = Q()
    for kind, scopes in LIMIT_SCOPES.items():
        rule |= Q(kind=kind.value, scope__in=[scope.value for scope in scopes])
    return rule


class RiskLimit(models.Model):
    """One limit: what is measured, for whom, how far it may go, and what a breach does.

    Live and demo bots are counted apart. Without a value it is each bot's own, from the bot's row (docs/adr/0012).
    """

    kind = models.CharField(max_length=40, choices=LimitKind)
    scope = models.CharField(max_length=20, choices=LimitScope)
    target = models.CharField(
        max_length=50, blank=True, default=EACH, db_default=EACH,
        help_text="A bot_id, symbol, base asset or exchange; * is each one by itself. Empty for scope all.",
    )  # fmt: skip
    deployment_mode = models.CharField(
        max_length=20, choices=DeploymentMode, help_text="Live and demo bots never count together."
    )
    limit_value = amount(
        null=True, blank=True,
        help_text="In the unit of its kind; shares are fractions (0.05 is 5 %). Empty: each bot's own value.",
    )  # fmt: skip
    currency = models.CharField(
        max_length=20, blank=True, default="", db_default="",
        help_text="For money of several symbols: only what is quoted in it counts.",
    )  # fmt: skip
    least_gross = amount(
        null=True, blank=True, help_text="A share counts only once the whole gross exposure is above this."
    )
    threshold_pct = FiniteDecimalField(
        max_digits=12, decimal_places=2, default=80, db_default=80, help_text="Percent of the limit at which it warns."
    )
    action = models.CharField(max_length=30, choices=LimitAction, default=LimitAction.BLOCK, db_default="block")
    is_active = models.BooleanField(default=True, db_default=True)
    reason = models.TextField(help_text="Why it stands, in the words of whoever set it last.")
    changed_by_name = models.CharField(max_length=100, default="system", db_default="system")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    class Meta:
        db_table = "risk_limits"
        ordering = ["kind", "scope", "target", "deployment_mode"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "scope", "target", "deployment_mode", "currency", "action"],
                condition=Q(is_active=True),
                name="risk_limits_one_active",
            ),
            one_of("kind", LimitKind, name="risk_limits_valid_kind"),
            one_of("scope", LimitScope, name="risk_limits_valid_scope"),
            one_of("action", LimitAction, name="risk_limits_valid_action"),
            models.CheckConstraint(
                condition=Q(deployment_mode__in=[DeploymentMode.LIVE.value, DeploymentMode.DEMO.value]),
                name="risk_limits_valid_mode",
            ),
            models.CheckConstraint(
                condition=_scopes_fit(), name="risk_limits_scope_fits_kind",
                violation_error_message="scope: this kind of limit cannot have it.",
            ),
            models.CheckConstraint(
                condition=Q(scope=LimitScope.ALL, target="") | (~Q(scope=LimitScope.ALL) & ~Q(target="")),
                name="risk_limits_target_fits_scope",
                violation_error_message="target: empty for scope all, a name or * for every other.",
            ),
            models.CheckConstraint(
                # The bot's row has these values, and nothing else has.
                condition=Q(kind__in=[LimitKind.POSITION_LIMIT.value, LimitKind.LEVERAGE_LIMIT.value],
                            limit_value__isnull=True)
                | Q(kind__in=[kind.value for kind in LOSS_LIMITS if kind in COLUMN_LIMITS])
                | (~Q(kind__in=[kind.value for kind in COLUMN_LIMITS]) & Q(limit_value__isnull=False)),
                name="risk_limits_value_has_one_place",
                violation_error_message="limit_value: needed, but open positions and leverage are set on the bot.",
            ),
            positive("risk_limits_positive_value", "limit_value"),
            models.CheckConstraint(
                condition=Q(kind__in=[kind.value for kind in MONEY_LIMITS]) & ~Q(currency="")
                | ~Q(kind__in=[kind.value for kind in MONEY_LIMITS]) & Q(currency=""),
                name="risk_limits_money_has_currency",
                violation_error_message="currency: needed for exposures and shares of them, and for nothing else.",
            ),
            models.CheckConstraint(
                condition=Q(least_gross__isnull=True) | Q(kind=LimitKind.CONCENTRATION_LIMIT, least_gross__gte=0),
                name="risk_limits_least_gross_of_shares",
            ),
            models.CheckConstraint(
                condition=Q(threshold_pct__gt=0, threshold_pct__lte=100), name="risk_limits_threshold_is_percent"
            ),
            models.CheckConstraint(
                # An order that breaks one of these is refused: nothing is left that could be restricted.
                condition=~Q(kind__in=[kind.value for kind in ORDER_ONLY]) | Q(action=LimitAction.BLOCK),
                name="risk_limits_orders_are_blocked",
            ),
            models.CheckConstraint(
                condition=~Q(kind=LimitKind.PORTFOLIO_DRAWDOWN) | ~Q(action=LimitAction.BLOCK),
                name="risk_limits_drawdown_restricts",
            ),
            models.CheckConstraint(
                condition=~Q(action=LimitAction.HALF_SIZE) | Q(kind__in=[kind.value for kind in LOSS_LIMITS]),
                name="risk_limits_half_size_follows_losses",
            ),
            named("risk_limits_has_reason", "reason"),
            finite_times("risk_limits_finite_times", "created_at", "updated_at"),
        ]  # fmt: skip

    def __str__(self) -> str:
        whom = "all bots" if self.scope == LimitScope.ALL else f"{self.get_scope_display()} {self.target}"
        return f"{self.get_kind_display()} of {whom} ({self.deployment_mode})"


class RiskLatch(models.Model):
    """What a breach holds one bot to: a pause with an end, or half size until half of the loss is back."""

    bot = models.ForeignKey("bots.Bot", models.PROTECT, related_name="+", db_index=False)
    risk_limit = models.ForeignKey(RiskLimit, models.PROTECT, related_name="latches")
    effect = models.CharField(max_length=20, choices=LatchEffect)
    started_at = models.DateTimeField(default=timezone.now, db_default=Now())
    until = models.DateTimeField(null=True, blank=True, help_text="When the pause ends by itself.")
    control_version = models.BigIntegerField(
        null=True, blank=True, help_text="Version of the bot's control state that the pause made."
    )
    size_cap = exact(
        null=True, blank=True, help_text="Half of the bot's usual order, in the quote currency; NULL: none is usual."
    )
    start_equity = exact(null=True, blank=True, help_text="Equity the loss is counted from, in the bot's currency.")
    worst_loss_pct = ratio(null=True, blank=True, help_text="Greatest loss since, a fraction of start_equity.")
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(
        max_length=100, blank=True, default="", db_default="", help_text="Who or what, and why."
    )

    class Meta:
        db_table = "risk_latches"
        ordering = ["-started_at"]
        verbose_name_plural = "risk latches"
        constraints = [
            models.UniqueConstraint(
                fields=["bot", "risk_limit", "effect"], condition=Q(ended_at__isnull=True), name="risk_latches_one_open"
            ),
            one_of("effect", LatchEffect, name="risk_latches_valid_effect"),
            models.CheckConstraint(
                condition=Q(effect=LatchEffect.PAUSE, until__isnull=False)
                | Q(effect=LatchEffect.HALF_SIZE, until__isnull=True),
                name="risk_latches_pause_has_end",
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True) | ~Q(ended_by=""), name="risk_latches_end_has_words"
            ),
            finite_times("risk_latches_finite_times", "started_at", "until", "ended_at"),
        ]
        indexes = [models.Index(fields=["-started_at"], name="idx_risk_latches_time")]

    def __str__(self) -> str:
        return f"{self.effect} of {self.bot_id}"


class RiskGroup(models.Model):
    """Symbols whose daily closes move together; worked out each night, counted as one by correlated exposure."""

    name = models.CharField(max_length=60, unique=True, help_text="The first of its symbols, by name.")
    symbols = ArrayField(models.CharField(max_length=40))
    least_correlation = ratio(help_text="Weakest link that holds it together, 0 to 1.")
    days = models.IntegerField(help_text="Daily returns it was worked out from.")
    computed_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        db_table = "risk_groups"
        ordering = ["name"]
        constraints = [
            named("risk_groups_named", "name"),
            models.CheckConstraint(condition=Q(symbols__len__gte=2), name="risk_groups_are_several"),
            models.CheckConstraint(condition=Q(days__gte=2), name="risk_groups_enough_days"),
            finite_times("risk_groups_finite_times", "computed_at"),
        ]

    def __str__(self) -> str:
        return f"{self.name} and {len(self.symbols) - 1} more"
