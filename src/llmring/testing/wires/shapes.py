"""Looks at a body that may hold anything, and what the server has given away and knows again.

What every vendor insists on before it looks at anything else is JSON, and of a certain form. Only what this server
looks at itself has a form here, so that no odd body makes it stumble. The kinds are those of the vendors' references.
Given away, and known again, are signatures, encrypted content and ids.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ..exchange import Problem

__all__ = [
    "Given",
    "is_base64",
    "no_string",
    "parsed",
    "rows",
    "says_json",
    "strict_schema",
    "table",
    "text_of",
    "too_long",
    "unknown",
    "unknown_parameter",
    "walk",
    "wrong_form",
]

_SECRETS = frozenset(
    {
        "signature",
        "thoughtSignature",
        "thought_signature",
        "encrypted_content",
        "encrypted_index",
        "data",
        "id",
    }
)


_MOST = 100_000
"""Things remembered: a server that runs for days must not grow for ever."""


class Given:
    """All that one issuer has given away of late: an address, spoken to in one format."""

    def __init__(self) -> None:
        self._answers: dict[str, frozenset[str]] = {}
        self._tables: dict[str, dict[str, Any]] = {}
        self.thoughts: dict[str, str] = {}
        """The thinking that a signature was given with."""

    def learn(self, answer: Any) -> None:
        """Remember what is in an answer: JSON, or the bytes of a body or stream of it."""
        values = _values(answer) if isinstance(answer, bytes) else [answer]
        found: set[str] = set()
        for table in (table for value in values for table in walk(value)):
            found |= {value for key, value in table.items() if key in _SECRETS and isinstance(value, str) and value}
            if isinstance(id := table.get("id"), str):
                self._tables[id] = table
            if isinstance(signature := table.get("signature"), str):
                thought = table.get("thinking", table.get("text"))
                if isinstance(thought, str) and thought:
                    self.thoughts[signature] = thought
        together = frozenset(found)
        self._answers |= dict.fromkeys(found, together)
        while len(self._answers) > _MOST:
            oldest = next(iter(self._answers))
            del self._answers[oldest]
            self._tables.pop(oldest, None)
            self.thoughts.pop(oldest, None)

    def knows(self, value: object) -> bool:
        """Whether it was given here."""
        return isinstance(value, str) and value in self._answers

    def beside(self, value: object) -> frozenset[str]:
        """What was given in the same answer."""
        return self._answers.get(value, frozenset()) if isinstance(value, str) else frozenset()

    def table(self, id: object) -> dict[str, Any]:
        """What was given under that id, empty if nothing was."""
        return self._tables.get(id, {}) if isinstance(id, str) else {}


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Every table in a JSON value."""
    left = [value]
    while left:
        node = left.pop()
        if isinstance(node, dict):
            yield node
            left += node.values()
        elif isinstance(node, list):
            left += node


def _values(data: bytes) -> Iterator[Any]:
    """The JSON of a body, or of each event of a stream."""
    for piece in (data, *(line.removeprefix(b"data:") for line in data.splitlines())):
        try:
            yield json.loads(piece)
        except (ValueError, RecursionError):
            continue
        if piece is data:
            return


_DEEPEST = 100
"""Levels of nesting. Vendors take about as many; OpenAI's schemas alone may have ten."""
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")

_TABLE = "an object"
_TABLES = "an array of objects"
_TEXT = "a string"
_FLAG = "a boolean"
_COMMON = {"model": [_TEXT], "stream": [_FLAG], "tools": [_TABLES]}
_FORMS: dict[str, dict[str, list[str]]] = {
    "anthropic": {"messages": [_TABLES], "system": [_TEXT, _TABLES], "thinking": [_TABLE]},
    "gemini": {"contents": [_TABLES], "systemInstruction": [_TABLE], "generationConfig": [_TABLE]},
    "ollama": {"messages": [_TABLES], "options": [_TABLE]},
    "openai-chat": {"messages": [_TABLES], "stream_options": [_TABLE]},
    "openai-responses": {
        "input": [_TEXT, _TABLES],
        "instructions": [_TEXT],
        "reasoning": [_TABLE],
        "stream_options": [_TABLE],
        "text": [_TABLE],
    },
}


def table(value: Any, *keys: str) -> dict[str, Any]:
    """The table that some keys lead to, empty where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def rows(value: Any) -> list[tuple[int, dict[str, Any]]]:
    """The tables of a list, each with its index."""
    return [(index, row) for index, row in enumerate(value) if isinstance(row, dict)] if isinstance(value, list) else []


def unknown(table: Mapping[str, Any], known: Collection[str]) -> Iterator[str]:
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


def unknown_parameter(where: str) -> Problem:
    """What OpenAI says of a field that it does not know."""
    return Problem(400, f"Unknown parameter: '{where}'.", code="unknown_parameter", param=where)


def no_string(where: str) -> Problem:
    """What OpenAI says of an object where a string belongs."""
    said = f"Invalid type for '{where}': expected a string, but got an object instead."
    return Problem(400, said, code="invalid_type", param=where)


def too_long(where: str, value: str, most: int) -> Iterator[Problem]:
    """What OpenAI says of a string that is too long."""
    if len(value) > most:
        said = f"string too long. Expected a string with maximum length {most}, but got a string with length"
        message = f"Invalid '{where}': {said} {len(value)} instead."
        yield Problem(400, message, code="string_above_max_length", param=where)


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


def parsed(raw: bytes) -> tuple[Any, str | None]:
    """What a body says, and what is wrong with it as JSON, if anything is."""
    try:
        body = json.loads(raw)
        if _HALF.search(raw):
            json.dumps(body, ensure_ascii=False).encode()
    except RecursionError:
        return None, "The body is nested too deeply."
    except UnicodeEncodeError:
        return None, "The body is not valid Unicode: it holds half of a surrogate pair."
    except ValueError as error:
        return None, f"The body cannot be parsed as JSON: {error}"
    if raw.count(b"[") + raw.count(b"{") > _DEEPEST and _is_deeper(body):
        return None, "The body is nested too deeply."
    return body, None


def wrong_form(wire: str, body: dict[str, Any]) -> Problem | None:
    """What a vendor says to a body with a field that is not of its form."""
    for name, kinds in {**_COMMON, **_FORMS[wire]}.items():
        if body.get(name) is not None and not any(_is(kind, body[name]) for kind in kinds):
            return Problem(400, f"Invalid type for '{name}': expected {' or '.join(kinds)}.", param=name)
    return None


def _is(kind: str, value: Any) -> bool:
    if kind == _TABLES:
        return isinstance(value, list) and all(isinstance(it, dict) for it in value)
    return isinstance(value, {_TABLE: dict, _TEXT: str, _FLAG: bool}[kind])


def _is_deeper(value: Any) -> bool:
    """Whether a value has more levels than any body needs; looked at level by level, so that none is too deep."""
    level = [value]
    for _ in range(_DEEPEST):
        inner = [it for box in level for it in (box.values() if isinstance(box, dict) else box)]
        level = [it for it in inner if isinstance(it, dict | list)]
        if not level:
            return False
    return True
