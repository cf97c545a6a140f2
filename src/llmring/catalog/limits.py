"""The most tokens that a model generates, where the price data does not say."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["max_output_tokens"]

# The most tokens a model generates, by the beginning of its name; the longest that fits decides.
# Sources: Anthropic's "Models overview" (platform.claude.com/docs/en/models/overview), OpenAI's "Models"
# (developers.openai.com/api/docs/models) and the models' own pages there.
_MAX_OUTPUT: Mapping[str, Mapping[str, int]] = {
    "anthropic": {
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
        "claude-mythos-5": 128_000,
    },
    "openai": {
        "gpt-4.1": 32_768,
        "gpt-4o": 16_384,
        "gpt-5-mini": 128_000,
        "gpt-5-nano": 128_000,
        "gpt-5.6": 128_000,
        "gpt-6": 128_000,
    },
}


def max_output_tokens(provider: str, name: str) -> int | None:
    """The most tokens that a vendor's model generates, `None` where it is not known.

    Args:
        provider, name: the two halves of `provider:model` (`"anthropic"`, `"claude-haiku-4-5-20251001"`).
    """
    table = _MAX_OUTPUT.get(provider, {})
    fitting = [start for start in table if name.startswith(start)]
    return table[max(fitting, key=len)] if fitting else None
