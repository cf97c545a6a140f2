"""OpenAI's Chat Completions: what it answers, and what the hosts that speak it refuse, something else each.

https://platform.openai.com/docs/api-reference/chat

- `openai`: the request types of the `openai` SDK, and the vendor's reference "Chat completions".
- `mistral`: the request types of the `mistralai` SDK, which are made of the vendor's API description; what is not in
  them is refused with status 422 (mistralai/platform-docs-public#7, charmbracelet/crush#1590, avante.nvim#2347).
- `deepseek`: the vendor's guides "Thinking mode" and "JSON output" (langgenius/dify-official-plugins#2306,
  UKGovernmentBEIS/inspect_ai#4916).
- `moonshot`: the vendor's guide "Use Kimi K2 Thinking" (Gitlawb/openclaude#828).
- `gemini`: the vendor's guide "Thought signatures", section "OpenAI compatibility" (0xsline/OpenChatCut#6).
- `openrouter`: the vendor's guide "Reasoning tokens", section "Preserving reasoning" (can1357/oh-my-pi#3399).
- `vllm` and any other host: what every host refuses. They drop what they do not know.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...vendors import load
from ..exchange import Problem, RecordedRequest, ToolCallScript, Trouble
from . import gemini
from .answer import Answer, Event, dumps, event, phrase, template
from .shapes import Given, no_string, rows, says_json, strict_schema, table, too_long, unknown, unknown_parameter

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
    "no_credit": Problem(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
        code="insufficient_quota",
    ),
}


def events(answer: Answer) -> list[Event]:
    """Role, reasoning, text, calls, finish reason, usage (if it was asked for), `[DONE]`."""
    options = answer.request.body.get("stream_options") or {}
    asked = bool(options.get("include_usage")) or answer.request.vendor == "mistral"
    with_usage = asked and answer.usage is not None
    base = _base(answer, "chat.completion.chunk")

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
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish_reason}
    out = {**_base(answer, "chat.completion"), "choices": [choice]}
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


def _base(answer: Answer, kind: str) -> dict[str, Any]:
    names = {"id": answer.id("chatcmpl-"), "object": kind, "created": answer.created, "model": answer.model}
    return {**names, "service_tier": "default", "system_fingerprint": "fp_practice"}


_DETAIL = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
_REASONING_FIELDS = {"openrouter": "reasoning", "vllm": "reasoning"}


def _thought(answer: Answer, text: str) -> dict[str, Any]:
    """A piece of thinking, as the vendor that is played hands it over; not all of them do."""
    vendor = answer.request.vendor or ""
    if vendor == "mistral":
        return {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]}
    if vendor in ("openai", "gemini") and answer.reasoning_field is None:
        return {}
    thought: dict[str, Any] = {answer.reasoning_field or _REASONING_FIELDS.get(vendor, "reasoning_content"): text}
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


_FIELDS = load("testing/wires/fields.json")
_OPENAI, _MISTRAL = _FIELDS["openai"], _FIELDS["mistral"]
_NO_MAX_TOKENS = re.compile(r"(o\d|gpt-([5-9]|\d\d))(?!.*chat)")
"""OpenAI's models that think take `max_completion_tokens` only (the reference, on `max_tokens`)."""

_MISTRAL_ID = re.compile(r"[a-zA-Z0-9]{9}")

Messages = list[tuple[int, dict[str, Any]]]


def check(body: dict[str, Any], given: Given, request: RecordedRequest) -> Iterator[Problem]:
    """What is wrong with a request."""
    messages = rows(body.get("messages"))
    vendor = request.vendor or ""
    if vendor in _VENDORS:
        yield from _VENDORS[vendor](body, messages, given)
    yield from _everywhere(body, messages)


