"""Adapter of the `ollama` SDK.

The SDK parses every line twice and takes a cut for an end, its timeouts are its client's, not a call's, and its
errors lose the answer's headers. It takes a transport, though: ours puts the rendered body and the call's
timeout in place, keeps the answer for us and gives the SDK an empty one. Address and headers stay the SDK's.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Any

import httpx
import ollama
from pydantic_core import to_json

from ..wire.base import Decoder
from ..wire.ollama import OllamaDecoder, render_request, tools_in_text
from .attempts import Attempts
from .base import Call, HTTPResponse, Provider, ProviderConfig

__all__ = ["OllamaProvider"]

logger = logging.getLogger("llmring")


class _Exchange:
    """The body to send in place of the SDK's, and the answer kept from it."""

    __slots__ = ("body", "response", "timeout")

    def __init__(self, body: bytes, timeout: float | None) -> None:
        self.body = body
        self.timeout = timeout
        self.response: httpx.Response | None = None


_exchange: ContextVar[_Exchange | None] = ContextVar("llmring_ollama_exchange", default=None)


class _Client(Attempts, httpx.AsyncClient):
    """The HTTP client underneath."""


class _Transport(httpx.AsyncBaseTransport):
    """Takes part in an exchange if one is under way, and only passes on if not.

    It sends through a client rather than a transport, so that the proxies of the environment are honoured.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        exchange = _exchange.get()
        if exchange is None:
            return await self.client.send(request, stream=True)
        headers = {k: v for k, v in request.headers.items() if k.lower() != "content-length"}
        response = await self.client.send(
            self.client.build_request(
                request.method, request.url, headers=headers, content=exchange.body, timeout=exchange.timeout
            ),
            stream=True,
        )
        if not response.is_success:
            return response
        exchange.response = response
        return httpx.Response(200, content=b"")

    async def aclose(self) -> None:
        await self.client.aclose()


class OllamaProvider(Provider):
    """A local (or remote) Ollama."""

    sdk = "ollama"

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        self._without_tools: set[str] = set()
        self.client = ollama.AsyncClient(
            host=config.base_url,
            headers=dict(config.headers),
            timeout=config.timeout,
            transport=_Transport(
                _Client(
                    limits=httpx.Limits(max_connections=config.max_connections),
                    timeout=config.timeout,
                    follow_redirects=True,
                )
            ),
        )

    def render(self, call: Call) -> dict[str, Any]:
        """The body to send."""
        native = call.model not in self._without_tools
        return render_request(call.request, call.model, stream=call.stream, native_tools=native)

    def decoder(self, call: Call) -> Decoder:
        """A decoder for the answer."""
        native = call.model not in self._without_tools
        return OllamaDecoder(f"{self.name}:{call.model}", tools_in_text(call.request, native=native))

    async def send(self, call: Call, body: dict[str, Any]) -> HTTPResponse:
        """Send through the SDK's own method, with the rendered body in place of its own."""
        try:
            return await self._send(call, body)
        except ollama.ResponseError as refused:
            if not call.request.tools or "does not support tools" not in refused.error:
                raise
        if call.model not in self._without_tools:
            self._without_tools.add(call.model)
            logger.warning(
                "%s:%s has no tools of its own: it is told of them in the prompt, and its calls are read from its text",
                self.name,
                call.model,
            )
        return await self._send(call, self.render(call))

    async def _send(self, call: Call, body: dict[str, Any]) -> HTTPResponse:
        exchange = _Exchange(to_json(body), call.timeout)
        token = _exchange.set(exchange)
        try:
            # Whether the answer streams is in the body; to the SDK it is always a stream, of no lines.
            async for _ in await self.client.chat(model=call.model, messages=[], stream=True):
                pass
        except BaseException:
            if exchange.response is not None:
                await exchange.response.aclose()
            raise
        finally:
            _exchange.reset(token)
        if exchange.response is None:
            raise RuntimeError("ollama did not send the request through the transport it was given")
        return exchange.response

    async def close(self) -> None:
        """Close the client and its connections."""
        await self.client.close()
