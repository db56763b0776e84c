"""Reads PostgreSQL's catalog into plain values: what a database really has, in PostgreSQL's own words."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

Facets = dict[str, str]


class Part(NamedTuple):
    """What belongs to a relation: a column, sequence, constraint, index, policy, trigger or rule."""

    kind: str
    name: str


@dataclass
class Relation:
    """A table, view, sequence or function with all that belongs to it; `parent` is the table a partition is of."""

    kind: str
    facets: Facets
    parent: str | None = None
    parts: dict[Part, Facets] = field(default_factory=dict)


@dataclass
class Catalog:
    """Every schema and every relation, by `schema.name`; `chosen_names` are those that models and migrations give."""

    schemas: set[str]
    relations: dict[str, Relation]
    chosen_names: set[str] = field(default_factory=set)


# What an extension brought along is its own business; TimescaleDB keeps chunks in schemas of its own.
SCHEMAS = """
    SELECT n.nspname FROM pg_namespace n
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_namespace'::regclass
                      AND d.objid = n.oid AND d.deptype = 'e')
"""
# Each query below names schema and relation, then the part, then what is to be compared.
RELATIONS = """
    SELECT n.nspname, c.relname,
      CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
        WHEN 'f' THEN 'foreign table' ELSE 'table' END,
      pn.nspname || '.' || p.relname,
      jsonb_build_object(
        'kept', CASE c.relpersistence WHEN 'u' THEN 'unlogged' END,
        'partitioned', CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
        -- The view of a continuous aggregate names a table of TimescaleDB by its number, another one in each database.
        'query', CASE WHEN c.relkind IN ('v', 'm') THEN regexp_replace(
            pg_get_viewdef(c.oid), '(_materialized_hypertable_|cagg_watermark[(])[0-9]+', '\\1N', 'g') END,
        'row security', CASE WHEN c.relforcerowsecurity THEN 'forced' WHEN c.relrowsecurity THEN 'on' END,
        'options', nullif(array_to_string(c.reloptions, ', '), ''))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent
    LEFT JOIN pg_namespace pn ON pn.oid = p.relnamespace
    WHERE n.nspname = ANY (%(schemas)s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                      AND (d.deptype = 'e' OR c.relkind = 'S' AND d.deptype IN ('a', 'i')))
"""
# A procedure is a function too.
FUNCTIONS = """
    SELECT n.nspname, format('%%s(%%s)', f.proname, pg_get_function_identity_arguments(f.oid)), 'function',
      NULL, jsonb_build_object('definition', pg_get_functiondef(f.oid))
    FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
    WHERE n.nspname = ANY (%(schemas)s) AND f.prokind IN ('f', 'p')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass
                      AND d.objid = f.oid AND d.deptype = 'e')
"""
# Those that number a column belong to its table.
SEQUENCES = """
    SELECT n.nspname, c.relname, 'sequence', q.relname,
      jsonb_build_object(
        'column', a.attname,
        'counts', format('%%s from %%s by %%s between %%s and %%s%%s', format_type(s.seqtypid, NULL), s.seqstart,
                         s.seqincrement, s.seqmin, s.seqmax, CASE WHEN s.seqcycle THEN ', cycling' END))
    FROM pg_sequence s JOIN pg_class q ON q.oid = s.seqrelid
    JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = q.oid AND d.deptype IN ('a', 'i')
    JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
    WHERE n.nspname = ANY (%(schemas)s)
"""
COLUMNS = """
    SELECT n.nspname, c.relname, 'column', a.attname,
      jsonb_build_object(
        'type', format_type(a.atttypid, a.atttypmod),
        'null', CASE WHEN NOT a.attnotnull THEN 'allowed' WHEN EXISTS (
            SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'n' AND NOT k.convalidated
              AND a.attnum = ANY (k.conkey)) THEN 'refused in new rows only' ELSE 'refused' END,
        'default', pg_get_expr(d.adbin, d.adrelid),
        'generated', CASE a.attgenerated WHEN 's' THEN 'stored' WHEN 'v' THEN 'virtual' END,
        'identity', CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END,
        'collation', CASE WHEN a.attcollation <> t.typcollation
                     THEN (SELECT collname FROM pg_collation WHERE oid = a.attcollation) END)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE n.nspname = ANY (%(schemas)s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND a.attnum > 0 AND NOT a.attisdropped
"""
# A foreign key whose hidden triggers are switched off is there and checks nothing.
CONSTRAINTS = """
    SELECT n.nspname, c.relname, 'constraint', k.conname,
      jsonb_build_object(
        'definition', pg_get_constraintdef(k.oid),
        'state', CASE WHEN EXISTS (SELECT FROM pg_trigger t WHERE t.tgconstraint = k.oid AND t.tgenabled <> 'O')
                 THEN 'switched off' END)
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY (%(schemas)s) AND k.contype IN ('c', 'f', 'p', 'u', 'x')
"""
INDEXES = """
    SELECT n.nspname, c.relname, 'index', ic.relname,
      jsonb_build_object(
        'definition', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END
          || substring(pg_get_indexdef(i.indexrelid) FROM ' USING (.*)$'),
        'state', CASE WHEN NOT (i.indisvalid AND i.indisready) THEN 'invalid' END)
    FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid
    JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY (%(schemas)s) AND c.relkind IN ('r', 'p', 'm')
      AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = ic.oid AND k.contype IN ('p', 'u', 'x'))
