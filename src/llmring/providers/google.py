"""Adapter of the `google-genai` SDK.

The SDK has no public raw stream, and its typed one costs hundreds of microseconds a chunk, rejects comments in
the stream and takes a cut for an end. But it sends every request through an HTTP client of ours, if it is
given one (`HttpOptions.httpx_async_client`): that client keeps the answer (`exchange`).
"""

from __future__ import annotations

from typing import Any

import httpx2
from google import genai
from google.genai import types

from ..credentials import reveal
from ..wire.base import Decoder
from ..wire.gemini import GenerateDecoder, render_request
from .base import Call, HTTPResponse, Provider, ProviderConfig
from .exchange import Exchange, Exchanging
from .transport import http_options, trust

__all__ = ["GoogleProvider"]

_CONFIG = types.GenerateContentConfig(
    automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    http_options=types.HttpOptions(retry_options=types.HttpRetryOptions(attempts=1)),
)
"""What the SDK itself has to know: to call no functions, and not to try again."""


class _Client(Exchanging, httpx2.AsyncClient):
    """The HTTP client underneath."""


class GoogleProvider(Provider):
    """Google's Gemini API."""

    sdk = "google-genai"

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        self._http = _Client(
            **http_options(config.limits),
            timeout=config.timeout,
            follow_redirects=True,
        )
        self._genai = genai.Client(
            # Without one, the SDK would take the environment's, which is not for whatever host this is.
            api_key=reveal(config.key) or "none",
            # Else the environment might turn it to Google Cloud's API, which has other addresses and keys.
            vertexai=False,
            http_options=types.HttpOptions(
                base_url=config.base_url,
                headers=config.sent_headers,
                httpx_async_client=self._http,
                # Beside it the SDK makes what nobody uses here: it is not to fail where ours does not.
                client_args={"verify": trust(), "trust_env": False},
                async_client_args={"ssl": trust()},
            ),
        )
        self.client = self._genai.aio

    def render(self, call: Call) -> dict[str, Any]:
        """The body to send."""
        body = render_request(call.request, call.model, issuer=self.issuer)
        return body | {"continuationToken": call.continuation} if call.continuation else body

    def decoder(self, call: Call) -> Decoder:
        """A decoder for the answer."""
        return GenerateDecoder(f"{self.name}:{call.model}")

    async def send(self, call: Call, body: bytes) -> HTTPResponse:
        """Send through the SDK's own method, with the rendered body in place of its own."""
        models = self.client.models
        async with Exchange(body, call.until, keep=True) as exchange:
            if call.stream:
                async for _ in await models.generate_content_stream(model=call.model, contents="-", config=_CONFIG):
                    pass
            else:
                await models.generate_content(model=call.model, contents="-", config=_CONFIG)
        assert exchange.response is not None
        return exchange.response

    async def close(self) -> None:
        """Close the client and its connections."""
        await self._http.aclose()
        await self.client.aclose()
        self._genai.close()
