"""The bots' rights and the scope of one bot on Django's connection."""

from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction

from bots.models import ControlState, Fill
from bots.services.rights import Grant, grant_bot_rights, held_grants
from bots.services.scope import bot_scope
from tests.bots.ledger_tools import add_fill, place
from tests.bots.rich_ledger import execute
from tests.factories import BotFactory
from tests.ledger_checks import ledger_holds

__all__ = ["ledger_holds"]


@pytest.mark.django_db
class TestScope:
    """Django's own path: the same rules for one transaction, or for a part of one."""

    def test_scope_narrows_and_ends(self, ledger_holds: None) -> None:
        one, other = BotFactory(), BotFactory()
        for bot in (one, other):
            place(bot, "o", "buy", "1")
            add_fill(bot, "f", "o", "1", "1")

        with bot_scope(one.bot_id):
            with connection.cursor() as cursor:
                cursor.execute("SELECT current_user, current_setting('app.bot_id')")
                assert cursor.fetchone() == (settings.BOT_ROLE, one.bot_id)
            assert {fill.bot_id for fill in Fill.objects.all()} == {one.bot_id}
            with bot_scope(other.bot_id):
                assert {fill.bot_id for fill in Fill.objects.all()} == {other.bot_id}
            assert {fill.bot_id for fill in Fill.objects.all()} == {one.bot_id}
        assert Fill.objects.count() == 2
        with pytest.raises(KeyError), bot_scope(one.bot_id):
            raise KeyError
        assert Fill.objects.count() == 2

    def test_services_act_as_their_bot(self) -> None:
        bot = BotFactory()
        place(bot, "o", "buy", "1")
        execute(f'REVOKE INSERT (fill_id) ON trading.fills FROM "{settings.BOT_ROLE}"')

        with pytest.raises(Exception, match="permission denied"), transaction.atomic():
            add_fill(bot, "f", "o", "1", "1")

    def test_execution_of_another_bot_is_named_to_nobody(self, ledger_holds: None) -> None:
        one = BotFactory()
        beside, elsewhere = BotFactory(account=one.account), BotFactory()
        for bot in (one, beside, elsewhere):
            place(bot, "o", "buy", "1")
        add_fill(one, "secret-name", "o", "1", "1", exchange_trade_id="t1")

        with pytest.raises(Exception, match=r"Execution t1 is already stored for this account\.$") as refusal:
            add_fill(beside, "f", "o", "1", "1", exchange_trade_id="t1")
        assert "secret-name" not in repr(vars(refusal.value))
        with pytest.raises(Exception, match="stored as fill secret-name"):
            add_fill(one, "f", "o", "1", "1", exchange_trade_id="t1")
        assert add_fill(elsewhere, "f", "o", "1", "1", exchange_trade_id="t1").status == 201


@pytest.mark.django_db
class TestRights:
    """The list of rights is what the database has, and stays so."""

    def test_nothing_is_left_to_do_after_migrate(self) -> None:
        assert grant_bot_rights() == []

    def test_stray_and_missing_rights_are_put_right(self) -> None:
        role = settings.BOT_ROLE
        execute(
            f'GRANT SELECT ON config.api_keys TO "{role}"',
            f'GRANT UPDATE (price) ON trading.fills TO "{role}"',
            f'REVOKE INSERT (price) ON trading.fills FROM "{role}"',
            f'GRANT SELECT ON analytics.daily_performance_summary TO "{role}"',
        )

        changed = grant_bot_rights()

        assert changed == sorted([
            Grant("TABLE", "analytics.daily_performance_summary", "", "SELECT"),
            Grant("TABLE", "config.api_keys", "", "SELECT"),
            Grant("TABLE", "trading.fills", "price", "INSERT"),
            Grant("TABLE", "trading.fills", "price", "UPDATE"),
        ])  # fmt: skip
        assert grant_bot_rights() == []
        with connection.cursor() as cursor:
            held = held_grants(cursor)
        assert Grant("TABLE", "trading.fills", "price", "INSERT") in held
        assert Grant("TABLE", "trading.fills", "price", "UPDATE") not in held

    def test_without_a_role_of_the_bots_nothing_happens(self, settings: Any) -> None:
        settings.BOT_ROLE = None

        assert grant_bot_rights() is None
        bot = BotFactory()
        with bot_scope(bot.bot_id), connection.cursor() as cursor:
            cursor.execute("SELECT current_user = session_user, current_setting('app.bot_id')")
            assert cursor.fetchone() == (True, bot.bot_id)


@pytest.mark.django_db
def test_a_breach_restricts_the_bot_under_its_own_rights(ledger_holds: None) -> None:
    bot = BotFactory()
    place(bot, "o", "buy", "1")

    add_fill(bot, "f1", "o", "1", "2")
    add_fill(bot, "f2", "o", "1", "2")

    assert ControlState.objects.get(scope="bot", target=bot.bot_id).state == "REDUCING"
