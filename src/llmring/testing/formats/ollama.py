"""Ollama's own chat API.

https://docs.ollama.com/api/chat
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from llmring.testing.replies import Problem, Trouble

from .answer import Answer, Event, event, phrase, template

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
