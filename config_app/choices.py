"""Closed sets of the config app."""

from django.db import models


class ConfigType(models.TextChoices):
    STRATEGY_PARAMS = "strategy_params"
    RISK_PARAMS = "risk_params"
    EXECUTION_PARAMS = "execution_params"
    # Written by the momentum and lxalgo registrations although seed 000's list lacks it.
    TRADING_PARAMS = "trading_params"


class Timeframe(models.TextChoices):
    """Length of a candle, as bots and exchanges write it."""

    M1 = "1m", "1 minute"
    M3 = "3m", "3 minutes"
    M5 = "5m", "5 minutes"
    M15 = "15m", "15 minutes"
    M30 = "30m", "30 minutes"
    H1 = "1h", "1 hour"
    H2 = "2h", "2 hours"
    H4 = "4h", "4 hours"
    H6 = "6h", "6 hours"
    H8 = "8h", "8 hours"
    H12 = "12h", "12 hours"
    D1 = "1d", "1 day"
    D3 = "3d", "3 days"
    W1 = "1w", "1 week"
    MONTH = "1M", "1 month"
