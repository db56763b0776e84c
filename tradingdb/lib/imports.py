"""Imports: rows that people maintain come in by a file, through the same form and service as by hand.

A file is tried first and shown as a preview; what is confirmed is stored in one transaction, all of it or nothing.
"""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

import tablib
from django import forms
from django.contrib import messages
from django.core import signing
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from tradingdb.lib.acting import acting
from tradingdb.lib.errors import ValidationFailed
from tradingdb.lib.exports import ExportMixin
from tradingdb.lib.import_files import MOST_BYTES, Table, read_table
from tradingdb.lib.import_rows import SHOWN_ROWS, ImportResource, Preview
from tradingdb.lib.recording import record
from tradingdb.lib.resources import TableResource, resource_of
from tradingdb.lib.sections import list_url

SALT = "tradingdb.import"
PREVIEW_SECONDS = 3600
UNTICKED = "Rows that are there already change only if you tick the box."


class UploadForm(forms.Form):
    """A file, and why its rows are brought."""

    file = forms.FileField(
        label="File", help_text=f"CSV or XLSX, at most {MOST_BYTES // 1024} KiB.",
        widget=forms.FileInput(attrs={"accept": ".csv,.xlsx"}),
    )  # fmt: skip
    reason = forms.CharField(
        max_length=500, widget=forms.Textarea(attrs={"rows": 2}), help_text="Kept with every change."
    )


