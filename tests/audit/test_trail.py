"""What the audit trail keeps: every change of the tables that count, however it was made, with who and why."""

import os
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.contrib.admin.utils import quote
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from audit.models import Change
from audit.trail.history import PAGE, history_of
from audit.trail.keys import seal_key
from bots.models import AccountBalance, Bot, Order
from bots.services.scope import bot_scope
from tests.audit.trail_tools import give_key, problems, sealed
from tests.bots.ledger_tools import add_fill, place
from tests.factories import (
    AccountBalanceFactory,
    BotFactory,
    ExchangeApiKeyFactory,
    OrderFactory,
    TradeFactory,
    UserFactory,
)
from tradingdb.db_backend.partitions import ensure_partitions
from tradingdb.lib.acting import acting
from tradingdb.settings import env

pytestmark = pytest.mark.django_db


def changes(table: str, row_id: object | None = None) -> list[Change]:
    found = Change.objects.filter(table_name=table).order_by("id")
    return list(found if row_id is None else found.filter(row_id=str(row_id)))


def test_edit_keeps_who_why_and_only_what_changed() -> None:
    bot = BotFactory(max_positions=5)
    with acting(actor="ann@example.com", request_id="request-1", reason="more room"):
        bot.max_positions = 7
        bot.save()

    last = changes("bots", bot.pk)[-1]

    assert (last.operation, last.before, last.after) == ("update", {"max_positions": 5}, {"max_positions": 7})
    assert (last.actor, last.request_id, last.reason) == ("ann@example.com", "request-1", "more room")
    assert last.login == connection.settings_dict["USER"]


def test_what_jobs_and_bots_move_all_the_time_is_no_change() -> None:
    bot = BotFactory()
    before = len(changes("bots", bot.pk))

    Bot.objects.filter(pk=bot.pk).update(error_count=3, latency_ms=9, current_equity=1)

    assert len(changes("bots", bot.pk)) == before


def test_raw_sql_bulk_and_copy_are_recorded_and_named_by_login() -> None:
    bot = BotFactory()
    login = f"{connection.settings_dict['USER']} ("
    with connection.cursor() as cursor:
        cursor.execute("UPDATE bots SET leverage_limit = 3 WHERE bot_id = %s", [bot.pk])
        cursor.execute("SELECT account_id FROM bots WHERE bot_id = %s", [bot.pk])
        raw = cursor.connection.cursor()
        with raw.copy(
            "COPY control_states (scope, target, state, version, reason, changed_by_name) FROM STDIN"
        ) as copy:
            copy.write_row(("symbol", "BTCUSDT", "HALTED", 1, "by COPY", ""))
        raw.close()
    Bot.objects.filter(pk=bot.pk).update(description="in bulk")

    told = [change for change in changes("bots", bot.pk) if change.operation == "update"]
    assert [change.after for change in told] == [{"leverage_limit": 3}, {"description": "in bulk"}]
    (copied,) = changes("control_states")
    assert (copied.operation, copied.after["target"]) == ("insert", "BTCUSDT")
    assert all(change.actor.startswith(login) for change in [*told, copied])


def test_facts_of_bots_leave_a_digest_each_and_what_follows_from_them_nothing() -> None:
    bot = BotFactory(leverage_limit=100)
    place(bot, "o1", "buy", "2")
    add_fill(bot, "f1", "o1", "100", "1")
    add_fill(bot, "f2", "o1", "101", "1", minute=1)

    (ordered,) = changes("orders")
    fills = changes("fills")

    assert [one.operation for one in fills] == ["insert", "insert"]
    assert all(one.before is None and one.after is None and len(bytes(one.digest)) == 32 for one in [ordered, *fills])
    assert {one.actor for one in [ordered, *fills]} == {f"bot:{bot.pk}"}
    # Position and trade were derived by the bot's own plan.
    assert changes("positions") == changes("trades") == []


