"""Bugs to plant in the code that keeps the ledger, one at a time: each must make the tests that it names fail."""

from typing import NamedTuple


class Planted(NamedTuple):
    """One bug: `old` stands once in the file at `path`, `new` takes its place, `tests` must then fail."""

    name: str
    why: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]


BOTS = "tests/bots/test_"
FILLS = (f"{BOTS}fills.py",)
ORDERS = (f"{BOTS}orders.py",)
FACTS = (f"{BOTS}facts.py",)
SHUFFLE = (f"{BOTS}shuffle.py",)
MACHINE = (f"{BOTS}machine.py",)
REBUILD = (f"{BOTS}rebuild.py",)
INVARIANTS = (f"{BOTS}invariants.py",)
RACES = (f"{BOTS}races.py",)
METRICS = ("tests/analytics/test_services_risk_metrics.py", "tests/analytics/test_metrics_trades.py")
FUZZ = ("tests/api/test_api_fuzz.py",)
RUNS = (f"{BOTS}fill_runs.py",)

FOLD = (
    Planted(
        "average_of_all_entries", "A partial exit takes the mean of everything ever bought, not of what is held.",
        "bots/ledger/fold.py",
        "EXACT.divide(EXACT.multiply(state.cost_basis, closed), state.size)",
        "EXACT.divide(EXACT.multiply(state.entry_notional, closed), state.quantity)",
        SHUFFLE,
    ),
    Planted(
        "short_earns_like_a_long", "The gain of a short has the wrong sign.",
        "bots/ledger/fold.py",
        "EXACT.subtract(proceeds, cost) if state.side == Direction.LONG else EXACT.subtract(cost, proceeds)",
        "EXACT.subtract(proceeds, cost)",
        FILLS,
    ),
    Planted(
        "flip_pays_its_fee_twice", "The position that a flip opens bears the whole fee again.",
        "bots/ledger/fold.py",
        "_open(direction, execution, beyond, EXACT.subtract(execution.fee, closing_fee))",
        "_open(direction, execution, beyond, execution.fee)",
        FILLS,
    ),
    Planted(
        "cost_rounded_to_cents_of_cents", "A share of the cost basis keeps 18 decimals of 36.",
        "bots/ledger/fold.py", "EXACT_STEP = Decimal(1).scaleb(-36)", "EXACT_STEP = Decimal(1).scaleb(-18)",
        MACHINE,
    ),
    Planted(
        "default_precision", "Products are rounded to the 28 digits of Python's default context.",
        "bots/ledger/fold.py", "Context(prec=160,", "Context(prec=28,", FILLS,
    ),
    Planted(
        "ties_by_arrival", "Fills of one moment fold in the order of their arrival, not of their ids.",
        "bots/ledger/fold.py", "return self.executed_at, self.fill_id", 'return self.executed_at, "~"', SHUFFLE,
    ),
    Planted(
        "flip_closes_too_much", "A fill that crosses zero closes with all of its quantity.",
        "bots/ledger/fold.py", "closed = min(state.size, execution.quantity)", "closed = execution.quantity", FILLS,
    ),
    Planted(
        "late_fill_is_appended", "A fill that comes late is folded as if it were the newest.",
        "bots/services/fills.py",
        'newest = row["newest_at"] is None or execution.key > (row["newest_at"], row["newest_id"])', "newest = True",
        FILLS,
    ),
    Planted(
        "refold_forgets_the_crossing", "Folding again from a flip on takes the flip's whole quantity for its entry.",
        "bots/services/refold.py",
        'if start_id is not None and fills[0]["opened_position_id"] == start_id:', "if start_id is None and not fills:",
        SHUFFLE,
    ),
    Planted(
        "refold_keeps_dead_positions", "Positions that a late fill has joined into one stay both.",
        "bots/services/refold.py",
        'row["position_id"] for row in stored if row["position_id"] not in kept', "row for row in ()", SHUFFLE,
    ),
)  # fmt: skip

