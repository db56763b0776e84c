"""Writes docs/models from the models, or checks that the pages there say what the models say."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from tradingdb.management.model_pages import pages


class Command(BaseCommand):
    help = "Write a page for each model into docs/models, or compare them with --check."
    # Models are all it needs: no database, no migration state.
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="change nothing, fail when a page is not as it should be"
        )
        parser.add_argument(
            "--folder", type=Path, default=settings.BASE_DIR / "docs" / "models", help="where the pages are"
        )

    def handle(self, *, check: bool, folder: Path, **options: Any) -> None:
        wanted = pages()
        found = {file.name: file.read_text() for file in folder.glob("*.md")}
        stale = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
        if check:
            if stale:
                raise CommandError(f"Run manage.py model_docs; these pages differ: {', '.join(stale)}")
            self.stdout.write(f"{len(wanted)} pages agree with the models")
            return
        folder.mkdir(parents=True, exist_ok=True)
        for name in stale:
            if name in wanted:
                (folder / name).write_text(wanted[name])
            else:
                (folder / name).unlink()
        self.stdout.write(f"{len(stale)} pages changed, {len(wanted)} in all")
