"""OpenAI's Chat Completions.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmring.testing.replies import Problem, ToolCallScript, Trouble

from .answer import Answer, Event, dumps, event, phrase, template

NAME = "openai-chat"
STREAM_TYPE = "text/event-stream; charset=utf-8"
NEWLINE = b"\n"
LINES = False
ID_HEADER: str | None = "x-request-id"
RETRY_IN_BODY = False
TYPES = {401: "invalid_request_error", 429: "requests"}
CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}
TROUBLES: Mapping[Trouble, Problem] = {
    "bad_key": Problem(401, "Incorrect API key provided: practice-key."),
    "unknown_model": Problem(404, "The model `{model}` does not exist or you do not have access to it."),
    "too_long": Problem(
        400,
        "This model's maximum context length is 128000 tokens, but your messages have 333340 tokens.",
        code="context_length_exceeded",
        param="messages",
    ),
    "rate_limit": Problem(429, "Rate limit reached. Please try again in 1s.", retry_after=1),
    "overloaded": Problem(503, "The engine is currently overloaded, please try again later", "server_error"),
}


def events(answer: Answer) -> list[Event]:
    """Role, reasoning, text, calls, finish reason, usage (if it was asked for), `[DONE]`."""
    options = answer.request.body.get("stream_options") or {}
    asked = bool(options.get("include_usage")) or answer.request.vendor == "mistral"
    with_usage = asked and answer.usage is not None
    base: dict[str, Any] = {
        "id": answer.id("chatcmpl-"),
        "object": "chat.completion.chunk",
        "created": answer.created,
        "model": answer.model,
        "service_tier": "default",
        "system_fingerprint": "fp_practice",
    }

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**base, "choices": [choice], **({"usage": None} if with_usage else {})}

    text = template(chunk({"content": "\x00"}))
    reasoning = template(chunk(_thought(answer, "\x00")))
    out = [event(chunk({"role": "assistant", "content": "" if answer.chunks else None, "refusal": None}))]
    out += map(reasoning, answer.reasoning)
    if answer.reasoning and answer.request.vendor == "openrouter":
        out.append(event(chunk({"reasoning_details": [_DETAIL | {"signature": answer.signature}]})))
    out += map(text, answer.chunks)
    for index, call in enumerate(answer.calls):
        head = {"index": index, **_call(answer, index, call), "function": {"name": call.name, "arguments": ""}}
        out.append(event(chunk({"tool_calls": [head]})))
        part = {"index": index, "function": {"arguments": "\x00"}}
        out += map(template(chunk({"tool_calls": [part]})), call.fragments)
    if answer.finish_reason is not None:
        out.append(event(chunk(_sign(answer), answer.finish_reason)))
    if with_usage:
        out.append(event({**base, "choices": [], "usage": _usage(answer)}))
    return [*out, Event(b"[DONE]", end=True)]


def body(answer: Answer) -> dict[str, Any]:
    """The whole completion."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.text if answer.chunks else None}
    message |= {"refusal": None, "annotations": []}
    if answer.thought:
        thought = _thought(answer, answer.thought)
        if answer.request.vendor == "openrouter":
            thought["reasoning_details"][0]["signature"] = answer.signature
        if answer.request.vendor == "mistral":
            thought["content"] += [{"type": "text", "text": answer.text}] if answer.text else []
        message |= thought
    message |= _sign(answer)
    if answer.calls:
        message["tool_calls"] = [_call(answer, index, call) for index, call in enumerate(answer.calls)]
    out = {
        "id": answer.id("chatcmpl-"),
        "object": "chat.completion",
        "created": answer.created,
        "model": answer.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish_reason}],
        "service_tier": "default",
        "system_fingerprint": "fp_practice",
    }
    return out if answer.usage is None else {**out, "usage": _usage(answer)}


def error(problem: Problem) -> dict[str, Any]:
    """`{"error": {"message", "type", "param", "code"}}`."""
    usual = "server_error" if problem.status >= 500 else "invalid_request_error"
    return {
        "error": {
            "message": phrase(problem),
            "type": problem.type or TYPES.get(problem.status, usual),
            "param": problem.param,
            "code": problem.code or CODES.get(problem.status),
        }
    }


def error_events(problem: Problem, answer: Answer) -> list[Event]:
    """The error body as an event, then `[DONE]`, as compatible servers do."""
    return [Event(dumps(error(problem))), Event(b"[DONE]", end=True)]


def unknown_events(answer: Answer) -> list[Event]:
    """An object of an unknown kind, and a chunk with unknown fields and no choice."""
    return [
        event({"object": "chat.completion.future", "future": {"value": 1}}, "future"),
        event({"id": answer.id("chatcmpl-"), "object": "chat.completion.chunk", "choices": [], "future": [1]}),
    ]


_DETAIL = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
_FIELDS = {"openrouter": "reasoning", "vllm": "reasoning"}


def _thought(answer: Answer, text: str) -> dict[str, Any]:
    """A piece of thinking, as the vendor that is played hands it over; not all of them do."""
    vendor = answer.request.vendor or ""
    if vendor == "mistral":
        return {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]}
    if vendor in ("openai", "gemini") and answer.reasoning_field is None:
        return {}
    thought: dict[str, Any] = {answer.reasoning_field or _FIELDS.get(vendor, "reasoning_content"): text}
    if vendor == "openrouter":
        thought["reasoning_details"] = [{**_DETAIL, "text": text}]
    return thought


def _call(answer: Answer, index: int, call: ToolCallScript) -> dict[str, Any]:
    vendor = answer.request.vendor
    id = f"{answer.request.number:06d}{index:03d}"[-9:] if vendor == "mistral" else answer.id("call_", index)
    out = {"id": call.id or id, "type": "function", "function": {"name": call.name, "arguments": call.json}}
    return out | (_sign(answer, index) if vendor == "gemini" else {})


def _sign(answer: Answer, call: int | None = None) -> dict[str, Any]:
    """Gemini's sign of its thinking: on the first call, on the message where there is none."""
    if answer.request.vendor != "gemini" or answer.signature is None or call != (0 if answer.calls else None):
        return {}
    return {"extra_content": {"google": {"thought_signature": answer.signature}}}


def _usage(answer: Answer) -> dict[str, Any]:
    usage = answer.usage
    assert usage is not None
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.total,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
