"""The wire formats: which one a request is for, what each says of its models, and what each vendor refuses.

One module for each renders its answers, and has its rules: a witness of its own, which knows none of the library's
wires and providers, and no SDK. A rule looks at the body of a request, and at what this server has given away before
(`Given`), and yields what the vendor would say, in the vendor's words as far as they are known. Where a rule comes from
stands beside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ...vendors import load
from ..exchange import Problem, RecordedRequest
from . import anthropic, gemini, ollama, openai_chat, openai_responses
from .answer import Answer, Event, Format, Framed
from .counting import counting_at
from .files import Cabinet, StoredFile
from .models import FACTS, Facts, listing
from .places import Place, place_of
from .shapes import Given, parsed, wrong_form

__all__ = [
    "FACTS",
    "FORMATS",
    "Answer",
    "Cabinet",
    "Event",
    "Facts",
    "Format",
    "Framed",
    "Given",
    "Place",
    "Route",
    "StoredFile",
    "listing",
    "parsed",
    "refusal",
    "route",
    "said_by",
    "vendor_of",
    "wrong_form",
]

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

_API_OF_OTHERS = re.compile(r"/api/v\d")
"""LM Studio's, and OpenRouter's: Ollama's has no version in its paths."""


class Route(NamedTuple):
    """Where a request goes."""

    format: Format
    chat: bool
    model: str = ""
    stream: bool = False
    counts: bool = False
    place: Place | None = None


def route(method: str, path: str, query: dict[str, str], headers: dict[str, str], body: Any) -> Route:
    """The wire that such a request is for, and what it asks for."""
    asked = body if isinstance(body, dict) else {}
    model = str(asked.get("model", ""))
    if method == "POST":
        if counting := counting_at(path, body):
            return Route(counting[0], True, counting[1], counts=True)
        if match := _GEMINI.search(path):
            return Route(gemini, True, match["model"], match["verb"].startswith("stream"))
        for ending, format in _CHATS.items():
            if path.endswith(ending):
                return Route(format, True, model, bool(asked.get("stream", format.NAME == "ollama")))
    place = place_of(method, path, query)
    if "/api/" in path and not _API_OF_OTHERS.search(path):
        return Route(ollama, False, model)
    if "anthropic-version" in headers:
        return Route(anthropic, False, place=place)
    if {"x-goog-api-key", "x-goog-upload-command"} & headers.keys() or "key" in query or "v1beta" in path:
        return Route(gemini, False, place=place)
    return Route(openai_chat, False, place=place)


_HOSTS: Mapping[str, list[str]] = {
    vendor: row["hosts"] for vendor, row in load("testing/wires/fields.json").items() if "hosts" in row
}
"""Whose Chat Completions the server can play. `gemini` is Google's compatible endpoint; `openai` is Azure's, too."""


def refusal(format: Format, request: RecordedRequest, given: Given) -> Problem | None:
    """What the vendor would say to the request, `None` if it would take it."""
    return next(format.check(request.body, given, request), None)


def vendor_of(path: str, headers: Mapping[str, str]) -> str | None:
    """The vendor that is asked: the first step of the path names one, or the host does; `None` for any other host."""
    named = path.lstrip("/").partition("/")[0]
    if named in _HOSTS:
        return named
    host = headers.get("host", "").rpartition(":")[0] or headers.get("host", "")
    names = host.split(".")
    parents = {".".join(names[at:]) for at in range(len(names))}
    return next((vendor for vendor, hosts in _HOSTS.items() if not parents.isdisjoint(hosts)), None)


def said_by(vendor: str | None, problem: Problem) -> Any:
    """A refusal in the form that the vendor gives it, `None` where that is OpenAI's."""
    what = {"type": problem.type or "invalid_request_error", "param": None, "code": problem.code}
    if vendor == "mistral":
        message = json.loads(problem.message or "") if problem.status == 422 else problem.message
        return {"object": "error", "message": message, **what}
    if vendor == "gemini":
        return [{"error": {"code": problem.status, "message": problem.message, "status": "INVALID_ARGUMENT"}}]
    if vendor == "openrouter" and problem.type == "upstream":
        raw = {"type": "error", "error": {"type": "invalid_request_error", "message": problem.message}}
        metadata = {"raw": json.dumps(raw), "provider_name": "Anthropic"}
        return {"error": {"message": "Provider returned error", "code": problem.status, "metadata": metadata}}
    return None
