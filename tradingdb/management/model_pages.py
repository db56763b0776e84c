"""A page for each model, written from the model itself: what a row is, columns with units, rules, indexes."""

import inspect
from collections.abc import Iterable, Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import connection, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.models.expressions import OrderBy

from tradingdb.lib.db import ByEdition, CreateView, SetSchema
from tradingdb.lib.units import unit_of

INDEX = "README.md"
COMPARISONS = {
    "gt": ">", "gte": "≥", "lt": "<", "lte": "≤", "regex": "matches", "contained_by": "is within",
    "contains": "contains", "has_key": "has the key",
}  # fmt: skip
NOTICE = "Written by `manage.py model_docs` from the models; do not edit."


def our_models() -> list[type[models.Model]]:
    """Return the models of our own apps, by app and name."""
    found = [
        model
        for config in apps.get_app_configs()
        if config.path.startswith(str(settings.BASE_DIR)) and "site-packages" not in config.path
        for model in config.get_models()
    ]
    return sorted(found, key=lambda model: (model._meta.app_label, model.__name__))


def schemas() -> dict[str, str]:
    """Return the PostgreSQL schema of each table and view that a migration has placed."""
    placed: dict[str, str] = {}
    for migration in MigrationLoader(None).disk_migrations.values():
        for operation in all_operations(migration.operations):
            if isinstance(operation, SetSchema):
                placed.update(dict.fromkeys(operation.tables, operation.schema))
            elif isinstance(operation, CreateView):
                placed[operation.name] = operation.schema
    return placed


def all_operations(operations: Iterable[Operation]) -> Iterator[Operation]:
    """Yield operations, and those inside of operations for one edition."""
    for operation in operations:
        yield operation
        if isinstance(operation, ByEdition):
            yield from all_operations([*operation.community, *operation.other])


def pages() -> dict[str, str]:
    """Return every page by file name, the index among them."""
    placed = schemas()
    made = {f"{model._meta.db_table}.md": page(model, placed) for model in our_models()}
    made[INDEX] = index_page(placed)
    return made


def index_page(placed: dict[str, str]) -> str:
    """Return the list of all pages."""
    lines = ["# Tables", "", NOTICE, "", "| table | model | one row is |", "|---|---|---|"]
    for model in our_models():
        table = model._meta.db_table
        lines.append(f"| [{placed.get(table, 'public')}.{table}]({table}.md) | {label(model)} | {summary(model)} |")
    return "\n".join(lines) + "\n"


def label(model: type[models.Model]) -> str:
    """Return app and name of a model."""
    return f"{model._meta.app_label}.{model.__name__}"


def docstring(model: type[models.Model]) -> str:
    """Return what a model says of itself; Django's own list of fields does not count."""
    text = inspect.cleandoc(model.__doc__ or "")
    return "" if text.startswith(f"{model.__name__}(") else text


def summary(model: type[models.Model]) -> str:
    """Return the first line of the docstring."""
    return docstring(model).partition("\n")[0]


def page(model: type[models.Model], placed: dict[str, str]) -> str:
    """Return the page of one model."""
    meta = model._meta
    lines = [f"# {model.__name__}", "", f"`{placed.get(meta.db_table, 'public')}.{meta.db_table}`: {docstring(model)}"]
    lines += ["", NOTICE, "", "| column | type | unit | meaning |", "|---|---|---|---|"]
    lines += [column_line(field) for field in meta.concrete_fields]
    if meta.constraints:
        lines += ["", "## Rules", ""]
        lines += [f"* `{rule.name}`: {rule_text(rule)}" for rule in meta.constraints]
    if meta.indexes:
        lines += ["", "## Indexes", ""]
        lines += [f"* `{index.name}`: {index_text(index)}" for index in meta.indexes]
    return "\n".join(lines) + "\n"


def column_line(field: Any) -> str:
    """Return a column's line in the table."""
    unit = unit_of(field)
    kind = field.db_type(connection) or ""
    kind += "" if field.null or field.primary_key else " not null"
    cells = (f"`{field.column}`", kind, unit.words if unit else "", " ".join(meaning(field)))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def meaning(field: Any) -> Iterator[str]:
    """Say what a column holds: its help text, its closed set, what it refers to, how it is computed."""
    if field.help_text:
        yield str(field.help_text)
    choices = field.base_field.flatchoices if isinstance(field, ArrayField) else field.flatchoices
    if choices:
        yield f"One of {', '.join(str(value) for value, _ in choices)}."
    if field.is_relation:
        yield f"Refers to {label(field.related_model)}."
    generated: Any = field if isinstance(field, models.GeneratedField) else None
    if generated is not None:
        yield f"Computed: {expression_text(generated.expression)}."
    if field.unique and not field.primary_key:
        yield "Unique."


def rule_text(rule: models.BaseConstraint) -> str:
    """Return a constraint in words."""
    if isinstance(rule, models.CheckConstraint):
        return condition_text(rule.condition)
    if isinstance(rule, models.UniqueConstraint):
        names = ", ".join([*rule.fields, *(expression_text(each) for each in rule.expressions)])
        return f"unique ({names})" + (f" where {condition_text(rule.condition)}" if rule.condition else "")
    return type(rule).__name__


def index_text(index: models.Index) -> str:
    """Return the columns of an index, and the rows it is limited to."""
    kind = "" if type(index) is models.Index else f"{type(index).__name__.removesuffix('Index').lower()} "
    names = [f"{name} desc" if order else name for name, order in index.fields_orders]
    text = f"{kind}({', '.join([*names, *(expression_text(each) for each in index.expressions)])})"
    return f"{text} where {condition_text(index.condition)}" if index.condition else text


def condition_text(condition: Any) -> str:
    """Return a condition as people write it."""
    if not isinstance(condition, models.Q):
        return lookup_text(*condition) if isinstance(condition, tuple) else expression_text(condition)
    parts = [
        f"({condition_text(child)})"
        if isinstance(child, models.Q) and len(child.children) > 1
        else condition_text(child)
        for child in condition.children
    ]
    text = f" {condition.connector.lower()} ".join(parts)
    return f"not ({text})" if condition.negated else text


def lookup_text(name: str, value: Any) -> str:
    """Return one comparison."""
    column, _, lookup = name.partition("__")
    if lookup == "isnull":
        return f"{column} is {'' if value else 'not '}null"
    if lookup == "in":
        return f"{column} in ({', '.join(str(each) for each in value)})"
    shown = ", ".join(map(str, value)) or "[]" if isinstance(value, list) else expression_text(value)
    return f"{column} {COMPARISONS.get(lookup, '=')} {shown}"


def expression_text(value: Any) -> str:
    """Return an expression without Django's class names."""
    if isinstance(value, OrderBy):
        return expression_text(value.expression) + (" desc" if value.descending else "")
    if isinstance(value, models.F):
        return str(getattr(value, "name", ""))
    if isinstance(value, models.Value):
        return repr(value.value)
    if isinstance(value, models.Lookup):
        return lookup_text(f"{expression_text(value.lhs)}__{value.lookup_name}", value.rhs)
    sources: Iterable[Any] = value.get_source_expressions() if hasattr(value, "get_source_expressions") else ()
    if hasattr(value, "connector"):
        return f" {value.connector} ".join(expression_text(each) for each in sources)
    if hasattr(value, "function"):
        # A function that needs a cast names itself in its template.
        name = value.function or value.template.partition("(")[0]
        return f"{name.lower()}({', '.join(expression_text(each) for each in sources)})"
    return f"'{value}'" if isinstance(value, str) else str(value)
