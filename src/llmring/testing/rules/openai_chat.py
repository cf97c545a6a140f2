"""What the hosts that speak Chat Completions refuse: something else each.

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
from collections.abc import Callable, Iterator
from typing import Any

from ...data import load
from ..replies import Problem
from ..requests import RecordedRequest
from . import gemini
from .given import Given
from .shapes import no_string, rows, says_json, strict_schema, too_long, unknown, unknown_parameter

__all__ = ["check"]

_FIELDS = load("testing/rules/fields.json")
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
    table = _schema(body)
    if table.get("strict"):
        yield from strict_schema(table.get("schema"), f"response_format '{table.get('name')}'", "response_format")


def _json_word(body: dict[str, Any]) -> Iterator[Problem]:
    form = body.get("response_format")
    if isinstance(form, dict) and form.get("type") == "json_object" and not says_json(body.get("messages")):
        said = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
        yield Problem(400, said, param="messages")


def _schema(body: dict[str, Any]) -> dict[str, Any]:
    form = body.get("response_format")
    table = form.get("json_schema") if isinstance(form, dict) else None
    return table if isinstance(table, dict) else {}


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
    thinking = body.get("thinking")
    off = isinstance(thinking, dict) and thinking.get("type") == "disabled"
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
    thinking = body.get("thinking")
    off = isinstance(thinking, dict) and thinking.get("type") == "disabled"
    for index, message in messages if not off else ():
        if _calls(message) and not isinstance(message.get("reasoning_content"), str):
            said = f"reasoning_content is missing in assistant tool call message at index {index}"
            yield Problem(400, f"thinking is enabled but {said}")


def _gemini(body: dict[str, Any], messages: Messages, given: Given) -> Iterator[Problem]:
    begun = max((index for index, message in messages if message.get("role") == "user"), default=0)
    strict = gemini.is_strict(str(body.get("model")))
    for index, message in messages:
        for at, call in enumerate(_calls(message)):
            extra = call.get("extra_content")
            google = extra.get("google") if isinstance(extra, dict) else None
            signature = google.get("thought_signature") if isinstance(google, dict) else None
            if signature is not None and signature not in gemini.PLACEHOLDERS and not given.knows(signature):
                yield Problem(400, "Thought signature is not valid.")
            if strict and at == 0 and signature is None and index > begun:
                function = call.get("function")
                yield gemini.missing_signature(function.get("name") if isinstance(function, dict) else None, index + 1)
    for index, message in messages:
        for name in unknown(message, [*_OPENAI["messages"].get(str(message.get("role")), ()), "extra_content"]):
            where = f"messages[{index}]"
            yield Problem(
                400, f"Invalid JSON payload received. Unknown name \"{name}\" at '{where}': Cannot find field."
            )


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
