"""Adapter of the `ollama` SDK.

The SDK parses every line twice and takes a cut for an end, its timeouts are its client's, not a call's, and its
errors lose the answer's headers. So its client is put on an HTTP client of ours, which keeps the answer
(`posting.Swapping`).
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

import httpx2
from pydantic_core import to_json

from .. import tool_dialects
from ..credentials import reveal
from ..wire import told_calls
from ..wire.base import Decoder
from ..wire.ollama import OllamaDecoder, render_request
from ..wire.turns import is_forced
from . import errors
from .base import Call, HTTPResponse, Provider, ProviderConfig
from .posting import Carrier, Exchange, Exchanges, Swapping
from .transport import http_options, keep_at_home


def _sdk() -> Any:
    """The SDK. It makes a client of its own when it is imported, which nobody uses here.

    That fails on much that the environment may say of proxies, certificates and Ollama's host, whoever that is for.
    What is needed of the SDK has been imported by then.
    """
    try:
        return import_module("ollama")
    except Exception:
        if (client := sys.modules.get("ollama._client")) is None:
            raise
        return client


if TYPE_CHECKING:
    import ollama
else:
    ollama = _sdk()

# Which brings httpx: without it, it is what is missing.
import httpx  # noqa: E402

__all__ = ["OllamaProvider"]

logger = logging.getLogger("llmring")


class _Bridge(httpx.AsyncBaseTransport):
    """What is asked outside an exchange goes the same way: httpx has other notions of proxies and certificates."""

    def __init__(self, way: httpx2.AsyncBaseTransport) -> None:
        self._way = way

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and give the answer with its body still to be read."""
        theirs = httpx2.Request(
            request.method,
            str(request.url),
            headers=request.headers.raw,
            content=b"".join(request.stream) if isinstance(request.stream, httpx.ByteStream) else request.stream,
            extensions=request.extensions,
        )
        try:
            answer = await self._way.handle_async_request(theirs)
        except httpx2.HTTPError as error:
            _raise_as_httpx(error)
        return httpx.Response(answer.status_code, headers=answer.headers.raw, stream=_Body(answer))