def _calls(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [call for _, call in rows(message.get("tool_calls"))]


def _about(where: str, said: str, code: str) -> Problem:
    return Problem(400, said, code=code, param=where)


def _everywhere(body: dict[str, Any], messages: Messages) -> Iterator[Problem]:
    """A conversation that no host takes: calls without results, results without calls, arguments that are no text."""
    if not messages:
        said = "Invalid 'messages': empty array. Expected an array with minimum length 1."
        yield _about("messages", said, "empty_array")
    open_calls: dict[str, None] = {}
    for index, message in messages:
        role = message.get("role")
        if role == "tool":
            if message.get("tool_call_id") not in open_calls:
                yield _about(
                    f"messages.[{index}].role",
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
                    "'tool_calls'.",
                    "invalid_request",
                )
            open_calls.pop(str(message.get("tool_call_id")), None)
            continue
        yield from _unanswered(open_calls)
        open_calls = {}
        for at, call in enumerate(_calls(message)):
            open_calls[str(call.get("id"))] = None
            function = call.get("function")
            if isinstance(function, dict) and not isinstance(function.get("arguments"), str):
                yield no_string(f"messages[{index}].tool_calls[{at}].function.arguments")
    yield from _unanswered(open_calls)


def _unanswered(open_calls: dict[str, None]) -> Iterator[Problem]:
    if open_calls:
        yield _about(
            "messages",
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(open_calls)}",
            "invalid_request",
        )


def _openai(body: dict[str, Any], messages: Messages, given: Given) -> Iterator[Problem]:
    for name in unknown(body, _OPENAI["body"]):
        yield unknown_parameter(name)
    if "max_tokens" in body and _NO_MAX_TOKENS.match(str(body.get("model"))):
        said = "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        yield _about("max_tokens", f"Unsupported parameter: {said}", "unsupported_parameter")
    for index, message in messages:
        role = message.get("role")
        if not isinstance(role, str) or role not in _OPENAI["messages"]:
            yield _about(f"messages[{index}].role", f"Invalid value: '{role}'.", "invalid_value")
            continue
        for name in unknown(message, _OPENAI["messages"][role]):
            yield unknown_parameter(f"messages[{index}].{name}")
        if message.get("content") is None and not message.get("tool_calls"):
            where = f"messages.[{index}].content"
            yield _about(where, f"Invalid value for 'content': expected a string, got null. ({where})", "invalid_type")
        for at, part in rows(message.get("content")):
            if role in ("tool", "system", "assistant") and part.get("type") not in ("text", "refusal"):
                where = f"messages[{index}].content[{at}]"
                said = f"Invalid value: '{part.get('type')}'. Supported values are: 'text'."
                yield _about(where, said, "invalid_value")
        for at, call in enumerate(_calls(message)):
            where = f"messages[{index}].tool_calls[{at}]"
            for name in unknown(call, _OPENAI["call"]):
                yield unknown_parameter(f"{where}.{name}")
            yield from too_long(f"{where}.id", str(call.get("id")), 40)
    yield from _json_word(body)
    schema = table(body, "response_format", "json_schema")
    if schema.get("strict"):
        yield from strict_schema(schema.get("schema"), f"response_format '{schema.get('name')}'", "response_format")


def _json_word(body: dict[str, Any]) -> Iterator[Problem]:
    if table(body, "response_format").get("type") == "json_object" and not says_json(body.get("messages")):
        said = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
        yield Problem(400, said, param="messages")


def _mistral(body: dict[str, Any], messages: Messages, given: Given) -> Iterator[Problem]:
    extra: list[tuple[str | int, ...]] = [(name,) for name in unknown(body, _MISTRAL["body"])]
    for index, message in messages:
        role = str(message.get("role"))
        known = _MISTRAL["messages"].get(role, message)
        extra += [("messages", index, role, name) for name in unknown(message, known)]
        for at, call in enumerate(_calls(message)):
            at_call = ("messages", index, role, "tool_calls", at)
            extra += [(*at_call, name) for name in unknown(call, _MISTRAL["call"])]
    if extra:
        what = {"type": "extra_forbidden", "msg": "Extra inputs are not permitted"}
        yield Problem(422, json.dumps({"detail": [{**what, "loc": ["body", *place]} for place in extra]}))
    before = None
    for _, message in messages:
        role = str(message.get("role"))
        if role not in _MISTRAL["messages"]:
            yield Problem(422, json.dumps(f"Input tag '{role}' does not match any of the expected tags"))
        # The vendor's words, as pipecat-ai/pipecat-flows#178 and mistralai/client-ts#106 have them.
        if (before, role) in (("tool", "user"), ("user", "tool"), ("system", "tool"), (None, "tool")):
            said = f"Unexpected role '{role}' after role '{before}'"
            yield Problem(400, said, "invalid_request_message_order", "3230")
        before = role
        for id in (*(call.get("id") for call in _calls(message)), message.get("tool_call_id")):
            if id is not None and not _MISTRAL_ID.fullmatch(str(id)):
                said = f"Tool call id was {id} but must be a-z, A-Z, 0-9, with a length of 9."
                yield Problem(400, said, "invalid_request_function_call", "3280")
        if role == "assistant" and not message.get("content") and not message.get("tool_calls"):
            yield Problem(400, "Assistant message must have either content or tool_calls, but not none.", code="3240")
    if before == "assistant" and not messages[-1][1].get("prefix"):
        said = "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant"
        yield Problem(400, said, "invalid_request_message_order", "3230")


