"""Ollama's own chat API: what it answers, and what it refuses.

https://docs.ollama.com/api/chat

It refuses, always with status 400, what does not fit into its Go types; what it does not know it ignores. Types:
`ChatRequest` and `Message` in its `api/types.go`, as the `ollama` SDK has them too. The words of the errors are those
of public reports, such as aliasrobotics/cai#76 (arguments) and BerriAI/litellm#18338 (pictures).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from ..exchange import Problem, RecordedRequest, Trouble
from .answer import Answer, Event, event, phrase, template
from .shapes import Given, is_base64, rows

NAME = "ollama"
STREAM_TYPE = "application/x-ndjson"
NEWLINE = b"\n"
LINES = True
ID_HEADER: str | None = None
RETRY_IN_BODY = False
DONE_REASONS = {"tool_calls": "stop"}
TROUBLES: Mapping[Trouble, Problem] = {
    "bad_key": Problem(401, "unauthorized"),
    "unknown_model": Problem(404, "model '{model}' not found"),
    "too_long": Problem(400, "the input length exceeds the context length"),
    "rate_limit": Problem(429, "too many requests", retry_after=1),
    "overloaded": Problem(503, "server busy, please try again.  maximum pending requests exceeded"),
}


def events(answer: Answer) -> list[Event]:
    """Thinking, text, calls (whole), and the line that is done."""
    thinking = template(_line(answer, {"content": "", "thinking": "\x00"}))
    text = template(_line(answer, {"content": "\x00"}))
    calls = [
        event(_line(answer, {"content": "", "tool_calls": [call]}), carries=call["function"]["name"])
        for call in _calls(answer)
    ]
    last = event(_line(answer, {"content": ""}) | _done(answer), end=True)
    return [*map(thinking, answer.reasoning), *map(text, answer.chunks), *calls, last]


def body(answer: Answer) -> dict[str, Any]:
    """The whole answer."""
    message: dict[str, Any] = {"content": answer.text}
    if answer.thought:
        message["thinking"] = answer.thought
    if answer.calls:
        message["tool_calls"] = _calls(answer)
    return _line(answer, message) | _done(answer)


def error(problem: Problem) -> dict[str, Any]:
    """`{"error": "..."}`."""
    return {"error": phrase(problem)}


def error_events(problem: Problem, answer: Answer) -> list[Event]:
    """The error body as a line, the last of its stream."""
    return [event(error(problem))]


def unknown_events(answer: Answer) -> list[Event]:
    """A line of unknown fields."""
    return [event(_line(answer, {"content": "", "future": {"value": 1}}) | {"future": [1]})]


def _line(answer: Answer, message: dict[str, Any]) -> dict[str, Any]:
    created = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(answer.created))
    message = {"role": "assistant", **message}
    return {"model": answer.model, "created_at": created, "message": message, "done": False}


def _calls(answer: Answer) -> list[dict[str, Any]]:
    return [
        {"function": {"index": index, "name": call.name, "arguments": call.value}}
        for index, call in enumerate(answer.calls)
    ]


def _done(answer: Answer) -> dict[str, Any]:
    out: dict[str, Any] = {"done": True}
    if answer.finish_reason is not None:
        out["done_reason"] = DONE_REASONS.get(answer.finish_reason, answer.finish_reason)
    if answer.usage is not None:
        out |= {
            "total_duration": 174560334,
            "load_duration": 101397084,
            "prompt_eval_count": answer.usage.prompt,
            "prompt_eval_duration": 13074791,
            "eval_count": answer.usage.completion,
            "eval_duration": 52479709,
        }
    return out


_GO = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}
_STRINGS = ("role", "content", "thinking", "tool_name", "tool_call_id")


def check(body: dict[str, Any], given: Given, request: RecordedRequest) -> Iterator[Problem]:
    """What is wrong with a request."""
    if not body.get("model"):
        yield Problem(400, "model is required")
    think = body.get("think")
    if not (think is None or isinstance(think, bool) or think in ("low", "medium", "high", "max")):
        yield Problem(400, f'invalid think value: "{think}" (must be "high", "medium", "low", "max", true, or false)')
    for name in ("messages", "tools"):
        yield from _unless(list, body.get(name), name)
    yield from _unless(dict, body.get("options"), "options")
    for _, message in rows(body.get("messages")):
        for name in _STRINGS:
            yield from _unless(str, message.get(name), f"messages.{name}")
        for name in ("images", "tool_calls"):
            yield from _unless(list, message.get(name), f"messages.{name}")
        pictures = message.get("images")
        for picture in pictures if isinstance(pictures, list) else ():
            if not is_base64(picture):
                start = str(picture).find(":") if str(picture).startswith("data:") else 0
                yield Problem(400, f"illegal base64 data at input byte {start}")
        for _, call in rows(message.get("tool_calls")):
            function = call.get("function")
            where = "messages.tool_calls.function"
            yield from _unless(dict, function, where)
            if isinstance(function, dict):
                arguments = function.get("arguments")
                yield from _unless(dict, arguments, f"{where}.arguments", "api.ToolCallFunctionArguments")


def _unless(wanted: type, value: Any, where: str, kind: str | None = None) -> Iterator[Problem]:
    if value is not None and not isinstance(value, wanted):
        found = _GO.get(type(value), "value")
        yield Problem(
            400,
            f"json: cannot unmarshal {found} into Go struct field ChatRequest.{where} of type {kind or _GO[wanted]}",
        )
