"""What can be set, as tables: from the signatures, the docstrings, the lockfile's schema, and the vendors' data."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import griffe
from pydantic.fields import FieldInfo

from llmring import LLMRequest, LLMRing
from llmring.lockfile.rendering import json_schema
from llmring.service import DEFAULT_TIMEOUT
from llmring.vendors import BUILT_IN

from .expanding import expanded

__all__ = ["constructor_table", "lockfile_keys", "lockfile_table", "request_table", "vendors_table"]


def constructor_table() -> str:
    """The arguments of `LLMRing`."""
    says = _described(LLMRing, "Args")
    rows = [
        (f"`{name}`", f"`{_default(parameter.default)}`", says.get(name, ""))
        for name, parameter in inspect.signature(LLMRing).parameters.items()
    ]
    return _table(("argument", "default", "what it does"), rows)


def request_table() -> str:
    """The fields of `LLMRequest`."""
    says = _described(LLMRequest, "Attributes")
    rows = [
        (f"`{name}`", "required" if field.is_required() else f"`{_default(_made(field))}`", says.get(name, ""))
        for name, field in LLMRequest.model_fields.items()
    ]
    return _table(("field", "default", "what it is"), rows)


def lockfile_table() -> str:
    """Every key of a lockfile."""
    rows = [
        (f"`{key}`", f"`{kind}`" if kind else "", default, says) for key, kind, default, says in lockfile_keys() if says
    ]
    return _table(("key", "type", "default", "what it is"), rows)


def lockfile_keys() -> Iterator[tuple[str, str, str, str]]:
    """Key, type, default and description, as the schema says them."""
    schema = _schema()
    yield from _keys(schema, schema["$defs"], "", ())


def vendors_table() -> str:
    """Each provider's variables."""
    rows = [
        (
            f"`{name}`",
            ", ".join(f"`{it}`" for it in vendor.key_variables) or "none",
            ", ".join(f"`{it}`" for it in vendor.address_variables),
        )
        for name, vendor in BUILT_IN.items()
    ]
    return _table(("provider", "key", "address"), rows)


def _schema() -> dict[str, Any]:
    made: Any = json_schema()
    schema: dict[str, Any] = json.loads(made) if isinstance(made, str) else made
    return schema


def _keys(
    schema: Mapping[str, Any], shared: Mapping[str, Any], path: str, above: tuple[str, ...]
) -> Iterator[tuple[str, str, str, str]]:
    for name, value in schema.get("properties", {}).items():
        yield from _key(value, shared, f"{path}.{name}".lstrip("."), above)
    inner = schema.get("additionalProperties")
    if isinstance(inner, dict) and ("properties" in inner or "$ref" in inner):
        yield from _key(inner, shared, f"{path}.NAME".lstrip("."), above)


def _key(
    value: Any, shared: Mapping[str, Any], key: str, above: tuple[str, ...]
) -> Iterator[tuple[str, str, str, str]]:
    if not isinstance(value, dict):
        return
    name = str(value.get("$ref", "")).rpartition("/")[2]
    whole = {**shared[name], **value} if name else value
    default = f"`{json.dumps(whole['default'])}`" if "default" in whole else ""
    yield key, _type(whole, shared), default, str(whole.get("description", ""))
    if name and name in above:
        return
    yield from _keys(whole, shared, key, (*above, name))
    items = whole.get("items")
    if isinstance(items, dict) and "$ref" in items:
        inner = shared[items["$ref"].rpartition("/")[2]]
        yield from _keys(inner, shared, f"{key}[]", (*above, items["$ref"]))


def _type(value: Mapping[str, Any], shared: Mapping[str, Any]) -> str:
    said = value.get("type")
    kinds = [it for it in (said if isinstance(said, list) else [said]) if it and it != "null"]
    if "enum" in value:
        return " | ".join(json.dumps(it) for it in value["enum"] if it is not None)
    if kinds == ["array"]:
        items = value.get("items")
        inner = shared[items["$ref"].rpartition("/")[2]] if isinstance(items, dict) and "$ref" in items else items
        return f"array of {_type(inner, shared)}" if isinstance(inner, dict) and _type(inner, shared) else "array"
    return " | ".join("table" if it == "object" else it for it in kinds)


def _described(cls: type, heading: Literal["Args", "Attributes"]) -> dict[str, str]:
    """What a docstring says of each name."""
    parsed = griffe.Docstring(expanded(inspect.cleandoc(cls.__doc__ or ""))).parse("google", warnings=False)
    kinds = {"Args": "parameters", "Attributes": "attributes"}
    found = [it for part in parsed if part.kind.value == kinds[heading] for it in part.value]
    return {str(it.name): " ".join(str(it.description).split()) for it in found}


def _made(field: FieldInfo) -> Any:
    """Its default, also where a function makes it."""
    return field.get_default(call_default_factory=True, validated_data={})


def _default(value: Any) -> str:
    if value is DEFAULT_TIMEOUT:
        return "60.0"
    return json.dumps(value) if isinstance(value, str) else repr(value)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = list(head)
    lines = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines)