FACTS_ONCE = (
    Planted(
        "any_content_is_a_repeat", "Other content under a known fill id is answered as a repeat.",
        "bots/services/fills.py",
        'if row["seen_hash"] is not None and bytes(row["seen_hash"]) == digest:', 'if row["seen_hash"] is not None:',
        FILLS,
    ),
    Planted(
        "spelling_is_content", 'A number that is spelled otherwise is other content: "1.0" and "1.00" conflict.',
        "bots/ledger/content.py", "return plain(value)", "return str(value)", FILLS,
    ),
    Planted(
        "news_without_its_order",
        "The same news of two orders that are not known yet counts as one.",
        "bots/services/orders.py",
        'content_hash({**news.body, "order_id": news.order_id})',
        "content_hash(news.body)",
        ORDERS,
    ),
    Planted(
        "execution_twice", "An execution is not looked for under other fill ids.",
        "bots/services/ledger_store.py", "AND x.exchange_trade_id = %(execution)s::varchar",
        "AND x.exchange_trade_id = %(execution)s::varchar AND false", FILLS,
    ),
    Planted(
        "conflict_forgotten", "A conflict that comes again is not counted.",
        "bots/services/conflicts.py",
        "DO UPDATE SET received_count = ingest_conflicts.received_count + 1", "DO NOTHING", FILLS,
    ),
    Planted(
        "only_the_first_parked_fact", "An order takes one of the facts that wait for it and leaves the others.",
        "bots/services/orders.py", "AND state = 'parked' ORDER BY id", "AND state = 'parked' ORDER BY id LIMIT 1",
        FILLS + MACHINE,
    ),
    Planted(
        "parked_fact_stays_parked", "A parked fact is applied and goes on waiting.",
        "bots/services/orders.py",
        "UPDATE parked_facts SET state = %(state)s, applied_at = %(now)s WHERE id = %(id)s",
        "UPDATE parked_facts SET applied_at = applied_at WHERE id = %(id)s", FILLS,
    ),
    Planted(
        "parked_fill_gives_way", "A parked fill gives way to the same id told for an order that is known.",
        "bots/services/ledger_store.py", "k.state = 'parked' AND k.order_id <> o.order_id", "false", FILLS,
    ),
    Planted(
        "refused_order_heard_as_go", "A refused request that is sent again hears 200.",
        "bots/services/orders.py", 'if row["error_code"] == RiskRejected.code:', 'if row["error_code"] == "":', ORDERS,
    ),
    Planted(
        "balance_out_of_date", "A balance that comes late becomes the bot's equity.",
        "bots/services/balances.py", """AND "timestamp" > %(at)s
    )""", """AND "timestamp" > now()
    )""", FACTS,
    ),
    Planted(
        "withdrawal_is_income", "A withdrawal is a positive cash flow.",
        "bots/services/balances.py", "SnapshotType.WITHDRAWAL: -1", "SnapshotType.WITHDRAWAL: 1", FACTS,
    ),
    Planted(
        "bad_operation_takes_the_batch", "An operation that the database refuses is not rolled back on its own.",
        "bots/services/batch.py", 'Sql("ROLLBACK TO SAVEPOINT operation", {}), ', "", FACTS,
    ),
)  # fmt: skip

TOGETHER = (
    Planted(
        "watched_bot_in_a_run", "Fills of a batch are folded together although a limit watches each.",
        "bots/services/fill_runs.py", " or is_watched(self.bot, row):", ":", (f"{BOTS}limits.py",),
    ),
    Planted(
        "late_fill_in_a_run", "A late fill of a batch is folded behind the others.",
        "bots/services/fill_runs.py", "if not is_newest or broken_by(", "if broken_by(", RUNS,
    ),
    Planted(
        "words_of_the_last_order", "A position that a batch opens has the words of the order that filled it last.",
        "bots/services/fill_runs.py", "write.origin._replace(exit_reason=origin.exit_reason)", "origin", RUNS,
    ),
    Planted(
        "news_passes_fills", "News of an order passes the fills that were told before it.",
        "bots/services/stretches.py", "if kind < before or (", "if (", RUNS,
    ),
    Planted(
        "order_of_a_refused_fill", "A refused fill leaves the order that it brought along.",
        "bots/services/carried_orders.py", "    if refused is not None:\n        return refused\n", "",
        (f"{BOTS}carried_orders.py",),
    ),
)  # fmt: skip

