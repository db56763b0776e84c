"""Tokens: shown once, kept as a keyed hash, rotated, revoked."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import PersonalToken
from accounts.services.tokens import personal_token_authenticate, personal_token_create, personal_token_revoke
from audit.models import UserAction
from audit.services.actions import SYSTEM, Actor
from bots.models import BotToken
from bots.services.tokens import TooManyTokens, token_authenticate, token_create, token_revoke
from tests.factories import BotFactory, UserFactory
from tradingdb.lib import tokens
from tradingdb.lib.errors import NotAuthenticated, NotFound, PermissionDenied, ValidationFailed


def test_a_token_has_the_fixed_form_and_is_kept_as_a_hash_only():
    new = tokens.make("demo")

    kind, prefix, secret = tokens.parse(new.token)
    assert (kind, prefix) == ("demo", new.prefix)
    assert (len(prefix), len(secret)) == (12, 43)
    assert new.digest == tokens.digest_of(secret, new.pepper)
    assert len(new.digest) == 32
    assert secret not in repr(new)
    assert secret.encode() not in new.digest


def test_another_pepper_or_secret_key_gives_another_hash(settings):
    first = tokens.digest_of("secret", 1)

    assert tokens.digest_of("secret", 2) != first
    settings.SECRET_KEY = "another"
    assert tokens.digest_of("secret", 1) != first


@pytest.mark.parametrize(
    "raw", ["", "tdb_live_abc.def", "tdb_live_" + "a" * 12 + "." + "b" * 42, "tdb_root_" + "a" * 12 + "." + "b" * 43,
            "x" + "tdb_live_" + "a" * 12 + "." + "b" * 43, "tdb_live_" + "é" * 12 + "." + "b" * 43]
)  # fmt: skip
def test_other_text_is_no_token(raw: str):
    assert tokens.parse(raw) is None
    with pytest.raises(NotAuthenticated):
        tokens.check_token(raw, None, timezone.now())


@pytest.mark.parametrize(
    ("header", "credential"),
    [("Bearer abc", "abc"), ("bearer  abc ", "abc"), ("Basic abc", None), ("", None), (None, None), ("Bearer", "")],
)
def test_the_bearer_of_a_header(header: str | None, credential: str | None):
    assert tokens.bearer(header) == credential


@pytest.mark.django_db
def test_a_new_token_opens_the_door_of_its_bot():
    bot = BotFactory(deployment_mode="live")

    row, raw = token_create(bot_id=bot.bot_id, scopes=["read"], days=30, actor=Actor(name="tests"))

    context = token_authenticate(raw, now=timezone.now())
    assert raw.startswith(f"tdb_live_{row.prefix}.")
    assert (context.bot_id, context.scopes, context.prefix) == (bot.bot_id, frozenset({"read"}), row.prefix)
    assert timedelta(days=29) < row.expires_at - timezone.now() <= timedelta(days=30)
    assert row.created_by == "tests"
    action = UserAction.objects.get(action="token.create")
    assert (action.resource_id, action.after) == (bot.bot_id, {"prefix": row.prefix, "scopes": ["read"], "days": 30})
    assert raw.partition(".")[2] not in str(UserAction.objects.values().get(pk=action.pk))
    with pytest.raises(PermissionDenied):
        context.require("ledger:write")


@pytest.mark.django_db
def test_unknown_wrong_expired_and_revoked_tokens_are_told_the_same():
    bot = BotFactory()
    row, raw = token_create(bot_id=bot.bot_id, actor=SYSTEM)
    _, gone = token_create(bot_id=bot.bot_id, actor=SYSTEM)
    token_revoke(bot_id=bot.bot_id, prefix=tokens.parse(gone).prefix, actor=SYSTEM)
    wrong = raw[:-1] + ("a" if raw[-1] != "a" else "b")

    messages = set()
    for shown, now in (
        (tokens.make("demo").token, timezone.now()),
        (wrong, timezone.now()),
        (raw, row.expires_at),
        (gone, timezone.now()),
        ("nonsense", timezone.now()),
    ):
        with pytest.raises(NotAuthenticated) as caught:
            token_authenticate(shown, now=now)
        messages.add((caught.value.message, str(caught.value.detail)))

    assert len(messages) == 1


@pytest.mark.django_db
def test_two_tokens_may_live_and_a_third_is_refused_until_one_goes():
    bot = BotFactory()
    first = token_create(bot_id=bot.bot_id, actor=SYSTEM)
    second = token_create(bot_id=bot.bot_id, actor=SYSTEM)

    with pytest.raises(TooManyTokens):
        token_create(bot_id=bot.bot_id, actor=SYSTEM)

    assert token_authenticate(first.token, now=timezone.now()).bot_id == bot.bot_id
    assert token_authenticate(second.token, now=timezone.now()).bot_id == bot.bot_id
    token_revoke(bot_id=bot.bot_id, prefix=first.row.prefix, actor=SYSTEM)
    token_create(bot_id=bot.bot_id, actor=SYSTEM)
    assert BotToken.objects.filter(bot=bot, revoked_at=None).count() == 2


@pytest.mark.django_db
def test_tokens_are_refused_for_nobody_too_long_or_without_scope():
    bot = BotFactory()

    for arguments in ({"days": 0}, {"days": 366}, {"scopes": []}, {"scopes": ["root"]}):
        with pytest.raises(ValidationFailed):
            token_create(bot_id=bot.bot_id, actor=SYSTEM, **arguments)
    with pytest.raises(NotFound):
        token_create(bot_id="nobody", actor=SYSTEM)
    with pytest.raises(NotFound):
        token_revoke(bot_id=bot.bot_id, prefix="a" * 12, actor=SYSTEM)
    assert BotToken.objects.count() == 0


@pytest.mark.django_db
def test_the_last_use_is_written_at_most_once_a_minute():
    row, raw = token_create(bot_id=BotFactory().bot_id, actor=SYSTEM)
    now = timezone.now()

    def updates(seconds: int) -> int:
        with CaptureQueriesContext(connection) as queries:
            token_authenticate(raw, now=now + timedelta(seconds=seconds))
        return sum(query["sql"].startswith("UPDATE") for query in queries.captured_queries)

    assert [updates(0), updates(1), updates(59), updates(60), updates(61)] == [1, 0, 0, 1, 0]
    row.refresh_from_db()
    assert row.last_used_at == now + timedelta(seconds=60)


@pytest.mark.django_db
def test_a_bots_token_is_no_personal_token_and_the_other_way_round():
    _, bots_own = token_create(bot_id=BotFactory().bot_id, actor=SYSTEM)
    personal = personal_token_create(user=UserFactory(), name="scripts", actor=SYSTEM).token
    now = timezone.now()

    with pytest.raises(NotAuthenticated):
        personal_token_authenticate(bots_own, now=now)
    with pytest.raises(NotAuthenticated):
        token_authenticate(personal, now=now)


@pytest.mark.django_db
def test_a_personal_token_ends_with_revocation_or_with_its_person():
    user = UserFactory()
    first = personal_token_create(user=user, name="first", actor=SYSTEM)
    second = personal_token_create(user=user, name="second", actor=SYSTEM)
    now = timezone.now()

    assert personal_token_authenticate(first.token, now=now) == user
    personal_token_revoke(user=user, prefix=first.row.prefix, actor=SYSTEM)
    with pytest.raises(NotAuthenticated):
        personal_token_authenticate(first.token, now=now)
    assert personal_token_authenticate(second.token, now=now) == user
    user.is_active = False
    user.save()
    with pytest.raises(NotAuthenticated):
        personal_token_authenticate(second.token, now=now)
    assert PersonalToken.objects.get(pk=second.row.pk).last_used_at == now
