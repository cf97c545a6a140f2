"""Google's Gemini: what it answers, and what it refuses, always with status 400 and INVALID_ARGUMENT.

https://ai.google.dev/api/generate-content

Fields: the types of the `google-genai` SDK, and the vendor's reference "Generating content". Signatures: the vendor's
guide "Thought signatures". The words of the errors are those of public reports, such as google-gemini/gemini-cli#13972
(fields), #16972 (counts of responses) and #13467 (signatures); of empty texts, songquanpeng/one-api#2243 and
router-for-me/CLIProxyAPI#1292.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...vendors import load
from ..exchange import Problem, RecordedRequest, Tokens, Trouble
from .answer import Answer, Event, event, phrase, template
from .shapes import Given, is_base64, rows, table, unknown

NAME = "gemini"
STREAM_TYPE = "text/event-stream"
NEWLINE = b"\r\n"
LINES = False
ID_HEADER: str | None = None
RETRY_IN_BODY = True
FINISH_REASONS = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
    "other": "OTHER",
}
STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
TROUBLES: Mapping[Trouble, Problem] = {
    "bad_key": Problem(400, "API key not valid. Please pass a valid API key.", code="API_KEY_INVALID"),
    "unknown_model": Problem(404, "models/{model} is not found for API version v1."),
    "too_long": Problem(400, "The input token count (1333340) exceeds the maximum number of tokens allowed (1048576)."),
    "rate_limit": Problem(429, "You exceeded your current quota.", retry_after=1),
    "overloaded": Problem(503, "The model is overloaded. Please try again later."),
    "no_credit": Problem(429, "Your prepayment credits are depleted."),
}


def events(answer: Answer) -> list[Event]:
    """Chunks that are each a whole answer, with the usage so far; the last one names the finish reason."""
    if _blocked(answer):
        return [event(_blocked_body(answer), end=True)]
    parts: list[tuple[str, dict[str, Any]]] = [
        *((thought, {"text": thought, "thought": True}) for thought in answer.reasoning),
        *((text, {"text": text}) for text in answer.chunks),
        *((part["functionCall"]["name"], part) for part in _calls(answer)),
    ]
    chunk = template({"candidates": ["\x01"], **_figures(answer, "\x02", "\x03")})
    thought, said = _counts(answer)
    out = []
    for index, (carried, part) in enumerate(parts):
        text = index - len(answer.reasoning)
        token = {"continuationToken": answer.checkpoints[text]} if text in answer.checkpoints else {}
        so_far = said * (index + 1) // len(parts)
        out.append(chunk(carried, _candidate([part], **token), so_far, thought + so_far))
    return [*out, event(_chunk(answer, [_last_part(answer)]), end=True)]


def body(answer: Answer) -> dict[str, Any]:
    """The whole answer."""
    if _blocked(answer):
        return _blocked_body(answer)
    parts: list[dict[str, Any]] = []
    if answer.thought:
        parts.append({"text": answer.thought, "thought": True})
    if answer.text:
        parts.append(_last_part(answer) | {"text": answer.text})
    return _chunk(answer, [*parts, *_calls(answer)])


def error(problem: Problem) -> dict[str, Any]:
    """`{"error": {"code", "message", "status", "details"}}`."""
    details: list[dict[str, Any]] = []
    if problem.code:
        details.append(
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": problem.code,
                "domain": "googleapis.com",
                "metadata": {"service": "generativelanguage.googleapis.com"},
            }
        )
    if isinstance(problem.retry_after, (int, float)):
        retry = {"retryDelay": f"{problem.retry_after:g}s"}
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", **retry})
    usual = "INTERNAL" if problem.status >= 500 else "FAILED_PRECONDITION"
    status = problem.type or STATUSES.get(problem.status, usual)
    out = {"code": problem.status, "message": phrase(problem), "status": status}
    return {"error": {**out, "details": details} if details else out}


def error_events(problem: Problem, answer: Answer) -> list[Event]:
    """The error body as an event, the last of its stream."""
    return [event(error(problem))]


def unknown_events(answer: Answer) -> list[Event]:
    """A chunk of unknown fields, and a part of an unknown kind."""
    part = {"futurePart": {"value": 1}}
    return [event({"future": {"value": 1}}), event({"candidates": [_candidate([part])]})]


def _chunk(answer: Answer, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """A chunk that ends the turn."""
    before, said = _counts(answer)
    return {"candidates": [_candidate(parts, **_finish(answer))], **_figures(answer, said, before + said)}


def _candidate(parts: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    content = {"parts": parts, "role": "model"} if parts else {"role": "model"}
    return {"content": content, **more, "index": 0}


def _counts(answer: Answer) -> tuple[int, int]:
    """The tokens before the text, prompt and thoughts, and those of the text."""
    tokens = answer.usage or Tokens(0, 0)
    return tokens.prompt + tokens.reasoning, tokens.completion - tokens.reasoning


def _figures(answer: Answer, said: int | str, total: int | str) -> dict[str, Any]:
    """Usage, where `candidatesTokenCount` leaves out the thoughts; and who answers."""
    out: dict[str, Any] = {}
    tokens = answer.usage
    if tokens is not None:
        usage = out["usageMetadata"] = {
            "promptTokenCount": tokens.prompt,
            "candidatesTokenCount": said,
            "totalTokenCount": total,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens.prompt}],
        }
        if tokens.reasoning:
            usage["thoughtsTokenCount"] = tokens.reasoning
        if tokens.cache_read:
            usage["cachedContentTokenCount"] = tokens.cache_read
            usage["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": tokens.cache_read}]
    return out | {"modelVersion": answer.model, "responseId": answer.id("")}


def _finish(answer: Answer) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if answer.searched is not None:
        chunk = {"web": {"uri": "https://example.com/", "title": "Example"}}
        out["groundingMetadata"] = {"webSearchQueries": [answer.searched], "groundingChunks": [chunk]}
    if answer.continuation is not None:
        return out | {"finishReason": "CONTINUATION", "continuationToken": answer.continuation}
    if answer.finish_reason is not None:
        out["finishReason"] = FINISH_REASONS.get(answer.finish_reason, answer.finish_reason)
    if answer.calls:
        out["finishMessage"] = "Model generated function call(s)."
    return out


def _calls(answer: Answer) -> list[dict[str, Any]]:
    """The calls, whole; the first one carries the signature."""
    out: list[dict[str, Any]] = []
    for call in answer.calls:
        function = {"name": call.name, "args": call.value} | ({"id": call.id} if call.id else {})
        signed = {"thoughtSignature": answer.signature} if answer.signature and not out else {}
        out.append({"functionCall": function, **signed})
    return out


def _last_part(answer: Answer) -> dict[str, Any]:
    """No text; the signature, if no call carries it."""
    return {"text": ""} | ({"thoughtSignature": answer.signature} if answer.signature and not answer.calls else {})


def _blocked(answer: Answer) -> bool:
    return answer.finish_reason == "content_filter" and not (answer.text or answer.thought or answer.calls)


def _blocked_body(answer: Answer) -> dict[str, Any]:
    """A prompt that was turned away has no candidates."""
    before, said = _counts(answer)
    feedback = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
    return feedback | _figures(answer, said, before + said)


PLACEHOLDERS = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
"""What the vendor takes for the signature of a call that its model did not make (the guide's "FAQs")."""

_FIELDS = load("testing/wires/fields.json")["gemini"]

Turn = tuple[str, int, list[dict[str, Any]]]


def check(body: dict[str, Any], given: Given, request: RecordedRequest) -> Iterator[Problem]:
    """What is wrong with a request."""
    for name in unknown(body, _FIELDS["body"]):
        yield nameless(name)
    if isinstance(config := body.get("generationConfig"), dict):
        for name in unknown(config, _FIELDS["config"]):
            yield nameless(name, "generation_config")
    if not rows(body.get("contents")):
        yield _wrong("* GenerateContentRequest.contents: contents is not specified\n")
    for at, part in rows(table(body, "systemInstruction").get("parts")):
        yield from _part(f"system_instruction.parts[{at}]", part, given)
    turns: list[Turn] = []
    for index, content in rows(body.get("contents")):
        role, parts = content.get("role", "user"), [part for _, part in rows(content.get("parts"))]
        for name in unknown(content, ("role", "parts")):
            yield nameless(name, f"contents[{index}]")
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


def nameless(name: str, where: str = "") -> Problem:
    """What the vendor says to a field that it does not know."""
    at = f" at '{where}'" if where else ""
    return _wrong(f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.')


def _part(where: str, part: dict[str, Any], given: Given) -> Iterator[Problem]:
    for name in unknown(part, _FIELDS["part"]):
        yield nameless(name, where)
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
                yield nameless(name, f"{where}.{snake}")
    for kind, name in (("functionCall", "args"), ("functionResponse", "response")):
        if isinstance(inner := part.get(kind), dict) and not isinstance(inner.get(name, {}), dict):
            yield _wrong(f"Invalid value at '{where}' ({name}): it must be a Struct")
    yield from _picture(where, part.get("inlineData"))
    for at, inner in rows(table(part, "functionResponse").get("parts")):
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
