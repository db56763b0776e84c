"""Closed sets of the config app."""

from django.db import models


class ConfigType(models.TextChoices):
    STRATEGY_PARAMS = "strategy_params"
    RISK_PARAMS = "risk_params"
    EXECUTION_PARAMS = "execution_params"
    # Written by the momentum and lxalgo registrations although seed 000's list lacks it.
    TRADING_PARAMS = "trading_params"
