"""The wire formats: which one a request is for, and one module that renders each."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from . import anthropic, gemini, ollama, openai_chat, openai_responses
from .answer import Answer, Event, Format

__all__ = ["FORMATS", "Answer", "Event", "Format", "Route", "route"]

FORMATS: dict[str, Format] = {
    format.NAME: format for format in (openai_chat, openai_responses, anthropic, gemini, ollama)
}

_CHATS: dict[str, Format] = {
    "/chat/completions": openai_chat,
    "/responses": openai_responses,
    "/messages": anthropic,
    "/api/chat": ollama,
}
_GEMINI = re.compile(r"/(models|tunedModels)/(?P<model>.+):(?P<verb>generateContent|streamGenerateContent)$")


class Route(NamedTuple):
    """Where a request goes."""

    format: Format
    chat: bool
    model: str = ""
    stream: bool = False


def route(method: str, path: str, query: dict[str, str], headers: dict[str, str], body: Any) -> Route:
    """The wire that such a request is for, and what it asks for."""
    asked = body if isinstance(body, dict) else {}
    model = str(asked.get("model", ""))
    if method == "POST":
        if match := _GEMINI.search(path):
            return Route(gemini, True, match["model"], match["verb"].startswith("stream"))
        for ending, format in _CHATS.items():
            if path.endswith(ending):
                return Route(format, True, model, bool(asked.get("stream", format.NAME == "ollama")))
    if "/api/" in path:
        return Route(ollama, False, model)
    if "anthropic-version" in headers:
        return Route(anthropic, False)
    if "x-goog-api-key" in headers or "key" in query or "v1beta" in path:
        return Route(gemini, False)
    return Route(openai_chat, False)
