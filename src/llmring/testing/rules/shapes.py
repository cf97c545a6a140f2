"""Small looks at a body that may hold anything."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Any

from ..replies import Problem
from .given import walk

__all__ = ["is_base64", "rows", "says_json", "strict_schema", "text_of", "unknown", "words"]


def rows(value: Any) -> list[tuple[int, dict[str, Any]]]:
    """The tables of a list, each with its index."""
    return [(index, row) for index, row in enumerate(value) if isinstance(row, dict)] if isinstance(value, list) else []


def words(text: str) -> frozenset[str]:
    """A set of names, written as one text."""
    return frozenset(text.split())


def unknown(table: Mapping[str, Any], known: frozenset[str]) -> Iterator[str]:
    """The keys that nobody knows."""
    return (key for key in table if key not in known)


def text_of(value: Any) -> str:
    """All text in a content: a string, or a list of parts."""
    if isinstance(value, str):
        return value
    return "".join(part["text"] for _, part in rows(value) if isinstance(part.get("text"), str))


def is_base64(value: Any) -> bool:
    """Whether it is base64 of something, of the plain or the URL's alphabet, padded or not."""
    if not isinstance(value, str) or not value:
        return False
    plain = value.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def says_json(body: Any) -> bool:
    """Whether a conversation speaks of JSON, which OpenAI's JSON mode insists on."""
    said = body if isinstance(body, str) else "\n".join(text_of(row.get("content")) for row in walk(body))
    return "json" in said.lower()


def strict_schema(schema: Any, what: str, param: str) -> Iterator[Problem]:
    """OpenAI's strict mode: objects are closed, and require all that they have.

    https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
    """
    for node in walk(schema):
        properties = node.get("properties")
        if node.get("type") != "object" or not (properties is None or isinstance(properties, dict)):
            continue
        wrong = None
        if node.get("additionalProperties") is not False:
            wrong = "'additionalProperties' is required to be supplied and to be false."
        elif missing := sorted(set(properties or ()) - set(node.get("required") or ())):
            wrong = (
                "'required' is required to be supplied and to be an array including every key in properties. "
                f"Missing '{missing[0]}'."
            )
        if wrong:
            message = f"Invalid schema for {what}: In context=(), {wrong}"
            yield Problem(400, message, code="invalid_json_schema", param=param)