"""
POLICIES = """
    SELECT n.nspname, c.relname, 'policy', y.polname,
      jsonb_build_object(
        'for', CASE y.polcmd WHEN 'r' THEN 'select' WHEN 'a' THEN 'insert' WHEN 'w' THEN 'update'
               WHEN 'd' THEN 'delete' ELSE 'all' END,
        'kind', CASE WHEN y.polpermissive THEN 'permissive' ELSE 'restrictive' END,
        'roles', (SELECT string_agg(coalesce(r.rolname, 'public'), ', ' ORDER BY r.rolname)
                  FROM unnest(y.polroles) AS role LEFT JOIN pg_roles r ON r.oid = role),
        'using', pg_get_expr(y.polqual, y.polrelid),
        'check', pg_get_expr(y.polwithcheck, y.polrelid))
    FROM pg_policy y JOIN pg_class c ON c.oid = y.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY (%(schemas)s)
"""
TRIGGERS = """
    SELECT n.nspname, c.relname, 'trigger', t.tgname,
      jsonb_build_object(
        'definition', replace(pg_get_triggerdef(t.oid), format(' ON %%I.%%I ', n.nspname, c.relname), ' '),
        'state', CASE t.tgenabled WHEN 'O' THEN NULL WHEN 'D' THEN 'switched off' ELSE 'for replicas' END)
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY (%(schemas)s) AND NOT t.tgisinternal
"""
RULES = """
    SELECT n.nspname, c.relname, 'rule', r.rulename,
      jsonb_build_object('definition', pg_get_ruledef(r.oid))
    FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY (%(schemas)s) AND r.rulename <> '_RETURN'
"""
HYPERTABLES = """
    SELECT hypertable_schema, hypertable_name, format('by %%s, %%s a chunk', column_name, time_interval)
    FROM timescaledb_information.dimensions WHERE hypertable_schema = ANY (%(schemas)s) AND dimension_number = 1
"""
PARTS = (SEQUENCES, COLUMNS, CONSTRAINTS, INDEXES, POLICIES, TRIGGERS, RULES)


def read_catalog(connection: BaseDatabaseWrapper, schemas: Sequence[str] | None = None) -> Catalog:
    """Return what these schemas hold, or all that are neither PostgreSQL's nor an extension's.

    Names inside definitions are written as the search_path in force makes them.
    """
    with connection.cursor() as cursor:
        found = set(schemas) if schemas is not None else {row[0] for row in _rows(cursor, SCHEMAS, [])}
        catalog = Catalog(found, {})
        among = sorted(found)
        for query in (RELATIONS, FUNCTIONS):
            for schema, name, kind, parent, facets in _rows(cursor, query, among):
                catalog.relations[f"{schema}.{name}"] = Relation(kind, _said(facets), parent)
        _without_schemas([one for one in catalog.relations.values() if one.kind == "function"], among)
        for query in PARTS:
            for schema, table, kind, name, facets in _rows(cursor, query, among):
                relation = catalog.relations.get(f"{schema}.{table}")
                if relation is not None:
                    relation.parts[Part(kind, name)] = _said(facets)
        if getattr(connection, "has_timescaledb", False):
            for schema, table, said in _rows(cursor, HYPERTABLES, among):
                catalog.relations[f"{schema}.{table}"].facets["hypertable"] = said
    return catalog


def _rows(cursor: CursorWrapper, sql: str, schemas: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    cursor.execute(sql, {"schemas": list(schemas)})
    yield from cursor.fetchall()


def _said(facets: str) -> Facets:
    """Return what a row says, without what it does not say, in one line; Django hands JSON over as text."""
    return {name: " ".join(value.split()) for name, value in json.loads(facets).items() if value is not None}


def _without_schemas(functions: Iterable[Relation], schemas: Sequence[str]) -> None:
    """Take the schemas out of what functions say: their text is kept as it was written, whatever the search_path."""
    prefix = re.compile(rf"\b({'|'.join(map(re.escape, schemas))})\.(?=\w)")
    for function in functions:
        function.facets["definition"] = prefix.sub("", function.facets["definition"])
