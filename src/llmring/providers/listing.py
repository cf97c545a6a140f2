"""What a provider says that it serves now, asked through its SDK's own client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import date, datetime
from typing import Any

from ..exceptions import (
    LLMRingError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderError,
    ProviderResponseError,
    ProviderTimeoutError,
)
from ..wire.errors import WireError, cut, read_error
from .base import Provider
from .bounded import bounded
from .environment import by_way_of, wanting_password
from .errors import below, error_of_network, kind_of
from .reading import ListedModel, facts_in, row_of

__all__ = ["ListedModel", "NoListing", "failure_of", "list_models", "status_of"]

_MOST = 10_000
"""Models: a listing that has not ended by then is none."""
_HTTP_CLIENTS = ("httpx", "httpx2")


class NoListing(ProviderResponseError):
    """A provider has no list of its models; whether it serves, that does not tell."""


async def list_models(provider: Provider, *, timeout: float | None = 10.0) -> list[ListedModel]:
    """The models that a provider lists now, in its order.

    Args:
        provider: one of the built-in adapters, or any that has a `list_models` of its own, or whose client lists models
            as the openai SDK's does.
        timeout: seconds for the whole of it; `None` leaves it to the SDK's client.

    Raises:
        ProviderAuthenticationError: it refused the key.
        ProviderTimeoutError: it did not finish within the timeout.
        ProviderConnectionError: it cannot be reached.
        ProviderResponseError: it answered anything but a listing.
    """
    listing = _LISTINGS.get(provider.sdk, _openai)
    found: list[ListedModel] = []
    try:
        async with asyncio.timeout(timeout), bounded():
            if (own := await provider.list_models()) is not None:
                return [*own][:_MOST]
            if not hasattr(provider.client, "models") and provider.sdk not in _LISTINGS:
                raise NoListing(
                    f"{provider.name} does not say which models it serves: its class has no list_models.",
                    provider=provider.name,
                )
            async for model in listing(provider.client, row_of(provider.name, provider.sdk, provider.config.address)):
                found.append(model)
                if len(found) == _MOST:
                    break
    except LLMRingError:
        raise
    except Exception as error:
        failure = failure_of(provider, error, timeout)
    else:
        return found
    raise failure


async def _openai(client: Any, row: Mapping[str, Any]) -> AsyncIterator[ListedModel]:
    facts: Mapping[str, Any] = next((ask["facts"] for ask in row.get("ask", ()) if ask.get("path") == "models"), {})
    async for model in client.models.list():
        # Fields that the SDK does not know are kept as they came.
        said = facts_in({**(getattr(model, "model_extra", None) or {})}, facts)
        yield ListedModel(
            model.id,
            said.get("context_window"),
            said.get("max_output_tokens"),
            _day(getattr(model, "shutdown_date", None)),
        )


async def _anthropic(client: Any, _: Mapping[str, Any]) -> AsyncIterator[ListedModel]:
    async for model in client.models.list(limit=100):
        yield ListedModel(
            model.id,
            getattr(model, "max_input_tokens", None),
            getattr(model, "max_tokens", None),
            _day(getattr(model, "retires_at", None)),
        )


async def _google(client: Any, _: Mapping[str, Any]) -> AsyncIterator[ListedModel]:
    async for model in await client.models.list():
        yield ListedModel(model.name.removeprefix("models/"), model.input_token_limit, model.output_token_limit)


async def _ollama(client: Any, _: Mapping[str, Any]) -> AsyncIterator[ListedModel]:
    for model in (await client.list()).models:
        yield ListedModel(model.model.removesuffix(":latest"))


_LISTINGS: Mapping[str, Callable[[Any, Mapping[str, Any]], AsyncIterator[ListedModel]]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "google-genai": _google,
    "ollama": _ollama,
}


def _day(said: Any) -> date | None:
    if isinstance(said, datetime):
        return said.date()
    try:
        return date.fromisoformat(said[:10])
    except (TypeError, ValueError):
        return None


def status_of(error: Exception) -> int | None:
    """The HTTP status that an exception of an SDK, or of an HTTP client, has, `None` where no answer came."""
    places = ((error, "status_code"), (error, "code"), (getattr(error, "response", None), "status_code"))
    return next((it for place, key in places if isinstance(it := getattr(place, key, None), int)), None)


def _said(provider: Provider, error: Exception, status: int) -> WireError:
    """What a refusal says, in the form of its SDK's exception, or of the answer that an HTTP client's holds."""
    body = getattr(error, "body", None) or getattr(error, "details", None)
    response = getattr(error, "response", None)
    if body is None and isinstance(content := getattr(response, "content", None), bytes):
        return provider.said_of(content, status, getattr(response, "headers", {}))
    return read_error(body or str(error), status)


def failure_of(
    provider: Provider,
    error: Exception,
    timeout: float | None,
    task: str = "list its models",
    form: str = "list of models",
) -> ProviderError:
    """The error for an exception of the SDK, by what the SDKs' exceptions have in common.

    Args:
        provider: who was asked.
        error: the exception.
        timeout: seconds that it had; `None` for those of its client.
        task: what it was to do.
        form: what its answer was to be.
    """
    name, status = provider.name, status_of(error)
    kind, address = kind_of(error), provider.config.address
    if status == 407:
        kind, what = ProviderConnectionError, f"{name} was not reached (HTTP 407): {wanting_password(address)}"
    elif status is not None and status > 0:
        failure = _said(provider, error, status)
        refused = failure.status in (401, 403) or "api_key_invalid" in f"{failure.details}".lower()
        kind = ProviderAuthenticationError if refused else ProviderResponseError
        what = f"{name} {'refused the key' if refused else f'did not {task}'} (HTTP {status}): "
        said = cut(failure.message, 1500, 300).rstrip(".")
        what += f"{said}. Check {provider.config.key_source if refused else 'its address'}."
    elif kind is ProviderTimeoutError:
        # What is not our own timer is that of the SDK's client.
        waited = timeout if isinstance(error, TimeoutError) else provider.config.timeout
        within = f"within {waited:g} s" if waited is not None else "in time"
        what = f"{name} did not {task} {within}. Try again, or check that it runs."
        what += by_way_of(address)
    elif kind is ProviderConnectionError:
        # The HTTP client's own words: an SDK's advice would stand before ours.
        heard = next((it for it in below(error) if type(it).__module__.partition(".")[0] in _HTTP_CLIENTS), error)
        row = provider.config.dialect
        what = f"{error_of_network(heard, provider=name, model=None, timeout=None, address=address, row=row)}"
    else:
        what = f"{name} answered with something that is no {form} ({type(error).__name__}). Check its address."
    concealed = provider.conceal(what.encode(errors="replace")).decode(errors="replace")
    return kind(concealed, provider=name, status_code=status)
