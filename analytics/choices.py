"""Closed sets of the analytics app, with the seeds' words."""

from django.db import models


class ViewName(models.TextChoices):
    """The views that a job keeps fresh."""

    ACTIVE_POSITIONS_SUMMARY = "active_positions_summary"
    DAILY_PERFORMANCE_SUMMARY = "daily_performance_summary"
    SYSTEM_HEALTH_DASHBOARD = "system_health_dashboard"
    DAILY_OHLCV = "daily_ohlcv"