class ImportMixin(ExportMixin):
    """Adds the import to a page that names what a file may bring; the page stores each row as it does by hand."""

    # Columns that a file may have; none: rows are not brought by files.
    importable: ClassVar[tuple[str, ...]] = ()
    # Columns by which a row of the file is one that exists; none: every row is a new one.
    import_key: ClassVar[tuple[str, ...]] = ()

    def has_import_permission(self, request: HttpRequest) -> bool:
        """Who may add or change rows by hand may bring them by a file."""
        if not self.importable:
            return False
        allowed = request.user.has_perm(f"{self.opts.app_label}.import_{self.opts.model_name}")
        return allowed and (self.has_add_permission(request) or self.has_change_permission(request))

    def importable_rows(self, request: HttpRequest) -> models.QuerySet[Any]:
        """Return the rows that a file may change."""
        return self.get_queryset(request)

    def check_may_import(self, request: HttpRequest, row: models.Model | None) -> None:
        """Raise ValidationError when this person may not add a row, or not change this one."""
        if row is None and not self.has_add_permission(request):
            raise ValidationError("You may not add rows here, and no row has this key.")
        if row is not None and not self.has_change_permission(request, row):
            raise ValidationError("You may not change this row.")

    def get_urls(self) -> list[URLPattern]:
        if not self.importable:
            return super().get_urls()
        name = f"{self.opts.app_label}_{self.opts.model_name}_import"
        return [path("import/", self.admin_site.admin_view(self.import_view), name=name), *super().get_urls()]

    def import_view(self, request: HttpRequest) -> HttpResponse:
        """Take a file, show what would become of it, and store it when that is confirmed."""
        if not self.has_import_permission(request):
            raise PermissionDenied
        if request.method == "POST" and "confirmed" in request.POST:
            return self._store(request)
        form = UploadForm(request.POST, request.FILES) if request.method == "POST" else UploadForm()
        if form.is_bound and form.is_valid():
            file = form.cleaned_data["file"]
            try:
                # One byte more than is taken shows that there is more.
                content = file.read(MOST_BYTES + 1)
                preview = self.bring(request, file.name, content, form.cleaned_data["reason"], is_dry=True)
            except ValidationFailed as e:
                form.add_error("file", e.message)
            else:
                packed = base64.b64encode(content).decode()
                parcel = {"name": file.name, "file": packed, "reason": form.cleaned_data["reason"]}
                return self._preview_page(request, preview, parcel)
        return self._page(request, {"form": form}, status=409 if form.is_bound else 200)

    def bring(self, request: HttpRequest, name: str, content: bytes, reason: str, *, is_dry: bool) -> Preview:
        """Try a file, or store it; a file with one wrong row stores nothing. Raises ValidationFailed for the file."""
        table = read_table(name, content)
        resource = resource_of(self.model, self.importable, ImportResource)()
        assert isinstance(resource, ImportResource)
        self._check_columns(resource, table)
        resource.begin(self, request, reason)
        with acting(reason=reason):
            result = resource.import_data(
                tablib.Dataset(*table.lines, headers=table.headers), dry_run=is_dry, use_transactions=True,
                rollback_on_validation_errors=True,
            )  # fmt: skip
        return resource.preview(result)

    def _check_columns(self, resource: TableResource, table: Table) -> None:
        columns = {name: field.column_name for name, field in resource.fields.items()}
        foreign = [name[:40] for name in table.headers if name not in columns.values()]
        if foreign:
            known = ", ".join(columns.values())
            raise ValidationFailed(f"Unknown columns: {', '.join(foreign)}. A file may have {known}.")
        missing = [columns[name] for name in self.import_key if columns[name] not in table.headers]
        if missing:
            raise ValidationFailed(f"The column {', '.join(missing)} is missing: rows are known by it.")

    def _store(self, request: HttpRequest) -> HttpResponse:
        """Store what was shown, if it still means the same."""
        try:
            parcel = signing.loads(request.POST["confirmed"], salt=self._salt(request), max_age=PREVIEW_SECONDS)
        except signing.BadSignature:
            messages.error(request, "The preview is too old or not yours. Bring the file again.")
            return HttpResponseRedirect(request.path)
        content = base64.b64decode(parcel["file"])
        with transaction.atomic():
            preview = self.bring(request, parcel["name"], content, parcel["reason"], is_dry=False)
            is_same = preview.fingerprint == parcel["fingerprint"] and not preview.count("wrong")
            is_agreed = not preview.count("changed") or "change" in request.POST
            if is_same and is_agreed:
                told = {"file": parcel["name"], "sha256": hashlib.sha256(content).hexdigest(), **preview.counts}
                name = f"{self.resource_type}.import"
                record(request, name, self.resource_type, after=told, reason=parcel["reason"])
            else:
                transaction.set_rollback(True)
        if not (is_same and is_agreed):
            messages.error(request, UNTICKED if is_same else "Rows have changed since the preview; look again.")
            return self._preview_page(request, preview, parcel)
        counts = preview.counts
        words = f"{counts['new']} added, {counts['changed']} changed, {counts['same']} as they were."
        messages.success(request, words)
        return HttpResponseRedirect(list_url(self.model))

    def _salt(self, request: HttpRequest) -> str:
        """A preview belongs to one person and one page."""
        return f"{SALT}:{self.opts.label_lower}:{request.user.pk}"

    def _preview_page(self, request: HttpRequest, preview: Preview, parcel: Mapping[str, str]) -> HttpResponse:
        sent = {name: parcel[name] for name in ("name", "file", "reason")} | {"fingerprint": preview.fingerprint}
        context = {
            "preview": preview,
            "hidden": max(0, len(preview.lines) - SHOWN_ROWS),
            "file_name": parcel["name"],
            "parcel": signing.dumps(sent, salt=self._salt(request), compress=True),
        }
        return self._page(request, context, status=409 if preview.count("wrong") else 200)

    def _page(self, request: HttpRequest, context: Mapping[str, Any], *, status: int) -> HttpResponse:
        columns = [field for field in self.opts.concrete_fields if field.name in self.importable]
        shared = {
            **self.admin_site.each_context(request),
            "title": f"Import {self.opts.verbose_name_plural}",
            "opts": self.opts,
            "columns": [(field.attname, field.help_text, field.name in self.import_key) for field in columns],
            "list_url": list_url(self.model),
            **context,
        }
        headers = {"Cache-Control": "no-store"}
        return TemplateResponse(request, "admin/import.html", shared, status=status, headers=headers)
