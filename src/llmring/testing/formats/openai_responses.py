"""OpenAI's Responses.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llmring.testing.replies import Problem, Tokens, Trouble

from . import openai_chat
from .answer import Answer, Event, event, template

NAME = "openai-responses"
STREAM_TYPE = "text/event-stream; charset=utf-8"
NEWLINE = b"\n"
LINES = False
ID_HEADER: str | None = "x-request-id"
RETRY_IN_BODY = False
INCOMPLETE = {"length": "max_output_tokens"}
TROUBLES: Mapping[Trouble, Problem] = {
    **openai_chat.TROUBLES,
    "too_long": Problem(
        400,
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
        code="context_length_exceeded",
        param="input",
    ),
}
error = openai_chat.error


def events(answer: Answer) -> list[Event]:
    """`response.created`, the items one after the other, `response.completed` or `response.incomplete`."""
    start = _response(answer) | {"status": "in_progress", "completed_at": None, "usage": None, "output": []}
    start["incomplete_details"] = None
    out: list[Event] = []

    def add(kind: str, **fields: Any) -> None:
        kind = f"response.{kind}"
        out.append(event({"type": kind, **fields, "sequence_number": len(out)}, kind))

    add("created", response=start)
    add("in_progress", response=start)
    for index, item in enumerate(_items(answer)):
        add("output_item.added", item=_begun(item), output_index=index)
        for kind, pieces, fields in _progress(answer, item):
            fields = {"item_id": item["id"], "output_index": index, **fields}
            if pieces is None:
                add(kind, **fields)
                continue
            kind = f"response.{kind}"
            delta = template({"type": kind, **fields, "delta": "\x00", "sequence_number": "\x01"}, kind)
            out += (delta(piece, number) for number, piece in enumerate(pieces, len(out)))
        add("output_item.done", item=item, output_index=index)
    whole = body(answer)
    add(whole["status"], response=whole)
    out[-1] = out[-1]._replace(end=True)
    return out


def body(answer: Answer) -> dict[str, Any]:
    """The whole response."""
    return _response(answer) | {"output": _items(answer)}


def error_events(problem: Problem, answer: Answer) -> list[Event]:
    """An `error` event, then the response that failed, the last of its stream."""
    what = error(problem)["error"]
    failed = _response(answer) | {"status": "failed", "incomplete_details": None, "usage": None, "output": []}
    failed["error"] = {"code": what["code"] or "server_error", "message": what["message"]}
    return [
        event({"type": "error", "error": what, "sequence_number": 0}, "error"),
        event({"type": "response.failed", "response": failed, "sequence_number": 1}, "response.failed"),
    ]


def unknown_events(answer: Answer) -> list[Event]:
    """Events of an unknown type."""
    data = {"type": "response.future.delta", "delta": "value", "output_index": 0, "sequence_number": 0}
    return [event(data, "response.future.delta"), event({"type": "future"}, "future")]


def _items(answer: Answer) -> list[dict[str, Any]]:
    """The output as it stands when it is done."""
    items: list[dict[str, Any]] = []
    if answer.thought or answer.signature:
        summary = [{"type": "summary_text", "text": answer.thought}] if answer.thought else []
        item: dict[str, Any] = {"id": answer.id("rs_"), "type": "reasoning", "content": []}
        item |= {"summary": summary}
        items.append(item | {"encrypted_content": answer.signature})
    if answer.searched is not None:
        action = {"type": "search", "query": answer.searched}
        item = {"id": answer.id("ws_"), "type": "web_search_call", "status": "completed", "action": action}
        items.append(item)
    if answer.chunks:
        part = {"type": "output_text", "annotations": [], "logprobs": [], "text": answer.text}
        item = {"id": answer.id("msg_"), "type": "message", "status": "completed", "content": [part]}
        items.append(item | {"role": "assistant"})
    for index, call in enumerate(answer.calls):
        item = {"id": answer.id("fc_", index), "type": "function_call", "status": "completed"}
        item |= {"arguments": call.json, "call_id": call.id or answer.id("call_", index), "name": call.name}
        items.append(item)
    return items


def _begun(item: dict[str, Any]) -> dict[str, Any]:
    """The item as it starts: nothing in it yet."""
    empty = {"content": [], "summary": [], "arguments": "", "status": "in_progress"}
    return item | {key: value for key, value in empty.items() if key in item}


Progress = tuple[str, list[str] | None, dict[str, Any]]


def _progress(answer: Answer, item: dict[str, Any]) -> Iterator[Progress]:
    """What happens between an item's start and its end: a kind of event, its fields, for deltas the pieces."""
    if item["type"] == "reasoning" and item["summary"]:
        part, at = item["summary"][0], {"summary_index": 0}
        yield "reasoning_summary_part.added", None, at | {"part": part | {"text": ""}}
        yield "reasoning_summary_text.delta", answer.reasoning, at
        yield "reasoning_summary_text.done", None, at | {"text": part["text"]}
        yield "reasoning_summary_part.done", None, at | {"part": part}
    elif item["type"] == "web_search_call":
        for step in ("in_progress", "searching", "completed"):
            yield f"web_search_call.{step}", None, {}
    elif item["type"] == "message":
        part, at = item["content"][0], {"content_index": 0}
        yield "content_part.added", None, at | {"part": part | {"text": ""}}
        yield "output_text.delta", answer.chunks, at | {"logprobs": []}
        yield "output_text.done", None, at | {"text": part["text"], "logprobs": []}
        yield "content_part.done", None, at | {"part": part}
    elif item["type"] == "function_call":
        call = next(c for i, c in enumerate(answer.calls) if item["id"] == answer.id("fc_", i))
        yield "function_call_arguments.delta", call.fragments, {}
        yield "function_call_arguments.done", None, {"arguments": call.json, "name": call.name}


def _response(answer: Answer) -> dict[str, Any]:
    """The response object without its output, settings echoed from the request."""
    asked = answer.request.body
    finished = answer.finish_reason in ("stop", "tool_calls", None)
    why = INCOMPLETE.get(answer.finish_reason or "", answer.finish_reason)
    return {
        "id": answer.id("resp_"),
        "object": "response",
        "created_at": answer.created,
        "status": "completed" if finished else "incomplete",
        "background": False,
        "completed_at": answer.created if finished else None,
        "error": None,
        "frequency_penalty": 0.0,
        "incomplete_details": None if finished else {"reason": why},
        "instructions": asked.get("instructions"),
        "max_output_tokens": asked.get("max_output_tokens"),
        "max_tool_calls": None,
        "model": answer.model,
        "moderation": None,
        "output": [],
        "parallel_tool_calls": True,
        "presence_penalty": 0.0,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": asked.get("reasoning") or {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "default",
        "store": asked.get("store", True),
        "temperature": asked.get("temperature", 1.0),
        "text": asked.get("text") or {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": asked.get("tool_choice", "auto"),
        "tools": asked.get("tools") or [],
        "top_logprobs": 0,
        "top_p": asked.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": None if answer.usage is None else _usage(answer.usage),
        "user": None,
        "metadata": {},
    }


def _usage(tokens: Tokens) -> dict[str, Any]:
    return {
        "input_tokens": tokens.prompt,
        "input_tokens_details": {
            "cache_write_tokens": tokens.cache_write,
            "cached_tokens": tokens.cache_read,
        },
        "output_tokens": tokens.completion,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.total,
    }
