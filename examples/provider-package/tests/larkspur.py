"""Larkspur as its API description has it: what the server of the tests answers in its name, and what it refuses.

It is written from API.md, and not with the provider's code, so that the two can contradict each other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from llmring.testing import RecordedRequest, Reply, Tokens
from llmring.testing.conformance import Answer, Asked, Called, Event, Problem, Result, WireScript, event

ENDINGS = {"stop": "said", "tool_calls": "said", "length": "room", "content_filter": "declined"}
KINDS = {401: "stranger", 403: "stranger", 404: "voice", 429: "busy"}
FORM: Mapping[str, type | tuple[type, ...]] = {
    "voice": str,
    "dialogue": list,
    "briefing": str,
    "heat": (int, float),
    "room": int,
    "halt": list,
    "ponder": str,
    "live": bool,
}
TOOLS = re.compile(r"<tools>(.*?)</tools>", re.DOTALL)
CALL = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)
RESULT = re.compile(r"<tool_response>(.*?)</tool_response>", re.DOTALL)


class LarkspurServer(WireScript):
    """The server."""

    path = "/v2"
    retry_in_body = True
    lacks = {"call_ids": "calls are text, and have no ids"}
    troubles = {
        "bad_key": Problem(400, "We do not know you.", "stranger"),
        "unknown_model": Problem(400, "There is no voice {model}.", "voice"),
        "too_long": Problem(400, "That is more than we can hear.", "long"),
        "rate_limit": Problem(400, "Too many guests at once.", "busy", retry_after=1),
        "overloaded": Problem(503, "We are not well.", "ill"),
    }

    def read(self, request: RecordedRequest) -> Asked | None:
        """What a request to `/answers` asks for."""
        if (request.method, request.path) != ("POST", "/v2/answers"):
            return None
        body = request.body
        turns = body["dialogue"]
        said = [body.get("briefing", ""), *(turn["says"] for turn in turns)]
        theirs = "".join(turn["says"] for turn in turns if turn["from"] == "lark")
        results = "".join(turn["says"] for turn in turns if turn["from"] == "guest")
        calls = [json.loads(call) for call in CALL.findall(theirs)]
        return Asked(
            model=body["voice"],
            stream=body.get("live", False),
            texts=[text for text in said if text],
            tools=[json.loads(line)["function"]["name"] for line in _tools(said[0])],
            calls=[Called(call["name"], call["arguments"]) for call in calls],
            results=[Result(result.strip()) for result in RESULT.findall(results)],
            key=request.headers.get("x-larkspur-key"),
        )

    def refuse(self, request: RecordedRequest) -> Problem | None:
        """What is wrong with the form of a request."""
        body = request.body
        if not isinstance(body, dict):
            return Problem(400, "That is no JSON object.", "form")
        for field, kind in FORM.items():
            if field in body and not isinstance(body[field], kind):
                return Problem(400, f"{field} has another form.", "form", param=field)
        if unknown := next((field for field in body if field not in FORM), None):
            return Problem(400, f"We know no {unknown}.", "form", param=unknown)
        for turn in body["dialogue"]:
            if turn.keys() != {"from", "says"} or turn["from"] not in ("guest", "lark") or not turn["says"].strip():
                return Problem(400, "A turn is a guest's or a lark's, and says something.", "form", param="dialogue")
        return None

    def events(self, answer: Answer) -> Iterator[Event]:
        """The answer as a stream. The meter is there before the speech, as it may be."""
        opening = {"id": answer.id("ans_"), "voice": answer.model, **_meter(_heard(answer.usage))}
        yield event(opening, "opening")
        for piece in answer.reasoning:
            yield event({"text": piece}, "pondering", carries=piece)
        if spoken := _spoken(answer.usage):
            yield event(spoken, "meter")
        for piece, carries in _speech(answer):
            yield event({"text": piece}, "speech", carries=piece if carries else None)
        yield event({"why": _ending(answer)}, "ending", end=True)

    def body(self, answer: Answer) -> dict[str, Any]:
        """The whole answer."""
        return {
            "id": answer.id("ans_"),
            "voice": answer.model,
            **({"pondering": answer.thought} if answer.thought else {}),
            "says": "".join(piece for piece, _ in _speech(answer)),
            "ending": _ending(answer),
            **_meter(_heard(answer.usage) | _spoken(answer.usage)),
        }

    def error(self, problem: Problem) -> dict[str, Any]:
        """`{"trouble": {"kind", "words"}}`."""
        kind = problem.type or KINDS.get(problem.status, "ill" if problem.status >= 500 else "form")
        trouble: dict[str, Any] = {"kind": kind, "words": problem.message or f"status {problem.status}"}
        if isinstance(problem.retry_after, int | float):
            trouble["again_in"] = problem.retry_after
        if problem.param:
            trouble["field"] = problem.param
        return {"trouble": trouble}

    def error_events(self, problem: Problem, answer: Answer) -> Iterable[Event]:
        """The event `trouble`, whose data is what stands in the body's."""
        return [event(self.error(problem)["trouble"], "trouble", end=True)]

    def other(self, request: RecordedRequest) -> Reply:
        """The list of voices."""
        if (request.method, request.path) != ("GET", "/v2/voices"):
            return super().other(request)
        if "x-larkspur-key" not in request.headers:
            return Reply(status=400, body=json.dumps(self.error(self.troubles["bad_key"])).encode())
        voices = [{"name": "lark-2", "hears": 32000, "speaks": 4096, "ponders": True}]
        return Reply(body=json.dumps({"voices": voices}).encode(), content_type="application/json")


def _tools(briefing: str) -> list[str]:
    return [line for block in TOOLS.findall(briefing) for line in block.splitlines() if line.startswith("{")]


def _speech(answer: Answer) -> Iterator[tuple[str, bool]]:
    """The text, and the calls that are made in it: each piece, and whether it is of the text or of arguments."""
    yield from ((piece, True) for piece in answer.chunks)
    for call in answer.calls:
        yield f'<tool_call>\n{{"name": {json.dumps(call.name)}, "arguments": ', False
        yield from ((piece, True) for piece in call.fragments)
        yield "}\n</tool_call>", False


def _ending(answer: Answer) -> str:
    reason = answer.finish_reason or "stop"
    return ENDINGS.get(reason, reason)


def _meter(counts: dict[str, int]) -> dict[str, Any]:
    return {"meter": counts} if counts else {}


def _heard(usage: Tokens | None) -> dict[str, int]:
    return {} if usage is None else {"heard": usage.prompt - usage.cache_read, "heard_again": usage.cache_read}


def _spoken(usage: Tokens | None) -> dict[str, int]:
    return {} if usage is None else {"spoken": usage.completion - usage.reasoning, "pondered": usage.reasoning}
