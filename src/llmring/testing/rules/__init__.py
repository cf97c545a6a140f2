"""What each vendor refuses: a witness of its own, which knows no wire, no provider and no SDK.

A rule looks at the body of a request, and at what this server has given away before (`Given`), and yields what the
vendor would say, in the vendor's words as far as they are known. Where a rule comes from stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..replies import Problem
from ..requests import RecordedRequest
from . import anthropic, gemini, ollama, openai_chat, openai_responses
from .forms import parsed, wrong_form
from .given import Given

__all__ = ["Given", "parsed", "refusal", "wrong_form"]

_CHECKS: dict[str, Callable[[dict[str, Any], Given, RecordedRequest], Iterator[Problem]]] = {
    "anthropic": anthropic.check,
    "gemini": gemini.check,
    "ollama": ollama.check,
    "openai-chat": openai_chat.check,
    "openai-responses": openai_responses.check,
}


def refusal(wire: str, request: RecordedRequest, given: Given) -> Problem | None:
    """What the vendor would say to the request, `None` if it would take it."""
    return next(_CHECKS[wire](request.body, given, request), None)