def test_people_who_touch_what_is_derived_are_recorded() -> None:
    order, trade = OrderFactory(), TradeFactory()
    Order.objects.filter(pk=order.pk).update(status="cancelled", reported_status="cancelled")
    type(trade).objects.filter(pk=trade.pk).update(exit_logic="by hand")

    assert changes("orders", order.pk)[-1].after["status"] == "cancelled"
    assert changes("orders", order.pk)[-1].digest == changes("orders", order.pk)[0].digest
    assert changes("trades", trade.pk)[-1].after == {"exit_logic": "by hand"}


def test_bot_cannot_say_that_it_is_somebody_else() -> None:
    """What a session says of its actor counts for the application's login alone."""
    bot = BotFactory()
    options = "-c search_path=public,trading,audit"
    url = os.environ.get("BOT_DATABASE_URL", "")
    with psycopg.connect(url, dbname=connection.settings_dict["NAME"], options=options) as session:
        session.execute("SELECT set_config('app.actor', 'ann@example.com', true)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("SELECT * FROM audit.changes")
        session.rollback()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("INSERT INTO audit.changes (xid) VALUES (1)")
        session.rollback()
    with acting(actor="ann@example.com"), bot_scope(bot.pk):
        place(bot, "o1", "buy", "2")

    # In the application's own session, for a person who acts for the bot, it is the person.
    assert changes("orders")[0].actor == "ann@example.com"


def test_secrets_leave_a_digest_and_their_change_a_trace() -> None:
    person, key = UserFactory(), ExchangeApiKeyFactory()
    person.set_password("another long password")
    person.save()

    told = changes("users", person.pk)
    made = changes("api_keys", key.pk)[0]
    text = str([[one.before, one.after] for one in [*told, made]])

    assert told[-1].after.keys() == {"password"}
    assert told[-1].after["password"].startswith("sha256:")
    assert person.password not in text
    assert repr(bytes(key.api_secret_encrypted)) not in text
    assert bytes(key.api_secret_encrypted).hex() not in text
    assert made.after["api_secret_encrypted"].startswith("sha256:")


def test_deleted_row_is_kept_whole() -> None:
    bot = BotFactory(max_positions=5)
    pk = bot.pk
    bot.delete()

    last = changes("bots", pk)[-1]

    assert (last.operation, last.before["max_positions"], last.after) == ("delete", 5, None)


def test_settings_end_with_their_transaction_and_come_back_after_a_savepoint() -> None:
    bot = BotFactory()
    with acting(actor="ann@example.com", reason="first"):
        try:
            with transaction.atomic():
                Bot.objects.filter(pk=bot.pk).update(description="a")
                raise ValueError
        except ValueError:
            Bot.objects.filter(pk=bot.pk).update(description="b")
    Bot.objects.filter(pk=bot.pk).update(description="c")

    told = [(one.after["description"], one.actor, one.reason) for one in changes("bots", bot.pk)[1:]]
    assert told[0] == ("b", "ann@example.com", "first")
    assert told[1][0] == "c"
    assert told[1][1] != "ann@example.com"


@pytest.mark.django_db(transaction=True)
def test_write_outside_of_a_transaction_is_named_too() -> None:
    bot = BotFactory()
    with acting(actor="job:marks", request_id="task-1"):
        Bot.objects.filter(pk=bot.pk).update(description="a")
    Bot.objects.filter(pk=bot.pk).update(description="b")

    first, second = changes("bots", bot.pk)[1:]
    assert (first.actor, first.request_id) == ("job:marks", "task-1")
    assert second.actor.startswith(connection.settings_dict["USER"])


def test_page_that_edits_names_person_request_and_reason(client: Any) -> None:
    bot, person = BotFactory(max_positions=5), UserFactory(role="admin")
    client.force_login(person)
    page = reverse("admin:bots_bot_change", args=[quote(bot.pk)])
    fields = {"bot_name": bot.bot_name, "description": "", "max_positions": 3, "leverage_limit": 10}

    refused = client.post(page, fields)
    assert refused.status_code == 200
    assert "reason" in refused.context["adminform"].form.errors
    answer = client.post(page, {**fields, "reason": "too many"})

    last = changes("bots", bot.pk)[-1]
    assert (last.after, last.actor, last.reason) == ({"max_positions": 3}, str(person), "too many")
    assert last.request_id == answer["X-Request-ID"]
    history = client.get(reverse("admin:bots_bot_history", args=[quote(bot.pk)])).content.decode()
    assert all(word in history for word in (str(person), "too many", answer["X-Request-ID"], "max_positions"))


def test_history_goes_page_by_page_and_along_an_index() -> None:
    bot = BotFactory()
    for number in range(PAGE + 5):
        Bot.objects.filter(pk=bot.pk).update(description=str(number))
    name = {"table": "bots", "row_id": bot.pk, "resource": ("bot", bot.pk)}

    first = history_of(**name)
    rest = history_of(**name, before=first.before)

    assert (len(first.entries), len(rest.entries), rest.before) == (PAGE, 6, None)
    assert rest.entries[0].change.pk < first.entries[-1].change.pk
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            "EXPLAIN SELECT * FROM changes WHERE table_name = 'bots' AND row_id = 'x' ORDER BY id DESC LIMIT 51"
        )
        plan = " ".join(line for (line,) in cursor.fetchall())
    assert "Index Cond: (((table_name)::text = 'bots'::text) AND ((row_id)::text = 'x'::text))" in plan


