"""The fields of rows that people read over the API, in the order of the answer; `shape` makes the wire form."""

BOT = (
    "bot_id", "bot_name", "bot_type", "strategy_name", "description", "status", "deployment_mode", "exchange",
    "currency",
    "initial_capital", "current_equity", "total_pnl", "last_heartbeat", "started_at", "error_count", "latency_ms",
    "acknowledged_halt", "created_at", "updated_at",
)  # fmt: skip
LIMITS = (
    "max_positions", "leverage_limit", "max_daily_loss_pct", "max_weekly_loss_pct", "max_drawdown_pct",
)  # fmt: skip
TOKEN = ("prefix", "scopes", "created_by", "created_at", "expires_at", "last_used_at", "revoked_at")
CASE = (
    "id", "kind", "bot_id", "symbol", "subject_id", "status", "expected", "reported", "cause", "resolution",
    "opened_at",
    "last_seen_at", "gone_since", "resolved_at",
)  # fmt: skip
# What staff see beside it: the account by its name, and who looks into it.
STAFF_CASE = (*CASE, "account_id", "owner")
CONFLICT = (
    "id", "bot_id", "kind", "natural_id", "stored_body", "received_body", "received_count", "status", "decision",
    "stored_as", "resolution", "request_id", "received_at", "resolved_at",
)  # fmt: skip
PARKED = ("id", "bot_id", "kind", "fact_id", "order_id", "body", "state", "source", "received_at", "applied_at")
RISK_EVENT = (
    "id", "event_time", "bot_id", "symbol", "order_id", "risk_type", "current_value", "limit_value", "threshold_pct",
    "action_taken", "details", "resolved", "resolved_at", "resolution_notes", "level", "subject", "is_over",
    "seen_count", "last_seen_at", "positions_affected",
)  # fmt: skip
ACTION = (
    "id", "user_email", "action", "resource_type", "resource_id", "before", "after", "reason", "ip_address",
    "request_id", "created_at",
)  # fmt: skip
