"""The triggers that write the audit trail, made equal to the list of tables after every migration.

One function serves all tables whose changes are kept whole; a table of facts has one of its own, whose columns stand in
its text: finding them out for each row would cost more than all the rest. Both run with the owner's rights, so that
whoever writes the row needs none on the trail, and take no word for it who writes: what a session says of itself counts
for the application's login alone.
"""

# ruff: noqa: S608 (the texts are put together from our own alone)

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from django.db import connections, transaction
from django.db.backends.utils import CursorWrapper

from audit.trail.tables import BY_PEOPLE, RECORDED, Facts, Table, Whole

# Settings that change how a value is written as text; house rule: pg_temp last, or a temporary table hides a real one.
SETTINGS = ("search_path=pg_catalog, pg_temp", "TimeZone=UTC", "bytea_output=hex", "extra_float_digits=1")
COLUMNS = "xid, at, actor, login, request_id, reason, table_name, row_id, operation, before, after, form, digest"
WHO = """pg_current_xact_id()::text::bigint, clock_timestamp(),
    left(CASE
        WHEN session_user = current_user AND coalesce(current_setting('app.actor', true), '') <> ''
            THEN current_setting('app.actor', true)
        WHEN starts_with(session_user, 'bot:') THEN session_user
        WHEN coalesce(current_setting('app.bot_id', true), '') <> '' THEN 'bot:' || current_setting('app.bot_id', true)
        ELSE session_user || ' (' || current_setting('application_name') || ')' END, 200),
    session_user, left(coalesce(current_setting('app.request_id', true), ''), 64),
    coalesce(current_setting('app.reason', true), '')"""
# Columns that differ, as they were and as they are.
DIFFERENT = """
    SELECT jsonb_object_agg(key, was.value), jsonb_object_agg(key, now_is.value) INTO was_all, is_all
    FROM jsonb_each(was_all) was FULL JOIN jsonb_each(is_all) now_is USING (key)
    WHERE was.value IS DISTINCT FROM now_is.value;
    IF is_all IS NULL AND was_all IS NULL THEN
        RETURN NULL;
    END IF;"""
WHOLE = f"""
DECLARE
    -- Arguments: table, key, columns that are ignored, columns that are secret.
    was_all jsonb; is_all jsonb; row_key text; name text;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        was_all := to_jsonb(old) - TG_ARGV[2]::text[];
        row_key := to_jsonb(old) ->> TG_ARGV[1];
    END IF;
    IF TG_OP <> 'DELETE' THEN
        is_all := to_jsonb(new) - TG_ARGV[2]::text[];
        row_key := to_jsonb(new) ->> TG_ARGV[1];
    END IF;
    FOREACH name IN ARRAY TG_ARGV[3]::text[] LOOP
        was_all := audit.trail_masked(was_all, name);
        is_all := audit.trail_masked(is_all, name);
    END LOOP;
    IF TG_OP = 'UPDATE' THEN {DIFFERENT}
    END IF;
    INSERT INTO audit.changes ({COLUMNS})
    VALUES ({WHO}, TG_ARGV[0], row_key, lower(TG_OP), was_all, is_all, NULL, NULL);
    RETURN NULL;
END"""  # no value stands in it  # nosec B608
# A secret leaves a digest: whoever changes it leaves a trace, whoever reads the trail learns nothing. What is kept
# under these names is long and random, or a slow hash, so that nobody finds it by trying.
MASKED = """
    SELECT CASE WHEN fields ->> name IS NULL THEN fields
        ELSE fields || jsonb_build_object(name, 'sha256:' || encode(sha256(convert_to(fields ->> name, 'UTF8')), 'hex'))
        END"""
FACT = f"""
DECLARE
    was_all jsonb; is_all jsonb;
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO audit.changes ({COLUMNS})
        VALUES ({WHO}, %(table)s, new.%(key)s::text, 'insert', NULL, NULL, %(form)s, %(digest)s);
        RETURN NULL;
    END IF;
    was_all := to_jsonb(old);
    IF TG_OP = 'DELETE' THEN
        INSERT INTO audit.changes ({COLUMNS})
        VALUES ({WHO}, %(table)s, old.%(key)s::text, 'delete', was_all, NULL, NULL, NULL);
        RETURN NULL;
    END IF;
    is_all := to_jsonb(new);{DIFFERENT}
    INSERT INTO audit.changes ({COLUMNS})
    VALUES ({WHO}, %(table)s, new.%(key)s::text, 'update', was_all, is_all, %(form)s, %(digest)s);
    RETURN NULL;
END"""  # no value stands in it  # nosec B608
TRUNCATED = f"""
BEGIN
    INSERT INTO audit.changes ({COLUMNS})
    VALUES ({WHO}, TG_ARGV[0], '*', 'truncate', NULL, NULL, NULL, NULL);
    RETURN NULL;
END"""  # no value stands in it  # nosec B608


