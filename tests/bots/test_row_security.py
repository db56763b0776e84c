"""What a bot's login can do by SQL: its own rows and nothing else, whatever it sends."""

import pytest
from django.conf import settings
from psycopg import errors

from bots.models import Fill
from bots.services.rights import TABLES
from tests.bots.bots_world import (
    RELATIONS,
    Session,
    World,
    connection_as_owner,
    copied,
    readable,
    refused,
    seen,
    session,
    tell,
    world,
)
from tradingdb.lib.db import SEARCH_PATH

__all__ = ["session", "world"]


def test_world_has_rows_in_every_table(world: World) -> None:
    assert {table for table, rows in world.rows.items() if not any(rows)} == set()
    assert set(world.rows) <= set(TABLES)


def test_role_owns_nothing_and_may_not_step_around_row_security(session: Session) -> None:
    row = session.execute(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, "
        "EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid), "
        "EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid) FROM pg_roles r WHERE rolname = current_user"
    ).fetchone()

    assert row == (False, False, False, False, False, False)


def test_bot_sees_all_its_own_rows_and_no_other(world: World, session: Session) -> None:
    for bot_id in world.bots:
        for table in readable(world):
            with session.transaction():
                tell(session, bot_id)
                assert set(seen(session, table)) <= {bot_id}, table
                assert len(seen(session, table)) == world.rows[table].get(bot_id, 0), table
                assert set(seen(session, table, f"bot_id = '{world.others(bot_id)[0]}' OR 1=1")) <= {bot_id}, table


def test_foreign_and_missing_rows_look_the_same(world: World, session: Session) -> None:
    one, *others = world.bots
    for table in readable(world):
        for name in (*others, "no-such-bot"):
            with session.transaction():
                tell(session, one)
                assert seen(session, table, f"bot_id = '{name}'") == [], table


@pytest.mark.parametrize("nobody", [None, "", "no-such-bot", "%", "x' OR '1'='1"])
def test_nobody_sees_nothing_and_writes_nothing(world: World, session: Session, nobody: str | None) -> None:
    for table in readable(world):
        with session.transaction():
            tell(session, nobody)
            assert seen(session, table) == [], table
    for table in world.rows:
        if TABLES[table].inserts:
            for name in ("", world.bots[0]):
                refused(session, f"INSERT INTO {table} (bot_id) VALUES ('{name}')", nobody)


def test_bot_ends_with_its_transaction(world: World, session: Session) -> None:
    one = world.bots[0]
    for ending in ("COMMIT", "ROLLBACK"):
        session.execute("BEGIN")
        tell(session, one)
        assert seen(session, "trading.fills")
        session.execute(ending)
        assert seen(session, "trading.fills") == []
        assert session.execute("SELECT coalesce(current_setting('app.bot_id', true), '')").fetchone() == ("",)
    # A forgotten BEGIN: the bot ends with the one statement that named it.
    tell(session, one)
    assert seen(session, "trading.fills") == []
    with session.transaction():
        tell(session, world.bots[1])
        assert set(seen(session, "trading.fills")) == {world.bots[1]}


def test_no_bot_writes_in_the_name_of_another(world: World, session: Session) -> None:
    one, other = world.bots[:2]
    tables = [table for table in world.rows if TABLES[table].inserts]
    assert len(tables) > 8
    for table in tables:
        for name in (other, "no-such-bot", ""):
            refused(session, f"INSERT INTO {table} (bot_id) VALUES ('{name}')", one)
        if table in readable(world):
            refused(session, copied(table, other, session), next(bot for bot in world.rows[table] if bot != other))


def test_no_bot_changes_or_removes_rows_of_another(world: World, session: Session) -> None:
    one, other = world.bots[:2]
    for table in readable(world):
        rights = TABLES[table]
        for column in rights.updates:
            with session.transaction():
                tell(session, one)
                changed = session.execute(f"UPDATE {table} SET {column} = {column} WHERE bot_id = '{other}' OR 1=2")
                assert changed.rowcount == 0, table
        refused(session, f"UPDATE {table} SET bot_id = '{one}' WHERE bot_id = '{other}'", one)
        if rights.deletes:
            with session.transaction():
                tell(session, one)
                assert session.execute(f"DELETE FROM {table} WHERE bot_id = '{other}'").rowcount == 0
        else:
            refused(session, f"DELETE FROM {table}", one)
        refused(session, f"TRUNCATE {table}", one)
    with connection_as_owner() as owner:
        for table, rows in world.rows.items():
            assert dict(owner.execute(f"SELECT bot_id, count(*) FROM {table} GROUP BY bot_id").fetchall()) == rows


OUTSIDE = [
    column.name for column in Fill._meta.concrete_fields
    if column.column not in TABLES["trading.fills"].updates
]  # fmt: skip


@pytest.mark.parametrize("column", [Fill._meta.get_field(name).column for name in OUTSIDE])
def test_what_came_from_outside_of_a_fill_never_changes(world: World, session: Session, column: str) -> None:
    refused(session, f"UPDATE fills SET {column} = {column}", world.bots[0])


