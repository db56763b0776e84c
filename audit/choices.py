"""Closed sets of the audit app. Levels and states stand in upper case, as in seed 000."""

from django.db import models


class EventLevel(models.TextChoices):
    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"


class RunKind(models.TextChoices):
    """How much of the ledger a run of the invariants looked at."""

    FULL = "full"
    INCREMENTAL = "incremental"


class HealthStatus(models.TextChoices):
    """How a part of the house is; UNKNOWN is also what a check that has not come for five minutes means."""

    HEALTHY = "HEALTHY"
    DEGRADED = "DEGRADED"
    DOWN = "DOWN"
    UNKNOWN = "UNKNOWN"


class HealthSystem(models.TextChoices):
    """The parts of the house that are watched."""

    NOTIFICATION = "notification"
    TELEGRAM_BOT = "telegram_bot"
    API_SERVICE = "api_service"
    WEB_UI = "web_ui"
    TRADING_BOT = "trading_bot"
    DATABASE = "database"
    REDIS = "redis"
    SCHEDULER = "scheduler"
    ANALYTICS = "analytics"


class RiskType(models.TextChoices):
    """The rule that was broken."""

    DAILY_LOSS_LIMIT = "daily_loss_limit"
    WEEKLY_LOSS_LIMIT = "weekly_loss_limit"
    MONTHLY_LOSS_LIMIT = "monthly_loss_limit"
    MAX_DRAWDOWN = "max_drawdown"
    POSITION_LIMIT = "position_limit"
    LEVERAGE_LIMIT = "leverage_limit"
    EXPOSURE_LIMIT = "exposure_limit"
    CONCENTRATION_LIMIT = "concentration_limit"
    ORDER_QUANTITY_LIMIT = "order_quantity_limit"
    ORDER_NOTIONAL_LIMIT = "order_notional_limit"
    ORDER_RATE_LIMIT = "order_rate_limit"
    SHARED_POSITION_LIMIT = "shared_position_limit"
    CORRELATED_EXPOSURE_LIMIT = "correlated_exposure_limit"
    PORTFOLIO_DRAWDOWN = "portfolio_drawdown"
    HALF_SIZE = "half_size"
    CONTROL_STATE = "control_state"
    HALT_NOT_OBEYED = "halt_not_obeyed"
    OVERFILL = "overfill"


class RiskAction(models.TextChoices):
    """What was done about it."""

    POSITION_REDUCED = "position_reduced"
    TRADING_HALTED = "trading_halted"
    NEW_TRADES_BLOCKED = "new_trades_blocked"
    LEVERAGE_REDUCED = "leverage_reduced"
    ALERT_SENT = "alert_sent"
    MANUAL_REVIEW_REQUIRED = "manual_review_required"
    SIZE_HALVED = "size_halved"
    REDUCE_ONLY = "reduce_only"


class Operation(models.TextChoices):
    """What was done to a row; a baseline is how it was when the trail began."""

    BASELINE = "baseline"
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    TRUNCATE = "truncate"


class SealKind(models.TextChoices):
    """A seal, or the one that says that the database was restored from a copy and counts transactions anew."""

    SEAL = "seal"
    RESTORED = "restored"


class CheckKind(models.TextChoices):
    """How much of the trail a check looked at."""

    FULL = "full"
    INCREMENTAL = "incremental"


class RiskLevel(models.TextChoices):
    """How far a limit is used: near it, beyond it, or kept by a refusal. Other risks have none."""

    NONE = ""
    REFUSAL = "refusal"
    WARNING = "warning"
    BREACH = "breach"
