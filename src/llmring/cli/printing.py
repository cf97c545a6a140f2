"""JSON on standard output, for programs."""

from __future__ import annotations

import math
import sys
from typing import Any

from ..exceptions import LLMRingError
from .terminal import is_utf8, say

__all__ = ["json_text", "say_json", "with_escapes"]


def say_json(data: dict[str, Any] | list[Any]) -> None:
    """An object or a list as JSON that every parser reads."""
    say(json_text(data))


def json_text(data: Any, *, is_for_people: bool = False) -> str:
    """Data as the text of JSON that every parser reads, in ASCII, which goes through every pipe and terminal.

    What JSON cannot say becomes what comes nearest: numbers that are none, or infinite, are null, dates are strings.

    Args:
        data: what it says.
        is_for_people: whether letters may stand as they are where standard output has them all.
    """
    import json

    may_be_read = is_for_people and is_utf8(sys.stdout.encoding)
    try:
        text = json.dumps(_sayable(data), indent=2, ensure_ascii=not may_be_read, default=str, allow_nan=False)
    except RecursionError:
        raise LLMRingError("What was to be printed is nested too deeply for JSON that others can read.") from None
    halves = not text.isascii() and any("\ud800" <= it <= "\udfff" for it in text)
    return with_escapes(text) if halves else text


def with_escapes(text: str) -> str:
    """The text of JSON in ASCII, laid out as it is."""
    import json

    return "".join(it if it.isascii() else json.dumps(it)[1:-1] for it in text)


def _sayable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sayable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_sayable(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
