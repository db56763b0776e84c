"""Creates a person with a personal token, for trials and scripts."""

import json
import secrets
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts.choices import Role
from accounts.services.people import person_create
from accounts.services.tokens import personal_token_create
from audit.services.actions import Actor
from tradingdb.lib.errors import ValidationFailed


class Command(BaseCommand):
    help = "Create a person with a role and a personal API token; prints {email, password, token} as JSON."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("role", choices=[str(role) for role in Role.values])
        parser.add_argument("--email", help="login name; a new one at tradingdb.local unless it is given")

    def handle(self, *, role: str, email: str | None, **options: Any) -> None:
        actor = Actor(name="create_staff")
        email = email or f"{role}-{secrets.token_hex(4)}@tradingdb.local"
        password = secrets.token_urlsafe(18)
        try:
            with transaction.atomic():
                user = person_create(email=email, role=role, password=password, actor=actor)
                token = personal_token_create(user=user, name="create_staff", actor=actor).token
        except ValidationFailed as e:
            raise CommandError(e.message) from e
        self.stdout.write(json.dumps({"email": user.email, "password": password, "token": token}))
