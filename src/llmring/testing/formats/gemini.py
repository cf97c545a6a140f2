"""Google's Gemini.

https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmring.testing.replies import Problem, Tokens, Trouble

from .answer import Answer, Event, event, phrase, template

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
