"""What Ollama refuses, always with status 400: what does not fit into its Go types. What it does not know it ignores.

Types: `ChatRequest` and `Message` in its `api/types.go`, as the `ollama` SDK has them too. The words of the errors are
those of public reports, such as aliasrobotics/cai#76 (arguments) and BerriAI/litellm#18338 (pictures).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..replies import Problem
from ..requests import RecordedRequest
from .given import Given
from .shapes import is_base64, rows

__all__ = ["check"]

_GO = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}
_STRINGS = ("role", "content", "thinking", "tool_name", "tool_call_id")


def check(body: dict[str, Any], given: Given, request: RecordedRequest) -> Iterator[Problem]:
    """What is wrong with a request."""
    if not body.get("model"):
        yield Problem(400, "model is required")
    think = body.get("think")
    if not (think is None or isinstance(think, bool) or think in ("low", "medium", "high", "max")):
        yield Problem(400, f'invalid think value: "{think}" (must be "high", "medium", "low", "max", true, or false)')
    for name in ("messages", "tools"):
        yield from _unless(list, body.get(name), name)
    yield from _unless(dict, body.get("options"), "options")
    for _, message in rows(body.get("messages")):
        for name in _STRINGS:
            yield from _unless(str, message.get(name), f"messages.{name}")
        for name in ("images", "tool_calls"):
            yield from _unless(list, message.get(name), f"messages.{name}")
        pictures = message.get("images")
        for picture in pictures if isinstance(pictures, list) else ():
            if not is_base64(picture):
                start = str(picture).find(":") if str(picture).startswith("data:") else 0
                yield Problem(400, f"illegal base64 data at input byte {start}")
        for _, call in rows(message.get("tool_calls")):
            function = call.get("function")
            where = "messages.tool_calls.function"
            yield from _unless(dict, function, where)
            if isinstance(function, dict):
                arguments = function.get("arguments")
                yield from _unless(dict, arguments, f"{where}.arguments", "api.ToolCallFunctionArguments")


def _unless(wanted: type, value: Any, where: str, kind: str | None = None) -> Iterator[Problem]:
    if value is not None and not isinstance(value, wanted):
        found = _GO.get(type(value), "value")
        yield Problem(
            400,
            f"json: cannot unmarshal {found} into Go struct field ChatRequest.{where} of type {kind or _GO[wanted]}",
        )
