"""The five wires that are ready: how the practice server reads a request of each, and what each wire has not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..exchange import RecordedRequest
from ..wires.shapes import rows, table, text_of
from .wire import Asked, Called, Result, key_of

__all__ = ["READY", "Ready"]


def _names(tools: Any, *path: str) -> list[str]:
    """The names of the functions that are described."""
    found = (table(row, *path).get("name") for _, row in rows(tools))
    return [name for name in found if isinstance(name, str)]


def _parsed(arguments: Any) -> Any:
    """A call's arguments as a table; text that is no JSON stays text."""
    try:
        return json.loads(arguments) if isinstance(arguments, str) else arguments
    except ValueError:
        return arguments


def _said(value: Any) -> str:
    """A result as text, whatever holds it."""
    return text_of(value) if isinstance(value, str | list) else json.dumps(value, ensure_ascii=False)


def _chat(request: RecordedRequest) -> Asked:
    body = request.body
    turns = [row for _, row in rows(body.get("messages"))]
    calls = [(call, table(call, "function")) for turn in turns for _, call in rows(turn.get("tool_calls"))]
    results = [turn for turn in turns if turn.get("role") == "tool"]
    return Asked(
        model=request.model,
        stream=request.stream,
        texts=[text_of(turn.get("content")) for turn in turns if turn not in results],
        tools=_names(body.get("tools"), "function"),
        calls=[Called(str(it.get("name")), _parsed(it.get("arguments")), call.get("id")) for call, it in calls],
        results=[Result(_said(turn.get("content")), turn.get("tool_call_id")) for turn in results],
        key=key_of(request),
    )


def _responses(request: RecordedRequest) -> Asked:
    body = request.body
    items = [row for _, row in rows(body.get("input"))]
    calls = [item for item in items if item.get("type") == "function_call"]
    results = [item for item in items if item.get("type") == "function_call_output"]
    texts = [text_of(item.get("content")) for item in items if item.get("content") is not None]
    return Asked(
        model=request.model,
        stream=request.stream,
        texts=[text for text in (body.get("instructions"), *texts) if text],
        tools=_names(body.get("tools")),
        calls=[Called(str(it.get("name")), _parsed(it.get("arguments")), it.get("call_id")) for it in calls],
        results=[Result(_said(it.get("output")), it.get("call_id")) for it in results],
        key=key_of(request),
    )


def _anthropic(request: RecordedRequest) -> Asked:
    body = request.body
    contents = [row.get("content") for _, row in rows(body.get("messages"))]
    blocks = [block for content in contents for _, block in rows(content)]
    calls = [block for block in blocks if block.get("type") == "tool_use"]
    results = [block for block in blocks if block.get("type") == "tool_result"]
    return Asked(
        model=request.model,
        stream=request.stream,
        texts=[text for text in map(text_of, (body.get("system"), *contents)) if text],
        tools=_names(body.get("tools")),
        calls=[Called(str(it.get("name")), it.get("input"), it.get("id")) for it in calls],
        results=[Result(_said(it.get("content")), it.get("tool_use_id")) for it in results],
        key=key_of(request),
    )


def _gemini(request: RecordedRequest) -> Asked:
    body = request.body
    contents = [table(body, "systemInstruction"), *(row for _, row in rows(body.get("contents")))]
    turns = [[part for _, part in rows(content.get("parts"))] for content in contents]
    parts = [part for turn in turns for part in turn]
    calls = [it for part in parts if (it := table(part, "functionCall"))]
    results = [it for part in parts if (it := table(part, "functionResponse"))]
    declared = [row for _, tool in rows(body.get("tools")) for _, row in rows(tool.get("functionDeclarations"))]
    return Asked(
        model=request.model,
        stream=request.stream,
        texts=[text for turn in turns if (text := text_of([part for part in turn if not part.get("thought")]))],
        tools=_names(declared),
        calls=[Called(str(it.get("name")), it.get("args"), it.get("id")) for it in calls],
        results=[Result(_said(it.get("response")), it.get("id")) for it in results],
        key=key_of(request),
    )


def _ollama(request: RecordedRequest) -> Asked:
    asked = _chat(request)
    turns = [row for _, row in rows(request.body.get("messages")) if row.get("role") == "tool"]
    return Asked(
        asked.model,
        asked.stream,
        asked.texts,
        asked.tools,
        asked.calls,
        [Result(_said(turn.get("content"))) for turn in turns],
        asked.key,
    )


@dataclass(frozen=True)
class Ready:
    """A wire that the practice server speaks.

    Attributes:
        read: a request of it.
        path: what follows the server's address in a provider's `base_url`.
        lacks: as those of a `WireScript`.
    """

    read: Callable[[RecordedRequest], Asked]
    path: str = ""
    lacks: Mapping[str, str] = field(default_factory=dict)


READY: Mapping[str, Ready] = {
    "openai-chat": Ready(
        _chat,
        "/v1",
        {"end_marker": "many servers of Chat Completions send no [DONE]: a body that has named its reason is whole"},
    ),
    "openai-responses": Ready(_responses, "/v1"),
    "anthropic": Ready(_anthropic),
    "gemini": Ready(_gemini, "", {"bare_end": "Gemini's only end marker is the finish reason"}),
    "ollama": Ready(
        _ollama,
        "",
        {
            "content_filter": "Ollama has no word for an answer that was withheld",
            "call_ids": "Ollama gives its calls no ids",
            "cached_usage": "Ollama does not count what came from a cache",
            "reasoning_usage": "Ollama does not count thinking by itself",
        },
    ),
}
