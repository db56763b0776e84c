"""Identities: a person proves with a code that an account elsewhere is theirs."""

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import AuthIdentity, User
from accounts.services.verification import verify_code
from audit.services.actions import Actor
from tradingdb.lib.errors import Conflict, PermissionDenied, ValidationFailed


class IdentityTaken(Conflict):
    """Somebody else is known under this name there."""

    code = "identity_taken"


def identity_confirm(*, user_id: int, provider: str, external_id: str, code: str, actor: Actor) -> AuthIdentity:
    """Keep how a person is known at a provider, once the code that was sent there comes back.

    Raises PermissionDenied for a wrong, old or used code, IdentityTaken, ValidationFailed. The code is used up in a
    transaction of its own, so that wrong ones count whatever happens then.
    """
    if not verify_code(user_id=user_id, provider=provider, code=code, actor=actor):
        raise PermissionDenied("The code is wrong, too old or used.")
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=user_id)
        row = AuthIdentity.objects.filter(provider=provider, external_id=external_id).first()
        if row is not None and row.user_id != user.pk:
            raise IdentityTaken("This account there belongs to somebody else here.")
        is_known = row is not None and row.metadata.get("verified") is True
        row = row or AuthIdentity(user=user, provider=provider, external_id=external_id)
        row.metadata = {**row.metadata, "verified": True}
        try:
            row.full_clean()
        except ValidationError as e:
            raise ValidationFailed(" ".join(e.messages)) from e
        row.save()
        if not is_known:
            after = {"provider": provider, "external_id": external_id}
            actor.record("identity.confirm", "user", user.email, after=after)
    return row
