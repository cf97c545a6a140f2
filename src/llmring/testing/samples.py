"""A value that fits a JSON schema, as a model that keeps to it might answer."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

__all__ = ["sample"]

_DEEP = 4
"""Levels, below which only what must be there is."""
_DEEPEST = 24
_MANY = 1000
"""Characters and items that a schema may ask for at the least; more are not given."""
_FORMATS = {
    "date": "2030-01-31",
    "date-time": "2030-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "P1D",
    "email": "sample@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def sample(schema: Any) -> Any:
    """A value that fits the schema: an example, a default or a choice that it names, else a plain one.

    All properties are in it, down to a few levels. Regular expressions are not looked at.
    """
    return _value(schema, schema if isinstance(schema, Mapping) else {}, 0)


def _value(schema: Any, root: Mapping[str, Any], depth: int) -> Any:
    schema = _whole(schema, root, depth)
    if depth > _DEEPEST:
        return None
    if "const" in schema:
        return schema["const"]
    for name in ("enum", "examples"):
        if isinstance(schema.get(name), list) and schema[name]:
            return schema[name][0]
    if schema.get("default") is not None:
        return schema["default"]
    kind = _kind(schema, depth)
    if kind == "object":
        return _object(schema, root, depth)
    if kind == "array":
        return _array(schema, root, depth)
    if kind == "string":
        return _string(schema)
    if kind in ("number", "integer"):
        return _number(schema, whole=kind == "integer")
    return {"boolean": True, "null": None}.get(kind, "sample")


def _whole(schema: Any, root: Mapping[str, Any], depth: int) -> dict[str, Any]:
    """The schema with what it refers to, and with one of its alternatives."""
    found = dict(schema) if isinstance(schema, Mapping) else {}
    for _ in range(_DEEPEST):
        if isinstance(reference := found.pop("$ref", None), str):
            found = {**_at(root, reference), **found}
        elif isinstance(parts := found.pop("allOf", None), list):
            for part in parts:
                found = _both(found, _whole(part, root, depth + 1) if depth < _DEEPEST else {})
        elif choices := found.pop("anyOf", None) or found.pop("oneOf", None):
            found = {**found, **_chosen(choices, depth)}
        else:
            break
    return found


def _both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """A schema that says what both say."""
    return {
        **one,
        **other,
        "properties": {**(one.get("properties") or {}), **(other.get("properties") or {})},
        "required": [*(one.get("required") or []), *(other.get("required") or [])],
    }


def _chosen(choices: Any, depth: int) -> dict[str, Any]:
    """The first alternative that is something; deep down, nothing, so that a schema of itself has an end."""
    given = [it for it in choices if isinstance(it, Mapping)] if isinstance(choices, list) else []
    nothing = [it for it in given if it.get("type") == "null"]
    something = [it for it in given if it.get("type") != "null"]
    first, then = (nothing, something) if depth >= _DEEP else (something, nothing)
    return dict(next(iter([*first, *then]), {}))


def _at(root: Mapping[str, Any], reference: str) -> dict[str, Any]:
    found: Any = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step:
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}


def _kind(schema: dict[str, Any], depth: int) -> str:
    """Its type in lower case; Gemini has a form with upper case."""
    kind = schema.get("type")
    if isinstance(kind, list):
        kinds = [str(it).lower() for it in kind]
        something = [it for it in kinds if it != "null"]
        return "null" if "null" in kinds and (depth >= _DEEP or not something) else next(iter(something), "null")
    if isinstance(kind, str):
        return kind.lower()
    return "object" if schema.get("properties") else "array" if schema.get("items") else ""


def _object(schema: dict[str, Any], root: Mapping[str, Any], depth: int) -> dict[str, Any]:
    properties = schema.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    required = schema.get("required")
    required = [it for it in required if isinstance(it, str)] if isinstance(required, list) else []
    names = required if depth >= _DEEP else [*properties, *(it for it in required if it not in properties)]
    return {name: _value(properties.get(name), root, depth + 1) for name in dict.fromkeys(names)}


def _array(schema: dict[str, Any], root: Mapping[str, Any], depth: int) -> list[Any]:
    fixed = schema.get("prefixItems")
    values = [_value(it, root, depth + 1) for it in fixed] if isinstance(fixed, list) else []
    items = schema.get("items")
    least = min(_bound(schema, "minItems", 0), _MANY)
    wanted = max(least, 0 if depth >= _DEEP or values or items is False else 1)
    most = schema.get("maxItems")
    wanted = min(wanted, most) if isinstance(most, int) else wanted
    whole = _whole(items, root, depth + 1)
    choices = whole.get("enum")
    unique = itertools.chain(choices if isinstance(choices, list) else [], itertools.count())
    while len(values) < wanted:
        value = _value(items, root, depth + 1)
        if not schema.get("uniqueItems") or value not in values:
            values.append(value)
            continue
        another = next(it for it in unique if it not in values)
        values.append(f"{value} {another}" if isinstance(value, str) and not choices else another)
    return values


def _string(schema: dict[str, Any]) -> str:
    text = _FORMATS.get(str(schema.get("format")), "sample")
    text = text.ljust(min(_bound(schema, "minLength", 0), _MANY), ".")
    return text[: _bound(schema, "maxLength", len(text))]


def _number(schema: dict[str, Any], *, whole: bool) -> float:
    low = _limit(schema, "minimum")
    high = _limit(schema, "maximum")
    above, below = _limit(schema, "exclusiveMinimum"), _limit(schema, "exclusiveMaximum")
    step = _limit(schema, "multipleOf") or 1
    value: float = 1
    if low is not None or above is not None:
        value = max(it for it in (low, above) if it is not None)
    elif high is not None or below is not None:
        value = min(1, *(it for it in (high, below) if it is not None))
    if whole or "multipleOf" in schema:
        value = (math.ceil if low is not None or above is not None else math.floor)(value / step) * step
    if above is not None and value <= above:
        value = _between(above, high if below is None else below, step, whole=whole)
    elif below is not None and value >= below:
        value = below - step
    return int(value) if whole or (isinstance(value, float) and value.is_integer()) else value


def _between(above: float, end: float | None, step: float, *, whole: bool) -> float:
    """What is above one number, and not past another."""
    return above + step if whole or end is None or above + step < end else (above + end) / 2


def _limit(schema: dict[str, Any], name: str) -> float | None:
    value = schema.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) else None


def _bound(schema: dict[str, Any], name: str, otherwise: int) -> int:
    """A number of characters or items; Gemini writes it as text, too."""
    value = schema.get(name)
    return int(value) if isinstance(value, int | str) and str(value).isdigit() else otherwise
