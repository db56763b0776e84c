"""Imports: rows that people maintain come in by a file, through the same form and service as by hand.

A file is tried first and shown as a preview; what is confirmed is stored in one transaction, all of it or nothing.
"""

import base64
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import tablib
from django import forms
from django.contrib import messages
from django.core import signing
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, ValidationError
from django.db import DataError, IntegrityError, models, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from import_export.results import Result, RowResult

from tradingdb.lib.errors import DomainError, ValidationFailed
from tradingdb.lib.import_files import MOST_BYTES, Table, read_table
from tradingdb.lib.recording import record
from tradingdb.lib.resources import TableResource, resource_of
from tradingdb.lib.sections import list_url

if TYPE_CHECKING:
    from tradingdb.lib.admin import ControlModelAdmin
else:
    ControlModelAdmin = object

SALT = "tradingdb.import"
PREVIEW_SECONDS = 3600
SHOWN_ROWS = 200
UNTICKED = "Rows that are there already change only if you tick the box."
VERDICTS = {
    RowResult.IMPORT_TYPE_NEW: "new",
    RowResult.IMPORT_TYPE_UPDATE: "changed",
    RowResult.IMPORT_TYPE_SKIP: "same",
}


class Change(NamedTuple):
    """One cell that differs from what is stored."""

    column: str
    before: str
    after: str


class Line(NamedTuple):
    """What becomes of one row of the file."""

    number: int
    verdict: str
    name: str
    changes: list[Change]
    errors: list[tuple[str, str]]


class Preview(NamedTuple):
    """What becomes of a file."""

    lines: list[Line]

    def count(self, verdict: str) -> int:
        return sum(line.verdict == verdict for line in self.lines)

    @property
    def counts(self) -> dict[str, int]:
        return {verdict: self.count(verdict) for verdict in ("new", "changed", "same", "wrong")}

    @property
    def shown(self) -> list[Line]:
        """The rows that a person must see: wrong ones first, then changed and new ones."""
        order = {"wrong": 0, "changed": 1, "new": 2, "same": 3}
        return sorted(self.lines, key=lambda line: (order[line.verdict], line.number))[:SHOWN_ROWS]

    @property
    def fingerprint(self) -> str:
        """What was shown, in short: a file that means something else by now is not what was confirmed."""
        told = [(line.number, line.verdict, line.changes) for line in self.lines]
        return hashlib.sha256(repr(told).encode()).hexdigest()


class UploadForm(forms.Form):
    """A file, and why its rows are brought."""

    file = forms.FileField(
        label="File", help_text=f"CSV or XLSX, at most {MOST_BYTES // 1024} KiB.",
        widget=forms.FileInput(attrs={"accept": ".csv,.xlsx"}),
    )  # fmt: skip
    reason = forms.CharField(
        max_length=500, widget=forms.Textarea(attrs={"rows": 2}), help_text="Kept with every change."
    )


