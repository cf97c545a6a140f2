"""What is asked: a small question, and a long conversation with tools and a picture."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from llmring import LLMRequest, Message, ToolCall, image, text

__all__ = ["LONG", "SMALL", "Talk"]


@dataclass(frozen=True)
class Talk:
    """A conversation as a program has it when it asks for the next turn."""

    messages: list[Message]
    tools: list[dict[str, Any]] = field(default_factory=list)

    def request(self, model: str) -> LLMRequest:
        return LLMRequest(model=model, messages=self.messages, max_tokens=1000, tools=self.tools or None)


def _tool(number: int) -> dict[str, Any]:
    about = "what to look for, in the words of the user, without what has been asked before"
    properties = {f"field_{n}": {"type": "string", "description": about} for n in range(6)}
    parameters = {"type": "object", "properties": properties, "required": ["field_0"]}
    return {
        "type": "function",
        "function": {"name": f"look_up_{number}", "description": about.capitalize(), "parameters": parameters},
    }


def _long() -> Talk:
    """200 KB of JSON: 40 rounds of question, call, result and answer, 12 tools, a picture of 60 KB."""
    picture = image(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 176)
    messages = [
        Message(role="system", content="Answer from what the tools find. " * 30),
        Message(role="user", content=[text("What is in this picture?"), picture]),
        Message(role="assistant", content="A test pattern."),
    ]
    for number in range(40):
        arguments = json.dumps({f"field_{n}": f"words {number} " * 4 for n in range(6)})
        rows = [{"id": n, "title": f"Row {n} of {number}", "score": n / 7, "tags": ["one", "two"]} for n in range(14)]
        call: ToolCall = {
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": f"look_up_{number % 12}", "arguments": arguments},
        }
        messages += [
            Message(role="user", content=f"And what about number {number}? " * 20),
            Message(role="assistant", tool_calls=[call]),
            Message(role="tool", tool_call_id=f"call_{number}", content=json.dumps(rows)),
            Message(role="assistant", content=f"Number {number} is much like the others. " * 20),
        ]
    messages.append(Message(role="user", content="Sum it up."))
    return Talk(messages, [_tool(number) for number in range(12)])


SMALL = Talk([Message(role="user", content="Count to 10")])
LONG = _long()