@pytest.mark.parametrize("table", ["audit.system_events", "audit.risk_events"])
def test_audit_is_written_and_never_changed(world: World, session: Session, table: str) -> None:
    with connection_as_owner() as owner:
        columns = [row[0] for row in owner.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema || '.' || table_name = %s", [table]
        )]  # fmt: skip
    for column in columns:
        refused(session, f"UPDATE {table} SET {column} = {column}", world.bots[0])
    refused(session, f"DELETE FROM {table}", world.bots[0])
    refused(session, f"TRUNCATE {table}", world.bots[0])


def test_risk_events_are_written_unread(world: World, session: Session) -> None:
    one, other = world.bots[:2]
    insert = (
        "INSERT INTO risk_events (bot_id, risk_type, current_value, limit_value, action_taken, event_time) "
        "VALUES ('{}', 'overfill', 1, 1, 'manual_review_required', now())"
    )

    refused(session, insert.format(other), one)
    refused(session, "SELECT bot_id FROM risk_events", one)
    with session.transaction(force_rollback=True):
        tell(session, one)
        assert session.execute(insert.format(one)).rowcount == 1


def test_reported_trades_are_no_refold_s_to_change(world: World, session: Session) -> None:
    with session.transaction(force_rollback=True):
        tell(session, world.bots[1])
        reported = session.execute("SELECT count(*) FROM trades WHERE origin = 'reported'").fetchone()[0]
        total = session.execute("SELECT count(*) FROM trades").fetchone()[0]
        assert 0 < reported < total
        assert session.execute("UPDATE trades SET fees = fees + 1").rowcount == total - reported
        assert session.execute("DELETE FROM trades WHERE origin = 'reported'").rowcount == 0


def test_everything_else_is_closed(world: World, session: Session) -> None:
    """Users, sessions, keys, settings, people's actions, logs, jobs, messages, views, partitions: no right at all."""
    with connection_as_owner() as owner:
        relations = {row[0] for row in owner.execute(RELATIONS, [list(SEARCH_PATH)])}
    closed = relations - set(TABLES)
    assert {"config.api_keys", "audit.user_actions", "accounts.users", "analytics.daily_performance_summary"} <= closed
    for relation in sorted(closed):
        refused(session, f"SELECT FROM {relation}", world.bots[0])


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT api_key_hash FROM bots",
        "SELECT api_key_id FROM exchange_accounts",
        "SELECT * FROM trade_reviews",
        "UPDATE bots SET status = 'active'",
        "UPDATE bots SET max_positions = 1000000",
        "UPDATE bots SET account_id = account_id",
        "UPDATE bot_tokens SET expires_at = 'infinity'",
        "UPDATE bot_tokens SET revoked_at = NULL",
        "UPDATE orders SET quantity = quantity",
        "UPDATE market_data SET close_price = 1",
        "INSERT INTO bot_configurations (bot_id) VALUES ('x')",
        "INSERT INTO fills (id) VALUES (1)",
        "SELECT nextval('fills_id_seq')",
        "SELECT setval('account_balance_id_seq', 1)",
        "CREATE TABLE public.stray (id int)",
        "CREATE TABLE trading.stray (id int)",
        "CREATE SCHEMA stray",
        "CREATE TEMPORARY TABLE bots (bot_id text)",
        "CREATE FUNCTION pg_temp.stray() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER TABLE fills DISABLE ROW LEVEL SECURITY",
        "DROP POLICY own_rows ON fills",
        "SET ROLE tradingdb",
        "SET SESSION AUTHORIZATION tradingdb",
        "COPY fills FROM PROGRAM 'true'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT rolpassword FROM pg_authid",
    ],
)
def test_ways_out_are_closed(world: World, session: Session, statement: str) -> None:
    refused(session, statement, world.bots[0])


def test_row_security_cannot_be_switched_off(world: World, session: Session) -> None:
    with session.transaction():
        tell(session, world.bots[0])
        session.execute("SET LOCAL row_security = off")
        with pytest.raises(errors.InsufficientPrivilege):
            session.execute("SELECT bot_id FROM fills")


def test_account_is_the_bot_s_own(world: World, session: Session) -> None:
    rich, plain, beside = world.bots
    accounts = {}
    for bot_id in world.bots:
        with session.transaction():
            tell(session, bot_id)
            accounts[bot_id] = session.execute("SELECT id FROM exchange_accounts").fetchall()
    assert len(accounts[rich]) == len(accounts[plain]) == 1
    assert accounts[rich] == accounts[beside] != accounts[plain]
    ((foreign,),) = accounts[plain]
    fill = (
        "INSERT INTO fills (bot_id, account_id, fill_id, order_id, symbol, side, price, quantity, executed_at) "
        f"VALUES ('{rich}', {{}}, 'new', 'rls-order', 'BTCUSDT', 'buy', 1, 1, now())"
    )
    refused(session, fill.format(foreign), rich)
    with session.transaction(force_rollback=True):
        tell(session, rich)
        assert session.execute(fill.format(accounts[rich][0][0])).rowcount == 1


