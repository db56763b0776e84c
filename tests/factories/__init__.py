"""Rows for tests, with sensible defaults; every keyword is a column.

The factories write single rows and derive nothing: a test that needs a consistent ledger (orders, positions and
trades that follow from fills) uses the services. Times default to fixed moments of 2026, never to the clock, except
a bot's own stamps.
"""

from tests.factories.accounts import (
    AuthIdentityFactory,
    BotMembershipFactory,
    SavedViewFactory,
    SessionFactory,
    UserFactory,
    VerificationCodeFactory,
)
from tests.factories.analytics import (
    DailyCandleChangeFactory,
    DailyCandleFactory,
    DataQualityCaseFactory,
    EquitySnapshotFactory,
    MLModelFactory,
    ModelPredictionFactory,
    PerformanceMetricFactory,
    PerformanceSnapshotFactory,
    PortfolioSnapshotFactory,
    RiskMetricsFactory,
    StrategyPerformanceFactory,
    ViewRefreshFactory,
)
from tests.factories.audit import (
    CommandAuditFactory,
    InvariantRunFactory,
    SystemHealthFactory,
    SystemLogFactory,
    SystemMetricFactory,
)
from tests.factories.base import HAND_MADE, NOON, PASSWORD, utc
from tests.factories.bots import BotFactory, ExchangeAccountFactory, SignalFactory, StrategyFactory
from tests.factories.config_app import (
    ExchangeApiKeyFactory,
    StrategyTemplateFactory,
    SystemSettingFactory,
    WatchedSymbolFactory,
)
from tests.factories.jobs import JobRunFactory, JobScheduleFactory
from tests.factories.ledger import (
    AccountBalanceFactory,
    CashFlowFactory,
    FillFactory,
    OrderFactory,
    PositionFactory,
    TradeFactory,
    TradeReviewFactory,
    UnattributedFillFactory,
)
from tests.factories.marketdata import CandleFactory, OrderBookSnapshotFactory, TechnicalIndicatorFactory
from tests.factories.notifications import (
    BroadcastFactory,
    ChannelConfigFactory,
    DeliveryStatusFactory,
    FeedbackFactory,
    MessageFactory,
    RateLimitFactory,
)

__all__ = [
    "HAND_MADE",
    "NOON",
    "PASSWORD",
    "AccountBalanceFactory",
    "AuthIdentityFactory",
    "BotFactory",
    "BotMembershipFactory",
    "BroadcastFactory",
    "CandleFactory",
    "CashFlowFactory",
    "ChannelConfigFactory",
    "CommandAuditFactory",
    "DailyCandleChangeFactory",
    "DailyCandleFactory",
    "DataQualityCaseFactory",
    "DeliveryStatusFactory",
    "EquitySnapshotFactory",
    "ExchangeAccountFactory",
    "ExchangeApiKeyFactory",
    "FeedbackFactory",
    "FillFactory",
    "InvariantRunFactory",
    "JobRunFactory",
    "JobScheduleFactory",
    "MLModelFactory",
    "MessageFactory",
    "ModelPredictionFactory",
    "OrderBookSnapshotFactory",
    "OrderFactory",
    "PerformanceMetricFactory",
    "PerformanceSnapshotFactory",
    "PortfolioSnapshotFactory",
    "PositionFactory",
    "RateLimitFactory",
    "RiskMetricsFactory",
    "SavedViewFactory",
    "SessionFactory",
    "SignalFactory",
    "StrategyFactory",
    "StrategyPerformanceFactory",
    "StrategyTemplateFactory",
    "SystemHealthFactory",
    "SystemLogFactory",
    "SystemMetricFactory",
    "SystemSettingFactory",
    "TechnicalIndicatorFactory",
    "TradeFactory",
    "TradeReviewFactory",
    "UnattributedFillFactory",
    "UserFactory",
    "VerificationCodeFactory",
    "ViewRefreshFactory",
    "WatchedSymbolFactory",
    "utc",
]
