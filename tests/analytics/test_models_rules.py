"""The database refuses the rows that cannot be, by the rule that is meant for them, and takes the odd ones that can."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import DataError, IntegrityError, connection, models, transaction
from django.db.models import Value

from analytics.models import EquitySnapshot, MLModel, ModelPrediction, PerformanceMetric
from tests.factories import (
    NOON,
    BotFactory,
    DataQualityCaseFactory,
    EquitySnapshotFactory,
    ExchangeAccountFactory,
    MLModelFactory,
    ModelPredictionFactory,
    PerformanceMetricFactory,
    PerformanceSnapshotFactory,
    PortfolioSnapshotFactory,
    RiskMetricsFactory,
    StrategyPerformanceFactory,
    UserFactory,
)
from tradingdb.lib.fields import FiniteDecimalField

pytestmark = pytest.mark.django_db

FACTORIES = {
    "risk_metrics": RiskMetricsFactory,
    "portfolio_snapshots": PortfolioSnapshotFactory,
    "equity_snapshots": EquitySnapshotFactory,
    "strategy_performance": StrategyPerformanceFactory,
    "performance_metrics": PerformanceMetricFactory,
    "performance_snapshots": PerformanceSnapshotFactory,
    "ml_models": MLModelFactory,
    "model_predictions": ModelPredictionFactory,
    "data_quality_cases": DataQualityCaseFactory,
}
each_table = pytest.mark.parametrize("table", FACTORIES)
EARLIER = NOON - timedelta(hours=1)
RESOLVED = {"status": "resolved", "resolved_at": NOON, "resolution": "filled"}
BAD = [
    ("risk_metrics", "counts_add_up", {"total_trades": 2, "winning_trades": 1}),
    ("risk_metrics", "counts_not_negative", {"winning_trades": 1, "losing_trades": -1}),
    ("risk_metrics", "valid_win_rate", {"win_rate": "1.000000000001"}),
    ("risk_metrics", "valid_win_rate", {"win_rate": "-0.1"}),
    ("risk_metrics", "gross_not_negative", {"gross_profit": "-1"}),
    ("risk_metrics", "gross_not_negative", {"gross_loss": "-1"}),
    ("risk_metrics", "drawdown_not_negative", {"max_drawdown": "-1"}),
    ("risk_metrics", "drawdown_not_negative", {"max_drawdown_pct": "-0.1"}),
    ("risk_metrics", "drawdown_not_negative", {"current_drawdown": "-0.1"}),
    ("portfolio_snapshots", "bots_not_negative", {"active_bots": -1}),
    ("portfolio_snapshots", "counts_not_negative", {"bots_in_trade": -1}),
    ("portfolio_snapshots", "counts_not_negative", {"total_open_positions": -1}),
    ("portfolio_snapshots", "has_currency", {"currency": ""}),
    ("equity_snapshots", "of_somebody", {"account": None}),
    ("equity_snapshots", "valid_mode", {"deployment_mode": "paper"}),
    ("equity_snapshots", "has_currency", {"currency": ""}),
    ("equity_snapshots", "count_not_negative", {"open_position_count": -1}),
    ("equity_snapshots", "allocated_not_negative", {"allocated_in_positions": "-0.01"}),
    ("strategy_performance", "named", {"strategy": ""}),
    ("strategy_performance", "valid_mode", {"deployment_mode": "Live"}),
    ("strategy_performance", "valid_timeframe", {"timeframe": "hourly"}),
    ("strategy_performance", "counts_not_negative", {"win_count": -1}),
    ("strategy_performance", "counts_not_negative", {"loss_count": -1}),
    ("strategy_performance", "valid_win_rate", {"win_rate": "75"}),
    ("strategy_performance", "factor_not_negative", {"profit_factor": "-1"}),
    ("strategy_performance", "drawdown_not_negative", {"max_drawdown": "-0.2"}),
    ("strategy_performance", "drawdown_not_negative", {"max_drawdown_duration": -1}),
    ("strategy_performance", "volatility_not_negative", {"volatility": "-0.2"}),
    ("performance_metrics", "valid_mode", {"deployment_mode": "paper"}),
    ("performance_metrics", "has_currency", {"currency": ""}),
    ("performance_metrics", "is_object", {"metrics": [1]}),
    ("performance_metrics", "is_object", {"metrics": "0.5"}),
    ("performance_metrics", "is_object", {"metrics": Value(None, models.JSONField())}),
    ("performance_snapshots", "named", {"strategy_id": ""}),
    ("performance_snapshots", "valid_mode", {"deployment_mode": ""}),
    ("performance_snapshots", "has_currency", {"currency": ""}),
    ("performance_snapshots", "count_not_negative", {"trades_count": -1}),
    ("performance_snapshots", "pnl_is_object", {"pnl": 10}),
    ("performance_snapshots", "are_objects", {"win_rate": "0.5"}),
    ("performance_snapshots", "are_objects", {"drawdown": []}),
    ("performance_snapshots", "are_objects", {"metrics": []}),
    ("ml_models", "named", {"name": ""}),
    ("ml_models", "named", {"version": ""}),
    ("ml_models", "valid_type", {"type": "clustering"}),
    ("ml_models", "valid_status", {"status": "running"}),
    ("ml_models", "training_ends_after_start", {"training_end_date": NOON.replace(year=2020)}),
    ("ml_models", "hyper_parameters_is_object", {"hyper_parameters": []}),
    ("ml_models", "metrics_are_objects", {"training_metrics": "good"}),
    ("ml_models", "metrics_are_objects", {"validation_metrics": 1}),
    ("ml_models", "are_lists", {"features_list": {"close": 1}}),
    ("ml_models", "are_lists", {"symbols": "BTCUSDT"}),
    ("ml_models", "are_lists", {"timeframes": "5m"}),
    ("ml_models", "valid_symbols", {"symbols": ["BTCUSDT", "=1+1"]}),
    ("ml_models", "valid_symbols", {"symbols": [1]}),
    ("ml_models", "valid_symbols", {"symbols": [["BTCUSDT"]]}),
    ("ml_models", "valid_symbols", {"symbols": ["BTC\u200bUSDT"]}),
    ("ml_models", "valid_symbols", {"symbols": ["BTCUSDT\nETHUSDT"]}),
    ("model_predictions", "typed", {"prediction_type": ""}),
    ("model_predictions", "valid_confidence", {"confidence": "1.01"}),
    ("model_predictions", "valid_confidence", {"confidence": "-0.01"}),
    ("model_predictions", "error_needs_actual", {"prediction_error": "1"}),
    ("model_predictions", "is_object", {"features_snapshot": [1]}),
    ("data_quality_cases", "valid_kind", {"kind": "odd"}),
    ("data_quality_cases", "valid_severity", {"severity": "fatal"}),
    ("data_quality_cases", "valid_status", {"status": "closed"}),
    ("data_quality_cases", "names_table", {"table_name": ""}),
    ("data_quality_cases", "count_not_negative", {"row_count": -1}),
    ("data_quality_cases", "last_after_first", {"last_seen_at": EARLIER}),
    ("data_quality_cases", "resolved_says_how", RESOLVED | {"resolved_at": None}),
    ("data_quality_cases", "resolved_says_how", RESOLVED | {"resolution": ""}),
    ("data_quality_cases", "resolved_says_how", RESOLVED | {"status": "open"}),
    ("data_quality_cases", "resolved_says_how", RESOLVED | {"status": "acknowledged"}),
    ("data_quality_cases", "is_object", {"details": [1]}),
]
SYMBOLS = ["btcusdt", "", "=CMD()", "<script>", "BTC\u200bUSDT", "\u0412TCUSDT", "BTCUSDT\n", "-BTC", "A" * 41]
# As Shortseller, Abidance and ATF really have them.
GOOD = [
    ("risk_metrics", {"max_drawdown_pct": "1.5", "profit_factor": "1000000", "gross_loss": "7", "net_profit": "-7"}),
    ("risk_metrics", {"win_rate": None, "max_drawdown": None}),
    ("portfolio_snapshots", {"total_equity": "-5", "daily_pnl": "-10005"}),
    ("equity_snapshots", {"total_equity": "-12.5", "available_balance": "-20", "unrealized_pnl": "-12.5"}),
    ("strategy_performance", {"profit_factor": "1000000", "max_drawdown": "1.2", "timeframe": "all_time"}),
    ("strategy_performance", {"win_count": 0, "loss_count": 0, "win_rate": None, "total_return": "-1"}),
    ("performance_metrics", {"symbol": None, "interval": None, "metrics": {}}),
    ("performance_metrics", {"symbol": "ETH/USDT:USDT", "entry_logic_name": "RSI <30>", "definition": "atf"}),
    ("performance_snapshots", {"positions": [{"symbol": "BTCUSDT"}]}),
    ("performance_snapshots", {"positions": {"BTCUSDT": "1"}, "win_rate": {"rate": None}}),
    ("ml_models", {"symbols": [], "features_list": [], "timeframes": []}),
    ("ml_models", {"symbols": ["1000000CHEEMSUSDT", "ETH/USDT:USDT"], "type": "reinforcement_learning"}),
    ("model_predictions", {"prediction_value": "-1", "confidence": "0", "features_snapshot": None}),
    ("model_predictions", {"actual_value": "90", "prediction_error": "10", "confidence": "1"}),
    ("data_quality_cases", {"subject": "", "kind": "default_partition"}),
    ("data_quality_cases", RESOLVED),
]


def refusal(table, **columns):
    """Return the name of the rule by which PostgreSQL refuses a row."""
    model = FACTORIES[table]().__class__
    rows = model.objects.count()
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        FACTORIES[table](**columns)

    assert model.objects.count() == rows
    return caught.value.__cause__.diag.constraint_name


def set_column(row, column, value):
    """Write a value that Python would not let through."""
    table = row._meta.db_table
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f'UPDATE "{table}" SET "{column}" = %s WHERE id = %s', [value, row.pk])


@pytest.mark.parametrize(("table", "rule", "columns"), BAD, ids=lambda value: str(value)[:60])
def test_a_row_that_cannot_be_is_refused_by_its_rule(table, rule, columns):
    assert refusal(table, **columns) == f"{table}_{rule}"


@pytest.mark.parametrize(("table", "columns"), GOOD, ids=lambda value: str(value)[:60])
def test_a_row_that_happens_is_taken(table, columns):
    row = FACTORIES[table](**columns)

    row.refresh_from_db()
    stored = {name: getattr(row, name) for name in columns}
    wanted = {name: Decimal(value) if isinstance(stored[name], Decimal) else value for name, value in columns.items()}
    assert stored == wanted


@pytest.mark.parametrize("symbol", SYMBOLS)
@pytest.mark.parametrize("table", ["performance_metrics", "model_predictions"])
def test_a_text_that_is_no_symbol_is_refused(table, symbol):
    row = FACTORIES[table]()

    with pytest.raises((IntegrityError, DataError)) as caught:
        set_column(row, "symbol", symbol)

    if len(symbol) <= 40:
        assert caught.value.__cause__.diag.constraint_name == f"{table}_valid_symbol"


@each_table
def test_no_time_is_infinite(table):
    row = FACTORIES[table]()
    columns = [field.column for field in row._meta.concrete_fields if isinstance(field, models.DateField)]

    refused = {}
    for column in columns:
        for value in ("infinity", "-infinity"):
            with pytest.raises(IntegrityError) as caught:
                set_column(row, column, value)
            refused[column, value] = caught.value.__cause__.diag.constraint_name

    assert columns
    assert set(refused.values()) == {f"{table}_finite_times"}


@each_table
def test_no_amount_is_nan_or_infinite(table):
    # A prediction without its actual value would be refused for having an error.
    row = FACTORIES[table](**({"actual_value": 90} if table == "model_predictions" else {}))
    columns = [field.column for field in row._meta.concrete_fields if isinstance(field, FiniteDecimalField)]

    for column in columns:
        with pytest.raises(IntegrityError, match=column):
            set_column(row, column, "NaN")
        for value in ("Infinity", "-Infinity"):
            with pytest.raises(DataError):
                set_column(row, column, value)

    assert bool(columns) == (table not in {"performance_metrics", "performance_snapshots", "ml_models",
                                           "data_quality_cases"})  # fmt: skip


def test_one_equity_a_moment_though_bot_or_account_is_null():
    """NULL is not unlike NULL here: an account's own row would otherwise be stored again and again."""
    account, bot = ExchangeAccountFactory(), BotFactory()
    EquitySnapshotFactory(account=account)
    EquitySnapshotFactory(bot=bot)

    for owner in ({"account": account}, {"bot": bot}):
        with pytest.raises(IntegrityError, match="account_id, bot_id, currency, deployment_mode"), transaction.atomic():
            EquitySnapshotFactory(**owner)

    assert EquitySnapshot.objects.count() == 2


