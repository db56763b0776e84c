"""The catalogue's second half: bad rows of the tables beside the ledger, of Abidance and of ATF."""

from psycopg.types.json import Jsonb

from tests.house.bad_rows import CYRILLIC, NOON, ONE, Case, bad

BOOKS, INDICATORS = "abidance.order_book_snapshots", "abidance.technical_indicators"
STRATEGIES, EQUITY, RESULTS = "abidance.strategies", "abidance.equity_snapshots", "abidance.strategy_performance"
METERS, LOGS, SYMBOLS = "abidance.system_metrics", "abidance.system_logs", "abidance.watched_symbols"
MODELS, PREDICTIONS, HEALTH = "abidance.ml_models", "abidance.model_predictions", "atf.msg_system_health"
RUNS = "atf.job_schedule_runs"

BAD_BESIDE: tuple[Case, ...] = (
    # Numbers.
    bad(INDICATORS, "technical_indicators_value_check", "indicator NaN", {"value": "NaN"}),
    bad(EQUITY, "equity_snapshots_total_equity_check", "equity of an account NaN", {"total_equity": "NaN"}),
    bad(EQUITY, "equity_snapshots_count_not_negative", "fewer open positions than none", {"open_position_count": -1}),
    bad(EQUITY, "equity_snapshots_allocated_not_negative", "negative allocation", {"allocated_in_positions": -1}),
    bad(RESULTS, "strategy_performance_valid_win_rate", "500 % winners", {"win_rate": 5}),
    bad(RESULTS, "strategy_performance_counts_not_negative", "negative winners", {"win_count": -1}),
    bad(RESULTS, "strategy_performance_profit_factor_check", "profit factor NaN", {"profit_factor": "NaN"}),
    bad(RESULTS, "strategy_performance_drawdown_not_negative", "negative drawdown", {"max_drawdown": -0.5}),
    bad(METERS, "system_metrics_percent", "processor at 101 %", {"cpu_usage": 101}),
    bad(METERS, "system_metrics_percent", "memory at -1 %", {"memory_usage": -1}),
    bad(METERS, "system_metrics_not_negative", "negative bytes", {"network_sent_bytes": -1}),
    bad(METERS, "system_metrics_errors_are_calls", "more errors than calls", {"api_error_count": 11}),
    bad(SYMBOLS, "watched_symbols_valid_precision", "negative precision", {"price_precision": -1}),
    bad(SYMBOLS, "watched_symbols_minimums_not_negative", "negative minimum", {"min_notional": -5}),
    bad(PREDICTIONS, "model_predictions_valid_confidence", "confidence of 200 %", {"confidence": 2}),
    bad(PREDICTIONS, "model_predictions_prediction_value_check", "prediction NaN", {"prediction_value": "NaN"}),
    bad(HEALTH, "system_health_failures_not_negative", "negative failures", {"failure_count": -1}),
    bad("atf.telegram_broadcast_logs", "broadcasts_counts_fit", "more reached than asked", {"success_count": 3}),
    bad("atf.telegram_command_audits", "command_audits_response_not_negative", "answer before the question",
        {"response_time_ms": -1}),
    bad("atf.webui_performance_snapshots", "performance_snapshots_count_not_negative", "fewer trades than none",
        {"trades_count": -1}),
    # Stories.
    bad(INDICATORS, "technical_indicators_unique", "one indicator twice", {}, first={}),
    bad(RESULTS, "strategy_performance_valid_timeframe", "made-up period", {"timeframe": "hourly"}),
    bad(PREDICTIONS, "model_predictions_error_needs_actual", "error of an unknown outcome", {"prediction_error": 1}),
    bad(MODELS, "ml_models_training_ends_after_start", "trained before it began",
        {"training_start_date": ONE, "training_end_date": NOON}),
    bad(SYMBOLS, "watched_symbols_valid_assets", "a coin for itself", {"quote_asset": "BTC"}),
    bad(HEALTH, "system_health_unique_part", "one system twice", {}, first={}),
    bad(RUNS, "ux_runs_job_scheduled_for", "one run twice", {}, first={}),
    bad(RUNS, "job_schedule_runs_end_fits_status", "pending and over", {"finished_at": ONE}),
    bad(RUNS, "job_schedule_runs_ends_after_start", "over before it began",
        {"status": "completed", "started_at": ONE, "finished_at": NOON, "worker_id": "w"}),
    bad("atf.usr_users", "users_unique_email_any_case", "one person twice", {"email": "Bob@Example.com"}, first={}),
    # Words.
    bad(HEALTH, "system_health_valid_status", "made-up health", {"status": "GREAT"}),
    bad("atf.usr_users", "users_valid_role", "made-up role", {"role": "king"}),
    bad("atf.job_schedules", "job_schedules_valid_type", "made-up job", {"job_type": "script"}),
    bad("atf.job_schedules", "job_schedules_five_cron_fields", "cron that is none", {"cron": "now and then"}),
    bad("atf.telegram_feedbacks", "feedbacks_valid_type", "made-up feedback", {"type": "praise"}),
    # Times.
    bad(STRATEGIES, "strategies_finite_times", "run at the end of time", {"last_run_at": "infinity"}),
    bad(INDICATORS, "technical_indicators_finite_times", "indicator of the end of time", {"timestamp": "infinity"}),
    bad(LOGS, "system_logs_finite_times", "line of the end of time", {"timestamp": "infinity"}),
    bad(MODELS, "ml_models_finite_times", "training that never ends", {"training_end_date": "infinity"}),
    bad("atf.job_schedules", "job_schedules_finite_times", "job of the end of time", {"next_run_at": "infinity"}),
    # Symbols, ids and names.
    bad(BOOKS, "order_book_snapshots_valid_symbol", "book of a Cyrillic twin", {"symbol": CYRILLIC}),
    bad(INDICATORS, "technical_indicators_valid_symbol", "indicator of a formula", {"symbol": "=CMD()"}),
    bad(SYMBOLS, "watched_symbols_valid_symbol", "watched script", {"symbol": "<script>"}),
    bad("atf.trading_performance_metrics", "performance_metrics_valid_symbol", "figures of a formula",
        {"symbol": "@SUM(A1)"}),
    bad(STRATEGIES, "strategies_named", "strategy without name", {"name": " "}),
    bad(INDICATORS, "technical_indicators_named", "indicator without name", {"indicator_name": ""}),
    bad(MODELS, "ml_models_named", "model without version", {"version": ""}),
    bad("abidance.system_settings", "system_settings_valid_key", "setting without name", {"key": ""}),
    bad("abidance.api_keys", "api_keys_named", "key without label", {"label": ""}),
    bad(LOGS, "system_logs_named_component", "line of nobody", {"component": ""}),
    bad("atf.telegram_feedbacks", "feedbacks_not_empty", "empty feedback", {"message": ""}),
    bad("atf.webui_audit_logs", "user_actions_named", "action without name", {"action": ""}),
    bad("atf.webui_strategy_templates", "strategy_templates_named", "template without name", {"name": ""}),
    # JSON.
    bad(BOOKS, "order_book_snapshots_lists", "bids that are an object", {"bids": Jsonb({})}),
    bad(BOOKS, "order_book_snapshots_valid_levels", "negative bid", {"bids": Jsonb([["-5", "1"]])}),
    bad(BOOKS, "order_book_snapshots_valid_levels", "bid without quantity", {"bids": Jsonb([["5"]])}),
    bad(STRATEGIES, "strategies_lists", "symbols that are a text", {"symbols": Jsonb("BTCUSDT")}),
    bad(STRATEGIES, "strategies_valid_symbols", "script among symbols", {"symbols": Jsonb(["<script>"])}),
    bad(MODELS, "ml_models_are_lists", "features that are a number", {"features_list": Jsonb(5)}),
    bad("atf.webui_performance_snapshots", "performance_snapshots_pnl_is_object", "P&L that is a list",
        {"pnl": Jsonb([1])}),
)  # fmt: skip

LEGITIMATE_BESIDE: tuple[Case, ...] = (
    bad(BOOKS, "order_book_snapshots_symbol_timestamp_key", "one book of two exchanges", {}, first={},
        our_change={"exchange": "binance"}),
    bad(RESULTS, "type", "drawdown of a strategy beyond its size", {"max_drawdown": 12}),
    bad(RESULTS, "type", "return that is out of the seed's reach", {"annualized_return": 123_456}),
)  # fmt: skip
