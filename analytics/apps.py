"""Risk metrics and portfolio snapshots, computed from the ledger."""

from django.apps import AppConfig


class AnalyticsConfig(AppConfig):
    name = "analytics"
    verbose_name = "Analytics"
