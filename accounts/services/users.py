"""People: created with a role and a password that is shown or kept once."""

import os
import secrets
from pathlib import Path

from django.db import transaction

from accounts.choices import Role
from accounts.models import User
from audit.services.actions import Actor

FIRST_ADMIN = "admin@tradingdb.local"


@transaction.atomic
def user_create(*, email: str, role: str, password: str, actor: Actor, full_name: str = "") -> User:
    """Create a person. Raises Django's ValidationError for an address that is taken or no address."""
    user = User.objects.create_user(email, password, role=role, full_name=full_name)
    actor.record("user.create", "user", user.email, after={"role": role})
    return user


def first_admin_ensure(*, password_file: Path, actor: Actor) -> bool:
    """Create the first admin, with the password in the file, unless there is an admin; return whether it did."""
    if User.objects.filter(role=Role.ADMIN).exists():
        return False
    user_create(email=FIRST_ADMIN, role=Role.ADMIN, password=password_from(password_file), actor=actor)
    return True


def password_from(file: Path) -> str:
    """Return the password in a file; a missing file is made, readable by its owner only, with a random one."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
            new.write(secrets.token_urlsafe(18) + "\n")
    return file.read_text().strip()
