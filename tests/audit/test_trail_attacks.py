"""What a superuser does behind the trail's back, each by its name."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from audit.models import AuditCheck, Change, Seal, SystemEvent
from audit.trail.anchors import accept_restore
from audit.trail.chain import NOTHING
from audit.trail.sealer import Sealer
from audit.trail.seals import COLUMNS, link_of, seal
from audit.trail.verify import trail_verify
from tests.audit.trail_tools import Story, give_key, problems, sealed, superuser, unseen
from tests.factories import BotFactory

pytestmark = pytest.mark.django_db(transaction=True)
OF_FILL = "table_name = 'fills' AND row_id = (SELECT min(id)::text FROM fills)"


@pytest.fixture
def story(settings: Any, tmp_path: Path) -> Story:
    made = Story(give_key(settings, tmp_path))
    assert problems() == []
    return made


# What is done with the triggers off, and what a check then says: the seal (by its name in the story) and the problem.
CHANGES = {
    "a change is edited": (
        "UPDATE audit.changes SET actor = 'bob' WHERE table_name = 'bots' AND operation = 'update'",
        "last", "edited_row",
    ),
    "the digest of a fill is edited": (
        f"UPDATE audit.changes SET digest = decode('00', 'hex') WHERE {OF_FILL}", "second", "edited_row"
    ),
    "a change is deleted": (f"DELETE FROM audit.changes WHERE {OF_FILL}", "second", "deleted_row"),
    "a change is dated back": (
        "UPDATE audit.changes SET at = at - interval '1 hour' WHERE table_name = 'bots' AND operation = 'update'",
        "last", "edited_row",
    ),
    "a change is put under an old seal": (
        "INSERT INTO audit.changes (xid, at, actor, login, request_id, reason, table_name, row_id, operation) "
        "SELECT xid, at, 'eve', login, '', '', table_name, row_id, 'update' FROM audit.changes "
        f"WHERE {OF_FILL}", "second", "inserted_row",
    ),
    "a seal is deleted": ("DELETE FROM audit.seals WHERE number = 2", "third", "seal_missing"),
    "a seal is edited": ("UPDATE audit.seals SET rows = rows + 1 WHERE number = 1", "second", "seal_rewritten"),
    "a seal is dated back": (
        "UPDATE audit.seals SET sealed_at = sealed_at - interval '1 day' WHERE number = 1", "second", "seal_rewritten"
    ),
    "a signature is edited": (
        "UPDATE audit.seals SET signature = decode(repeat('00', 64), 'hex') WHERE number = 2", "third", "seal_forged"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_rewritten_trail_is_named_with_its_seal(story: Story, name: str) -> None:
    statement, at, problem = CHANGES[name]

    unseen(statement)

    seal_of = getattr(story, at)
    assert problems()[0] == (seal_of.number, problem)
    event = SystemEvent.objects.get(event_type="AUDIT_BROKEN")
    assert event.message.startswith(problem)


def test_seals_made_anew_without_the_key_are_forged(story: Story, settings: Any, tmp_path: Path) -> None:
    """The whole chain is made again over rewritten changes, every hash right; the signatures are another key's."""
    (tmp_path / "eve").mkdir()
    unseen("UPDATE audit.changes SET actor = 'bob' WHERE table_name = 'bots'", "DELETE FROM audit.seals")
    anchors, copies, ours = settings.AUDIT_ANCHOR_DIR, settings.AUDIT_ANCHOR_COPIES, settings.AUDIT_KEY_FILE
    sealed(give_key(settings, tmp_path / "eve"))
    settings.AUDIT_KEY_FILE, settings.AUDIT_ANCHOR_DIR, settings.AUDIT_ANCHOR_COPIES = ours, anchors, copies

    found = problems()

    assert found[0] == (0, "seal_forged")
    assert "cut_tail" in {problem for _, problem in found}


def test_cut_tail_is_named_by_the_anchor(story: Story) -> None:
    unseen(
        "DELETE FROM audit.changes WHERE table_name = 'bots' AND operation = 'update'",
        "DELETE FROM audit.seals WHERE number = 3",
        "UPDATE trading.bots SET max_positions = 5",
    )

    assert problems() == [(0, "cut_tail")]


