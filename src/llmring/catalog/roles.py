"""Which current models fit what a model is wanted for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

__all__ = ["ROLES", "Role", "suggested"]

Role = Literal["fast", "balanced", "deep"]
"""What a model is wanted for: cheap and quick, everyday work, or the hardest of it."""
ROLES: Final[tuple[Role, ...]] = ("fast", "balanced", "deep")

# The vendors' own line-ups in November 2026 (platform.claude.com/docs/en/models, developers.openai.com/api/docs/models,
# ai.google.dev/gemini-api/docs/models, api-docs.deepseek.com, console.groq.com/docs/models, docs.mistral.ai,
# docs.x.ai/docs/models, inference-docs.cerebras.ai): the newest stable model of each family. Vendors that serve
# everybody's models have no line-up to choose from.
_SUGGESTED: Mapping[Role, Mapping[str, str]] = MappingProxyType(
    {
        "fast": MappingProxyType(
            {
                "openai": "gpt-6-luna",
                "anthropic": "claude-haiku-5-5",
                "google": "gemini-3.5-flash-lite",
                "deepseek": "deepseek-flash",
                "groq": "openai/gpt-oss-20b",
                "mistral": "mistral-small-latest",
                "xai": "grok-4.3",
                "cerebras": "gpt-oss-120b",
            }
        ),
        "balanced": MappingProxyType(
            {
                "openai": "gpt-6.1-terra",
                "anthropic": "claude-sonnet-5-5",
                "google": "gemini-3.8-flash",
                "deepseek": "deepseek-v4-pro",
                "groq": "openai/gpt-oss-120b",
                "mistral": "mistral-medium-latest",
                "xai": "grok-4.6",
                "cerebras": "gpt-oss-120b",
            }
        ),
        "deep": MappingProxyType(
            {
                "openai": "gpt-6.1-sol",
                "anthropic": "claude-opus-5-5",
                "google": "gemini-4-argon",
                "deepseek": "deepseek-v4-pro",
                "groq": "openai/gpt-oss-120b",
                "mistral": "mistral-large-latest",
                "xai": "grok-4.7",
                "cerebras": "gpt-oss-120b",
            }
        ),
    }
)


def suggested(role: Role) -> Mapping[str, str]:
    """Current models that fit a role: the model's name by provider."""
    return _SUGGESTED[role]
