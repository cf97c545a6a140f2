"""What a provider says that one of its models can do, asked at its own endpoint through its SDK's own client."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

from ..addresses import segment
from ..exceptions import ProviderError
from ..vendors import FACTS
from .base import Provider
from .bounded import bounded
from .listing import failure_of, status_of
from .reading import entry_of, facts_in, row_of

__all__ = ["describe"]

logger = logging.getLogger("llmring")

_NOTHING_THERE = frozenset({404, 405, 501})
"""Statuses that say that there is no such endpoint, or no such model: an answer, and no failure."""
_AS_THEY_ARE = {name: name for name in FACTS}


async def describe(provider: Provider, model: str, *, timeout: float | None = 10.0) -> Mapping[str, Any]:
    """What a provider's own endpoint says of a model now, by the names of `capabilities.Capabilities`.

    What it does not say is left out: all of it, where it has no such endpoint.

    Args:
        provider: a built-in adapter, or any whose `describe_model` says it.
        model: its name, without the provider.
        timeout: seconds for the whole of it; `None` leaves it to the SDK's client.

    Raises:
        ProviderError: nothing that was asked was answered. Where something was, the rest is logged.
    """
    found: dict[str, Any] = {}
    failures: list[ProviderError] = []
    answered = False

    def failed(error: Exception) -> None:
        if not isinstance(error, ProviderError):
            error = failure_of(provider, error, timeout, f"say what {model} can do", "description of a model")
        failures.append(error)

    try:
        async with asyncio.timeout(timeout), bounded():
            if (own := await provider.describe_model(model)) is not None:
                return facts_in(own, _AS_THEY_ARE)
            row = row_of(provider.name, provider.sdk, provider.config.address)
            for ask in row.get("ask", ()):
                try:
                    entry = entry_of(await _answer(provider.client, ask, model), ask, model)
                except Exception as error:
                    if status_of(error) not in _NOTHING_THERE:
                        failed(error)
                        continue
                    entry = None
                answered = True
                found = {**facts_in(entry or {}, ask["facts"]), **found}
    except Exception as error:
        failed(error)
    if failures and not answered:
        raise failures[0]
    for failure in failures:
        logger.warning("Of %s:%s not all is known: %s", provider.name, model, failure)
    return found


async def _answer(client: Any, ask: Mapping[str, Any], model: str) -> Any:
    """What the endpoint answers, as JSON has it."""
    if "call" in ask:
        call = client
        for name in ask["call"].split("."):
            call = getattr(call, name)
        return (await call(model=segment(model) if ask.get("in_path") else model)).model_dump(mode="json")
    path = ask["path"].format(model=segment(model))
    return await client.get(urljoin(str(client.base_url), path), cast_to=object)
