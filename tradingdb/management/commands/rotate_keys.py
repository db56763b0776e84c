"""manage.py rotate_keys: a new key for secrets in rows, and the rows under it."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from audit.services.actions import Actor
from config_app.services.field_keys import (
    keys_status,
    rotation_end,
    rows_rotate,
    version_stage,
    version_use,
    versions_remove,
)
from jobs.services.schedules import key_rotation_run
from tradingdb.lib.errors import Conflict, DomainError
from tradingdb.lib.keyring import KeyFileError


class Command(BaseCommand):
    help = "Encrypt with a new key from now on, and have the worker encrypt every row under it again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--stage", action="store_true", help="only add a key: for several machines, before its use")
        what.add_argument("--resume", action="store_true", help="no new key; encrypt rows under the current one")
        what.add_argument("--remove-old", action="store_true", help="take the keys that no row needs out of the file")
        parser.add_argument("--now", action="store_true", help="encrypt here, instead of letting the worker do it")
        parser.add_argument("--reason", default="", help="kept with the action")

    def handle(self, *, stage: bool, resume: bool, remove_old: bool, now: bool, reason: str, **options: Any) -> None:
        actor = Actor(name="command:rotate_keys")
        try:
            if stage:
                version = version_stage(actor=actor, reason=reason)
                self.stdout.write(f"version {version} waits; give every machine the file, then run rotate_keys")
            elif remove_old:
                gone = versions_remove(actor=actor, reason=reason)
                words = f"removed: {', '.join(map(str, gone))}; backups from before still need them" if gone else ""
                self.stdout.write(words or "nothing to remove: rows need every version but the current one")
            else:
                if not resume:
                    version = version_use(actor=actor, reason=reason)
                    self.stdout.write(f"version {version} encrypts from now on")
                self._rewrite(actor, reason, is_here=now)
        except (KeyFileError, ImproperlyConfigured) as e:
            raise CommandError(str(e)) from e
        except DomainError as e:
            raise CommandError(e.message) from e

    def _rewrite(self, actor: Actor, reason: str, *, is_here: bool) -> None:
        if not is_here:
            try:
                run = key_rotation_run(actor=actor, reason=reason)
            except Conflict:
                self.stdout.write("the job waits or runs already")
                return
            self.stdout.write(f"the worker takes run {run.pk} within 15 s; see Jobs, or manage.py key_status")
            return
        started = time.monotonic()
        done = rows_rotate(seconds=float("inf"))
        took = time.monotonic() - started
        self.stdout.write(f"{done.rewritten} rows encrypted again under version {done.version} in {took:.1f} s")
        rotation_end(done)
        free = keys_status()["free"]
        if free:
            self.stdout.write(f"free to be removed with --remove-old: {', '.join(map(str, free))}")
