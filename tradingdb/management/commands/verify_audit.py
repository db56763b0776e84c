"""manage.py verify_audit: whether anybody rewrote the audit trail, or changed a row behind its back."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.models import Seal
from audit.trail.anchors import accept_restore
from audit.trail.keys import seal_key
from audit.trail.verify import Report, trail_verify


class Command(BaseCommand):
    help = "Check the seals of the audit trail and the tables against it; exit 1 with the first broken seal."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--new", action="store_true", help="only from the last good check on")
        parser.add_argument("--json", action="store_true", help="print the whole report as JSON")
        parser.add_argument(
            "--accept-restore", type=int, metavar="SEAL", help="vouch for the restore that this seal tells of"
        )
        parser.add_argument("--reason", default="", help="why the database was restored; kept with the anchors")

    def handle(self, *, new: bool, json: bool, accept_restore: int | None, reason: str, **options: Any) -> None:
        if accept_restore is not None:
            self._accept(accept_restore, reason)
        report = trail_verify(full=not new)
        if json:
            self.stdout.write(as_json(report))
        else:
            for one in report["problems"]:
                where = f"seal {one['seal']}" if one["seal"] is not None else "no seal"
                self.stdout.write(f"{where}: {one['problem']}: {one['detail']}")
        said = (
            f"{report['rows']} changes under seals {report['from_seal']} to {report['to_seal']}, {report['anchors']} "
            f"anchors, {report['unsealed_rows']} changes unsealed, {report['seconds']} s"
        )
        if not report["ok"]:
            first = report["problems"][0]
            at = f" at seal {first['seal']}" if first["seal"] is not None else ""
            raise CommandError(f"{first['problem']}{at}; {len(report['problems'])} problems; {said}")
        self.stdout.write(f"ok: {said}")

    def _accept(self, number: int, reason: str) -> None:
        key = seal_key()
        seal = Seal.objects.filter(number=number, kind="restored").first()
        if key is None or seal is None or not reason.strip():
            raise CommandError("Vouching needs AUDIT_KEY_FILE, the number of a seal of kind restored, and a --reason.")
        for problem in accept_restore(seal, key, reason.strip()):
            self.stderr.write(f"not kept in {problem}")


def as_json(report: Report) -> str:
    """Return a report as text."""
    return json.dumps(report, indent=1)
