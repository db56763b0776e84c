"""The ledger: bots, signals, orders, fills, positions, trades, balances."""

from django.apps import AppConfig


class BotsConfig(AppConfig):
    name = "bots"
    verbose_name = "Trading"
