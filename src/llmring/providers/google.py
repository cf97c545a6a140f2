"""Adapter of the `google-genai` SDK.

The SDK has no public raw stream, and its typed one costs hundreds of microseconds a chunk, rejects comments in
the stream and takes a cut for an end. But it sends every request through an HTTP client of ours, if it is
given one (`HttpOptions.httpx_async_client`): that client puts the rendered body in place, keeps the answer for
us and gives the SDK an empty one. Address, key, headers and retries stay the SDK's.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import httpx2
from google import genai
from google.genai import types
from pydantic_core import to_json

from ..wire.base import Decoder
from ..wire.gemini import GenerateDecoder, render_request
from .attempts import Attempts
from .base import Call, HTTPResponse, Provider, ProviderConfig

__all__ = ["GoogleProvider"]


class _Exchange:
    """The body to send in place of the SDK's, and the answer kept from it."""

    __slots__ = ("body", "response", "timeout")

    def __init__(self, body: bytes, timeout: float | None) -> None:
        self.body = body
        self.timeout = timeout
        self.response: httpx2.Response | None = None


_exchange: ContextVar[_Exchange | None] = ContextVar("llmring_google_exchange", default=None)


class _Client(Attempts, httpx2.AsyncClient):
    """An HTTP client that takes part in an exchange if one is under way, and is an ordinary one if not."""

    async def send(self, request: httpx2.Request, **options: Any) -> Any:
        exchange = _exchange.get()
        if exchange is None:
            return await super().send(request, **options)
        options["stream"] = True
        headers = {k: v for k, v in request.headers.items() if k.lower() != "content-length"}
        response = await super().send(
            self.build_request(
                request.method, request.url, headers=headers, content=exchange.body, timeout=exchange.timeout
            ),
            **options,
        )
        if not response.is_success:
            return response
        exchange.response = response
        return httpx2.Response(200, content=b"", request=request)


class GoogleProvider(Provider):
    """Google's Gemini API."""

    sdk = "google-genai"

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        self._http = _Client(
            limits=httpx2.Limits(max_connections=config.max_connections),
            timeout=config.timeout,
            follow_redirects=True,
        )
        self._genai = genai.Client(
            api_key=config.key,
            http_options=types.HttpOptions(
                base_url=config.base_url,
                headers=dict(config.headers),
                httpx_async_client=self._http,
            ),
        )
        self.client = self._genai.aio

    def render(self, call: Call) -> dict[str, Any]:
        """The body to send."""
        body = render_request(call.request, call.model)
        return body | {"continuationToken": call.continuation} if call.continuation else body

    def decoder(self, call: Call) -> Decoder:
        """A decoder for the answer."""
        return GenerateDecoder(f"{self.name}:{call.model}")

    async def send(self, call: Call, body: dict[str, Any]) -> HTTPResponse:
        """Send through the SDK's own method, with the rendered body in place of its own."""
        exchange = _Exchange(to_json(body), call.timeout)
        config = types.GenerateContentConfig(
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
            http_options=types.HttpOptions(retry_options=types.HttpRetryOptions(attempts=call.max_retries + 1)),
        )
        token = _exchange.set(exchange)
        try:
            if call.stream:
                async for _ in await self.client.models.generate_content_stream(
                    model=call.model, contents="-", config=config
                ):
                    pass
            else:
                await self.client.models.generate_content(model=call.model, contents="-", config=config)
        except BaseException:
            if exchange.response is not None:
                await exchange.response.aclose()
            raise
        finally:
            _exchange.reset(token)
        if exchange.response is None:
            raise RuntimeError("google-genai did not send the request through the client it was given")
        return exchange.response

    async def close(self) -> None:
        """Close the client and its connections."""
        await self._http.aclose()
        await self.client.aclose()
        self._genai.close()
