"""Prices and limits of models: facts, each with its source.

Prices and context windows come from the `genai-prices` data, which is imported when one is asked for.
"""

from __future__ import annotations

__all__ = ["max_output_tokens"]

# The most tokens a Claude model generates, by the beginning of its name; the longest that fits decides.
# Source: Anthropic's "Models overview" (platform.claude.com/docs/en/models/overview) and the models' own pages.
_ANTHROPIC_MAX_OUTPUT = {
    "claude-3-haiku": 4096,
    "claude-3-5": 8192,
    "claude-3-7-sonnet": 64_000,
    "claude-opus-4-0": 32_000,
    "claude-opus-4-1": 32_000,
    "claude-opus-4-2": 32_000,  # claude-opus-4-20250514
    "claude-opus-4-5": 64_000,
    "claude-opus-4-6": 128_000,
    "claude-opus-4-7": 128_000,
    "claude-opus-4-8": 128_000,
    "claude-opus-5": 128_000,
    "claude-sonnet-4": 64_000,
    "claude-sonnet-4-6": 128_000,
    "claude-sonnet-5": 128_000,
    "claude-haiku-4-5": 64_000,
    "claude-haiku-5-5": 128_000,
    "claude-fable-5": 128_000,
}


def max_output_tokens(model: str) -> int | None:
    """The most tokens that an Anthropic model generates, `None` where it is not known.

    Args:
        model: its name without the provider (`"claude-haiku-4-5-20251001"`).
    """
    known = [name for name in _ANTHROPIC_MAX_OUTPUT if model.startswith(name)]
    return _ANTHROPIC_MAX_OUTPUT[max(known, key=len)] if known else None
