"""The `genai-prices` data: whose prices a provider's are, which entry a name means, and which name an entry has.

It is imported when something is looked up. Its providers and entries are handed on as they are, in its own types.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from ..addresses import network_of, shown, without_login

__all__ = ["answers_in_tokens", "find", "is_own_host", "means", "name_of", "price_source", "vendor"]

# Where a provider's name in a lockfile is not its name in the price data.
_PRICED_AS = {"xai": "x-ai", "moonshot": "moonshotai", "bedrock": "aws", "azure-openai": "azure"}

# Providers whose models run on the caller's own machine, or near it, unless their address says otherwise.
_LOCAL = frozenset({"ollama", "vllm", "llamacpp", "lmstudio"})

# How the names begin of entries that the provider's API does not serve: Google's cloud has them beside Gemini.
_NOT_SERVED = {"google": "claude-"}


def price_source(provider: str, base_url: str | None) -> tuple[Any, str | None]:
    """The provider in the price data, or why it is not there."""
    base_url, _ = without_login(base_url)
    if is_own_host(provider, base_url):
        if provider in _LOCAL:
            return None, f"{provider} runs models on your own machine; nobody bills for them"
        return None, f"{provider} is served at a host of your own ({shown(base_url)}); nobody bills for it"
    from genai_prices.data_snapshot import get_snapshot

    wanted = _PRICED_AS.get(provider, provider)
    for source in get_snapshot().providers:
        if source.id == wanted:
            return source, None
    if base_url:
        for source in get_snapshot().providers:
            if re.match(source.api_pattern, base_url):
                return source, None
    at = f" at {shown(base_url)}" if base_url else ""
    return None, f"the price data does not know the provider {provider!r}{at}"


def find(source: Any, name: str) -> Any:
    """The entry that a model's name means at a provider of the price data; `None` where there is none."""
    if source is None:
        return None
    from genai_prices.data_snapshot import get_snapshot

    return source.find_model(name, all_providers=get_snapshot().providers)


def vendor(provider: str, source: Any) -> str:
    """Whose models a provider serves: another name for a vendor's own address changes nothing about them."""
    if source is None:
        return provider
    return next((name for name, priced in _PRICED_AS.items() if priced == source.id), str(source.id))


def is_own_host(provider: str, base_url: str | None) -> bool:
    """Whether a provider is on this machine or in a private network, where nobody bills and nothing is retired."""
    network = network_of(base_url)
    return network == "own" or (provider in _LOCAL and network is None)


def answers_in_tokens(provider: str, model: Any) -> bool:
    """Whether an entry is not priced otherwise (embeddings, speech), and is of the provider's own API."""
    prices = model.get_prices(datetime.now(UTC))
    by_token = prices.output_mtok is not None or not any(vars(prices).values())
    aside = _NOT_SERVED.get(provider)
    return by_token and not (aside and model.id.startswith(aside))


def name_of(model: Any) -> str | None:
    """The name to ask for an entry by: its own, unless that is only a label; `None` where it has patterns alone."""
    if model.id.endswith(("-", ":")):
        return None
    names = [model.id, *(getattr(it, "equals", None) for it in (model.match, *getattr(model.match, "or_", ())))]
    return next((name for name in names if name and model.is_match(name)), None)


def means(clause: Any, name: str) -> bool:
    """Whether a clause of the price data means this very name, or says itself that anything may follow."""
    if hasattr(clause, "or_"):
        return any(means(it, name) for it in clause.or_)
    if hasattr(clause, "and_"):
        return any(means(it, name) for it in clause.and_ if not hasattr(it, "regex"))
    (text,) = vars(clause).values()
    if hasattr(clause, "regex"):
        return bool(clause.is_match(name))
    return name == text.lower() or (text.endswith(("-", "@")) and bool(clause.is_match(name)))