class _Body(httpx.AsyncByteStream):
    """An answer's body, as httpx takes it."""

    def __init__(self, answer: httpx2.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._answer.aiter_raw():
                yield part
        except httpx2.HTTPError as error:
            _raise_as_httpx(error)

    async def aclose(self) -> None:
        await self._answer.aclose()


def _raise_as_httpx(error: httpx2.HTTPError) -> NoReturn:
    """Raise the exception of that name in httpx, whose clients know only those."""
    raise getattr(httpx, type(error).__name__, httpx.TransportError)(str(error)) from error


class _HTTPClient(Swapping, httpx.AsyncClient):
    """The HTTP client underneath.

    What carries our requests is one of httpx2: httpx's own pool loses connections whose requests are cancelled.
    """

    response = httpx.Response

    def __init__(self, *, exchanges: Exchanges, limits: dict[str, int | None], **options: Any) -> None:
        ways = http_options(limits, str(options["base_url"]))
        super().__init__(transport=_Bridge(ways["transport"]), trust_env=False, **options)
        self.carrier, self.exchanges = Carrier(**ways), exchanges
        keep_at_home(ways["transport"], str(self.base_url), options.get("headers") or ())
        # What the SDK asked last in an exchange, the request of it, and its URL as httpx2 has it.
        self._asked: tuple[str, str] | None = None
        self._request: httpx.Request
        self._url: httpx2.URL

    def build_request(self, method: str, url: httpx.URL | str, **options: Any) -> httpx.Request:
        """In an exchange nearly always the same: only the body is another each time, and that is the exchange's."""
        if asyncio.current_task() not in self.exchanges:
            return super().build_request(method, url, **options)
        if (method, str(url)) != self._asked:
            self._request = super().build_request(method, url, **options)
            self._asked, self._url = (method, str(url)), httpx2.URL(str(self._request.url))
        return self._request

    def swapped(self, exchange: Exchange, request: httpx.Request) -> httpx2.Request:
        """What is sent in place of the SDK's request."""
        return exchange.request(request.method, self._url, request.headers.raw, cookies=self.carrier.cookies)

    async def aclose(self) -> None:
        """Close its connections, and those of its carrier."""
        await super().aclose()
        await self.carrier.aclose()


class _Client(ollama.AsyncClient):
    """The SDK's client, on that HTTP client: its own constructor names httpx's."""

    def __init__(self, host: str | None, *, headers: dict[str, str], **options: Any) -> None:
        def make(*, headers: dict[str, str], **options: Any) -> _HTTPClient:
            if not keyed:
                # It is the environment's, which is not for whatever host this is.
                headers.pop("authorization", None)
            return _HTTPClient(exchanges=self.exchanges, headers=headers, **options)

        self.exchanges: Exchanges = {}
        keyed = "authorization" in headers
        super(ollama.AsyncClient, self).__init__(make, host, headers=headers, **options)


class OllamaProvider(Provider):
    """A local (or remote) Ollama."""

    sdk = "ollama"
    tells_tools = True

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        self._without_tools: dict[str, tool_dialects.ToolDialect] = {}
        headers = {"authorization": f"Bearer {reveal(config.key)}"} if config.key else {}
        headers |= {name.lower(): value for name, value in config.sent_headers.items()}
        self.client = _Client(config.base_url, headers=headers, timeout=config.timeout, limits=config.limits)

    def _mode(self, call: Call) -> tool_dialects.ToolMode | None:
        """How the model is told of tools: as the lockfile says, else in the prompt where the format has no way."""
        said = call.tools or self.config.tools
        mode = tool_dialects.tool_mode(said) if said else None
        if mode is not None and mode.prompt is not None:
            return mode
        if is_forced(call.request):
            # The format cannot say it; JSON is what it can hold an answer to.
            return tool_dialects.tool_mode("prompt:json")
        if mode is None and (found := self._without_tools.get(call.model)) is not None:
            return tool_dialects.ToolMode(found, found)
        return mode

    def render(self, call: Call) -> dict[str, Any]:
        """The body to send."""
        mode = self._mode(call)
        prompt = mode.prompt if mode is not None else None
        return render_request(call.request, call.model, stream=call.stream, issuer=self.issuer, prompt=prompt)

    def decoder(self, call: Call) -> Decoder:
        """A decoder for the answer."""
        mode = self._mode(call)
        return OllamaDecoder(
            f"{self.name}:{call.model}",
            think_tags=self.config.think_tags is not False,
            reader=told_calls.reader_of(call.request, mode.text) if mode is not None else None,
        )

    async def send(self, call: Call, body: bytes) -> HTTPResponse:
        """Send through the SDK's own method, with the rendered body in place of its own."""
        try:
            return await self._send(call, body)
        except errors.Refused as refused:
            said = call.tools or self.config.tools
            if said or not call.request.tools or b"does not support tools" not in refused.body:
                raise
        if call.model not in self._without_tools:
            found = await self._dialect_of(call.model)
            if self._without_tools.setdefault(call.model, found) is found:
                logger.warning(
                    "%s:%s has no tools of its own: it is told of them in the prompt, and its calls are read from its "
                    "text (%s)",
                    *(self.name, call.model, found.name),
                )
        return await self._send(call, to_json(self.render(call)))

    async def _dialect_of(self, model: str) -> tool_dialects.ToolDialect:
        """The dialect that the model's own template speaks, else the plainest one."""
        try:
            template = (await self.client.show(model)).template or ""
        except Exception:  # whatever the SDK makes of an answer that is none
            template = ""
        return tool_dialects.dialect_of_template(template) or tool_dialects.dialect("json")

    async def _send(self, call: Call, body: bytes) -> HTTPResponse:
        async with Exchange(body, call.until, self.client.exchanges) as exchange:
            # Whether the answer streams is in the body; to the SDK it is always a stream, of no lines.
            async for _ in await self.client.chat(model=call.model, messages=[], stream=True):
                pass
        return exchange.answer

    async def close(self) -> None:
        """Close the client and its connections."""
        await self.client.close()
