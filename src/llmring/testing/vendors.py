"""Which vendor's Chat Completions a request is for: hosts that speak the format differ in what they take and give."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .replies import Problem

__all__ = ["CHAT_VENDORS", "refused", "vendor_of"]

CHAT_VENDORS = ("openai", "mistral", "deepseek", "moonshot", "openrouter", "vllm", "gemini")
"""The hosts that the practice server can play. `gemini` is Google's compatible endpoint; `openai` is Azure's, too."""

_HOSTS = {
    "api.openai.com": "openai",
    "openai.azure.com": "openai",
    "services.ai.azure.com": "openai",
    "api.mistral.ai": "mistral",
    "api.deepseek.com": "deepseek",
    "moonshot.ai": "moonshot",
    "moonshot.cn": "moonshot",
    "openrouter.ai": "openrouter",
    "generativelanguage.googleapis.com": "gemini",
}


def vendor_of(path: str, headers: Mapping[str, str]) -> str | None:
    """The vendor that is asked: the first step of the path names one, or the host does; `None` for any other host."""
    named = path.lstrip("/").partition("/")[0]
    if named in CHAT_VENDORS:
        return named
    host = headers.get("host", "").rpartition(":")[0] or headers.get("host", "")
    return next((vendor for known, vendor in _HOSTS.items() if host == known or host.endswith(f".{known}")), None)


def refused(vendor: str | None, problem: Problem) -> Any:
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
