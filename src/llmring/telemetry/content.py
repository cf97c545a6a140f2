"""Prompts and answers, in the form that the conventions have for them, as long as they may be."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ..schemas import LLMRequest, LLMResponse, Message, ToolCall

__all__ = ["of_request", "of_response"]

_CUT = "…"


class _Room:
    """So many letters for text; what comes when there is none left is cut."""

    def __init__(self, most: int) -> None:
        self._left = most

    def take(self, text: str) -> str:
        taken = text if len(text) <= self._left else text[: self._left] + _CUT
        self._left = max(0, self._left - len(text))
        return taken


def of_request(request: LLMRequest, most: int) -> dict[str, str]:
    """What was asked: attributes whose values are JSON.

    Args:
        request: what was asked.
        most: letters of text in each; the latest turns have the room before earlier ones.
    """
    system = [it for it in request.messages if it.role == "system"]
    turns = [it for it in request.messages if it.role != "system"]
    found = {"gen_ai.input.messages": _messages(turns, most)}
    if system:
        room = _Room(most)
        texts = [part for it in system for part in _parts(it, room) if part["type"] == "text"]
        found["gen_ai.system_instructions"] = _json(texts)
    if request.tools:
        found["gen_ai.tool.definitions"] = _json([_tool(it) for it in request.tools])
    return found


def of_response(response: LLMResponse, finish: str, most: int) -> dict[str, str]:
    """What was answered, as far as it came."""
    room = _Room(most)
    parts: list[dict[str, Any]] = []
    if response.reasoning:
        parts.append({"type": "reasoning", "content": room.take(response.reasoning)})
    if response.content:
        parts.append({"type": "text", "content": room.take(response.content)})
    parts += [_call(it, room) for it in response.tool_calls or ()]
    parts += [{"type": str(it.get("type"))} for it in response.parts]
    return {"gen_ai.output.messages": _json([{"role": "assistant", "parts": parts, "finish_reason": finish}])}


def _messages(messages: Sequence[Message], most: int) -> str:
    room = _Room(most)
    turns = [{"role": it.role, "parts": _parts(it, room)} for it in reversed(messages)]
    return _json(turns[::-1])


def _parts(message: Message, room: _Room) -> list[dict[str, Any]]:
    if message.role == "tool":
        said = message.content if isinstance(message.content, str) else _json(_texts(message.content, room))
        return [{"type": "tool_call_response", "id": message.tool_call_id, "response": room.take(said)}]
    content = message.content
    parts = [{"type": "text", "content": room.take(content)}] if isinstance(content, str) and content else []
    if not isinstance(content, str):
        parts = _texts(content, room)
    return parts + [_call(it, room) for it in message.tool_calls or ()]


def _texts(content: Any, room: _Room) -> list[dict[str, Any]]:
    """The text of a message's parts; of pictures and files only what they are."""
    if isinstance(content, Mapping):
        return [{"type": "text", "content": room.take(_json(content))}]
    return [
        {"type": "text", "content": room.take(it["text"])}
        if isinstance(it.get("text"), str)
        else {"type": str(it.get("type"))}
        for it in content or ()
    ]


def _call(call: ToolCall, room: _Room) -> dict[str, Any]:
    function = call["function"]
    arguments: Any = room.take(function["arguments"])
    with suppress(ValueError):  # it was cut
        arguments = json.loads(arguments)
    return {"type": "tool_call", "id": call["id"], "name": function["name"], "arguments": arguments}


def _tool(tool: Any) -> dict[str, Any]:
    if callable(tool):
        return {"type": "function", "name": getattr(tool, "__name__", type(tool).__name__)}
    said = tool if isinstance(tool, Mapping) else {}
    function = said.get("function")
    name = function.get("name") if isinstance(function, Mapping) else said.get("name")
    return {"type": str(said.get("type", "function")), "name": str(name or said.get("type", ""))}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str).encode(errors="replace").decode()
