"""The other provider: one of Chat Completions, which stands by, and to which a turn is handed over."""

from __future__ import annotations

from ...providers.base import Provider, ProviderConfig

__all__ = ["PARTNER", "partner"]

PARTNER = "partner"
"""Its name, as in `provider:model`."""


def partner(url: str) -> Provider:
    """The provider, at a practice server."""
    from ...providers.openai import OpenAIProvider

    return OpenAIProvider(ProviderConfig(PARTNER, key="partner-key", base_url=f"{url}/v1", timeout=20.0))
