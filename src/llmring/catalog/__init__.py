"""What is known of models: names, prices, limits and ends, each with its source. Nothing here asks the network.

    from llmring import catalog

    catalog.model_info("anthropic:claude-haiku-5-5").context_window

Prices and context windows come from the `genai-prices` data, names and announced ends from the files of the installed
SDKs. Each name is imported when it is first asked for, and the price data when something is looked up in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .entries import ModelInfo, PriceTier, covers, known, model_info, models, nearest, successor
    from .prices import Cost, cost_of, is_own_host
    from .records import ROLES, Role, abilities, max_output_tokens, other_use, suggested

__all__ = [
    "ROLES",
    "Cost",
    "ModelInfo",
    "PriceTier",
    "Role",
    "abilities",
    "cost_of",
    "covers",
    "is_own_host",
    "known",
    "max_output_tokens",
    "model_info",
    "models",
    "nearest",
    "other_use",
    "successor",
    "suggested",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "entries": ("ModelInfo", "PriceTier", "covers", "known", "model_info", "models", "nearest", "successor"),
            "prices": ("Cost", "cost_of", "is_own_host"),
            "records": ("ROLES", "Role", "abilities", "max_output_tokens", "other_use", "suggested"),
        },
    )
