"""The server answers on every wire."""

import json
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from llmring.testing import PracticeServer

ASKED = {"model": "m", "messages": [{"role": "user", "content": "hi there"}]}
WIRES: dict[str, tuple[str, dict[str, Any], Callable[[Any], str]]] = {
    "openai-chat": ("/v1/chat/completions", ASKED, lambda b: b["choices"][0]["message"]["content"]),
    "openai-responses": (
        "/v1/responses",
        {"model": "m", "input": "hi there"},
        lambda b: b["output"][0]["content"][0]["text"],
    ),
    "anthropic": ("/v1/messages", ASKED, lambda b: b["content"][0]["text"]),
    "gemini": (
        "/v1/models/m:generateContent",
        {"contents": [{"parts": [{"text": "hi there"}]}]},
        lambda b: b["candidates"][0]["content"]["parts"][0]["text"],
    ),
    "ollama": ("/api/chat", {**ASKED, "stream": False}, lambda b: b["message"]["content"]),
}


@pytest.mark.parametrize("wire", WIRES)
def test_the_question_is_echoed(wire: str) -> None:
    path, body, text = WIRES[wire]
    with PracticeServer() as server:
        request = urllib.request.Request(server.url + path, json.dumps(body).encode())
        with urllib.request.urlopen(request) as response:
            answer: Any = json.load(response)
        assert text(answer) == "You said: hi there"
        assert [r.wire for r in server.requests] == [wire]
        assert server.requests[0].model == "m"