class Function(NamedTuple):
    """A function as it must be: name, arguments, what it returns, language, text, and whether it has our rights."""

    name: str
    arguments: str
    returns: str
    language: str
    text: str
    is_definer: bool


class Trigger(NamedTuple):
    """A trigger as it must be: table, name, and its definition as PostgreSQL prints it."""

    table: str
    name: str
    definition: str


def digest_of(row: str, columns: Sequence[str]) -> str:
    """Return SQL for the digest of some columns of a row: it depends on no setting but those of SETTINGS."""
    values = ", ".join(f'{row}."{column}"' for column in columns)
    return f"sha256(convert_to(jsonb_build_array({values})::text, 'UTF8'))"


def functions() -> list[Function]:
    """Return every function of the trail."""
    made = [
        Function("trail_masked", "fields jsonb, name text", "jsonb", "sql", MASKED, False),
        Function("trail_whole", "", "trigger", "plpgsql", WHOLE, True),
        Function("trail_truncated", "", "trigger", "plpgsql", TRUNCATED, True),
    ]
    for name, table in RECORDED.items():
        if isinstance(table, Facts):
            digest = digest_of("new", table.forms[table.form])
            words = {"table": f"'{name}'", "key": table.key, "form": str(table.form), "digest": digest}
            made.append(Function(f"trail_{name}", "", "trigger", "plpgsql", FACT % words, True))
    return made


def triggers(name: str) -> Iterator[Trigger]:
    """Yield the triggers of a table."""
    table = RECORDED[name]
    place = f"{table.schema}.{name}"

    def trigger(suffix: str, events: str, each: str, call: str, when: str = "") -> Trigger:
        condition = f" WHEN ({when})" if when else ""
        text = f"CREATE TRIGGER trail_{suffix} AFTER {events} ON {place} FOR EACH {each}{condition}"
        return Trigger(place, f"trail_{suffix}", f"{text} EXECUTE FUNCTION {call}")

    yield trigger("truncated", "TRUNCATE", "STATEMENT", f"audit.trail_truncated('{name}')")
    if isinstance(table, Facts):
        call = f"audit.trail_{name}()"
        if not table.derived:
            yield trigger("row", "INSERT OR DELETE OR UPDATE", "ROW", call)
            return
        yield trigger("row", "INSERT OR DELETE", "ROW", call)
        yield trigger("update", "UPDATE", "ROW", call, BY_PEOPLE.format(row="new"))
        return
    call = f"audit.trail_whole('{name}', '{table.key}', {_array(table.all_ignored)}, {_array(table.secrets)})"
    if not table.only:
        yield trigger("row", "INSERT OR DELETE OR UPDATE", "ROW", call)
        return
    for event, row in (("INSERT", "new"), ("UPDATE", "new"), ("DELETE", "old")):
        yield trigger(event.lower(), event, "ROW", call, table.only.format(row=row))


def _array(names: Sequence[str]) -> str:
    return "'{" + ",".join(names) + "}'"


def install(*, using: str = "default") -> list[str]:
    """Make functions and triggers what they must be, and return the names of those that were not.

    A table that comes under the trail has its rows recorded as they are then. Safe to run again, and beside writers:
    what is right is left alone.
    """
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute("SELECT to_regclass('audit.changes') IS NOT NULL")
        if not cursor.fetchone()[0]:
            return []
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('audit trail', 0))")
        wrong = [one for one in wrong_functions(cursor) if one in functions()]
        for function in wrong:
            _create(cursor, function)
        changed = [f"audit.{function.name}" for function in wrong]
        for name in RECORDED:
            changed += _install_table(cursor, name)
        return changed


def _install_table(cursor: CursorWrapper, name: str) -> list[str]:
    table = RECORDED[name]
    place = f"{table.schema}.{name}"
    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [place])
    if not cursor.fetchone()[0]:
        return []
    found = found_triggers(cursor, place)
    wanted = {trigger.name: trigger.definition for trigger in triggers(name)}
    wrong = {one for one in {*wanted, *found} if found.get(one) != wanted.get(one)}
    for one in sorted(wrong & {*found}):
        cursor.execute(f"DROP TRIGGER {one} ON {place}")
    for one in sorted(wrong & {*wanted}):
        cursor.execute(wanted[one])
    if wrong:
        _record_as_is(cursor, name, table)
    return [f"{place}.{one}" for one in sorted(wrong)]


