"""Every column of the three seeds has a home or a reason: docs/schema_map.toml against the seeds and the database."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from tests.house import seeds
from tests.house.schema_map import OurColumn, SeedColumn, losses, narrower, parse, problems
from tradingdb.lib.db import SEARCH_PATH

MAP = settings.BASE_DIR / "docs" / "schema_map.toml"
COLUMNS = Path(__file__).parent / "data" / "seed_columns.json"
OURS = """
    SELECT n.nspname || '.' || c.relname || '.' || a.attname, format_type(a.atttypid, a.atttypmod),
        NOT a.attnotnull, a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> ''
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY (%s) AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
        AND a.attnum > 0 AND NOT a.attisdropped AND NOT EXISTS (
            SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
"""


def seed_columns() -> list[SeedColumn]:
    """Return the seeds' columns; `nullable` is what the seed's SQL says, where it has any."""
    rows = json.loads(COLUMNS.read_text())
    return [SeedColumn(f"{r['system']}.{r['table']}", r["column"], r["type"], r.get("nullable")) for r in rows]


def our_columns() -> dict[str, OurColumn]:
    with connection.cursor() as cursor:
        cursor.execute(OURS, [list(SEARCH_PATH)])
        return {name: OurColumn(*rest) for name, *rest in cursor.fetchall()}


@pytest.mark.django_db
def test_every_seed_column_has_a_home_or_a_reason():
    entries = tomllib.loads(MAP.read_text())

    assert list(problems(seed_columns(), entries, our_columns())) == []


def test_copy_of_the_seeds_columns_is_whole():
    columns = seed_columns()

    assert len(columns) == 698
    assert len({column.table for column in columns}) == 52
    assert len({(column.table, column.column) for column in columns}) == 698


def test_copy_of_the_seeds_columns_is_that_of_the_design():
    """Beside the project lies what the copy was made of; where it does not, the copy's counts must do."""
    source = seeds.FOLDER.parent / "design" / "seed_columns.json"
    rows = json.loads(COLUMNS.read_text())
    for row in rows:
        row.pop("nullable", None)

    assert not source.exists() or rows == json.loads(source.read_text())
    assert len(rows) == 698


# --- the checker itself, on planted mistakes

SEED = [
    SeedColumn("old.bots", "bot_id", "VARCHAR(50)", nullable=False),
    SeedColumn("old.bots", "equity", "DECIMAL(20, 8)", nullable=True),
    SeedColumn("old.bots", "colour", "TEXT"),
]
DATABASE = {
    "trading.bots.bot_id": OurColumn("character varying(50)", nullable=False, has_default=False),
    "trading.bots.current_equity": OurColumn("numeric(38,18)", nullable=True, has_default=False),
    "trading.bots.note": OurColumn("text", nullable=False, has_default=True),
}
GOOD: dict[str, Any] = {
    "bot_id": "trading.bots.bot_id",
    "equity": "trading.bots.current_equity",
    "colour": {"dropped": "derived: the page takes it from the bot's status"},
}
SAID = {
    "nothing planted": ({}, []),
    "a missing column": ({"equity": None}, ["old.bots.equity: is missing"]),
    "a column too much": ({"shape": "trading.bots.note"}, ["old.bots.shape: no seed has this column"]),
    "no such target": ({"equity": "trading.bots.gone"}, ["old.bots.equity: there is no column trading.bots.gone"]),
    "a target without schema": ({"equity": "bots.equity"}, ["old.bots.equity: there is no column bots.equity"]),
    "no reason": (
        {"colour": {"dropped": ""}},
        ["old.bots.colour: is dropped without a reason that says what stands in for it"],
    ),
    "a reason that is none": (
        {"colour": {"dropped": "it is not needed any more by anybody here"}},
        ["old.bots.colour: is dropped without a reason that says what stands in for it"],
    ),
    "a reason of one word": (
        {"colour": {"dropped": "derived: elsewhere"}},
        ["old.bots.colour: is dropped without a reason that says what stands in for it"],
    ),
    "replaced by nothing": (
        {"colour": {"dropped": "replaced by : something that nobody has named yet"}},
        ["old.bots.colour: is dropped without a reason that says what stands in for it"],
    ),
    "replaced by something": ({"colour": {"dropped": "replaced by themes: each person chooses one in the header"}}, []),
    "a drop with a home": (
        {"colour": {"dropped": GOOD["colour"]["dropped"], "to": "trading.bots.note"}},
        ["old.bots.colour: says dropped, to; it is `to` with or without `note`, or `dropped`"],
    ),
    "a narrower type": (
        {"colour": "trading.bots.bot_id"},
        [
            "old.bots.colour: TEXT becomes character varying(50), which holds less; say why in a note",
            "old.bots.bot_id: shares trading.bots.bot_id with another column; say how in a note",
            "old.bots.colour: shares trading.bots.bot_id with another column; say how in a note",
        ],
    ),
    "another kind with a note": (
        {"equity": {"to": "trading.bots.note", "note": "as text, for the sake of this test"}},
        [],
    ),
    "another kind with an empty note": (
        {"equity": {"to": "trading.bots.note", "note": " "}},
        ["old.bots.equity: DECIMAL(20, 8) becomes text, another kind; say why in a note"],
    ),
}


@pytest.mark.parametrize("case", SAID)
def test_planted_mistake_is_named(case):
    change, said = SAID[case]
    entries = {name: entry for name, entry in {**GOOD, **change}.items() if entry is not None}

    assert list(problems(SEED, {"old.bots": entries}, DATABASE)) == said


def test_missing_and_unknown_tables_are_named():
    found = list(problems(SEED, {"old.cats": GOOD}, DATABASE))

    assert found == [
        "old.cats: no seed has this table",
        "old.bots.bot_id: is missing",
        "old.bots.equity: is missing",
        "old.bots.colour: is missing",
    ]


@pytest.mark.parametrize(
    ("seed", "ours"),
    [
        ("VARCHAR(100)", "character varying(100)"),
        ("varchar(20)", "character varying(40)"),
        ("VARCHAR(20)", "text"),
        ("text", "text"),
        ("TEXT[]", "text[]"),
        ("DECIMAL(20, 8)", "numeric(38,18)"),
        ("DECIMAL(10, 4)", "numeric(24,12)"),
        ("DECIMAL(5, 2)", "numeric(5,2)"),
        ("INTEGER", "integer"),
        ("SERIAL", "bigint"),
        ("int", "numeric(38,18)"),
        ("TIMESTAMPTZ", "timestamp with time zone"),
        ("TIMESTAMP WITH TIME ZONE", "timestamp with time zone"),
        ("DATE", "date"),
        ("DATE", "timestamp with time zone"),
        ("UUID", "character varying(100)"),
        ("order_status", "character varying(30)"),
        ("bool", "boolean"),
        ("JSONB", "jsonb"),
        ("BYTEA", "bytea"),
    ],
)
def test_type_that_holds_all_of_the_old_one(seed, ours):
    assert narrower(seed, ours) is None


@pytest.mark.parametrize(
    ("seed", "ours", "why"),
    [
        ("VARCHAR(100)", "character varying(50)", "which holds less"),
        ("text", "character varying(500)", "which holds less"),
        ("varchar", "character varying(500)", "which holds less"),
        ("TEXT[]", "character varying(100)[]", "which holds less"),
        ("UUID", "character varying(20)", "which holds less"),
        ("order_status", "character varying(5)", "which holds less"),
        ("INTEGER", "smallint", "which holds less"),
        ("BIGINT", "integer", "which holds less"),
        ("bigint", "numeric(20,8)", "which holds less"),
        ("DECIMAL(36, 8)", "numeric(38,18)", "which holds less"),
        ("DECIMAL(24, 8)", "numeric(30,4)", "which holds less"),
        ("numeric", "numeric(38,18)", "which holds less"),
        ("numeric", "integer", "another kind"),
        ("DECIMAL(20, 8)", "double precision", "another kind"),
        ("INTEGER", "character varying(50)", "another kind"),
        ("UUID", "bigint", "another kind"),
        ("TIMESTAMPTZ", "date", "another kind"),
        ("JSONB", "text", "another kind"),
        ("text", "jsonb", "another kind"),
        ("TEXT[]", "text", "another kind"),
        ("varchar", "inet", "another kind"),
        ("BOOLEAN", "character varying(20)", "another kind"),
    ],
)
def test_type_that_loses_something(seed, ours, why):
    assert narrower(seed, ours) == f"{seed} becomes {ours}, {why}"


@pytest.mark.parametrize(
    ("seed_null", "our_null", "default", "said"),
    [
        (True, False, False, ["may be NULL in the seed, here it must be told"]),
        (True, False, True, []),
        (True, True, False, []),
        (False, True, False, ["is always told in the seed, here it may be NULL"]),
        (False, False, False, []),
        (None, False, False, []),
        (None, True, False, []),
    ],
)
def test_null_that_is_gained_or_lost(seed_null, our_null, default, said):
    seed = SeedColumn("t", "c", "TEXT", seed_null)

    assert list(losses(seed, OurColumn("text", our_null, default))) == said


@pytest.mark.parametrize("seed", ["money", "varchar(", "numeric(1,2,3)"])
def test_unknown_type_is_not_guessed(seed):
    with pytest.raises(ValueError, match="unknown type"):
        narrower(seed, "text")


@pytest.mark.django_db
def test_every_type_of_the_seeds_and_of_ours_is_known():
    types = {column.type for column in our_columns().values()} | {column.type for column in seed_columns()}

    kinds = {parse(one).kind for one in types}

    assert kinds >= {"text", "number", "integer", "moment", "json", "flag", "word", "list of text"}
