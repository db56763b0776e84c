"""Which bots a person who has not all of them sees, and which of them the person may act on."""

from django.db import transaction

from accounts.models import BotMembership, User
from audit.services.actions import Actor
from tradingdb.lib.errors import NotFound, PermissionDenied, ValidationFailed


@transaction.atomic
def membership_set(*, user_id: int, bot_id: str, may_act: bool, actor: Actor, reason: str = "") -> BotMembership:
    """Give a person a bot; again with another right changes that. Raises NotFound, ValidationFailed for an admin."""
    user = User.objects.select_for_update().filter(pk=user_id).first()
    if user is None:
        raise NotFound("No such person.", id=user_id)
    if user.is_admin:
        raise ValidationFailed("Admins have all bots.")
    row = BotMembership.objects.filter(user=user, bot_id=bot_id).first()
    before = {"may_act": row.may_act} if row is not None else None
    if before == {"may_act": may_act}:
        assert row is not None
        return row
    row, _ = BotMembership.objects.update_or_create(user=user, bot_id=bot_id, defaults={"may_act": may_act})
    after = {"bot_id": bot_id, "may_act": may_act}
    actor.record("membership.set", "user", user.email, before=before, after=after, reason=reason)
    return row


@transaction.atomic
def membership_end(*, row: BotMembership, actor: Actor, reason: str = "") -> None:
    """Take a bot away from a person."""
    deleted, _ = BotMembership.objects.filter(pk=row.pk).delete()
    if deleted:
        before = {"bot_id": row.bot_id, "may_act": row.may_act}
        actor.record("membership.end", "user", row.user.email, before=before, reason=reason)


def require_act(actor: Actor, bot_id: str | None) -> None:
    """Raise PermissionDenied where a person may not intervene with a bot, or with None: what concerns all of them.

    Commands and jobs, which are no person, pass.
    """
    if isinstance(actor.user, User) and not actor.user.may_act_on(bot_id):
        raise PermissionDenied(
            "This bot is not yours to act on." if bot_id else "This concerns bots that are not yours."
        )
