"""What a request means: all that a provider would see of it, but for the ids of calls. By it a recording is found."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic_core import from_json, to_json

from ..schemas import LLMRequest, Message

__all__ = ["asked_again", "difference", "key_of", "likeness", "loosened", "meaning", "ordered", "question"]

_APART = frozenset({
    *("model", "messages", "timeout", "deadline", "on_interrupt", "retries_on_misfit", "metadata", "json_response"),
})  # fmt: skip
"""What of a request no provider sees, or sees in another place."""
_FIELDS = tuple(name for name in ("tools", "tool_choice", *LLMRequest.model_fields) if name not in _APART)
_TURN = ("role", "content", "tool_calls", "tool_call_id")
_CALL = ("id", "name", "arguments")
_TIMES_AND_IDS = re.compile(
    rb"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:Z| ?[+-]\d{2}:?\d{2})?)?"
    rb"|\b\d{2}:\d{2}:\d{2}\b"
    rb"|\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"
)
"""Days, times of day, and UUIDs, as prompts tell them."""
_LOOKED_AT = 20_000
"""Characters of a request that are compared with others."""
_SHOWN = 40
"""Lines of a difference."""
_WIDTH = 160


def meaning(request: LLMRequest) -> dict[str, Any]:
    """A request that was prepared, as a recording has it: its fields in one order, what is not set left out."""
    ids: dict[str, str] = {}
    said: dict[str, Any] = {"messages": [_turn(it, ids) for it in request.messages]}
    for name in _FIELDS:
        value = getattr(request, name)
        if value is not None and value != {} and value != []:
            said[name] = _sorted(value) if isinstance(value, dict | list) else value
    if isinstance(said.get("stop"), str):
        said["stop"] = [said["stop"]]
    return said


def _turn(message: Message, ids: dict[str, str]) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": message.role}
    content = message.content
    if isinstance(content, list):
        texts = [it.get("text") for it in content if it.keys() == {"type", "text"} and it["type"] == "text"]
        content = texts[0] if len(content) == 1 and texts else _sorted(content)
    elif isinstance(content, dict):
        content = _sorted(content)
    if content:
        turn["content"] = content
    if message.tool_calls:
        turn["tool_calls"] = [
            {
                "id": ids.setdefault(call["id"], f"call_{len(ids) + 1}"),
                "name": call["function"]["name"],
                "arguments": _arguments(call["function"]["arguments"]),
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        turn["tool_call_id"] = ids.setdefault(message.tool_call_id, f"call_{len(ids) + 1}")
    return turn


def _arguments(written: Any) -> Any:
    """Arguments as what they say; as they are written where they are no table."""
    try:
        value = from_json(written)
    except (ValueError, TypeError):
        return written
    return _sorted(value) if isinstance(value, dict) else written


def _sorted(value: Any) -> Any:
    """The same, its tables' keys in order: two programs may build one table in two ways."""
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list | tuple):
        return [_sorted(it) for it in value]
    return value


def ordered(table: Mapping[str, Any]) -> dict[str, Any]:
    """A request of a recording, which somebody may have edited, in the one order."""
    said: dict[str, Any] = {}
    for name in ("messages", *_FIELDS, *table):
        if name not in table or name in said:
            continue
        value = table[name]
        said[name] = [_ordered_turn(it) for it in value] if name == "messages" else _sorted(value)
    return said


def _ordered_turn(turn: Any) -> Any:
    if not isinstance(turn, Mapping):
        return turn
    first = {name: _sorted(turn[name]) for name in _TURN if name in turn}
    if isinstance(calls := first.get("tool_calls"), list):
        first["tool_calls"] = [
            {**{name: it[name] for name in _CALL if name in it}, **it} if isinstance(it, dict) else it for it in calls
        ]
    return {**first, **_sorted({key: turn[key] for key in turn if key not in first})}


def key_of(request: Mapping[str, Any]) -> bytes:
    """What two requests of one meaning have in common."""
    return to_json(request)


def loosened(key: bytes, ignored: Sequence[Callable[[bytes], bytes]] = ()) -> bytes:
    """The same of requests that differ in days, times of day and UUIDs alone, or in what is ignored."""
    for blot in ignored:
        key = blot(key)
    return _TIMES_AND_IDS.sub(b"*", key)


def question(request: Mapping[str, Any]) -> str:
    """What was said last, in short."""
    messages = request.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else {}
    content = last.get("content", "") if isinstance(last, Mapping) else ""
    text = content if isinstance(content, str) else to_json(content, fallback=str).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."


def _lines(request: Mapping[str, Any]) -> list[str]:
    text = to_json(request, indent=1, fallback=str)[:_LOOKED_AT].decode(errors="replace")
    return [it if len(it) <= _WIDTH else f"{it[: _WIDTH - 3]}..." for it in text.splitlines()]


def likeness(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """How much two requests have in common, from 0 to 1."""
    first, second = _lines(one), _lines(other)
    lines = difflib.SequenceMatcher(None, first, second, autojunk=False).ratio()
    # Of two that say as much in the same form, the one whose last words are nearer.
    return lines + difflib.SequenceMatcher(None, question(one), question(other), autojunk=False).ratio() / 10


def difference(recorded: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """Line by line, what is asked instead of what was recorded."""
    lines = difflib.unified_diff(_lines(recorded), _lines(asked), "recorded", "asked", n=2, lineterm="")
    shown = [*lines]
    more = [f"... and {len(shown) - _SHOWN} lines more"] if len(shown) > _SHOWN else []
    return "\n".join([*shown[:_SHOWN], *more])


def asked_again(request: Mapping[str, Any], model: str) -> LLMRequest:
    """The request that a recording holds, to be asked once more.

    Raises:
        ValueError: it is none.
    """
    fields = {name: value for name, value in request.items() if name not in _APART}
    return LLMRequest(model=model, messages=[_message(it) for it in request["messages"]], **fields)


def _message(turn: Mapping[str, Any]) -> Message:
    calls = [
        {
            "id": it["id"],
            "type": "function",
            "function": {
                "name": it["name"],
                "arguments": it["arguments"] if isinstance(it["arguments"], str) else to_json(it["arguments"]).decode(),
            },
        }
        for it in turn.get("tool_calls") or ()
    ]
    return Message.model_validate({
        "role": turn["role"],
        "content": turn.get("content", ""),
        "tool_calls": calls or None,
        "tool_call_id": turn.get("tool_call_id"),
    })  # fmt: skip
