"""Acting for one bot on Django's connection: with the rights of the bots' role, and that bot's rows only."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connections, transaction

# In one round trip. The role is taken where this login may take it; elsewhere only the bot is named.
ENTER = """
    SELECT set_config('app.bot_id', %(bot)s, true), (
        SELECT set_config('role', r.rolname, true) FROM pg_roles r
        WHERE r.rolname = %(role)s AND pg_has_role(r.oid, 'MEMBER')
    )
"""
BEFORE = "SELECT current_setting('role'), coalesce(current_setting('app.bot_id', true), '')"
LEAVE = "SELECT set_config('role', %s, true), set_config('app.bot_id', %s, true)"


@contextmanager
def bot_scope(bot_id: str, *, using: str = "default") -> Iterator[None]:
    """A transaction in which row security shows this bot's rows alone; both ends with it.

    Inside an outer transaction the outer one's role and bot come back at the end.
    """
    connection = connections[using]
    is_inner = connection.in_atomic_block
    with transaction.atomic(using=using), connection.cursor() as cursor:
        before = None
        if is_inner:
            cursor.execute(BEFORE)
            before = cursor.fetchone()
        cursor.execute(ENTER, {"bot": bot_id, "role": settings.BOT_ROLE})
        yield
        if before is not None:
            cursor.execute(LEAVE, before)
