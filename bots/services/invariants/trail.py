"""Invariants of the audit trail: seals without a gap, an unbroken chain, and no fact without its change."""

from bots.services.invariants.base import invariant

# A sweep looks at the seals since the last run; the first of them has its predecessor before it.
LINKS = """
    SELECT number, low, previous, kind, lag(number) OVER by_number AS number_before,
        lag(high) OVER by_number AS high_before, lag(hash) OVER by_number AS hash_before
    FROM seals WHERE %(since)s::timestamptz IS NULL OR sealed_at >= %(since)s::timestamptz - interval '5 minutes'
    WINDOW by_number AS (ORDER BY number)
"""
SEQUENCE = f"""
    SELECT 'seals' AS table, number, number_before, low, high_before FROM ({LINKS}) AS links
    WHERE number <> coalesce(number_before + 1, CASE WHEN %(since)s::timestamptz IS NULL THEN 0 ELSE number END)
        OR (kind = 'seal' AND low <> coalesce(high_before, low))
"""  # noqa: S608 (our own text)  # nosec B608
CHAIN = f"""
    SELECT 'seals' AS table, number, encode(previous, 'hex') AS stored, encode(hash_before, 'hex') AS expected
    FROM ({LINKS}) AS links
    WHERE previous <> coalesce(
        hash_before, CASE WHEN number = 0 THEN decode(repeat('00', 32), 'hex') ELSE previous END
    )
"""  # noqa: S608 (our own text)  # nosec B608
UNRECORDED = """
    SELECT 'fill' AS kind, bot_id, fill_id AS id FROM fills f
    WHERE NOT EXISTS (SELECT FROM changes c WHERE c.table_name = 'fills' AND c.row_id = f.id::text)
    UNION ALL
    SELECT 'order', bot_id, order_id FROM orders o
    WHERE NOT EXISTS (SELECT FROM changes c WHERE c.table_name = 'orders' AND c.row_id = o.id::text)
"""
INVARIANTS = (
    invariant(
        "I29_audit_sequence_has_no_gap",
        "Seals count from 0 without a gap, and each begins at the transaction where the one before it ended.",
        SEQUENCE,
    ),
    invariant("I30_audit_chain_is_unbroken", "Every seal holds the hash of the seal before it.", CHAIN),
    invariant("I31_every_order_and_fill_is_recorded", "Every order and every fill has its change in the audit trail.",
              UNRECORDED),
)  # fmt: skip
