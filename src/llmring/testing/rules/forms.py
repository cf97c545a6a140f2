"""What every vendor insists on before it looks at anything else: JSON, and of a certain form.

Only what this server looks at itself has a form here, so that no odd body makes it stumble. The kinds are those of the
vendors' references.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ..replies import Problem

__all__ = ["parsed", "wrong_form"]

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
