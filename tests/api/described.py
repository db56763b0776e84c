"""Reading the description of the API: schemas by their names, fields that no schema has."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from django.conf import settings

from tradingdb.api import api

# Every code that an error can have, as the page of problems explains them.
CODES = set(re.findall(r"^### (\w+)$", (settings.BASE_DIR / "docs" / "problems.md").read_text(), re.MULTILINE))


@cache
def description() -> dict[str, Any]:
    """Return the description of the API, made once: that takes a second. Nobody may change it."""
    return api.get_openapi_schema()


def resolved(described: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema itself where only its name stands."""
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = described["components"]["schemas"][name] if name else schema
    return found


def undescribed(described: dict[str, Any], response: dict[str, Any], body: Any) -> list[str]:
    """Return the fields of an answer that its description does not have."""
    schema = response.get("content", {}).get("application/json", {}).get("schema")
    return list(_strays(described, schema, body, "")) if schema else []


def _strays(described: dict[str, Any], schema: dict[str, Any], value: Any, where: str) -> Iterator[str]:
    schema = resolved(described, schema)
    if "anyOf" in schema:
        found = [
            list(_strays(described, option, value, where))
            for option in schema["anyOf"]
            if fits(described, option, value)
        ]
        yield from min(found, key=len, default=[])
    elif isinstance(value, dict) and "properties" in schema:
        for name, inner in value.items():
            known = schema["properties"].get(name)
            yield from [f"{where}.{name}"] if known is None else _strays(described, known, inner, f"{where}.{name}")
    elif isinstance(value, dict) and isinstance(schema.get("additionalProperties"), dict):
        for inner in value.values():
            yield from _strays(described, schema["additionalProperties"], inner, f"{where}.*")
    elif isinstance(value, list) and "items" in schema:
        for inner in value:
            yield from _strays(described, schema["items"], inner, f"{where}[]")


def fits(described: dict[str, Any], schema: dict[str, Any], value: Any) -> bool:
    """Whether a schema of several is meant: an object has all that it requires, nothing is null but null."""
    schema = resolved(described, schema)
    kinds = {"object": dict, "array": list, "null": type(None)}
    kind = kinds.get(schema.get("type", ""), object)
    return isinstance(value, kind) and (not isinstance(value, dict) or set(schema.get("required", ())) <= set(value))


def edges(described: dict[str, Any], method: str, path: str, at: Iterable[str | int]) -> dict[str, list[Any]]:
    """Return, by field of the object at a place in a body, the values at the ends of what its description allows."""
    content = described["paths"][path][method].get("requestBody", {}).get("content", {})
    schema = resolved(described, content.get("application/json", {}).get("schema", {}))
    for step in at:
        schema = resolved(described, schema["items"] if isinstance(step, int) else schema["properties"][step])
    return {name: list(_edges(described, inner)) for name, inner in schema.get("properties", {}).items()}


def _edges(described: dict[str, Any], schema: dict[str, Any]) -> Iterator[Any]:
    schema = resolved(described, schema)
    for option in schema.get("anyOf", ()):
        yield from _edges(described, option)
    yield from schema.get("enum", ())
    if schema.get("type") == "null":
        yield None
    elif schema.get("type") == "boolean":
        yield from (False, True)
    elif schema.get("type") in ("integer", "number"):
        yield from (schema[name] for name in ("minimum", "maximum") if name in schema)
        yield from ([schema["exclusiveMaximum"] - 1] if "exclusiveMaximum" in schema else [])