@pytest.mark.parametrize(
    "other",
    [{"currency": "USDC"}, {"deployment_mode": "live"}, {"timestamp": EARLIER}],
    ids=lambda other: str([*other]),
)
def test_other_money_is_another_row(other):
    account = ExchangeAccountFactory()
    EquitySnapshotFactory(account=account)
    EquitySnapshotFactory(account=account, **other)

    assert EquitySnapshot.objects.filter(account=account).count() == 2


def test_one_figure_a_strategy_period_mode_and_definition():
    key = {"strategy": "x"}
    StrategyPerformanceFactory(**key)
    StrategyPerformanceFactory(**key, timeframe="weekly")
    StrategyPerformanceFactory(**key, definition="abidance")

    assert refusal("strategy_performance", **key) == "strategy_performance_one_per_period"


def test_one_metric_a_slice_and_moment_though_parts_are_null():
    bot = BotFactory()
    PerformanceMetricFactory(bot=bot, symbol=None)
    PerformanceMetricFactory(bot=bot, symbol="BTCUSDT")

    assert refusal("performance_metrics", bot=bot, symbol=None) == "performance_metrics_one_per_moment"
    assert PerformanceMetric.objects.filter(bot=bot).count() == 2


def test_one_snapshot_a_strategy_and_moment():
    PerformanceSnapshotFactory(strategy_id="x")

    assert refusal("performance_snapshots", strategy_id="x") == "performance_snapshots_one_per_moment"


