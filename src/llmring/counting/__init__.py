"""How many tokens a request has, and whether it fits: counted by its provider, else estimated.

    count = await service.count_tokens(request)
    print(count.tokens, "tokens" if count.exact else f"tokens or so, at least {count.at_least}")

An estimate is made of the characters of each script (`scripts.py`), or by `tiktoken`, and of what a model's vendor adds
for turns, tools and pictures; `ratios.json` has the figures, `benchmarks/counting` how they were measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .asking import ask
    from .counts import TokenCount, TokenCounter
    from .windows import ContextCheck, Limits, Window, check

__all__ = ["ContextCheck", "Limits", "TokenCount", "TokenCounter", "Window", "ask", "check"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "asking": ("ask",),
            "counts": ("TokenCount", "TokenCounter"),
            "windows": ("ContextCheck", "Limits", "Window", "check"),
        },
    )
