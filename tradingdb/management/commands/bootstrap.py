"""What a start needs in the database."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from accounts.services.first_admin import FIRST_ADMIN, first_admin_ensure
from audit.services.actions import Actor
from audit.services.events import event_record
from tradingdb.db_backend.partitions import ensure_partitions


class Command(BaseCommand):
    help = "Make the coming months' partitions and the first admin, and note the start. Safe to run again."

    def handle(self, **options: Any) -> None:
        ensure_partitions(timezone.now())
        password_file = settings.STATE_DIR / "secrets" / "admin_password"
        is_made = first_admin_ensure(password_file=password_file, actor=Actor(name="bootstrap"))
        event_record(event_type="SYSTEM_START", message="The system was started.", component="supervisor")
        self.stdout.write(f"{FIRST_ADMIN} made, password in {password_file}" if is_made else "nothing to make")
