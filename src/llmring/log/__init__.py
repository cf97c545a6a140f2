"""A log of what was asked and answered: one SQLite file in the user's own folder, off unless a program asks for it.

    async with LLMRing(on_event=Log()) as service: ...

`llmring log` and `llmring stats` read it. It holds prompts and answers, and no key: what is sent with a request besides
its messages is not in it, and an error's message has no key.
"""

from __future__ import annotations

from ..lazy import lazily

__all__ = ["Entry", "Log", "Total", "default_path"]

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .entries import Entry
    from .log import Log, Total, default_path

__getattr__, __dir__ = lazily(__name__, {"entries": ("Entry",), "log": ("Log", "Total", "default_path")})
