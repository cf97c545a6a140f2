"""Anthropic's Messages.

https://docs.anthropic.com/en/api/messages-streaming
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llmring.testing.replies import Problem, Tokens, ToolCallScript, Trouble

from .answer import Answer, Event, event, phrase, template

NAME = "anthropic"
STREAM_TYPE = "text/event-stream; charset=utf-8"
NEWLINE = b"\n"
LINES = False
ID_HEADER: str | None = "request-id"
RETRY_IN_BODY = False
STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "other": "pause_turn",
}
ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
TROUBLES: Mapping[Trouble, Problem] = {
    "bad_key": Problem(401, "invalid x-api-key"),
    "unknown_model": Problem(404, "model: {model}"),
    "too_long": Problem(400, "prompt is too long: 333340 tokens > 200000 maximum"),
    "rate_limit": Problem(429, "This request would exceed your organization's rate limit.", retry_after=1),
    "overloaded": Problem(529, "Overloaded"),
}


def events(answer: Answer) -> list[Event]:
    """`message_start`, the blocks one after the other, `message_delta`, `message_stop`."""
    message = _message(answer) | {"content": [], "stop_reason": None}
    if answer.usage is not None:
        message["usage"] = _usage(replace(answer.usage, completion=1, reasoning=0))
    out = [_event("message_start", message=message)]
    for index, (block, deltas) in enumerate(_blocks(answer)):
        out.append(_event("content_block_start", index=index, content_block=block))
        if index == 0:
            out.append(_event("ping"))
        for kind, key, pieces in deltas:
            delta = {"type": "content_block_delta", "index": index, "delta": {"type": kind, key: "\x00"}}
            out += map(template(delta, "content_block_delta"), pieces)
        if block["type"] == "text":
            cited = [{"type": "citations_delta", "citation": citation} for citation in _citations(answer)]
            out += [_event("content_block_delta", index=index, delta=delta) for delta in cited]
        out.append(_event("content_block_stop", index=index))
    last: dict[str, Any] = {"delta": {"stop_reason": _stop_reason(answer), "stop_sequence": None}}
    if answer.usage is not None:
        keys = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
        figures = _usage(answer.usage)
        last["usage"] = {key: figures[key] for key in (*keys, "output_tokens_details") if key in figures}
    out.append(_event("message_delta", **last))
    return [*out, _event("message_stop")._replace(end=True)]


def body(answer: Answer) -> dict[str, Any]:
    """The whole message."""
    content: list[dict[str, Any]] = []
    if answer.thought or answer.signature:
        content.append({"type": "thinking", "thinking": answer.thought, "signature": answer.signature or ""})
    content += _search(answer)
    if answer.text:
        content.append({"type": "text", "text": answer.text, "citations": _citations(answer) or None})
    for index, call in enumerate(answer.calls):
        content.append(_tool_use(answer, index, call) | {"input": call.value})
    out = _message(answer) | {"content": content, "stop_reason": _stop_reason(answer)}
    return out if answer.usage is None else out | {"usage": _usage(answer.usage)}


def error(problem: Problem) -> dict[str, Any]:
    """`{"type": "error", "error": {"type", "message"}, "request_id"}`."""
    usual = "api_error" if problem.status >= 500 else "invalid_request_error"
    kind = problem.type or ERRORS.get(problem.status, usual)
    return {
        "type": "error",
        "error": {"type": kind, "message": phrase(problem)},
        "request_id": problem.request_id,
    }


def error_events(problem: Problem, answer: Answer) -> list[Event]:
    """An `error` event, the last of its stream."""
    return [event(error(problem), "error")]


def unknown_events(answer: Answer) -> list[Event]:
    """An unknown event, and an unknown delta of a known one."""
    delta = {"type": "future_delta", "future": "value"}
    return [_event("future_event", value=1), _event("content_block_delta", index=0, delta=delta)]


def _event(kind: str, **fields: Any) -> Event:
    return event({"type": kind, **fields}, kind)


Deltas = list[tuple[str, str, list[str]]]


def _blocks(answer: Answer) -> list[tuple[dict[str, Any], Deltas]]:
    """Each block as it starts, and its deltas: their type, their field, their pieces."""
    blocks: list[tuple[dict[str, Any], Deltas]] = []
    if answer.thought or answer.signature:
        deltas: Deltas = [("thinking_delta", "thinking", answer.reasoning)]
        if answer.signature:
            deltas.append(("signature_delta", "signature", [answer.signature]))
        blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, deltas))
    for block in _search(answer):
        asked = [json.dumps(block["input"])] if "input" in block else []
        start = block | {"input": {}} if asked else block
        blocks.append((start, [("input_json_delta", "partial_json", asked)]))
    if answer.chunks:
        blocks.append(({"type": "text", "text": ""}, [("text_delta", "text", answer.chunks)]))
    for index, call in enumerate(answer.calls):
        fragments = ["", *(call.fragments if call.json != "{}" else [])]
        blocks.append((_tool_use(answer, index, call), [("input_json_delta", "partial_json", fragments)]))
    return blocks


def _tool_use(answer: Answer, index: int, call: ToolCallScript) -> dict[str, Any]:
    return {"type": "tool_use", "id": call.id or answer.id("toolu_", index), "name": call.name, "input": {}}


def _search(answer: Answer) -> list[dict[str, Any]]:
    """A web search on the provider's side, and what it found."""
    if answer.searched is None:
        return []
    search = answer.id("srvtoolu_")
    found = {
        "type": "web_search_result",
        "url": "https://example.com/",
        "title": "Example",
        "encrypted_content": answer.id("found_"),
        "page_age": None,
    }
    return [
        {"type": "server_tool_use", "id": search, "name": "web_search", "input": {"query": answer.searched}},
        {"type": "web_search_tool_result", "tool_use_id": search, "content": [found]},
    ]


def _citations(answer: Answer) -> list[dict[str, Any]]:
    """What the text of an answer that a search has helped refers to."""
    if answer.searched is None:
        return []
    place = {"type": "web_search_result_location", "url": "https://example.com/", "title": "Example"}
    return [{**place, "encrypted_index": answer.id("index_"), "cited_text": "As an example"}]


def _message(answer: Answer) -> dict[str, Any]:
    return {
        "model": answer.model,
        "id": answer.id("msg_"),
        "type": "message",
        "role": "assistant",
        "stop_sequence": None,
        "stop_details": None,
    }


def _stop_reason(answer: Answer) -> str | None:
    return STOP_REASONS.get(answer.finish_reason or "", answer.finish_reason)


def _usage(tokens: Tokens) -> dict[str, Any]:
    """`input_tokens` leaves out what the cache was read or written for."""
    out: dict[str, Any] = {
        "input_tokens": tokens.prompt - tokens.cache_read - tokens.cache_write,
        "cache_creation_input_tokens": tokens.cache_write,
        "cache_read_input_tokens": tokens.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": tokens.cache_write,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": tokens.completion,
        "service_tier": "standard",
        "inference_geo": "not_available",
    }
    if tokens.reasoning:
        out["output_tokens_details"] = {"thinking_tokens": tokens.reasoning}
    return out
