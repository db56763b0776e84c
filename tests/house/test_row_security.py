"""Row security and the bots' rights leave no table out."""

import re

import pytest
from django.conf import settings
from django.db import connection

from bots.services.rights import FUNCTIONS, TABLES
from tradingdb.lib.db import SEARCH_PATH

# Tables and views with a bot_id and no policy: each says why no bot needs one.
WITHOUT_POLICY = {
    "accounts.bot_memberships": "which people see which bots; bots have no right to it",
    "analytics.equity_snapshots": "our own five-minute readings; compressed, which row security forbids",
    "trading.unattributed_fills": "what accounts report of bots that are not known; people assign it",
    "trading.risk_latches": "what breaches hold bots to; an order is judged by it within a function",
    "analytics.performance_metrics": "computed by jobs for people",
    "analytics.active_positions_summary": "a view of all bots, for people",
    "analytics.daily_performance_summary": "a view of all bots, for people",
}
WITH_BOT = """
    SELECT n.nspname || '.' || c.relname, c.relrowsecurity, count(p.oid)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_policy p ON p.polrelid = c.oid
    WHERE a.attname = 'bot_id' AND NOT a.attisdropped AND n.nspname = ANY (%s) AND c.relkind IN ('r', 'p', 'v', 'm')
        AND NOT c.relispartition
    GROUP BY 1, 2
"""


def rows(query: str, *params: object) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return cursor.fetchall()


@pytest.mark.django_db
def test_each_table_with_a_bot_has_a_policy_or_a_reason() -> None:
    found = {name: is_on and policies > 0 for name, is_on, policies in rows(WITH_BOT, list(SEARCH_PATH))}

    assert {name for name, has_policy in found.items() if not has_policy} == set(WITHOUT_POLICY)
    # No right on anything that has no policy; what has one and no right is closed all the same.
    assert set(WITHOUT_POLICY).isdisjoint(TABLES)
    assert {name for name, has_policy in found.items() if has_policy} <= set(TABLES)


@pytest.mark.django_db
def test_tables_of_the_bots_exist_and_have_row_security_or_no_bot() -> None:
    shared = {"trading.market_data"}
    secured = {name for (name,) in rows(
        "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relrowsecurity AND NOT c.relforcerowsecurity AND c.relkind IN ('r', 'p')"
    )}  # fmt: skip

    assert set(TABLES) - secured == shared


@pytest.mark.django_db
def test_columns_that_rights_name_exist() -> None:
    for table, rights in TABLES.items():
        columns = {name for (name,) in rows(
            "SELECT column_name FROM information_schema.columns WHERE table_schema || '.' || table_name = %s", table
        )}  # fmt: skip
        assert {*(rights.reads or ()), *rights.hides, *rights.updates} <= columns, table
        assert {"bot_id", "id"}.isdisjoint(rights.updates), table


@pytest.mark.django_db
def test_every_policy_of_own_rows_is_the_same_rule() -> None:
    rules = rows(
        "SELECT DISTINCT pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid) FROM pg_policy "
        "WHERE polname = 'own_rows'"
    )

    acting = (
        "( SELECT CASE WHEN starts_with((SESSION_USER)::text, 'bot:'::text) THEN substr((SESSION_USER)::text, 5) "
        "ELSE NULLIF(current_setting('app.bot_id'::text, true), ''::text) END AS \"nullif\")"
    )
    rule = f"((bot_id)::text = {acting})"
    assert [tuple(" ".join(part.split()) for part in pair) for pair in rules] == [(rule, rule)]


@pytest.mark.django_db
def test_functions_with_the_owner_s_rights_fix_their_search_path() -> None:
    functions = rows(
        "SELECT p.proname, p.proconfig FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
        "WHERE p.prosecdef AND n.nspname = ANY (%s)",
        list(SEARCH_PATH),
    )

    assert {"bot_of_token", "execution_is_known", "settle_unattributed"} <= {name for name, _ in functions}
    assert {name for name, config in functions if "search_path=pg_catalog, pg_temp" not in (config or [])} == set()


@pytest.mark.django_db
def test_functions_with_the_owner_s_rights_are_closed_to_bots_but_for_the_listed_doors() -> None:
    """A trigger's function runs with its trigger alone; every other one is a way round row security."""
    doors = rows(
        "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
        "WHERE p.prosecdef AND p.prorettype <> 'trigger'::regtype AND n.nspname <> 'pg_catalog' "
        "AND has_function_privilege(%s, p.oid, 'EXECUTE')",
        settings.BOT_ROLE,
    )

    assert {name.rpartition(".")[2] for (name,) in doors} == {name.rpartition(".")[2] for name in FUNCTIONS}


@pytest.mark.django_db
def test_bots_have_no_right_on_any_view() -> None:
    views = rows(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('v', 'm') AND n.nspname = ANY (%s) AND has_table_privilege(%s, c.oid, 'SELECT') "
        "AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')",
        list(SEARCH_PATH),
        settings.BOT_ROLE,
    )

    assert views == []


def test_no_code_sets_anything_for_longer_than_its_transaction() -> None:
    """A plain SET would reach the next client of a session that a pooler shares."""
    plain = re.compile(
        r"""["'(]\s*SET\s+(?!LOCAL\b|CONSTRAINTS\b|TRANSACTION\b)[\w."]+\s*(?:=|\bTO\b)|set_config\([^)]*false"""
    )
    roots = ("accounts", "analytics", "audit", "bots", "config_app", "jobs", "marketdata", "notifications", "tradingdb")
    files = [file for root in roots for file in (settings.BASE_DIR / root).rglob("*.py")]

    assert len(files) > 300
    assert [str(file) for file in files if plain.search(file.read_text())] == []
