"""The environment variables that send every official SDK to the practice server."""

from __future__ import annotations

import os

__all__ = ["KEY", "variables"]

KEY = "practice-key"
"""No part of what the server says otherwise: a key is blotted out of every error that quotes it."""


def variables(url: str, host: str) -> dict[str, str]:
    """Addresses and keys for the server at that address.

    Every vendor's key is among them, so that a real one of the developer's is sent nowhere. Google's is in the variable
    that wins over the others; its SDK complains where two are set.
    """
    out = {
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": f"{url}/v1",
        "ANTHROPIC_API_KEY": KEY,
        "ANTHROPIC_BASE_URL": url,
        "GOOGLE_API_KEY": KEY,
        "GOOGLE_GEMINI_BASE_URL": url,
        "OLLAMA_API_KEY": KEY,
        "OLLAMA_HOST": url,
    }
    if any(name.lower() in ("http_proxy", "all_proxy") for name in os.environ):
        known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
        out["NO_PROXY"] = out["no_proxy"] = f"{known},{host}" if known else host
    return out
