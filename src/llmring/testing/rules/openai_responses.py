"""What OpenAI's Responses API refuses, with status 400 but where a row says otherwise.

Fields: the request types of the `openai` SDK, and the vendor's reference "Responses". The words of the errors are those
of public reports, such as vercel/ai#7099 and TanStack/ai#1212 (reasoning and what follows it), vercel/ai#7543 (what was
not stored) and openai/codex#8145 (encrypted content).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ...data import load
from ..replies import Problem
from ..requests import RecordedRequest
from .given import Given
from .shapes import no_string, rows, says_json, strict_schema, too_long, unknown, unknown_parameter

__all__ = ["check"]

_FIELDS = load("testing/rules/fields.json")["openai-responses"]
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
    text = body.get("text")
    form = text.get("format") if isinstance(text, dict) else None
    form = form if isinstance(form, dict) else {}
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