def _deepseek(body: dict[str, Any], messages: Messages, given: Given) -> Iterator[Problem]:
    off = table(body, "thinking").get("type") == "disabled"
    if not off and any(_calls(message) for _, message in messages):
        for index, message in messages:
            if message.get("role") == "assistant" and not isinstance(message.get("reasoning_content"), str):
                said = (
                    f"Missing `reasoning_content` field in the assistant message at message index {index}. For more "
                    "information, please refer to https://api-docs.deepseek.com/guides/thinking_mode#tool-calls"
                )
                yield Problem(400, said, code="invalid_request_error")
    form = body.get("response_format")
    if isinstance(form, dict) and form.get("type") not in ("text", "json_object"):
        yield Problem(400, "This response_format type is unavailable now", code="invalid_request_error")
    for problem in _json_word(body):
        said = "Prompt must contain the word 'json' in some form to use 'response_format' of type 'json_object'."
        yield Problem(problem.status, said, code="invalid_request_error")


def _moonshot(body: dict[str, Any], messages: Messages, given: Given) -> Iterator[Problem]:
    off = table(body, "thinking").get("type") == "disabled"
    for index, message in messages if not off else ():
        if _calls(message) and not isinstance(message.get("reasoning_content"), str):
            said = f"reasoning_content is missing in assistant tool call message at index {index}"
            yield Problem(400, f"thinking is enabled but {said}")


def _gemini(body: dict[str, Any], messages: Messages, given: Given) -> Iterator[Problem]:
    begun = max((index for index, message in messages if message.get("role") == "user"), default=0)
    strict = gemini.is_strict(str(body.get("model")))
    for index, message in messages:
        for at, call in enumerate(_calls(message)):
            signature = table(call, "extra_content", "google").get("thought_signature")
            if signature is not None and signature not in gemini.PLACEHOLDERS and not given.knows(signature):
                yield Problem(400, "Thought signature is not valid.")
            if strict and at == 0 and signature is None and index > begun:
                yield gemini.missing_signature(table(call, "function").get("name"), index + 1)
    for index, message in messages:
        for name in unknown(message, [*_OPENAI["messages"].get(str(message.get("role")), ()), "extra_content"]):
            yield gemini.nameless(name, f"messages[{index}]")


def _openrouter(body: dict[str, Any], messages: Messages, given: Given) -> Iterator[Problem]:
    for index, message in messages:
        for at, detail in rows(message.get("reasoning_details")):
            proof = detail.get("signature", detail.get("data"))
            said, thought = detail.get("text"), given.thoughts.get(str(proof))
            where = f"messages.{index}.content.{at}"
            if proof is None:
                # A piece of a block that was given whole, or a block whose signature has got lost.
                whole = isinstance(said, str) and any(said in thought for thought in given.thoughts.values())
                wrong = f"{where}.thinking.signature: Field required" if whole else None
            elif not given.knows(proof):
                wrong = f"{where}: Invalid `signature` in `thinking` block"
            else:
                changed = thought is not None and said != thought
                wrong = f"{where}: `thinking` or `redacted_thinking` blocks cannot be modified." if changed else None
            if wrong:
                yield Problem(400, wrong, "upstream")


_VENDORS: dict[str, Callable[[dict[str, Any], Messages, Given], Iterator[Problem]]] = {
    "openai": _openai,
    "mistral": _mistral,
    "deepseek": _deepseek,
    "moonshot": _moonshot,
    "gemini": _gemini,
    "openrouter": _openrouter,
}
