"""OpenAI's Responses: what it answers, and what it refuses, with status 400 but where a row says otherwise.

https://platform.openai.com/docs/api-reference/responses-streaming

Fields: the request types of the `openai` SDK, and the vendor's reference "Responses". The words of the errors are those
of public reports, such as vercel/ai#7099 and TanStack/ai#1212 (reasoning and what follows it), vercel/ai#7543 (what was
not stored) and openai/codex#8145 (encrypted content).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...vendors import load
from ..exchange import Problem, RecordedRequest, Tokens, Trouble
from . import openai_chat
from .answer import Answer, Event, event, template
from .shapes import Given, no_string, rows, says_json, strict_schema, table, too_long, unknown, unknown_parameter

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


_FIELDS = load("testing/wires/fields.json")["openai-responses"]
_PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "custom_tool_call": "ctc",
    "web_search_call": "ws",
}
_OUTPUTS = {"function_call_output": "function_call", "custom_tool_call_output": "custom_tool_call"}
_SPOKEN = ("output_text", "refusal")
_HEARD = ("input_file", "input_image", "input_text")
_URL = re.compile(r"https?://|data:image/")

Items = list[tuple[int, dict[str, Any]]]


def check(body: dict[str, Any], given: Given, request: RecordedRequest) -> Iterator[Problem]:
    """What is wrong with a request."""
    for name in unknown(body, _FIELDS["body"]):
        yield unknown_parameter(name)
    items = [
        (index, {"type": "message", **item} if "role" in item and "type" not in item else item)
        for index, item in rows(body.get("input"))
    ]
    for index, item in items:
        yield from _item(f"input[{index}]", item)
    # What the vendor keeps, this server does not: there, anything may be referred to.
    if not any(body.get(name) for name in ("previous_response_id", "conversation")):
        yield from _pairs(items)
        yield from _reasoning(items, given, stored=body.get("store") is not False)
    yield from _format(body)


def _missing(where: str) -> Problem:
    message = f"Missing required parameter: '{where}'."
    return Problem(400, message, code="missing_required_parameter", param=where)


def _invalid(where: str, said: str, code: str = "invalid_value") -> Problem:
    return Problem(400, f"Invalid '{where}': {said}", code=code, param=where)


def _about(message: str, status: int = 400, code: str | None = None) -> Problem:
    return Problem(status, message, code=code, param="input")


def _item(where: str, item: dict[str, Any]) -> Iterator[Problem]:
    kind, id = str(item.get("type")), item.get("id")
    for name in _FIELDS["required"].get(kind, ()):
        if name not in item:
            yield _missing(f"{where}.{name}")
    for name in unknown(item, _FIELDS["items"].get(kind, item)):
        yield unknown_parameter(f"{where}.{name}")
    if "id" in item and kind in _PREFIXES and not str(id).startswith(_PREFIXES[kind]):
        said = f"'{id}'. Expected an ID that begins with '{_PREFIXES[kind]}'."
        yield _invalid(f"{where}.id", said)
    call = item.get("call_id", "")
    if isinstance(call, str):
        yield from too_long(f"{where}.call_id", call, 64)
    for name in ("arguments", "name"):
        if name in item and not isinstance(item[name], str):
            yield no_string(f"{where}.{name}")
    if kind == "message":
        role = item.get("role")
        if role not in ("user", "assistant", "system", "developer"):
            said = f"'{role}'. Supported values are: 'assistant', 'system', 'developer', and 'user'."
            yield _invalid(f"{where}.role", said)
        yield from _parts(f"{where}.content", item.get("content"), _SPOKEN if role == "assistant" else _HEARD)
    elif kind == "function_call_output":
        yield from _parts(f"{where}.output", item.get("output"), _HEARD)
    elif kind == "reasoning" and (content := item.get("content")):
        # The vendor's own models never show their thinking; what they have not said they do not take.
        said = "array too long. Expected an array with maximum length 0, but got an array with length "
        yield _invalid(f"{where}.content", f"{said}{len(content)} instead.", "array_above_max_length")


def _parts(where: str, content: Any, known: tuple[str, ...]) -> Iterator[Problem]:
    if not isinstance(content, (str, list)):
        said = "expected one of an array of objects or string, but got something else instead."
        yield Problem(400, f"Invalid type for '{where}': {said}", code="invalid_type", param=where)
    for at, part in rows(content):
        full, kind = f"{where}[{at}]", part.get("type")
        if kind not in known:
            supported = " and ".join(f"'{name}'" for name in known)
            yield Problem(
                400, f"Invalid value: '{kind}'. Supported values are: {supported}.", code="invalid_value", param=full
            )
            continue
        for name in unknown(part, _FIELDS["parts"][kind]):
            yield unknown_parameter(f"{full}.{name}")
        if kind == "input_image" and not part.get("file_id") and not _URL.match(str(part.get("image_url"))):
            yield _invalid(f"{full}.image_url", "Expected a valid URL, but got a value with an invalid format.")


def _pairs(items: Items) -> Iterator[Problem]:
    """Each call has its output further on, and each output its call before it."""
    seen: set[tuple[str, Any]] = set()
    answered = {(_OUTPUTS[kind], item.get("call_id")) for _, item in items if (kind := item.get("type")) in _OUTPUTS}
    for _, item in items:
        kind, call = str(item.get("type")), item.get("call_id")
        if kind in _OUTPUTS and (_OUTPUTS[kind], call) not in seen:
            yield _about(f"No tool call found for function call output with call_id {call}.")
        if kind in _OUTPUTS.values():
            seen.add((kind, call))
            if (kind, call) not in answered:
                yield _about(f"No tool output found for function call {call}.")


def _reasoning(items: Items, given: Given, *, stored: bool) -> Iterator[Problem]:
    """Reasoning is the server's own, and goes before the items that it was given with."""
    ids: set[str] = set()
    for at, (_, item) in enumerate(items):
        id, kind = item.get("id"), item.get("type")
        if isinstance(id, str):
            if id in ids:
                said = "Remove duplicate items from your input and try again."
                yield _about(f"Duplicate item found with id {id}. {said}")
            ids.add(id)
        if kind == "reasoning":
            secret = item.get("encrypted_content")
            if secret and not given.knows(secret):
                said = f"The encrypted content for item {id} could not be verified."
                yield _about(said, code="invalid_encrypted_content")
            elif not secret and not (stored and given.knows(id)):
                yield _about(
                    f"Item with id '{id}' not found. Items are not persisted when `store` is set to false. Try again "
                    "with `store` set to true, or remove this item from your input.",
                    404,
                )
            following = items[at + 1][1] if at + 1 < len(items) else {}
            if not following or following.get("role", "assistant") != "assistant" or following.get("type") in _OUTPUTS:
                yield _about(f"Item '{id}' of type 'reasoning' was provided without its required following item.")
        elif given.knows(id):
            for thought in sorted(name for name in given.beside(id) if name.startswith("rs_") and name not in ids):
                said = f"was provided without its required 'reasoning' item: '{thought}'."
                yield _about(f"Item '{id}' of type '{kind}' {said}")


def _format(body: dict[str, Any]) -> Iterator[Problem]:
    form = table(body, "text", "format")
    if form.get("type") == "json_object" and not says_json(body.get("input")):
        said = "Response input messages must contain the word 'json' in some form"
        yield _about(f"{said} to use 'text.format' of type 'json_object'.")
    if form.get("type") == "json_schema":
        for name in ("name", "schema"):
            if name not in form:
                yield _missing(f"text.format.{name}")
        if form.get("strict"):
            what = f"response_format '{form.get('name')}'"
            yield from strict_schema(form.get("schema"), what, "text.format.schema")
    for index, tool in rows(body.get("tools")):
        if tool.get("type") == "function" and tool.get("strict", True):
            what = f"function '{tool.get('name')}'"
            yield from strict_schema(tool.get("parameters"), what, f"tools[{index}].parameters")