RULES = (
    Planted(
        "filled_when_beyond", "An order is filled only when more than its quantity was filled.",
        "bots/ledger/orders.py", "if filled >= quantity:", "if filled > quantity:", FILLS,
    ),
    Planted(
        "cancel_forgotten_by_a_fill", "A cancelled order with fills is partially filled again.",
        "bots/ledger/orders.py", "if reported in TERMINAL_ORDER_STATUSES and reported != S.FILLED:",
        "if reported in TERMINAL_ORDER_STATUSES and reported != S.FILLED and not filled:", ORDERS,
    ),
    Planted(
        "cancelled_comes_back", "A cancelled order may be told to be submitted.",
        "bots/ledger/orders.py", "S.CANCELLED: frozenset(),", "S.CANCELLED: frozenset({S.SUBMITTED}),", ORDERS,
    ),
    Planted(
        "fills_do_not_end_moves", "News is checked against what was told before, not against what was filled.",
        "bots/services/orders.py", "not may_move(old, new) or not may_move(OrderStatus(row[\"status\"]), new)",
        "not may_move(old, new)", MACHINE,
    ),
    Planted(
        "old_news_wins", "News older than what is known moves the order.",
        "bots/services/orders.py", 'at < row["reported_at"]', 'at > row["reported_at"]', ORDERS,
    ),
    Planted(
        "an_end_moves", "An order told again to be cancelled was cancelled later: fills in between are not late.",
        "bots/services/orders.py", "min(known, at) if new in TERMINAL", "max(known, at) if new in TERMINAL", ORDERS,
    ),
    Planted(
        "ruin_restricts_nobody", "A bot whose balance fell below zero may go on opening positions.",
        "bots/services/balances.py", "*([] if newer else [reduce_only(bot, reason, now)])", "",
        (f"{BOTS}facts_and_commands.py",),
    ),
    Planted(
        "awaiting_for_ever", "An order that was told to be partly filled goes on waiting when its fills have come.",
        "bots/services/fill_orders.py",
        'set() if lacks_fills(OrderStatus(row["reported_status"]), status) else {"awaiting_fills"}',
        '{"awaiting_fills"} if status == OrderStatus.FILLED else set()', ORDERS,
    ),
    Planted(
        "exact_fill_is_an_overfill", "An order that is filled to the last digit counts as overfilled.",
        "bots/services/fills.py", 'fill.quantity) > row["quantity"]:', 'fill.quantity) >= row["quantity"]:', FILLS,
    ),
    Planted(
        "overfill_unnoticed", "An overfill is stored without its case, and the bot goes on.",
        "bots/services/fills.py", 'flags.append("overfill")', "flags += []", FILLS,
    ),
    Planted(
        "fill_at_the_end_is_late", "A fill of the very moment of the cancel counts as one after it.",
        "bots/services/fills.py", "other is not None and moment > other", "other is not None and moment >= other",
        MACHINE,
    ),
    Planted(
        "base_fee_at_one", "A fee in the base currency counts as if it were money.",
        "bots/services/fills.py", "return fill.price if fill.fee_currency == base",
        "return Decimal(1) if fill.fee_currency == base", FILLS,
    ),
    Planted(
        "filled_at_the_first_fill", "An order was filled at the time of its first fill.",
        "bots/services/fill_orders.py", "SELECT max(f.executed_at) FROM fills f",
        "SELECT min(f.executed_at) FROM fills f", MACHINE,
    ),
    Planted(
        "overfill_lifts_a_halt", "An overfill turns a halt into reducing.",
        "bots/services/control.py", "WHERE c.state = 'ACTIVE' OR (", "WHERE c.state <> 'REDUCING' OR (", MACHINE,
    ),
    Planted(
        "reducing_admits_all", "A bot that may only reduce opens positions.",
        "bots/ledger/risk.py", " or (level == ControlLevel.REDUCING and not smaller)", "", ORDERS,
    ),
    Planted(
        "reducing_through_zero", "An order against the position counts as smaller however large it is.",
        "bots/ledger/risk.py", "ask.side == against and ask.quantity <= standing.held_size", "ask.side == against",
        ORDERS,
    ),
    Planted(
        "mildest_restriction", "Of several restrictions the mildest is in force.",
        "bots/ledger/risk.py", "return max(levels, key=", "return min(levels, key=", ORDERS,
    ),
    Planted(
        "later_fills_in_the_report", "A report of positions is compared with fills that came after its moment.",
        "bots/services/reconciliation.py", "AND executed_at > %(as_of)s", "AND executed_at > now()", MACHINE,
    ),
)  # fmt: skip