def test_one_model_a_name_and_version():
    MLModelFactory(name="x", version="1")
    MLModelFactory(name="x", version="2")

    assert refusal("ml_models", name="x", version="1") == "ml_models_unique_version"


def test_one_prediction_a_model_symbol_moment_and_type():
    model = MLModelFactory()
    ModelPredictionFactory(model=model)
    ModelPredictionFactory(model=model, prediction_type="price_direction")

    with pytest.raises(IntegrityError, match='model_id, symbol, "timestamp", prediction_type'), transaction.atomic():
        ModelPredictionFactory(model=model)

    assert ModelPrediction.objects.count() == 2


def test_a_model_with_predictions_stays():
    prediction = ModelPredictionFactory()

    with pytest.raises(models.ProtectedError):
        prediction.model.delete()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(IntegrityError), transaction.atomic():
            cursor.execute("DELETE FROM ml_models WHERE id = %s", [prediction.model_id])

    assert MLModel.objects.filter(pk=prediction.model_id).exists()


def test_the_database_gives_a_model_its_id():
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO analytics.ml_models (name, version, type, framework, features_list, symbols, timeframes, "
            "training_start_date, training_end_date) VALUES ('raw', '1', 'regression', 'numpy', '[]', '[]', '[]', "
            "'2026-01-01Z', '2026-02-01Z')"
        )

    row = MLModel.objects.get(name="raw")
    assert (row.status, row.hyper_parameters) == ("training", {})


def test_one_waiting_case_a_subject_and_any_number_of_resolved_ones():
    key = {"table_name": "trading.fills", "subject": "x"}
    DataQualityCaseFactory(**key, **RESOLVED)
    DataQualityCaseFactory(**key, **RESOLVED)
    DataQualityCaseFactory(**key)
    DataQualityCaseFactory(**key, kind="stale")

    assert refusal("data_quality_cases", **key, status="acknowledged") == "data_quality_cases_one_open"


def test_a_case_outlives_the_people_who_had_it():
    person = UserFactory()
    case = DataQualityCaseFactory(**RESOLVED, owner=person, resolved_by=person)

    person.delete()

    case.refresh_from_db()
    assert (case.owner, case.resolved_by, case.status) == (None, None, "resolved")


def test_an_open_case_was_resolved_by_nobody():
    assert refusal("data_quality_cases", resolved_by=UserFactory()) == "data_quality_cases_resolved_says_how"
