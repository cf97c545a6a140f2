"""A vendor that does not exist, as a package of somebody else's would have it: a wire that is nobody's, and a provider.

The wire has server-sent events with names, tools under other words, and errors in a form of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from llmring.providers import (
    Call,
    CannotCarry,
    Decoder,
    Dialect,
    HTTPProvider,
    LineFrames,
    SSEFrames,
    StreamChunk,
    WireError,
    Words,
)
from llmring.schemas import FinishReason, Message, ToolCall, Usage
from llmring.testing import RecordedRequest
from llmring.testing.conformance import (
    Answer,
    Asked,
    Called,
    Event,
    Problem,
    Result,
    WireScript,
    event,
)
from llmring.testing.exchange import Trouble

# The server, as its description has it


class AcmeWire(WireScript):
    """`POST /talk`: turns, skills, and a `bye` at the end."""

    path = "/acme/v3"
    troubles: ClassVar[Mapping[Trouble, Problem]] = {
        "rate_limit": Problem(429, "You talk too much.", "talkative", retry_after=1)
    }

    def read(self, request: RecordedRequest) -> Asked | None:
        if not request.path.endswith("/talk"):
            return None
        body = request.body
        turns = body["turns"]
        return Asked(
            model=body["engine"],
            stream=body["live"],
            texts=[turn["says"] for turn in turns if turn["who"] != "skill"],
            tools=[skill["title"] for skill in body.get("skills", ())],
            calls=[Called(act["do"], act["with"], act["ref"]) for turn in turns for act in turn.get("acts", ())],
            results=[Result(turn["says"], turn["ref"]) for turn in turns if turn["who"] == "skill"],
            key=request.headers.get("x-acme-key"),
        )

    def events(self, answer: Answer) -> Iterator[Event]:
        for thought in answer.reasoning:
            yield event({"is": "thought", "t": thought}, "thought", carries=thought)
        for word in answer.chunks:
            yield event({"is": "word", "w": word}, "word", carries=word)
        for number, call in enumerate(answer.calls):
            ref = call.id or answer.id("act-", number)
            yield event({"is": "act", "ref": ref, "do": call.name}, "act")
            for piece in call.fragments:
                yield event({"is": "with", "ref": ref, "piece": piece}, "with", carries=piece)
        if answer.usage is not None:
            yield event({"is": "bill", **_bill(answer)}, "bill")
        yield event({"is": "bye", "engine": answer.model, "why": answer.finish_reason}, "bye", end=True)

    def body(self, answer: Answer) -> Any:
        acts = [
            {"ref": call.id or answer.id("act-", number), "do": call.name, "with": call.json}
            for number, call in enumerate(answer.calls)
        ]
        said = {"words": answer.text, "thought": answer.thought, "acts": acts, "why": answer.finish_reason}
        bill = {"bill": _bill(answer)} if answer.usage is not None else {}
        return {"is": "talk", "engine": answer.model, **said, **bill}

    def error(self, problem: Problem) -> Any:
        return {"is": "trouble", "text": problem.message or f"trouble {problem.status}", "sort": problem.code}

    def unknown_events(self, answer: Answer) -> Iterable[Event]:
        return [event({"is": "weather", "sunny": True}, "weather")]


def _bill(answer: Answer) -> dict[str, int]:
    assert answer.usage is not None
    usage = answer.usage
    return {"in": usage.prompt, "out": usage.completion, "again": usage.cache_read, "pondered": usage.reasoning}


# The provider


_WHY: Mapping[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
}
_WHO = {"system": "rules", "user": "person", "assistant": "engine", "tool": "skill"}


class AcmeDecoder(Decoder):
    """Events of `talk`."""

    frames: ClassVar[type[LineFrames]] = SSEFrames
    end_marker = "bye"

    def feed(self, event: Any) -> StreamChunk | None:
        kind = event["is"]
        if kind == "word":
            return StreamChunk(event["w"], self.model)
        if kind == "thought":
            return StreamChunk("", self.model, event["t"])
        if kind == "act":
            self.calls.start(event["ref"], event["do"], event["ref"], arriving=True)
            return StreamChunk("", self.model, tool_calls=self.calls.snapshot())
        if kind == "with":
            self.calls.extend(event["ref"], event["piece"])
            return StreamChunk("", self.model, tool_calls=self.calls.snapshot())
        if kind == "bill":
            self.read_bill(event)
        elif kind == "bye":
            self.read_end(event)
            self.ended = True
        elif kind == "trouble":
            raise trouble(event)
        return None

    def feed_answer(self, answer: Any) -> StreamChunk | None:
        if answer["is"] == "trouble":
            raise trouble(answer)
        if "bill" in answer:
            self.read_bill(answer["bill"])
        for act in answer["acts"]:
            self.calls.start(act["ref"], act["do"], act["ref"], act["with"])
        self.read_end(answer)
        return StreamChunk(answer["words"], self.model, answer["thought"] or None)

    def read_bill(self, bill: dict[str, int]) -> None:
        self.usage = Usage(
            prompt_tokens=bill["in"],
            completion_tokens=bill["out"],
            total_tokens=bill["in"] + bill["out"],
            cache_read_tokens=bill["again"],
            reasoning_tokens=bill["pondered"],
        )

    def read_end(self, end: dict[str, Any]) -> None:
        self.response_model = end["engine"]
        if end["why"] is not None:
            self.finish_reason = _WHY.get(end["why"], "other")
        self.complete = True


def trouble(said: dict[str, Any], status: int | None = None) -> WireError:
    """What Acme says of a failure."""
    return WireError(said["text"], status, (said["sort"],) if said.get("sort") else (), enveloped=True)


class AcmeProvider(HTTPProvider):
    """Acme's API."""

    dialect = Dialect(
        "acme",
        base_url="https://api.acme.example/acme/v3",
        key_variables=["ACME_API_KEY"],
        words=[
            Words("no_model", words=["the model * does not exist"]),
            Words("too_long", words=["prompt is too long"]),
        ],
    )
    headers: ClassVar[Mapping[str, str]] = {"x-acme-key": "{key}"}

    def path(self, call: Call) -> str:
        return "/talk"

    def render(self, call: Call) -> dict[str, Any]:
        asked = call.request
        for name in ("top_p", "seed"):
            if getattr(asked, name) is not None:
                raise CannotCarry(f"Acme's API has no {name}")
        body: dict[str, Any] = {"engine": call.model, "live": call.stream, "turns": [*map(_turn, asked.messages)]}
        if asked.tools:
            functions = [tool["function"] for tool in asked.tools]
            body["skills"] = [
                {"title": it["name"], "for": it.get("description"), "takes": it["parameters"]} for it in functions
            ]
            if asked.tool_choice not in (None, "auto"):
                body["skilled"] = asked.tool_choice
        if asked.temperature is not None:
            body["heat"] = asked.temperature
        if asked.stop is not None:
            body["halt"] = asked.stop
        if asked.max_tokens is not None:
            body["most"] = asked.max_tokens
        if asked.response_format is not None:
            body["shape"] = asked.response_format
        return body | asked.extra_params

    def decoder(self, call: Call) -> Decoder:
        return AcmeDecoder(f"{self.name}:{call.model}")


def _turn(message: Message) -> dict[str, Any]:
    said = message.content if isinstance(message.content, str) else json.dumps(message.content)
    turn: dict[str, Any] = {"who": _WHO[message.role], "says": said}
    if message.tool_calls:
        turn["acts"] = [*map(_act, message.tool_calls)]
    if message.tool_call_id is not None:
        turn["ref"] = message.tool_call_id
    return turn


def _act(call: ToolCall) -> dict[str, Any]:
    function = call["function"]
    return {"ref": call["id"], "do": function["name"], "with": json.loads(function["arguments"])}
