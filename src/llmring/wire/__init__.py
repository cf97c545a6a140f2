"""What travels: one module per wire format, with no I/O and no SDK.

Each turns a request into the JSON its format wants (`render_request`) and the format's events into chunks
(`Decoder`). A wire is not a provider: every OpenAI-compatible server speaks `openai_chat`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

__all__ = ["MAX_BYTES"]

MAX_BYTES = 64 * 1024 * 1024
"""That a line, an event, the calls or a whole answer may have, unless the service says otherwise."""

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        {},
        later=("chat_requests", "media", "openai_chat", "openai_responses", "schema_dialects", "told_calls"),
    )