def test_cut_tail_over_which_new_seals_were_made_is_named(story: Story) -> None:
    """Our own sealer goes on over the cut chain, with good signatures."""
    unseen(
        "DELETE FROM audit.changes WHERE table_name = 'bots' AND operation = 'update'",
        "DELETE FROM audit.seals WHERE number = 3",
        "UPDATE trading.bots SET max_positions = 5",
    )
    story.bot.refresh_from_db()
    story.bot.description = "new"
    story.bot.save()
    assert sealed(story.key).number == 3

    assert problems() == [(0, "cut_tail")]


def test_sealer_that_runs_while_the_tail_is_cut_says_so_at_once(story: Story) -> None:
    """What was sealed after the last anchor is in the sealer's mind alone."""
    sealer = Sealer(story.key)
    sealer.turn()
    story.bot.description = "new"
    story.bot.save()
    sealer.turn()
    unseen("DELETE FROM audit.changes WHERE at > (SELECT sealed_at FROM audit.seals WHERE number = 3)",
           "DELETE FROM audit.seals WHERE number = 4", "UPDATE trading.bots SET description = ''")  # fmt: skip

    sealer.turn()

    assert SystemEvent.objects.filter(event_type="AUDIT_CUT", event_level="CRITICAL").exists()
    assert (4, "cut_tail") in problems()


def test_change_dated_back_under_a_new_transaction_is_named(story: Story) -> None:
    """The row is new and its transaction too; only its time lies."""
    with superuser() as session:
        session.execute(
            "INSERT INTO audit.changes "
            "(xid, at, actor, login, request_id, reason, table_name, row_id, operation, after) "
            "VALUES (pg_current_xact_id()::text::bigint, now() - interval '1 hour', 'ann', 'tradingdb', '', '', "
            "'bots', %s, 'update', '{\"max_positions\": 7}')",
            [story.bot.pk],
        )
    new = sealed(story.key)

    assert problems() == [(new.number, "back_dated_row")]


LIVE = {
    "fill edited": ("UPDATE trading.fills SET price = price * 2", "live_row_edited", "trading.fills"),
    "fill deleted": ("DELETE FROM trading.fills WHERE fill_id = 'f1'", "live_row_deleted", "trading.fills"),
    "fill inserted": (
        "INSERT INTO trading.fills (bot_id, account_id, fill_id, order_id, symbol, side, price, quantity, fee, "
        "fee_currency, executed_at, source, content_hash, fee_rate, fee_quote, flags) "
        "SELECT bot_id, account_id, 'eve', order_id, symbol, side, price, quantity, fee, fee_currency, executed_at, "
        "source, content_hash, fee_rate, fee_quote, flags FROM trading.fills WHERE fill_id = 'f1'",
        "live_row_inserted", "trading.fills",
    ),
    "order edited": ("UPDATE trading.orders SET strategy = 'eve'", "live_row_edited", "trading.orders"),
    "balance edited": (
        "UPDATE trading.account_balance SET total_balance = 1, available_balance = 1", "live_row_edited",
        "trading.account_balance",
    ),
    "limit edited": ("UPDATE trading.bots SET leverage_limit = 100", "live_row_edited", "trading.bots"),
    "bot inserted": (
        "INSERT INTO trading.control_states (scope, target, state, reason, version, changed_by_name) "
        "VALUES ('all', '', 'ACTIVE', '', 1, '')", "live_row_inserted", "trading.control_states",
    ),
    "password edited": ("UPDATE accounts.users SET password = 'x'", "live_row_edited", "accounts.users"),
}  # fmt: skip


@pytest.mark.parametrize("name", LIVE)
def test_row_changed_with_triggers_off_is_named(story: Story, name: str, django_user_model: Any) -> None:
    django_user_model.objects.create_user(email="ann@example.com", password="a long enough password")
    sealed(story.key)
    statement, problem, table = LIVE[name]

    unseen(statement)

    report = trail_verify()
    assert problems(report) == [(None, problem)]
    assert report["problems"][0]["detail"].startswith(table)


def test_trigger_that_was_switched_off_is_named_with_what_it_missed(story: Story) -> None:
    with superuser() as session:
        session.execute("ALTER TABLE trading.fills DISABLE TRIGGER trail_update")
        session.execute("UPDATE trading.fills SET quantity = 3")

    try:
        assert problems() == [(None, "trigger_missing"), (None, "live_row_edited")]
    finally:
        with superuser() as session:
            session.execute("ALTER TABLE trading.fills ENABLE TRIGGER trail_update")


