"""Closed sets of the analytics app, with the seeds' words."""

from django.db import models


class Timeframe(models.TextChoices):
    """The period that figures of a strategy speak of."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    ALL_TIME = "all_time"


class ModelType(models.TextChoices):
    CLASSIFICATION = "classification"
    REGRESSION = "regression"
    REINFORCEMENT_LEARNING = "reinforcement_learning"


class ModelStatus(models.TextChoices):
    TRAINING = "training"
    READY = "ready"
    FAILED = "failed"
    ARCHIVED = "archived"


class QualityKind(models.TextChoices):
    """What is wrong with stored data."""

    GAP = "gap", "rows are missing in a series"
    ORPHAN = "orphan", "rows name a row that is not there"
    DUPLICATE = "duplicate", "one thing is stored more than once"
    NULL_VALUE = "null_value", "a value is missing that should be there"
    DEFAULT_PARTITION = "default_partition", "rows came for whose time there was no partition"
    STALE = "stale", "a series has stopped"


class QualitySeverity(models.TextChoices):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class QualityStatus(models.TextChoices):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class ViewName(models.TextChoices):
    """The views that a job keeps fresh."""

    ACTIVE_POSITIONS_SUMMARY = "active_positions_summary"
    DAILY_PERFORMANCE_SUMMARY = "daily_performance_summary"
    SYSTEM_HEALTH_DASHBOARD = "system_health_dashboard"
    DAILY_OHLCV = "daily_ohlcv"