def test_people_and_keys_are_shown_to_admins_alone(client: Any) -> None:
    viewer, admin = UserFactory(role="viewer"), UserFactory(role="admin")
    page = reverse("admin:audit_change_changelist", query={"table_name": "users"})

    seen = {}
    for person in (viewer, admin):
        client.force_login(person)
        seen[person.role] = len(client.get(page).context["cl"].result_list)

    assert seen["viewer"] == 0
    assert seen["admin"] >= User.objects.count()


def test_key_that_others_can_read_stops_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("x")
    file.chmod(0o440)
    monkeypatch.setenv("AUDIT_KEY_FILE", str(file))
    monkeypatch.setattr(env, "REGISTRY", {})

    with pytest.raises(ImproperlyConfigured, match="can be read by others"):
        env.private_file("AUDIT_KEY_FILE", "")


def test_file_that_is_no_key_is_refused(settings: Any, tmp_path: Path) -> None:
    give_key(settings, tmp_path)
    settings.AUDIT_KEY_FILE.chmod(0o600)
    settings.AUDIT_KEY_FILE.write_text("no key")

    with pytest.raises(ImproperlyConfigured, match="holds no key"):
        seal_key()


@pytest.mark.django_db(transaction=True)
def test_rows_that_move_to_their_partition_are_no_change(settings: Any, tmp_path: Path) -> None:
    key = give_key(settings, tmp_path)
    AccountBalanceFactory(timestamp=timezone.now())
    sealed(key)
    before = Change.objects.count()

    made = ensure_partitions(timezone.now())

    try:
        this_month = f"changes_y{timezone.now():%Ym%m}"
        assert {this_month, f"account_balance_y{timezone.now():%Ym%m}"} <= set(made)
        assert Change.objects.count() == before
        assert problems() == []
        # What refuses and records goes on, in the new partition and in the default one.
        with connection.cursor() as cursor, pytest.raises(Exception, match="only ever added to"):
            cursor.execute(f"UPDATE audit.{this_month} SET actor = 'x'")
        AccountBalance.objects.update(total_balance=1, available_balance=1)
        assert changes("account_balance")[-1].operation == "update"
    finally:
        with connection.cursor() as cursor:
            for name in made:
                cursor.execute(f"DROP TABLE {name}")
