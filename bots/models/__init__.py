"""Models of the ledger, one module per aggregate."""

from bots.models.accounts import ExchangeAccount
from bots.models.balances import AccountBalance, CashFlow
from bots.models.bots import Bot
from bots.models.control import ControlChange, ControlReceipt, ControlState
from bots.models.fills import Fill
from bots.models.ingest import IngestConflict, IngestKey, ParkedFact
from bots.models.limits import RiskGroup, RiskLatch, RiskLimit
from bots.models.orders import Order, OrderEvent
from bots.models.positions import Position
from bots.models.reconciliation import ReconciliationCase
from bots.models.reviews import TradeReview
from bots.models.signals import Signal
from bots.models.strategies import Strategy
from bots.models.tokens import BotToken
from bots.models.trades import Trade
from bots.models.unattributed import UnattributedFill

__all__ = [
    "AccountBalance",
    "Bot",
    "BotToken",
    "CashFlow",
    "ControlChange",
    "ControlReceipt",
    "ControlState",
    "ExchangeAccount",
    "Fill",
    "IngestConflict",
    "IngestKey",
    "Order",
    "OrderEvent",
    "ParkedFact",
    "Position",
    "ReconciliationCase",
    "RiskGroup",
    "RiskLatch",
    "RiskLimit",
    "Signal",
    "Strategy",
    "Trade",
    "TradeReview",
    "UnattributedFill",
]
