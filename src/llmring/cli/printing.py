"""JSON on standard output, for programs."""

from __future__ import annotations

import math
from typing import Any

from .terminal import say

__all__ = ["say_json"]


def say_json(data: dict[str, Any]) -> None:
    """An object as JSON that every parser reads.

    What JSON cannot say becomes what comes nearest: numbers that are none, or infinite, are null, dates are strings.
    """
    import json

    text = json.dumps(_sayable(data), indent=2, ensure_ascii=False, default=str, allow_nan=False)
    if not text.isascii() and any("\ud800" <= it <= "\udfff" for it in text):
        text = json.dumps(_sayable(data), indent=2, default=str, allow_nan=False)
    say(text)


def _sayable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sayable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_sayable(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
