"""What the audit trail covers: the whole list. A table with a model stands here once, recorded or excused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# A column that every change moves says nothing.
ALWAYS_IGNORED = ("updated_at",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A table of which every change is kept with what it was before and after.

    ignores: columns that jobs and bots move all the time; secrets: columns of which only a digest is kept.
    only: condition on `{row}` (new or old) that a row must meet to be recorded; live: the same for rows of the table.
    grows: whether rows come without end; a check of what is new looks at all rows of the other tables.
    """

    schema: str
    why: str
    key: str = "id"
    ignores: Sequence[str] = ()
    secrets: Sequence[str] = ()
    only: str = ""
    live: str = ""
    grows: bool = False

    @property
    def all_ignored(self) -> tuple[str, ...]:
        return (*self.ignores, *ALWAYS_IGNORED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A table of facts that come by the thousand: of a new row a digest is kept, which proves it and costs little.

    A change of it, which no fact should have, is kept as in other tables. forms: the columns that the digest is made
    of, by number; a new number is added for new columns, and old ones stay as they are. derived: columns that follow
    from other facts; the invariants watch them, and a bot's own plans move them unrecorded.
    """

    schema: str
    why: str
    forms: Mapping[int, Sequence[str]]
    derived: Sequence[str] = ()
    key: str = "id"

    @property
    def form(self) -> int:
        """The number that is in use."""
        return max(self.forms)


Table = Whole | Facts

# Who is bound by row security is a bot: it moves nothing here but what follows from its facts.
# Conditions are written as PostgreSQL prints them, so that the two can be compared.
BY_PEOPLE = "(NOT row_security_active({row}.tableoid))"
FILL_FORM = (
    "id", "fill_id", "bot_id", "account_id", "order_id", "symbol", "side", "price", "quantity", "fee", "fee_currency",
    "fee_rate", "liquidity", "exchange_trade_id", "executed_at", "received_at", "fee_quote", "flags", "source",
    "config_version", "content_hash",
)  # fmt: skip
ORDER_FORM = (
    "id", "order_id", "bot_id", "symbol", "client_order_id", "order_type", "side", "intent", "quantity", "price",
    "stop_price", "leverage", "reduce_only", "is_paper_trade", "created_at", "received_at", "order_purpose", "strategy",
    "signal_id", "order_metadata", "source", "config_version", "control_seq", "content_hash",
)  # fmt: skip
ORDER_DERIVED = (
    "exchange_order_id", "filled_quantity", "remaining_quantity", "filled_notional", "avg_fill_price", "status",
    "reported_status", "reported_at", "submitted_at", "filled_at", "closed_at", "updated_at", "fees", "commission",
    "position_id", "trade_id", "rejection_reason", "error_code", "retry_count", "flags",
)  # fmt: skip
MARKED = (
    "current_price", "marked_at", "unrealized_pnl", "unrealized_pnl_pct", "total_pnl", "highest_price", "lowest_price",
    "last_updated", "version",
)  # fmt: skip

RECORDED: Mapping[str, Table] = {
    # Facts about money
    "fills": Facts(
        schema="trading", why="money moved", forms={1: FILL_FORM},
        derived=("position_id", "opened_position_id", "closed_quantity", "closing_fee_quote", "realized_pnl"),
    ),
    "orders": Facts(schema="trading", why="what was ordered", forms={1: ORDER_FORM}, derived=ORDER_DERIVED),
    "account_balance": Facts(schema="trading", why="what an account holds", forms={1: (
        "id", "balance_id", "bot_id", "timestamp", "total_balance", "available_balance", "locked_balance", "equity",
        "margin_used", "margin_available", "margin_level", "unrealized_pnl", "realized_pnl", "daily_pnl",
        "snapshot_type", "flags", "data_source", "source", "created_at",
    )}),
    "cash_flows": Facts(schema="trading", why="deposits and withdrawals", forms={1: (
        "id", "cash_flow_id", "bot_id", "kind", "amount", "currency", "occurred_at", "source", "notes", "created_at",
    )}),
    "user_actions": Facts(schema="audit", why="what people say they did, and why", forms={1: (
        "id", "user_email", "action", "resource_type", "resource_id", "before", "after", "reason", "details",
        "ip_address", "user_agent", "request_id", "created_at",
    )}, derived=("user_id",)),
    # Money that follows from facts: recorded when anybody but a bot's own plan touches it.
    "positions": Whole(
        schema="trading", why="money, derived from fills: the exact replay watches it", ignores=MARKED, only=BY_PEOPLE,
        live="false",
    ),
    "trades": Whole(
        schema="trading", why="money; derived ones follow from fills, reported ones are told whole",
        only=f"({BY_PEOPLE} OR (({{row}}.origin)::text = 'reported'::text))", live="origin = 'reported'",
        grows=True,
    ),
    "unattributed_fills": Whole(schema="trading", why="money moved, for whom people say", grows=True),
    # Limits, states and settings
    "bots": Whole(
        schema="trading", why="limits, capital and states of bots", key="bot_id", secrets=("api_key_hash",),
        ignores=("last_heartbeat", "started_at", "current_equity", "error_count", "latency_ms", "acknowledged_halt",
                 "total_pnl"),
    ),
    "control_states": Whole(schema="trading", why="halts and releases"),
    "control_changes": Whole(schema="trading", why="every halt and release there was", grows=True),
    "risk_limits": Whole(schema="trading", why="limits of bots, and of all together"),
    "risk_latches": Whole(schema="trading", why="pauses and half sizes"),
    "exchange_accounts": Whole(schema="trading", why="where money lies", ignores=("positions_reported_at",)),
    "strategies": Whole(
        schema="trading", why="what bots are told to do", ignores=("performance_metrics", "last_run_at")
    ),
    "bot_configurations": Whole(schema="config", why="what bots are told to do"),
    "system_settings": Whole(schema="config", why="how the house works"),
    "watched_symbols": Whole(schema="config", why="what is traded"),
    "strategy_templates": Whole(schema="config", why="what new bots are told to do"),
    "channel_configs": Whole(schema="messaging", why="who hears of alarms", secrets=("config",)),
    "job_schedules": Whole(schema="jobs", why="what runs when", ignores=("next_run_at",)),
    # People and keys
    "users": Whole(schema="accounts", why="who may do what", secrets=("password",), ignores=("last_login",)),
    "users_groups": Whole(schema="accounts", why="who may do what"),
    "users_user_permissions": Whole(schema="accounts", why="who may do what"),
    "auth_group": Whole(schema="public", why="who may do what"),
    "auth_group_permissions": Whole(schema="public", why="who may do what"),
    "bot_memberships": Whole(schema="accounts", why="which bots a person may see and act on"),
    "mfa_authenticator": Whole(
        schema="public", why="second factors of people", secrets=("data",), ignores=("last_used_at",)
    ),
    "auth_identities": Whole(schema="accounts", why="who is who elsewhere", secrets=("external_id", "metadata")),
    "personal_tokens": Whole(schema="accounts", why="keys of people", secrets=("digest",), ignores=("last_used_at",)),
    "bot_tokens": Whole(schema="trading", why="keys of bots", secrets=("digest",), ignores=("last_used_at",)),
    "api_keys": Whole(
        schema="config", why="keys of exchanges",
        secrets=("api_key_encrypted", "api_secret_encrypted", "passphrase_encrypted"),
        ignores=("last_used_at",),
    ),
    # What people decide
    "reconciliation_cases": Whole(
        schema="trading", why="how differences of money were settled", ignores=("last_seen_at",), grows=True,
    ),
    "ingest_conflicts": Whole(
        schema="trading", why="which of two facts people believe", grows=True,
        ignores=("stored_body", "received_body", "received_count"),
    ),
    "trade_reviews": Whole(schema="trading", why="what people think of trades", grows=True),
    "risk_events": Whole(schema="audit", why="broken limits, and who closed them", grows=True,
                         ignores=("last_seen_at", "seen_count")),
    "data_quality_cases": Whole(
        schema="analytics", why="who closed them", grows=True, ignores=("last_seen_at", "row_count", "details")
    ),
}  # fmt: skip

EXCUSED: Mapping[str, str] = {
    "changes": "the trail itself",
    "seals": "the seals of the trail, signed",
    "audit_checks": "what checks of the trail found; a forged one convinces nobody who asks again",
    "order_events": "steps of orders, each written with its order; the invariants compare the two",
    "ingest_keys": "that a fact is known: the fact itself is recorded",
    "parked_facts": "facts that wait for their order; recorded with it",
    "signals": "advice, no money",
    "system_events": "told by bots and the system, no money",
    "system_logs": "lines of processes, kept for a month",
    "system_metrics": "readings of machines",
    "system_health": "the last check of each part",
    "invariant_runs": "what the invariants found; asked again each minute",
    "command_audits": "chat commands, written by the bot that hears them",
    "market_data": "prices, from outside and replaceable",
    "technical_indicators": "computed from prices",
    "order_book_snapshots": "prices, from outside",
    "daily_candles": "computed from candles",
    "daily_candle_changes": "which days to compute again",
    "equity_snapshots": "readings by a job, of what balances say",
    "strategy_performance": "computed from trades",
    "performance_metrics": "computed from trades",
    "performance_snapshots": "computed from trades",
    "portfolio_snapshots": "computed from balances and positions; invariants I27 and I28 watch them",
    "risk_metrics": "computed from trades; invariants I23 to I26 watch them",
    "ml_models": "descriptions of models, no limit and no money",
    "model_predictions": "advice, no money",
    "control_receipts": "which bot heard of which halt; bots move them all the time",
    "risk_groups": "computed from prices each night",
    "view_refreshes": "when views were refreshed",
    "job_schedule_runs": "what ran; jobs write it",
    "saved_views": "how a person looks at lists",
    "verification_codes": "short-lived digests of codes",
    "broadcasts": "messages that were sent",
    "rate_limits": "buckets that refill",
    "feedbacks": "what people wrote to us",
    "messages": "messages on their way",
    "delivery_status": "how messages arrived",
    "auth_permission": "Django's own list, made by its migrations",
    "django_content_type": "Django's own list, made by its migrations",
    "django_admin_log": "not written: actions of people go to user_actions",
    "sessions": "short-lived; sign-ins and ends are actions of people",
    "account_emailaddress": "not used: the address of a person stands in users",
    "account_emailconfirmation": "not used: the address of a person stands in users",
    "django_session": "short-lived; sign-ins are actions of people",
}


def place(name: str) -> str:
    """Return a recorded table's name with its schema."""
    return f"{RECORDED[name].schema}.{name}"
