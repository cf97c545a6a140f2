"""What each vendor refuses: a witness of its own, which knows no wire, no provider and no SDK.

A rule looks at the body of a request, and at what this server has given away before (`Given`), and yields what the
vendor would say, in the vendor's words as far as they are known. Where a rule comes from stands beside it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...data import load
from ..replies import Problem
from ..requests import RecordedRequest
from . import anthropic, gemini, ollama, openai_chat, openai_responses
from .given import Given
from .shapes import parsed, wrong_form

__all__ = ["Given", "parsed", "refusal", "said_by", "vendor_of", "wrong_form"]

_CHECKS: dict[str, Callable[[dict[str, Any], Given, RecordedRequest], Iterator[Problem]]] = {
    "anthropic": anthropic.check,
    "gemini": gemini.check,
    "ollama": ollama.check,
    "openai-chat": openai_chat.check,
    "openai-responses": openai_responses.check,
}

_HOSTS: Mapping[str, list[str]] = {
    vendor: row["hosts"] for vendor, row in load("testing/rules/fields.json").items() if "hosts" in row
}
"""Whose Chat Completions the server can play. `gemini` is Google's compatible endpoint; `openai` is Azure's, too."""


def refusal(wire: str, request: RecordedRequest, given: Given) -> Problem | None:
    """What the vendor would say to the request, `None` if it would take it."""
    return next(_CHECKS[wire](request.body, given, request), None)


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
