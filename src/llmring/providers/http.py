"""A provider whose vendor has no SDK: requests are posted over our own HTTP client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import httpx2

from ..addresses import segment
from ..credentials import reveal
from ..exceptions import ConfigurationError
from .base import Call, HTTPResponse, Provider
from .config import ProviderConfig
from .posting import Carrier, Exchange
from .transport import http_options, keep_at_home

__all__ = ["HTTPProvider"]


class HTTPProvider(Provider):
    """A provider that is asked over HTTP, by posting JSON.

    An author writes `dialect`, `render`, `decoder` and `path`; and `headers`, where the key goes elsewhere.

    Attributes:
        client: an `httpx2.AsyncClient` with the provider's address and headers, for whatever else it is to be asked.
    """

    headers: ClassVar[Mapping[str, str]] = {"Authorization": "Bearer {key}"}
    """Sent with every request. One that says `{key}` says the key there, and is left out where there is none. What the
    lockfile has of the same name takes its place."""

    finds_credentials: ClassVar[bool] = False
    """It is posted with the key of the config, and nothing else."""

    client: httpx2.AsyncClient

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        address = self.config.base_url
        if address is None:
            raise ConfigurationError(
                f"{self.name} has no address. Name one in its dialect, or as base_url in [providers.{self.name}]"
            )
        ways = http_options(self.config.limits, address)
        carrier = Carrier(
            **ways,
            base_url=address,
            headers={"User-Agent": "llmring", **self._own_headers(), **self.config.sent_headers},
            timeout=self.config.timeout,
            follow_redirects=True,
        )
        keep_at_home(ways["transport"], address, carrier.headers)
        self.client = carrier
        self._address, _, query = address.partition("?")
        self._query = f"?{query}" if query else ""

    def _own_headers(self) -> dict[str, str]:
        key = reveal(self.config.key)
        given = {name.lower() for name in self.config.headers}
        return {
            name: value.replace("{key}", key)
            for name, value in self.headers.items()
            if name.lower() not in given and (key or "{key}" not in value)
        }

    def path(self, call: Call) -> str:
        """Where a request is posted, below the base URL (`"/chat"`, `f"/models/{call.model}/answer"`).

        Here alone, `call.model` is percent-encoded: whatever a model is called, it stays one segment of the path.
        """
        return ""

    async def send(self, call: Call, body: bytes) -> HTTPResponse:
        """Post the rendered body, and give the answer as it comes."""
        path = self.path(replace(call, model=segment(call.model))).lstrip("/")
        url = (f"{self._address.rstrip('/')}/{path}" if path else self._address) + self._query
        async with Exchange(body, call.until) as exchange:
            # Kept by the client alone: what shows a provider's attributes would show the key.
            headers = [*self.client.headers.raw, (b"Content-Type", b"application/json")]
            answer = await self.client.send(self.client.build_request("POST", url, content=exchange, headers=headers))
            if exchange.refused is not None:
                answer.raise_for_status()
        return exchange.answer

    async def close(self) -> None:
        """Close the client and its connections."""
        await self.client.aclose()