LOCKS = (
    Planted(
        "fills_without_lock",
        "Two fills of one symbol fold at the same time.",
        "bots/services/locks.py",
        "SELECT pg_advisory_xact_lock(hashtextextended('symbol' || chr(31) || o.bot_id || chr(31) || o.symbol, 0))",
        "SELECT hashtextextended('symbol' || chr(31) || o.bot_id || chr(31) || o.symbol, 0)",
        RACES,
    ),
    Planted(
        "admission_without_lock",
        "Two requests of a bot are admitted at the same time.",
        "bots/services/locks.py",
        "LOCK_ADMISSION = \"SELECT pg_advisory_xact_lock(hashtextextended('admission' || chr(31) || %(bot)s, 0))\"",
        "LOCK_ADMISSION = \"SELECT hashtextextended('admission' || chr(31) || %(bot)s, 0)\"",
        RACES,
    ),
)

AFTERWARDS = (
    Planted(
        "rebuild_keeps_fees", "The rebuild takes the fees of fills as they are.",
        "bots/services/rebuild.py", "AND fee_quote <> coalesce(fee * fee_rate, 0)", "AND false", REBUILD,
    ),
    Planted(
        "rebuild_leaves_inventions", "The rebuild leaves positions that no fill has opened.",
        "bots/services/rebuild.py",
        "AND p.position_id <> ALL(%(ids)s::varchar[])\n\"\"\"  # no value stands in it  # nosec B608\n# The other half",
        "AND false\n\"\"\"\n# The other half", REBUILD,
    ),
    Planted(
        "replay_is_generous", "The exact replay forgives a millionth.",
        "bots/services/invariants/replay.py", "(held.fills if places == 36 else 0)", "10**30", INVARIANTS,
    ),
    Planted(
        "invariant_without_case", "An overfill without a case passes.",
        "bots/services/invariants/orders.py", "o.filled_quantity > o.quantity AND NOT EXISTS",
        "o.filled_quantity < 0 AND NOT EXISTS", INVARIANTS,
    ),
    Planted(
        "invariant_blind_to_orphans", "A fill without its order passes.",
        "bots/services/invariants/fills.py",
        "LEFT JOIN trading.orders o USING (bot_id, order_id) WHERE o.order_id IS NULL",
        "LEFT JOIN trading.orders o USING (bot_id, order_id) WHERE false", INVARIANTS,
    ),
    Planted(
        "breakeven_wins", "A trade that earned nothing counts as won.",
        "analytics/metrics/trades.py", '(pnl, "net_pnl") > 0]', '(pnl, "net_pnl") >= 0]', METRICS,
    ),
    Planted(
        "day_of_entry",
        "A day counts the trades that were opened on it.",
        "analytics/metrics/canonical.py",
        "[trade for trade in facts.trades if trade.exit_time >= facts.begins_at]",
        "[trade for trade in facts.trades if trade.entry_time >= facts.begins_at]",
        INVARIANTS,
    ),
)  # fmt: skip