def test_restrictions_are_seen_where_they_apply_and_never_lifted(world: World, session: Session) -> None:
    one, other = world.bots[:2]
    with connection_as_owner() as owner:
        owner.execute("DELETE FROM control_states")
        states = [
            ("all", "", "ACTIVE"),
            ("symbol", "BTCUSDT", "HALTED"),
            ("bot", one, "HALTED"),
            ("bot", other, "HALTED"),
        ]
        for state in states:
            owner.execute("INSERT INTO control_states (scope, target, state, reason) VALUES (%s, %s, %s, 'why')", state)
    insert = "INSERT INTO control_states (scope, target, state, reason) VALUES ('{}', '{}', '{}', 'why')"

    with session.transaction():
        tell(session, one)
        targets = {row[0] for row in session.execute("SELECT target FROM control_states")}
        assert targets == {"", "BTCUSDT", one}
        assert session.execute("UPDATE control_states SET state = 'ACTIVE'").rowcount == 0
        assert session.execute("UPDATE control_states SET state = 'REDUCING'").rowcount == 0
    refused(session, "DELETE FROM control_states", one)
    for scope, target, state in (("bot", other, "REDUCING"), ("exchange", "x", "REDUCING"), ("bot", "z", "ACTIVE")):
        refused(session, insert.format(scope, target, state), one)
    with connection_as_owner() as owner:
        owner.execute("UPDATE control_states SET state = 'ACTIVE' WHERE target = %s", [one])
    with session.transaction(force_rollback=True):
        tell(session, one)
        assert session.execute("UPDATE control_states SET state = 'REDUCING'").rowcount == 1
        assert session.execute("UPDATE control_states SET state = 'HALTED'").rowcount == 1
        assert session.execute("UPDATE control_states SET state = 'REDUCING'").rowcount == 0
    refused(session, "UPDATE control_states SET state = 'ACTIVE'", one)


class TestFunctions:
    """The two doors through which more than the own rows is seen."""

    def test_token_leads_to_its_bot_and_says_no_more(self, world: World, session: Session) -> None:
        for bot_id, prefix in world.prefixes.items():
            assert session.execute("SELECT bot_of_token(%s)", [prefix]).fetchone() == (bot_id,)
        for prefix in ("", "nobody", "%", None):
            assert session.execute("SELECT bot_of_token(%s)", [prefix]).fetchone() == (None,)

    def test_execution_is_known_on_the_own_account_alone(self, world: World, session: Session) -> None:
        rich, plain, beside = world.bots
        asked = "SELECT execution_is_known('BTCUSDT', %s)"
        answers = {}
        for bot_id in (*world.bots, "", "no-such-bot"):
            with session.transaction():
                tell(session, bot_id)
                answers[bot_id] = [
                    session.execute(asked, [f"rls-{of}"]).fetchone()[0] for of in (rich, plain, beside, "nobody")
                ]
        assert answers == {
            rich: [True, False, True, False],
            beside: [True, False, True, False],
            plain: [False, True, False, False],
            "": [False] * 4,
            "no-such-bot": [False] * 4,
        }

    def test_search_path_of_the_caller_changes_nothing(self, world: World, session: Session) -> None:
        bot_id, prefix = next(iter(world.prefixes.items()))
        with session.transaction():
            session.execute("SET LOCAL search_path = pg_temp, public, pg_catalog")
            assert session.execute("SELECT trading.bot_of_token(%s)", [prefix]).fetchone() == (bot_id,)

    def test_nobody_else_may_ask(self, world: World) -> None:
        with connection_as_owner() as owner:
            rights = owner.execute(
                "SELECT p.proname, a.grantee::regrole::text FROM pg_proc p, aclexplode(p.proacl) a "
                "WHERE p.proname IN ('bot_of_token', 'execution_is_known')"
            ).fetchall()
            user = owner.execute("SELECT current_user").fetchone()[0]
        roles = {user, str(settings.BOT_ROLE)}
        assert {(name, role) for name, role in rights} == {
            (name, role) for name in ("bot_of_token", "execution_is_known") for role in roles
        }


def test_a_login_has_no_role_to_go_back_to(world: World, session: Session) -> None:
    with session.transaction():
        tell(session, world.bots[0])
        session.execute("RESET ROLE")
        session.execute("RESET SESSION AUTHORIZATION")
        assert session.execute("SELECT current_user").fetchone() == (settings.BOT_ROLE,)
        assert set(seen(session, "fills")) == {world.bots[0]}


def test_a_role_that_was_taken_can_be_put_down(world: World) -> None:
    """Why the lane has a login of its own: an injected RESET ROLE is the owner again."""
    with connection_as_owner() as owner, owner.transaction():
        owner.execute("SELECT set_config('app.bot_id', %s, true), set_config('role', %s, true)", [
            world.bots[0], settings.BOT_ROLE,
        ])  # fmt: skip
        assert set(seen(owner, "fills")) == {world.bots[0]}
        owner.execute("RESET ROLE")
        assert set(seen(owner, "fills")) == {*world.bots}
