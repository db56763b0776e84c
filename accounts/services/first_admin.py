"""The first admin: made at the first start, with a password that lies in a file."""

import os
import secrets
from pathlib import Path

from accounts.choices import Role
from accounts.models import User
from accounts.services.people import person_create
from audit.services.actions import Actor

FIRST_ADMIN = "admin@tradingdb.local"


def first_admin_ensure(*, password_file: Path, actor: Actor) -> bool:
    """Create the first admin, with the password in the file, unless there is an admin; return whether it did."""
    if User.objects.filter(role=Role.ADMIN).exists():
        return False
    person_create(email=FIRST_ADMIN, role=Role.ADMIN, password=password_from(password_file), actor=actor)
    return True


def password_from(file: Path) -> str:
    """Return the password in a file; a missing file is made, readable by its owner only, with a random one."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
            new.write(secrets.token_urlsafe(18) + "\n")
    return file.read_text().strip()