# What a caller meets; no test names these cases, made-up requests come upon them.
EDGES = (
    Planted(
        "status_nobody_described", "A new token is answered with a status that the description does not have.",
        "bots/api/registry.py", "stamp(row.expires_at)}, status=201)", "stamp(row.expires_at)}, status=202)", FUZZ,
    ),
    Planted(
        "no_error_to_count", "A heartbeat that tells of no error at all is a 500.",
        "bots/services/heartbeats.py", '"errors": beat.error_count,',
        '"errors": beat.error_count and beat.error_count, "rate": 1 / (1 if beat.error_count is None else '
        'beat.error_count),',
        FUZZ,
    ),
    Planted(
        "neither_yes_nor_no", "A risk check that refuses answers null where the description says true or false.",
        "bots/services/risk.py", '"allowed": not judged.reasons,', '"allowed": not judged.reasons or None,', FUZZ,
    ),
    Planted(
        "refusal_that_writes", "A fact that is refused for its other content counts as an error of its bot.",
        "bots/services/conflicts.py", "    yield [\n        insert(",
        '    from bots.services.plan import Sql\n\n    yield [\n        '
        'Sql("UPDATE bots SET error_count = error_count + 1 WHERE bot_id = %(bot)s", {"bot": bot.bot_id}),\n'
        "        insert(",
        FUZZ,
    ),
    Planted(
        "problem_without_code", "What is not there is answered without a code.",
        "tradingdb/lib/http.py", "    body.update(extra)  # type: ignore[typeddict-item]\n    return body",
        '    if status == 404:\n        del body["code"]\n    return body', FUZZ,
    ),
)  # fmt: skip

KEYS = ("tests/config_app/test_ciphertexts.py",)
ROTATION = ("tests/config_app/test_key_rotation.py",)
SECRETS = (
    Planted(
        "bound_to_no_row", "A ciphertext opens in every row of its table.",
        "tradingdb/lib/crypto.py", "{self.table}|{self.row:d}|{self.column}", "{self.table}|{self.column}", KEYS,
    ),
    Planted(
        "bound_to_no_column", "Key and secret of a row can be swapped.",
        "tradingdb/lib/crypto.py", "{self.table}|{self.row:d}|{self.column}", "{self.table}|{self.row:d}", KEYS,
    ),
    Planted(
        "secret_before_its_trace", "A key is taken out within a transaction that its caller rolls back.",
        "config_app/services/api_keys.py", "transaction.atomic(durable=True)", "transaction.atomic()", KEYS,
    ),
    Planted(
        "rotation_without_locks", "What somebody writes while a batch is encrypted again is overwritten.",
        "config_app/services/key_stores.py", " FOR NO KEY UPDATE SKIP LOCKED", "", ROTATION,
    ),
    Planted(
        "removed_while_written", "A version leaves the file while a transaction is open that used it.",
        "config_app/services/field_keys.py", 'cursor.execute(f"LOCK TABLE {each.name} IN SHARE MODE")', "pass",
        ROTATION,
    ),
)  # fmt: skip

HARDENING = (
    Planted(
        "secrets_by_form_alone", "What stands beside the name of a secret is logged.",
        "tradingdb/lib/logs.py", "return NAMED.sub(_blot, text)", "return text",
        ("tests/audit/test_planted_secrets.py",),
    ),
    Planted(
        "refused_and_charged", "What one bucket refuses empties the others.",
        "tradingdb/lib/buckets.py", "if wait > 0 then return math.ceil(wait) end", "", ("tests/live/test_buckets.py",),
    ),
    Planted(
        "api_without_tls", "A token goes over the wire in the clear and is answered.",
        "tradingdb/lib/secure.py", 'elif scope["path"].startswith(API):', "elif False:",
        ("tests/house/test_deploy.py",),
    ),
)  # fmt: skip

PLANTED = (*FOLD, *FACTS_ONCE, *TOGETHER, *RULES, *LOCKS, *AFTERWARDS, *EDGES, *SECRETS, *HARDENING)
