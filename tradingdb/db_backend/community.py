"""Policies that TimescaleDB's community edition carries out itself: retention and columnstore jobs.

The only code here that Debian's build, which is the Apache edition, cannot run: kept small, and checked by hand
(docs/time-series.md). Every function does nothing on other servers and to tables that are no hypertables.
"""

from typing import cast

from django.db.backends.utils import CursorWrapper

from tradingdb.db_backend.base import COMMUNITY, DatabaseWrapper
from tradingdb.db_backend.policies import Policy
from tradingdb.db_backend.storage import Kind, qualified, storage_of

# From this version on compression is called columnstore; the old names may go one day.
COLUMNSTORE_SINCE = (2, 18)
JOBS = """
    SELECT count(*) FILTER (WHERE proc_name = 'policy_retention' AND (config ->> 'drop_after')::interval = %(keep)s),
        count(*) FILTER (
            WHERE proc_name = 'policy_compression' AND (config ->> 'compress_after')::interval = %(compress)s
        ),
        count(*)
    FROM timescaledb_information.jobs
    WHERE hypertable_schema = %(schema)s AND hypertable_name = %(table)s
        AND proc_name IN ('policy_retention', 'policy_compression')
"""


def assert_policy(cursor: CursorWrapper, policy: Policy) -> None:
    """Make the jobs of a hypertable what the policy says; changes nothing when they are."""
    if not _has_jobs(cursor, policy.table):
        return
    # A job drops whole chunks; where a policy speaks of single rows, maintenance deletes them.
    keep = policy.keep if policy.takes_whole_parts else None
    storage = storage_of(cursor, policy.table)
    values = {
        "schema": storage.schema,
        "table": policy.table,
        "keep": keep,
        "compress": policy.compress_after,
        "relation": qualified(cursor, storage.schema, policy.table),
    }
    cursor.execute(JOBS, values)
    wanted = (int(keep is not None), int(policy.compress_after is not None))
    if cursor.fetchone() == (*wanted, sum(wanted)):
        return
    if policy.compress_after is None:
        take_back(cursor, policy.table)
    else:
        _remove_jobs(cursor, policy.table)
    if keep is not None:
        cursor.execute("SELECT add_retention_policy(%(relation)s::regclass, %(keep)s::interval)", values)
    if policy.compress_after is not None:
        _compress(cursor, policy, values)


def take_back(cursor: CursorWrapper, table: str) -> None:
    """Remove the jobs of a hypertable and make plain rows of what they compressed: only then may its columns change."""
    if not _has_jobs(cursor, table):
        return
    _remove_jobs(cursor, table)
    cursor.execute("SELECT decompress_chunk(chunk, true) FROM show_chunks(%s::regclass) AS chunk", [table])
    option = "enable_columnstore" if _says_columnstore(cursor) else "compress"
    cursor.execute(f"ALTER TABLE {cursor.db.ops.quote_name(table)} SET (timescaledb.{option} = false)")


def _remove_jobs(cursor: CursorWrapper, table: str) -> None:
    cursor.execute("SELECT remove_retention_policy(%s::regclass, if_exists => true)", [table])
    if _says_columnstore(cursor):
        cursor.execute("CALL remove_columnstore_policy(%s::regclass, if_exists => true)", [table])
    else:
        cursor.execute("SELECT remove_compression_policy(%s::regclass, if_exists => true)", [table])


def _compress(cursor: CursorWrapper, policy: Policy, values: dict[str, str | None]) -> None:
    if _says_columnstore(cursor):
        enable, segment, add = "enable_columnstore", "segmentby", "CALL add_columnstore_policy"
    else:
        enable, segment, add = "compress", "compress_segmentby", "SELECT add_compression_policy"
    options = [f"timescaledb.{enable} = true"]
    if policy.segment_by:
        options.append(f"timescaledb.{segment} = '{', '.join(policy.segment_by)}'")
    cursor.execute(f"ALTER TABLE {values['relation']} SET ({', '.join(options)})")
    cursor.execute(f"{add}(%(relation)s::regclass, %(compress)s::interval)", values)


def _has_jobs(cursor: CursorWrapper, table: str) -> bool:
    connection = cast(DatabaseWrapper, cursor.db)
    return connection.timescale_edition == COMMUNITY and storage_of(cursor, table).kind is Kind.HYPERTABLE


def _says_columnstore(cursor: CursorWrapper) -> bool:
    return (cast(DatabaseWrapper, cursor.db).timescale_version or ()) >= COLUMNSTORE_SINCE
