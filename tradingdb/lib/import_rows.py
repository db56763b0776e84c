"""The rows of a file on their way through a page's own form, and what became of each."""

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Protocol

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import DataError, IntegrityError, models, transaction
from django.http import HttpRequest
from import_export.results import Result, RowResult

from tradingdb.lib.errors import DomainError
from tradingdb.lib.resources import TableResource

SHOWN_ROWS = 200
VERDICTS = {
    RowResult.IMPORT_TYPE_NEW: "new",
    RowResult.IMPORT_TYPE_UPDATE: "changed",
    RowResult.IMPORT_TYPE_SKIP: "same",
}


class ImportingPage(Protocol):
    """What a page does for the rows of a file."""

    import_key: ClassVar[tuple[str, ...]]

    def importable_rows(self, request: HttpRequest) -> models.QuerySet[Any]: ...

    def check_may_import(self, request: HttpRequest, row: models.Model | None) -> None: ...

    def get_form(self, request: HttpRequest, obj: Any | None, change: bool) -> type[forms.ModelForm]: ...

    def save_model(self, request: Any, obj: Any, form: Any, change: Any) -> None: ...


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


class ImportResource(TableResource):
    """Takes the rows of one file through the page's own form; each by itself says what is wrong with it."""

    page: ImportingPage
    request: HttpRequest
    reason: str

    def begin(self, page: ImportingPage, request: HttpRequest, reason: str) -> None:
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
                errors[name] = ["is not set here; leave it as it is."]
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
                field = form.fields[name] = forms.DateTimeField(required=field.required)
            # A page carries what it showed in a hidden input; a file is compared with what is stored.
            field.show_hidden_initial = False
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