def test_function_that_writes_nothing_any_more_is_named(story: Story) -> None:
    with superuser() as session:
        (text,) = session.execute("SELECT pg_get_functiondef('audit.trail_fills'::regproc)").fetchone() or ("",)
    body = text[: text.index("AS $")] + "AS $$ BEGIN RETURN NULL; END $$"
    with superuser() as session:
        session.execute(body)

    try:
        assert problems() == [(None, "trigger_missing")]
    finally:
        with superuser() as session:
            session.execute(text)


def test_restored_cluster_is_named_until_somebody_vouches_for_it(story: Story) -> None:
    """A copy in another cluster: another identifier; transactions, here, go on."""
    # As the chain looks to a database restored elsewhere: every seal is of the other cluster.
    _pretend_other_cluster(story)
    assert (4, "restored") in problems()

    story.bot.description = "written before the first seal here"
    story.bot.save()
    restored = sealed(story.key)
    story.bot.description = "and after"
    story.bot.save()
    new = sealed(story.key)

    assert (restored.kind, restored.rows) == ("restored", 1)
    assert (new.kind, new.rows) == ("seal", 1)
    assert problems() == [(restored.number, "restored")]
    assert accept_restore(restored, story.key, "moved to the new machine") == []
    assert problems() == []
    unseen("UPDATE audit.changes SET actor = 'bob' WHERE after ->> 'description' LIKE 'written%'")
    assert problems() == [(restored.number, "edited_row")]


def _pretend_other_cluster(story: Story) -> None:
    """Add a seal of another cluster to the chain, as our sealer would have made it there."""
    last = sealed_last()
    link = replace(link_of(last), number=last.number + 1, previous=bytes(last.hash))
    link = replace(link, low=link.high, rows=0, root=NOTHING.root, marks=b"", waited=())
    newest = Change.objects.order_by("-id").values_list("id", flat=True)[0]
    link = replace(link, kind="restored", cluster="1", floor=newest)
    values = {name: getattr(link, name) for name in COLUMNS} | {"running": list(link.running), "waited": []}
    made = Seal.objects.create(**values, hash=link.hash(), key=story.key.name, signature=story.key.sign(link.hash()))
    assert accept_restore(made, story.key, "as made elsewhere") == []


def sealed_last() -> Seal:
    last = Seal.objects.order_by("-number").first()
    assert last is not None
    return last


def test_nobody_but_the_owner_can_touch_the_trail_and_he_not_by_mistake(story: Story) -> None:
    for statement in ("UPDATE audit.changes SET actor = 'x'", "DELETE FROM audit.seals", "TRUNCATE audit.changes"):
        with pytest.raises(Exception, match="only ever added to") as caught, connection.cursor() as cursor:
            cursor.execute(statement)
        assert caught.value.__cause__.sqlstate == "42501"  # type: ignore[union-attr]


def test_new_checks_go_on_where_a_good_one_ended(story: Story) -> None:
    story.bot.description = "new"
    story.bot.save()
    new = sealed(story.key)

    report = trail_verify(full=False)

    assert (report["ok"], report["from_seal"], report["to_seal"], report["rows"]) == (True, 3, new.number, 2)
    unseen("UPDATE trading.bots SET description = 'newer'")
    assert problems(trail_verify(full=False)) == [(None, "live_row_edited")]
    # After a bad one everything is looked at again.
    assert trail_verify(full=False)["from_seal"] == 0
    assert AuditCheck.objects.filter(ok=False).count() == 2


def test_long_transaction_holds_no_seal_up_and_is_sealed_when_it_ends(story: Story) -> None:
    with superuser() as session:
        session.execute("BEGIN")
        session.execute("UPDATE trading.bots SET description = 'slow'")
        story.bot.refresh_from_db()
        BotFactory()
        quick = sealed(story.key)
        assert quick.rows == 2
        assert len(quick.running) >= 1
        session.execute("COMMIT")
    slow = sealed(story.key)

    assert slow.rows == 1
    assert Change.objects.get(xid__in=slow.waited).after == {"description": "slow"}
    assert problems() == []
    assert seal(story.key) is None
