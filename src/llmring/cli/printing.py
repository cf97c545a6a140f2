"""JSON on standard output, for programs."""

from __future__ import annotations

import math
from typing import Any

from .terminal import say

__all__ = ["json_text", "say_json"]


def say_json(data: dict[str, Any] | list[Any]) -> None:
    """An object or a list as JSON that every parser reads."""
    say(json_text(data))


def json_text(data: Any) -> str:
    """Data as the text of JSON that every parser reads.

    What JSON cannot say becomes what comes nearest: numbers that are none, or infinite, are null, dates are strings.
    """
    import json

    text = json.dumps(_sayable(data), indent=2, ensure_ascii=False, default=str, allow_nan=False)
    if not text.isascii() and any("\ud800" <= it <= "\udfff" for it in text):
        text = json.dumps(_sayable(data), indent=2, default=str, allow_nan=False)
    return text


def _sayable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sayable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_sayable(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