def _record_as_is(cursor: CursorWrapper, name: str, table: Table) -> None:
    """Record the rows of a table that the trail has not seen before. Later gaps are for people to explain."""
    if isinstance(table, Whole) and table.live == "false":
        return
    if isinstance(table, Facts):
        after, form, digest = "NULL::jsonb", str(table.form), digest_of("t", table.forms[table.form])
    else:
        after, form, digest = f"to_jsonb(t) - {_array(table.all_ignored)}::text[]", "NULL", "NULL"
        for secret in table.secrets:
            after = f"audit.trail_masked({after}, '{secret}')"
    where = f"AND t.{table.live}" if isinstance(table, Whole) and table.live else ""
    for setting in SETTINGS[1:]:
        cursor.execute("SELECT set_config(%s, %s, true)", setting.split("="))
    cursor.execute(
        f"INSERT INTO audit.changes ({COLUMNS}) SELECT {WHO}, %s, t.{table.key}::text, 'baseline', NULL, {after}, "
        f"{form}::smallint, {digest}::bytea FROM {table.schema}.{name} t "
        f"WHERE NOT EXISTS (SELECT FROM audit.changes WHERE table_name = %s) {where} "
        f"ORDER BY t.{table.key}",  # names of ours  # nosec B608
        [name, name],
    )


def _create(cursor: CursorWrapper, function: Function) -> None:
    settings = "".join(f" SET {name} = {value if name == 'search_path' else repr(value)}" for name, value in (
        setting.split("=") for setting in SETTINGS
    ))  # fmt: skip
    options = f"SECURITY DEFINER{settings}" if function.is_definer else "IMMUTABLE"
    # No parameters: a % of the text is its own.
    cursor.execute(
        f"CREATE OR REPLACE FUNCTION audit.{function.name}({function.arguments}) RETURNS {function.returns} "
        f"LANGUAGE {function.language} {options} AS $trail${function.text}$trail$",
        None,
    )


FOUND_FUNCTIONS = """
    SELECT p.proname, pg_get_function_identity_arguments(p.oid), p.prorettype::regtype::text, l.lanname, p.prosrc,
        p.prosecdef, coalesce(p.proconfig, '{}')
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
    WHERE n.nspname = 'audit' AND starts_with(p.proname, 'trail_')
"""
# Of a table, not of its partitions: those follow.
FOUND_TRIGGERS = """
    SELECT t.tgname, replace(pg_get_triggerdef(t.oid), ' EXECUTE FUNCTION trail_', ' EXECUTE FUNCTION audit.trail_'),
        t.tgenabled
    FROM pg_trigger t WHERE t.tgrelid = %s::regclass AND starts_with(t.tgname, 'trail_') AND NOT t.tgisinternal
"""


def wrong_functions(cursor: CursorWrapper) -> list[Function]:
    """Return the functions that are not as they must be, and those that are too many."""
    cursor.execute(FOUND_FUNCTIONS)
    found = {}
    for *words, settings in cursor.fetchall():
        function = Function(*words)
        # One that runs with our rights and looks for names elsewhere is another one.
        is_right = not function.is_definer or sorted(settings) == sorted(SETTINGS)
        found[function.name] = function if is_right else None
    wanted = {function.name: function for function in functions()}
    wrong = [function for name, function in wanted.items() if found.get(name) != function]
    return wrong + [Function(name, "", "", "", "", False) for name in found if name not in wanted]


def found_triggers(cursor: CursorWrapper, place: str) -> dict[str, str]:
    """Return the trail's triggers of a table; one that is switched off is another one."""
    cursor.execute(FOUND_TRIGGERS, [place])
    return {name: definition if state == "O" else f"off: {state}" for name, definition, state in cursor.fetchall()}


def wrong_triggers(cursor: CursorWrapper) -> list[str]:
    """Return the triggers and functions that are not as they must be, by name."""
    wrong = [f"audit.{function.name}" for function in wrong_functions(cursor)]
    for name, table in RECORDED.items():
        place = f"{table.schema}.{name}"
        found = found_triggers(cursor, place)
        wanted = {trigger.name: trigger.definition for trigger in triggers(name)}
        wrong += [f"{place}.{one}" for one in sorted({*wanted, *found}) if found.get(one) != wanted.get(one)]
    return wrong
