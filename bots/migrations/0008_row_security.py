"""A bot sees and writes its own rows only; who names nobody, none. The tables' owner (staff, jobs) is not bound."""

from django.db import migrations

from tradingdb.lib.db import ACTING_BOT, RowSecurity

OWN = f"bot_id = {ACTING_BOT}"
OWN_ACCOUNT = f"(SELECT b.account_id FROM bots b WHERE b.bot_id = {ACTING_BOT})"  # noqa: S608 (names come from code)  # nosec B608
OWN_RESTRICTION = f"scope = 'bot' AND target = {ACTING_BOT}"
TABLES = (
    "bots",
    "bot_tokens",
    "orders",
    "order_events",
    "fills",
    "positions",
    "trades",
    "trade_reviews",
    "signals",
    "account_balance",
    "cash_flows",
    "ingest_keys",
    "parked_facts",
    "ingest_conflicts",
    "reconciliation_cases",
)
# Each looks at one row by a name that somebody must know already, and says no more than the caller must hear.
FUNCTIONS = f"""
-- The bot of a token, by the part of the token that is no secret: asked before it is known who calls.
CREATE FUNCTION trading.bot_of_token(asked text) RETURNS text
LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT t.bot_id::text FROM trading.bot_tokens t WHERE t.prefix = asked
$$;
-- Whether the caller's account has this execution already, by whichever of its bots.
CREATE FUNCTION trading.execution_is_known(of_symbol text, execution text) RETURNS boolean
LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM trading.bots b
        JOIN trading.fills f ON f.account_id = b.account_id AND f.symbol = of_symbol AND f.exchange_trade_id = execution
        WHERE b.bot_id = {ACTING_BOT}
    );
END
$$;
REVOKE ALL ON FUNCTION trading.bot_of_token(text), trading.execution_is_known(text, text) FROM PUBLIC;
"""  # noqa: S608 (names come from code)  # nosec B608
NO_FUNCTIONS = """
DROP FUNCTION trading.execution_is_known(text, text);
DROP FUNCTION trading.bot_of_token(text);
"""


class Migration(migrations.Migration):
    dependencies = [("bots", "0007_unattributed_fills")]

    operations = [
        *(RowSecurity(table, "own_rows", rows=OWN, new_rows=OWN) for table in TABLES),
        # Else a bot could take an execution away from an account that is not its own.
        RowSecurity("fills", "own_account", command="INSERT", new_rows=f"account_id = {OWN_ACCOUNT}", restrictive=True),
        # A refold changes and removes what fills made; what came from outside stays.
        RowSecurity("trades", "told_stays", command="UPDATE", rows="origin = 'fills'", restrictive=True),
        RowSecurity("trades", "told_is_kept", command="DELETE", rows="origin = 'fills'", restrictive=True),
        RowSecurity("positions", "told_is_kept", command="DELETE", rows="opening_fill_id <> ''", restrictive=True),
        RowSecurity("exchange_accounts", "own_account", command="SELECT", rows=f"id = {OWN_ACCOUNT}"),
        # Restrictions of everybody, of symbols and exchanges, and its own. A breach restricts its bot and lifts nothing.
        RowSecurity(
            "control_states", "those_that_apply", command="SELECT", rows=f"scope <> 'bot' OR target = {ACTING_BOT}"
        ),
        RowSecurity("control_states", "first", command="INSERT", new_rows=f"{OWN_RESTRICTION} AND state = 'REDUCING'"),
        RowSecurity(
            "control_states",
            "stricter",
            command="UPDATE",
            rows=f"{OWN_RESTRICTION} AND state = 'ACTIVE'",
            new_rows=f"{OWN_RESTRICTION} AND state = 'REDUCING'",
        ),
        migrations.RunSQL(FUNCTIONS, NO_FUNCTIONS),
    ]
