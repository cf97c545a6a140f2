"""Anthropic's Messages: what it answers, and what it refuses, always with status 400.

https://docs.anthropic.com/en/api/messages-streaming

Fields: the request types of the `anthropic` SDK, and the vendor's reference "Messages". The words of the errors are
those of public reports, such as anthropics/claude-code#10627 (signatures), #4378 (fields),
anthropics/anthropic-sdk-python#1598 (changed blocks) and anthropics/anthropic-sdk-typescript#1114 (containers).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ...vendors import load
from ..exchange import Problem, RecordedRequest, Tokens, ToolCallScript, Trouble
from .answer import Answer, Event, event, phrase, template
from .shapes import Given, is_base64, rows, unknown, walk

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
    "no_credit": Problem(400, "Your credit balance is too low to access the Anthropic API."),
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


_FIELDS = load("testing/wires/fields.json")["anthropic"]
# The results of the vendor's other tools, its MCP connector and its compaction: their fields are not looked at.
_OTHERS = re.compile(r"\w+_tool_result|mcp_tool_use|container_upload|compaction|tool_reference")
_RETURNED = ("text", "image", "document", "search_result", "tool_reference")
"""What a tool may return."""
_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")

Blocks = list[tuple[str, dict[str, Any]]]


def check(body: dict[str, Any], given: Given, request: RecordedRequest) -> Iterator[Problem]:
    """What is wrong with a request."""
    beta = "anthropic-beta" in request.headers
    for name in ("model", "max_tokens", "messages"):
        if name not in body:
            yield _wrong(f"{name}: Field required")
    for name in () if beta else unknown(body, _FIELDS["body"]):
        yield _wrong(f"{name}: Extra inputs are not permitted")
    yield from _blank(body.get("system"), "system")
    messages = rows(body.get("messages"))
    if not messages and "messages" in body:
        yield _wrong("messages: at least one message is required")
    turns: list[tuple[str, int, Blocks]] = []
    for index, message in messages:
        role, content = message.get("role"), message.get("content")
        if role not in ("user", "assistant"):
            hint = "The Messages API accepts a top-level `system` parameter, not" if role == "system" else "There is no"
            yield _wrong(f'messages: Unexpected role "{role}". {hint} "{role}" as an input message role.')
            continue
        for name in unknown(message, ("role", "content")):
            yield _wrong(f"messages.{index}.{name}: Extra inputs are not permitted")
        last = index == len(messages) - 1
        if not content and not (role == "assistant" and last):
            yield _wrong(
                f"messages.{index}: all messages must have non-empty content except for the optional final assistant "
                "message"
            )
        yield from _blank(content, "messages")
        blocks = [(f"messages.{index}.content.{at}", block) for at, block in rows(content)]
        for where, block in blocks:
            yield from _block(where, block, given)
        if role == "assistant" and last:
            ends = content if isinstance(content, str) else str(blocks[-1][1].get("text", "")) if blocks else ""
            if ends != ends.rstrip():
                yield _wrong("messages: final assistant content cannot end with trailing whitespace")
        # Turns of one role in a row are one turn to the vendor.
        if turns and turns[-1][0] == role:
            turns[-1][2].extend(blocks)
        else:
            turns.append((role, index, blocks))
    yield from _pairs(turns)
    yield from _container(body, turns, given)
    yield from _tools(body)


def _wrong(message: str) -> Problem:
    return Problem(400, message)


def _blank(content: Any, where: str) -> Iterator[Problem]:
    blocks = [block for _, block in rows(content) if block.get("type") == "text"]
    texts = [content] if isinstance(content, str) else [block.get("text") for block in blocks]
    for text in texts:
        if text == "" and isinstance(content, list):
            yield _wrong(f"{where}: text content blocks must be non-empty")
        elif isinstance(text, str) and text and not text.strip():
            yield _wrong(f"{where}: text content blocks must contain non-whitespace text")


def _block(where: str, block: dict[str, Any], given: Given, *, inside: bool = False) -> Iterator[Problem]:
    kind = block.get("type")
    blocks = _FIELDS["blocks"]
    if not isinstance(kind, str) or not (kind in _RETURNED if inside else kind in blocks or _OTHERS.fullmatch(kind)):
        yield _wrong(f"{where}: Input tag '{kind}' found using 'type' does not match any of the expected tags")
        return
    for name in _FIELDS["required"].get(kind, ()):
        if name not in block:
            yield _wrong(f"{where}.{kind}.{name}: Field required")
    for name in unknown(block, blocks.get(kind, block)):
        yield _wrong(f"{where}.{kind}.{name}: Extra inputs are not permitted")
    if kind == "thinking":
        yield from _thinking(where, block, given)
    elif kind == "redacted_thinking" and not given.knows(block.get("data")):
        yield _wrong(f"{where}: Invalid `data` in `redacted_thinking` block")
    elif kind == "tool_use":
        id, caller = block.get("id"), given.table(block.get("id")).get("caller")
        if not isinstance(id, str) or not _ID.fullmatch(id):
            yield _wrong(f"{where}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
        if not isinstance(block.get("input"), dict):
            yield _wrong(f"{where}.tool_use.input: Input should be a valid dictionary")
        if block.get("caller") != caller and isinstance(caller, dict) and caller.get("type") != "direct":
            yield _wrong(f"{where}.tool_use.caller: must be sent back as it was received")
        if "caller" in block and caller is None:
            yield _wrong(f"{where}.tool_use.caller: Unknown caller")
    elif kind == "image":
        yield from _image(where, block.get("source"))
    elif kind == "tool_result":
        yield from _blank(block.get("content"), "messages")
        for at, inner in rows(block.get("content")):
            yield from _block(f"{where}.tool_result.content.{at}", inner, given, inside=True)
    # What a search has found goes back with what proves that it was found.
    for table in walk(block.get("citations" if kind == "text" else "content")):
        for name in ("encrypted_index", "encrypted_content"):
            if name in table and not given.knows(table[name]):
                yield _wrong(f"{where}: Invalid `{name}` in `{table.get('type', kind)}` block")


def _thinking(where: str, block: dict[str, Any], given: Given) -> Iterator[Problem]:
    signature, thought = block.get("signature"), block.get("thinking")
    if not given.knows(signature):
        yield _wrong(f"{where}: Invalid `signature` in `thinking` block")
    elif given.thoughts.get(str(signature), thought) != thought:
        yield _wrong(
            f"{where}: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified. "
            "These blocks must remain as they were in the original response."
        )


def _image(where: str, source: Any) -> Iterator[Problem]:
    if not isinstance(source, dict) or source.get("type") not in ("base64", "url", "file"):
        yield _wrong(f"{where}.image.source: Input tag does not match any of 'base64', 'url', 'file'")
    elif source["type"] == "base64":
        if source.get("media_type") not in _IMAGES:
            yield _wrong(
                f"{where}.image.source.base64.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or "
                "'image/webp'"
            )
        if not is_base64(source.get("data")) or source["data"].startswith("data:"):
            yield _wrong(f"{where}.image.source.base64.data: Invalid base64 data")


def _pairs(turns: list[tuple[str, int, Blocks]]) -> Iterator[Problem]:
    """Each call is answered at the beginning of the next turn, and nothing else is."""
    used: set[str] = set()
    for at, (role, index, blocks) in enumerate(turns):
        asked = [str(block.get("id")) for _, block in blocks if block.get("type") == "tool_use"]
        if len(set(asked)) < len(asked) or used & set(asked):
            yield _wrong("messages: `tool_use` ids must be unique")
        used |= set(asked)
        following = turns[at + 1][2] if at + 1 < len(turns) else []
        kinds = [block.get("type") for _, block in following]
        results = [str(block.get("tool_use_id")) for _, block in following if block.get("type") == "tool_result"]
        first = kinds[: len(results)] == ["tool_result"] * len(results)
        if missing := [id for id in asked if id not in results or not first]:
            yield _wrong(
                f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in the "
                "next message."
            )
        if role == "user":
            before = [b.get("id") for _, b in turns[at - 1][2] if b.get("type") == "tool_use"] if at else []
            for where, block in blocks:
                if block.get("type") == "tool_result" and block.get("tool_use_id") not in before:
                    yield _wrong(
                        f"{where}: unexpected `tool_use_id` found in `tool_result` blocks: {block.get('tool_use_id')}. "
                        "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
                    )


def _container(body: dict[str, Any], turns: list[tuple[str, int, Blocks]], given: Given) -> Iterator[Problem]:
    """Calls that code in a container has made are pending there."""
    container = body.get("container")
    id = container.get("id") if isinstance(container, dict) else container
    if id is not None and not given.knows(id):
        yield _wrong(f"container: Container {id} not found.")
    called = [block for _, block in turns[-2][2] if block.get("type") == "tool_use"] if len(turns) > 1 else []
    callers = [caller for block in called if isinstance(caller := block.get("caller"), dict)]
    if id is None and any(str(caller.get("type")).startswith("code_execution") for caller in callers):
        yield _wrong(
            "container_id is required when there are pending tool uses generated by code execution with tools."
        )


def _tools(body: dict[str, Any]) -> Iterator[Problem]:
    for index, tool in rows(body.get("tools")):
        if tool.get("type") in (None, "custom"):
            schema = tool.get("input_schema")
            if not isinstance(schema, dict):
                yield _wrong(f"tools.{index}.custom.input_schema: Field required")
            elif schema.get("type") != "object":
                yield _wrong(f"tools.{index}.custom.input_schema.type: Input should be 'object'")
    # Vendor's guide "Structured outputs", section "JSON Schema limitations".
    output = body.get("output_config")
    for node in walk((output.get("format") or {}) if isinstance(output, dict) else {}):
        if node.get("type") == "object" and node.get("additionalProperties") is not False:
            yield _wrong(
                "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false"
            )
