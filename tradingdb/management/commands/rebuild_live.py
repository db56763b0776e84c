"""Redis from PostgreSQL."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from redis.exceptions import RedisError

from bots.live.rebuild import rebuild


class Command(BaseCommand):
    help = "Write every live key in Redis anew from PostgreSQL and remove those that should not be there."

    def handle(self, **options: Any) -> None:
        try:
            counts = rebuild()
        except RedisError as e:
            raise CommandError(f"Redis does not take the keys: {e}") from e
        self.stdout.write(", ".join(f"{count} {kind}" for kind, count in counts.items()))
