"""What Google's Gemini API refuses, always with status 400 and INVALID_ARGUMENT.

Fields: the types of the `google-genai` SDK, and the vendor's reference "Generating content". Signatures: the vendor's
guide "Thought signatures". The words of the errors are those of public reports, such as google-gemini/gemini-cli#13972
(fields), #16972 (counts of responses) and #13467 (signatures); of empty texts, songquanpeng/one-api#2243 and
router-for-me/CLIProxyAPI#1292.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ...data import load
from ..replies import Problem
from ..requests import RecordedRequest
from .given import Given
from .shapes import is_base64, rows, unknown

__all__ = ["PLACEHOLDERS", "check", "is_strict", "missing_signature"]

PLACEHOLDERS = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
"""What the vendor takes for the signature of a call that its model did not make (the guide's "FAQs")."""

_FIELDS = load("testing/rules/fields.json")["gemini"]

Turn = tuple[str, int, list[dict[str, Any]]]


def check(body: dict[str, Any], given: Given, request: RecordedRequest) -> Iterator[Problem]:
    """What is wrong with a request."""
    for name in unknown(body, _FIELDS["body"]):
        yield _nameless(name)
    if isinstance(config := body.get("generationConfig"), dict):
        for name in unknown(config, _FIELDS["config"]):
            yield _nameless(name, "generation_config")
    if not rows(body.get("contents")):
        yield _wrong("* GenerateContentRequest.contents: contents is not specified\n")
    system = body.get("systemInstruction")
    for at, part in rows(system.get("parts") if isinstance(system, dict) else None):
        yield from _part(f"system_instruction.parts[{at}]", part, given)
    turns: list[Turn] = []
    for index, content in rows(body.get("contents")):
        role, parts = content.get("role", "user"), [part for _, part in rows(content.get("parts"))]
        for name in unknown(content, ("role", "parts")):
            yield _nameless(name, f"contents[{index}]")
        if role not in ("user", "model"):
            yield _wrong("Please use a valid role: user, model.")
        if not parts:
            yield _wrong(f"* GenerateContentRequest.contents[{index}].parts: contents.parts must not be empty.\n")
        for at, part in enumerate(parts):
            yield from _part(f"contents[{index}].parts[{at}]", part, given)
        if turns and turns[-1][0] == role:
            turns[-1][2].extend(parts)
        else:
            turns.append((role, index, parts))
    yield from _pairs(turns)
    if is_strict(request.model):
        yield from _signatures(turns)


def is_strict(model: str) -> bool:
    """Whether the model insists on the signatures of its calls, as those from Gemini 3 on do."""
    found = re.match(r"(?:.*/)?gemini-(?:(\d+)|[a-z-]+-latest$)", model)
    return found is not None and int(found[1] or 99) >= 3


def missing_signature(name: Any, position: int) -> Problem:
    """What the vendor says where a call has none."""
    return _wrong(
        "Function call is missing a thought_signature in functionCall parts. This is required for tools to work "
        "correctly, and missing thought_signature may lead to degraded model performance. Additional data, function "
        f"call `default_api:{name}` , position {position}. Please refer to "
        "https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
    )


def _wrong(message: str) -> Problem:
    return Problem(400, message)


def _nameless(name: str, where: str = "") -> Problem:
    at = f" at '{where}'" if where else ""
    return _wrong(f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.')


def _part(where: str, part: dict[str, Any], given: Given) -> Iterator[Problem]:
    for name in unknown(part, _FIELDS["part"]):
        yield _nameless(name, where)
    held = [name for name in _FIELDS["data"] if name in part and (part[name] != "" or "thoughtSignature" in part)]
    if not held:
        said = "required oneof field 'data' must have one initialized field"
        yield _wrong(f"* GenerateContentRequest.{where}.data: {said}")
    elif len(held) > 1:
        yield _wrong(f"Invalid value at '{where}' (oneof), oneof field 'data' is already set.")
    for kind, known in _FIELDS["inner"].items():
        inner = part.get(kind)
        if isinstance(inner, dict):
            snake = re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", kind)
            for name in unknown(inner, known):
                yield _nameless(name, f"{where}.{snake}")
    for kind, name in (("functionCall", "args"), ("functionResponse", "response")):
        if isinstance(inner := part.get(kind), dict) and not isinstance(inner.get(name, {}), dict):
            yield _wrong(f"Invalid value at '{where}' ({name}): it must be a Struct")
    yield from _picture(where, part.get("inlineData"))
    response = part.get("functionResponse")
    for at, inner in rows(response.get("parts") if isinstance(response, dict) else None):
        yield from _picture(f"{where}.function_response.parts[{at}]", inner.get("inlineData"))
    if "thoughtSignature" in part:
        signature = part["thoughtSignature"]
        if not is_base64(signature):
            yield _wrong(f"Invalid value at '{where}.thought_signature' (TYPE_BYTES), Base64 decoding failed")
        elif signature not in PLACEHOLDERS and not given.knows(signature):
            yield _wrong("Thought signature is not valid.")


def _picture(where: str, blob: Any) -> Iterator[Problem]:
    if not isinstance(blob, dict):
        return
    if not is_base64(blob.get("data")):
        yield _wrong(f"Invalid value at '{where}.inline_data.data' (TYPE_BYTES), Base64 decoding failed")
    if not blob.get("mimeType"):
        yield _wrong(f"* GenerateContentRequest.{where}.inline_data.mime_type: must be specified")


def _pairs(turns: list[Turn]) -> Iterator[Problem]:
    """Calls are answered in the turn right after them: as many, of the same names and ids."""
    for at, (role, _, parts) in enumerate(turns):
        calls = [part["functionCall"] for part in parts if isinstance(part.get("functionCall"), dict)]
        answers = [part["functionResponse"] for part in parts if isinstance(part.get("functionResponse"), dict)]
        following = turns[at + 1][2] if at + 1 < len(turns) else []
        results = [p["functionResponse"] for p in following if isinstance(p.get("functionResponse"), dict)]
        if calls and role == "user":
            yield _wrong(
                "Please ensure that function call turn comes immediately after a user turn or after a function "
                "response turn."
            )
        if answers and not (at and any("functionCall" in part for part in turns[at - 1][2])):
            yield _wrong("Please ensure that function response turn comes immediately after a function call turn.")
        if calls and len(results) != len(calls):
            yield _wrong(
                "Please ensure that the number of function response parts is equal to the number of function call "
                "parts of the function call turn."
            )
        for key in ("name", "id") if calls and len(results) == len(calls) else ():
            asked, answered = (sorted(str(table.get(key)) for table in tables) for tables in (calls, results))
            if asked != answered:
                yield _wrong(f"Please ensure that the {key}s of function responses are those of the function calls.")


def _signatures(turns: list[Turn]) -> Iterator[Problem]:
    """In the turn under way, the first call of each step has the signature that it was given with."""
    begun = max((at for at, (role, _, parts) in enumerate(turns) if role == "user" and _asks(parts)), default=0)
    for _, index, parts in turns[begun:]:
        first = next((part for part in parts if isinstance(part.get("functionCall"), dict)), None)
        if first is not None and "thoughtSignature" not in first:
            yield missing_signature(first["functionCall"].get("name"), index + 1)


def _asks(parts: list[dict[str, Any]]) -> bool:
    """Whether a user's turn is a question, and not only what functions have returned."""
    return any("functionResponse" not in part for part in parts)
