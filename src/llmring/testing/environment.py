"""The environment variables that point the official SDKs at the practice server."""

from __future__ import annotations

import os

__all__ = ["environ"]

_KEY = "practice-key"
"""No part of what the server says otherwise: a key is blotted out of every error that quotes it."""


def environ(url: str, host: str) -> dict[str, str]:
    """Addresses and keys for every SDK, and where there is a proxy, that none is asked.

    Args:
        url: where the server is reached.
        host: its own.
    """
    keys = dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "OLLAMA_API_KEY"), _KEY)
    addresses = {"OPENAI_BASE_URL": f"{url}/v1", "OLLAMA_HOST": url}
    addresses |= dict.fromkeys(("ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL"), url)
    if not any(name.lower() in ("http_proxy", "all_proxy") for name in os.environ):
        return keys | addresses
    known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    near = f"{known},{host}" if known else host
    return keys | addresses | {"NO_PROXY": near, "no_proxy": near}
