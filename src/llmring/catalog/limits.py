"""The most tokens that a model generates, where the price data does not say."""

from __future__ import annotations

from collections.abc import Mapping

from .naming import model_of

__all__ = ["max_output_tokens"]

# The most tokens a model generates, by the beginning of its name; the longest that fits decides.
# Sources: Anthropic's "Models overview" (platform.claude.com/docs/en/models/overview), OpenAI's "Models"
# (developers.openai.com/api/docs/models) and the models' own pages there.
_MAX_OUTPUT: Mapping[str, int] = {
    "claude-3-haiku": 4096,
    "claude-3-5": 8192,
    "claude-3-7-sonnet": 64_000,
    "claude-opus-4": 32_000,
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
    "gpt-4-1": 32_768,
    "gpt-4o": 16_384,
    "gpt-5-mini": 128_000,
    "gpt-5-nano": 128_000,
    "gpt-5-6": 128_000,
    "gpt-6": 128_000,
}


def max_output_tokens(name: str) -> int | None:
    """The most tokens that a model generates, whoever serves it; `None` where it is not known.

    Args:
        name: the model's, as its vendor or a gateway writes it (`"claude-haiku-4-5-20251001"`,
            `"anthropic/claude-haiku-4.5"`).
    """
    model = model_of(name)
    fitting = [start for start in _MAX_OUTPUT if model == start or model.startswith(f"{start}-")]
    return _MAX_OUTPUT[max(fitting, key=len)] if fitting else None
