"""What of a table may be taken out and brought in: a django-import-export resource made from each model."""

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from django.db import models
from django.db.models.functions import Cast
from import_export.fields import Field
from import_export.resources import ModelResource, modelresource_factory
from import_export.widgets import Widget

from tradingdb.lib import cells

# Secrets, what is made of them, and hashes: no file has them. A column that is none of these by its name says so by
# its type: bytes and encrypted text never leave.
SECRETS = frozenset({"digest", "password", "pepper", "api_key", "api_secret", "passphrase"})
SECRET_NAME = re.compile(r".*_(hash|digest|secret|encrypted|ciphertext|nonce|password|passphrase)")
CHUNK = 2000


def is_secret(field: Any) -> bool:
    """Whether a column is a secret, a hash or a cipher."""
    name = field.name.lower()
    if name in SECRETS or SECRET_NAME.fullmatch(name):
        return True
    return isinstance(field, models.BinaryField) or any("Encrypted" in kind.__name__ for kind in type(field).__mro__)


def columns_of(model: type[models.Model]) -> list[Any]:
    """Return the columns that may leave the house, in the order of the table."""
    return [field for field in model._meta.concrete_fields if not is_secret(field)]


class CellWidget(Widget):  # type: ignore[misc]
    """Writes and reads the cells of one column; an empty cell is NULL or empty text."""

    def __init__(self, column: Any) -> None:
        super().__init__()
        self.column = column
        self.write = cells.writer(column)
        self.read = cells.reader(column)

    def clean(self, value: Any, row: Any = None, **options: Any) -> str:
        """Return a cell as the form of the column takes it. Raises ValueError."""
        text = "" if value is None else str(value).strip()
        return self.read(text) if text else ""

    def render(self, value: Any, obj: Any = None, **options: Any) -> str:
        return "" if value is None else self.write(value)


class Line(NamedTuple):
    """How the columns of one row are read from the database and written."""

    sources: list[Any]
    writers: list[Callable[[Any], str]]


class TableResource(ModelResource):  # type: ignore[misc]
    """The columns of one table by their names in the database."""

    @classmethod
    def field_from_django_field(cls, field_name: str, django_field: Any, readonly: bool) -> Field:
        name = django_field.attname
        return Field(attribute=name, column_name=name, widget=CellWidget(django_field), readonly=readonly)

    def line(self) -> Line:
        """Return how to read and write one row."""
        sources: list[Any] = []
        for field in self.get_export_fields():
            is_json = isinstance(field.widget.column, models.JSONField)
            # PostgreSQL's own text keeps every digit of a number; Python would read it as a float.
            sources.append(Cast(field.attribute, models.TextField()) if is_json else field.attribute)
        return Line(sources, [field.widget.write for field in self.get_export_fields()])

    def lines(self, rows: models.QuerySet[Any]) -> Iterator[list[str]]:
        """Return the cells of every row, read through a cursor of the server: no table is ever whole in memory."""
        line = self.line()
        for values in rows.values_list(*line.sources).iterator(chunk_size=CHUNK):
            yield ["" if value is None else write(value) for write, value in zip(line.writers, values, strict=True)]


def resource_of(
    model: type[models.Model], names: tuple[str, ...] | None = None, base: type[TableResource] = TableResource
) -> type[TableResource]:
    """Return the resource of a model, with all columns that may leave or those named."""
    allowed = [field.name for field in columns_of(model)]
    chosen = allowed if names is None else [name for name in names if name in allowed]
    options = {"fields": chosen, "export_order": chosen, "import_id_fields": (), "skip_diff": True}
    made: type[TableResource] = modelresource_factory(model, resource_class=base, meta_options=options)
    return made
