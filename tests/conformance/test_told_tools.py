"""Tools that a model is told of in the prompt, and calls that it writes into its text, pass as any others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from llmring.providers import Provider, ProviderConfig
from llmring.providers.openai import OpenAIProvider
from llmring.testing import RecordedRequest
from llmring.testing.conformance import (
    Answer,
    Asked,
    Called,
    CallTests,
    Declared,
    Event,
    LackTests,
    Problem,
    Result,
    RoadTests,
    WireScript,
    key_of,
)
from llmring.testing.exchange import Trouble
from llmring.testing.wires import openai_chat

CALL = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)
RESULT = re.compile(r"<tool_response>\s*(.*?)\s*</tool_response>", re.DOTALL)
TOOL = re.compile(r'"name":\s*"(\w+)"')


class Told(WireScript):
    """Chat Completions of a model that writes its calls as Hermes does, on a server that knows of no tools."""

    path = "/v1"
    troubles: ClassVar[Mapping[Trouble, Problem]] = openai_chat.TROUBLES
    lacks: ClassVar[Mapping[str, str]] = {
        "call_ids": "what is written into a text has no ids",
        "call_events": "it is written into the text",
        "end_marker": "a body that has named its reason is whole",
    }

    def read(self, request: RecordedRequest) -> Asked:
        body = request.body
        assert "tools" not in body
        turns = [(turn["role"], turn["content"]) for turn in body["messages"]]
        told = "".join(text for role, text in turns if role == "system")
        calls = [json.loads(call) for role, text in turns if role == "assistant" for call in CALL.findall(text)]
        return Asked(
            model=body["model"],
            stream=bool(body.get("stream")),
            texts=[text for _, text in turns],
            tools=TOOL.findall(told),
            calls=[Called(call["name"], call["arguments"]) for call in calls],
            results=[Result(result) for role, text in turns if role == "user" for result in RESULT.findall(text)],
            key=key_of(request),
        )

    def events(self, answer: Answer) -> Iterable[Event]:
        return openai_chat.events(written(answer))

    def body(self, answer: Answer) -> Any:
        return openai_chat.body(written(answer))

    def error(self, problem: Problem) -> Any:
        return openai_chat.error(problem)


def written(answer: Answer) -> Answer:
    """The answer, with its calls as text."""
    pieces = [*answer.chunks]
    for call in answer.calls:
        name = f'{{"name": "{call.name}", "arguments": '
        pieces += ["\n<tool_call>\n", name, *call.fragments, "}", "\n</tool_call>"]
    reason = "stop" if answer.finish_reason == "tool_calls" else answer.finish_reason
    return replace(answer, calls=[], chunks=pieces, finish_reason=reason)


class TestToldTools(Declared, CallTests, RoadTests, LackTests):
    wire = Told()

    def provider(self, config: ProviderConfig) -> Provider:
        return OpenAIProvider(replace(config, tools="prompt:hermes"))