class ImportResource(TableResource):
    """Takes the rows of one file through the page's own form; each by itself says what is wrong with it."""

    page: "ImportMixin"
    request: HttpRequest
    reason: str

    def begin(self, page: "ImportMixin", request: HttpRequest, reason: str) -> None:
        """Say whose page, who brings the rows, and why."""
        self.page, self.request, self.reason = page, request, reason
        self.keys: dict[tuple[str, ...], int] = {}
        self.told: dict[int, tuple[str, list[Change]]] = {}
        self.form: forms.ModelForm | None = None

    def get_queryset(self) -> models.QuerySet[Any]:
        return self.page.importable_rows(self.request)

    def before_import_row(self, row: Mapping[str, Any], **options: Any) -> None:
        columns = [self.fields[name].column_name for name in self.page.import_key]
        key = tuple(str(row[column]).strip() for column in columns)
        first = self.keys.setdefault(key, options["row_number"])
        if columns and first != options["row_number"]:
            raise ValidationError(f"Row {first + 1} of the file has the same {', '.join(columns)}.")

    def get_instance(self, instance_loader: Any, row: Mapping[str, Any]) -> Any:
        """Return the row that has the natural key, of those this person sees."""
        if not self.page.import_key:
            return None
        fields = [self.fields[name] for name in self.page.import_key]
        try:
            match = {field.attribute: field.clean(row) for field in fields}
        except ValueError:
            return None
        found = list(self.get_queryset().filter(**match)[:2])
        if len(found) > 1:
            raise ValidationError("More than one row has this key.")
        return found[0] if found else None

    def import_instance(self, instance: Any, row: Mapping[str, Any], **options: Any) -> None:
        """Fill the page's form from the row, and the instance from the form. Raises ValidationError by column."""
        is_new = instance._state.adding
        self.page.check_may_import(self.request, None if is_new else instance)
        form_class = self.page.get_form(self.request, None if is_new else instance, change=not is_new)
        texts, errors = self._texts(row)
        stored = {name: self.fields[name].export(instance) for name in texts}
        form = form_class({**texts, "reason": self.reason}, instance=instance)
        self._fit(form, given=set(texts), is_new=is_new)
        for name in sorted(set(texts) - set(form.fields)):
            if texts[name] != self._normal(name, stored[name]):
                errors[name] = ["stays as it is: this page does not offer it."]
        for name, found in form.errors.items():
            errors.setdefault(name, []).extend(str(each) for each in found)
        if errors:
            known = {self._column(name): found for name, found in errors.items()}
            raise ValidationError({name: [ValidationError(each) for each in found] for name, found in known.items()})
        self.form = form
        written = [name for name in form.changed_data if name in texts]
        changes = [
            Change(self._column(name), "" if is_new else stored[name], self.fields[name].export(instance))
            for name in (texts if is_new else written)
        ]
        self.told[options["row_number"]] = (str(instance), changes)

    def _texts(self, row: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, list[str]]]:
        """Return the cells of a row as forms take them, and what is wrong with those that are nothing."""
        texts, errors = {}, {}
        for name, field in self.fields.items():
            if field.column_name in row:
                try:
                    texts[name] = field.clean(row)
                except ValueError as e:
                    errors[name] = [str(e)]
        return texts, errors

    def _normal(self, name: str, cell: str) -> str:
        """Return a stored cell as a file's cell of the same meaning is read."""
        field = self.fields[name]
        return str(field.clean({field.column_name: cell}))

    def _fit(self, form: forms.ModelForm, *, given: set[str], is_new: bool) -> None:
        """Leave to the model what the file does not speak of, and take times in one piece."""
        for name, field in list(form.fields.items()):
            if isinstance(field, forms.SplitDateTimeField):
                form.fields[name] = forms.DateTimeField(required=field.required)
            if name not in given and name != "reason" and not (is_new and field.required):
                del form.fields[name]

    def _column(self, name: str) -> str:
        return str(self.fields[name].column_name) if name in self.fields else name

    def skip_row(self, instance: Any, original: Any, row: Any, import_validation_errors: Any = None) -> bool:
        """A row that changes nothing is left alone."""
        if import_validation_errors or self.form is None or instance._state.adding:
            return False
        return not set(self.form.changed_data) - {"reason"}

    def validate_instance(
        self, instance: Any, import_validation_errors: Any = None, validate_unique: bool = True
    ) -> None:
        """The form has validated the row; raise what it found."""
        if import_validation_errors:
            raise ValidationError(import_validation_errors)

    def do_instance_save(self, instance: Any, is_create: bool) -> None:
        """Store the row as the page does, with the record of who and why."""
        assert self.form is not None
        try:
            with transaction.atomic():
                self.page.save_model(self.request, instance, self.form, not is_create)
        except DomainError as e:
            raise ValidationError(e.message) from e
        except (IntegrityError, DataError) as e:
            rule = getattr(getattr(e.__cause__, "diag", None), "constraint_name", None)
            raise ValidationError(f"The database refuses it: {rule or 'a value that does not fit'}.") from e

    def after_import(self, dataset: Any, result: Result, **options: Any) -> None:
        """Leave the sequences alone: no row brings a primary key of its own."""

    def preview(self, result: Result) -> Preview:
        """Return what became of each row. Raises what no row is to blame for."""
        lines = []
        for number, row in enumerate(result.rows, 1):
            if row.errors:
                raise row.errors[0].error
            name, changes = self.told.get(number, ("", []))
            verdict = VERDICTS.get(row.import_type, "wrong")
            lines.append(Line(number + 1, verdict, name, changes, problems(row.validation_error)))
        return Preview(lines)


def problems(error: ValidationError | None) -> list[tuple[str, str]]:
    """Return column and message of everything that is wrong with a row."""
    if error is None:
        return []
    found = error.message_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: error.messages}
    return [("" if name == NON_FIELD_ERRORS else name, text) for name, texts in found.items() for text in texts]


class ImportMixin(ControlModelAdmin):
    """Adds the import to a page that names what a file may bring; the page stores each row as it does by hand."""

    # Columns that a file may have; none: rows are not brought by files.
    importable: ClassVar[tuple[str, ...]] = ()
    # Columns by which a row of the file is one that exists; none: every row is a new one.
    import_key: ClassVar[tuple[str, ...]] = ()

    def has_import_permission(self, request: HttpRequest) -> bool:
        """Who may add or change rows by hand may bring them by a file."""
        if not self.importable:
            return False
        allowed = request.user.has_perm(f"{self.opts.app_label}.import_{self.opts.model_name}")  # type: ignore[union-attr]
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
        columns = [self.opts.get_field(name) for name in self.importable]
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
