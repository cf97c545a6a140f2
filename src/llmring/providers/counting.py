"""A request's input tokens, as the provider's own endpoint counts them.

Which providers have one, what it takes of a request's body, and where its answer has the count, is the `counting` of
`vendors.json`. The request is rendered as it would be sent, and goes the same way, under the same limits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

from pydantic_core import from_json, to_json

from ..answer import rendered
from ..unpacking import unpacked
from ..vendors import VENDORS, also_called, of_vendors
from ..wire.errors import meaning_of, read_error
from . import errors

if TYPE_CHECKING:
    from .base import Call, HTTPResponse, Provider

__all__ = ["CountingEndpoint", "Missing", "Uncounted", "count", "endpoint_of"]

_NOTHING_THERE = (404, 405, 501)
_MOST = 2**53
"""Tokens: what is more is no count."""


class Uncounted(Exception):
    """The provider does not count this request; the message goes on from its name, and says why."""


class Missing(Uncounted):
    """It counts none: where it would, there is nothing."""


@dataclass(frozen=True, slots=True)
class CountingEndpoint:
    """Where a provider counts, and how.

    Attributes:
        path: below the base URL; empty where the SDK knows it.
        fields: of a request's body, those that it takes.
        tokens: the names that lead to the count in its answer.
        within: the field that holds the body, where it is not the body itself.
        media: whether it counts pictures, documents and sounds as its models read them.
    """

    path: str
    fields: frozenset[str]
    tokens: tuple[str, ...]
    within: str | None = None
    media: bool = True

    def narrowed(self, body: dict[str, Any], model: str) -> dict[str, Any]:
        """What it takes of a request's body.

        Raises:
            Uncounted: it would leave out what the model reads.
        """
        if "tools" in body and "tools" not in self.fields:
            raise Uncounted("counts no tools")
        kept = {key: value for key, value in body.items() if key in self.fields}
        return {self.within: {"model": f"models/{model}", **kept}} if self.within else kept

    def count_in(self, answer: Any) -> int | None:
        """The count in its answer; `None` where there is none."""
        for name in self.tokens:
            answer = answer.get(name) if isinstance(answer, dict) else None
        return answer if type(answer) is int and 0 <= answer < _MOST else None


@cache
def _endpoints() -> Mapping[str, tuple[Mapping[str, Any], CountingEndpoint]]:
    return {
        vendor: (
            row,
            CountingEndpoint(
                *(row.get("path", ""), frozenset(row["fields"]), tuple(row["tokens"]), row.get("within")),
                media=row.get("media", True),
            ),
        )
        for vendor, row in of_vendors("counting").items()
    }


def endpoint_of(wire: str, name: str = "", host: str = "") -> CountingEndpoint | None:
    """The counting endpoint of a provider, `None` where none is known.

    Args:
        wire: that requests are sent in: `"anthropic"`, `"gemini"`, `"openai-chat"` or `"openai-responses"`.
        name: as in `provider:model`.
        host: of its address.
    """
    vendor = also_called().get(name, name)
    for owner, (row, endpoint) in _endpoints().items():
        # Of what runs on one's own machine, the address says nothing.
        known = owner == vendor or (not VENDORS[owner].local and VENDORS[owner].has_host(host))
        if row["wire"] == wire and (row.get("everywhere") or known):
            # Who has taken over a vendor's endpoint may have done so for text alone, as llama.cpp has.
            return endpoint if known else replace(endpoint, media=False)
    return None


@runtime_checkable
class _Counting(Protocol):
    """An adapter whose wire has somewhere to count."""

    wire: str

    async def send_count(self, call: Call, body: bytes, path: str) -> HTTPResponse:
        """Send what is to be counted, as `send` does."""
        ...


async def count(provider: Provider, call: Call, *, media: bool) -> int:
    """The input tokens of a request, counted by its provider.

    Args:
        provider, call: who is asked, and for what.
        media: whether that holds pictures, documents or sounds.

    Raises:
        Uncounted: it has no endpoint for that, or none that counts this request.
        ProviderError: as the request itself would.
    """
    config, endpoint = provider.config, None
    if isinstance(provider, _Counting):
        host = urlsplit(config.address or config.base_url or "").hostname or ""
        endpoint = endpoint_of(provider.wire, config.name, host)
    if endpoint is None or not isinstance(provider, _Counting):
        raise Uncounted("has no endpoint that counts")
    if media and not endpoint.media:
        raise Uncounted("counts text alone")
    body = endpoint.narrowed(from_json(rendered(provider, replace(call, stream=False))), call.model)
    try:
        async with asyncio.timeout_at(call.until):
            answer = await _read(await provider.send_count(call, to_json(body), endpoint.path), call.max_bytes)
    except Uncounted:
        raise
    except Exception as error:
        if isinstance(error, errors.Refused) and _is_missing(error, call.model):
            raise Missing(f"has no endpoint that counts (HTTP {error.status})") from None
        raise provider.error(error, call) from None
    return _count_in(answer, endpoint, provider, call)


def _is_missing(refused: errors.Refused, model: str) -> bool:
    """Whether it is the endpoint that is not there, and not the model."""
    if refused.status not in _NOTHING_THERE:
        return False
    said = read_error(refused.body, refused.status)
    return meaning_of(said) != "no_model" and model.lower() not in said.message.lower()


async def _read(response: HTTPResponse, most: int) -> bytes:
    body = bytearray()
    try:
        async for part in unpacked(response):
            body += part
            if len(body) > most:
                raise Uncounted("answered with more than a count")
    finally:
        await response.aclose()
        # The socket is closed in the loop's next step.
        await asyncio.sleep(0)
    return bytes(body)


def _count_in(body: bytes, endpoint: CountingEndpoint, provider: Provider, call: Call) -> int:
    try:
        answer = from_json(body)
    except ValueError as error:
        # What is nothing, or the beginning of something.
        if not body.strip() or (body.lstrip().startswith(b"{") and str(error).startswith("EOF")):
            raise provider.error(ConnectionResetError("the answer was cut on the way"), call) from None
        raise Uncounted("answered with something that is no count") from None
    found = endpoint.count_in(answer)
    if found is None and isinstance(answer, dict) and answer.get("error"):
        raise provider.error(read_error(answer), call)
    if found is None:
        raise Uncounted("answered with something that is no count")
    return found
