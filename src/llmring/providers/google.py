"""Adapter of the `google-genai` SDK.

The SDK has no public raw stream, and its typed one costs hundreds of microseconds a chunk, rejects comments in
the stream and takes a cut for an end. But it sends every request through an HTTP client of ours, if it is
given one (`HttpOptions.httpx_async_client`): that client keeps the answer (`posting.Swapping`).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any, TypeAlias

import httpx2
from google import genai
from google.genai import types

from ..addresses import segment
from ..credentials import reveal
from ..wire.base import Decoder
from ..wire.errors import read_error
from ..wire.gemini import GenerateDecoder, render_request
from . import errors
from .base import Call, HTTPResponse, Provider, ProviderConfig
from .posting import Carrier, Exchange, Swapping
from .transport import http_options, keep_at_home, trust

__all__ = ["GoogleProvider"]

logger = logging.getLogger("llmring")

_ELSEWHERE = "v1beta"
"""Where servers of others have the API, and Google its newest models, if the version that the SDK asks has not."""
_NOTHING_THERE = (404, 405)
_KINDS = ("models", "tunedModels")
"""What a model's name may begin with, as the SDK has it."""

_Ask: TypeAlias = "Callable[[Call, str | None], Awaitable[None]]"
"""A method of the SDK, called with the version of the API to ask."""


@cache
def _config(version: str | None) -> types.GenerateContentConfig:
    """What the SDK itself has to know: to call no functions, not to try again, and which version of the API to ask."""
    return types.GenerateContentConfig(
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True), http_options=_options(version)
    )


@cache
def _counting_config(version: str | None) -> types.CountTokensConfig:
    return types.CountTokensConfig(http_options=_options(version))


def _options(version: str | None) -> types.HttpOptions:
    return types.HttpOptions(api_version=version, retry_options=types.HttpRetryOptions(attempts=1))


def _in_path(model: str) -> str:
    """A model's name as the SDK takes it, which puts it into the path as it is."""
    kind, slash, name = model.partition("/")
    return f"{kind}/{segment(name)}" if slash and kind in _KINDS else segment(model)


class _Client(Swapping, httpx2.AsyncClient):
    """The HTTP client underneath."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, follow_redirects=True)
        self.carrier, self.exchanges = Carrier(**options), {}


class GoogleProvider(Provider):
    """Google's Gemini API."""

    sdk, wire = "google-genai", "gemini"

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        ways = http_options(config.limits, config.address or config.base_url)
        self._http = _Client(**ways, timeout=config.timeout)
        self._genai = genai.Client(
            # Without one, the SDK would take the environment's, which is not for whatever host this is.
            api_key=reveal(config.key) or "none",
            # Else the environment might turn it to Google Cloud's API, which has other addresses and keys.
            vertexai=False,
            http_options=types.HttpOptions(
                base_url=config.base_url,
                api_version=config.api_version,
                headers=config.sent_headers,
                httpx_async_client=self._http,
                # Beside it the SDK makes what nobody uses here: it is not to fail where ours does not.
                client_args={"verify": trust(), "trust_env": False},
                async_client_args={"ssl": trust()},
            ),
        )
        if config.base_url is not None:
            keep_at_home(ways["transport"], config.base_url, config.headers)
        self.client = self._genai.aio
        # Another version than the client's, once it was found to be the one that is there.
        self._version: str | None = None

    def render(self, call: Call) -> dict[str, Any]:
        """The body to send."""
        body = render_request(call.request, call.model, issuer=self.issuer)
        return body | {"continuationToken": call.continuation} if call.continuation else body

    def decoder(self, call: Call) -> Decoder:
        """A decoder for the answer."""
        return GenerateDecoder(f"{self.name}:{call.model}")

    async def send(self, call: Call, body: bytes) -> HTTPResponse:
        """Send through the SDK's own method; where its version of the API has nothing, at the other one."""
        return await self._send(self._generate, call, body)

    async def send_count(self, call: Call, body: bytes, path: str) -> HTTPResponse:
        """Send through the SDK's own method, as `send` does."""
        return await self._send(self._count, call, body)

    async def _send(self, ask: _Ask, call: Call, body: bytes) -> HTTPResponse:
        try:
            return await self._exchange(ask, call, body, self._version)
        except errors.Refused as refused:
            if refused.status not in _NOTHING_THERE or self._version or self.config.api_version:
                raise
            return await self._send_elsewhere(ask, call, body, refused)

    async def _send_elsewhere(self, ask: _Ask, call: Call, body: bytes, refused: errors.Refused) -> HTTPResponse:
        try:
            response = await self._exchange(ask, call, body, _ELSEWHERE)
        except errors.Refused as again:
            if again.status in _NOTHING_THERE and not read_error(again.body).enveloped:
                raise refused from refused.__cause__
            if again.status not in _NOTHING_THERE:
                self._version = _ELSEWHERE
            raise
        self._version = _ELSEWHERE
        logger.info(
            "%s has nothing for %s at the version of the API that the SDK asks for, and is asked at %s from now on. To "
            'spare it the search: api_version = "%s" in [providers.%s]',
            self.name,
            call.model,
            _ELSEWHERE,
            _ELSEWHERE,
            self.name,
        )
        return response

    async def _exchange(self, ask: _Ask, call: Call, body: bytes, version: str | None) -> HTTPResponse:
        """Send, with the rendered body in place of the SDK's."""
        async with Exchange(body, call.until, self._http.exchanges) as exchange:
            await ask(call, version)
        return exchange.answer

    async def _generate(self, call: Call, version: str | None) -> None:
        models, model, config = self.client.models, _in_path(call.model), _config(version)
        if call.stream:
            async for _ in await models.generate_content_stream(model=model, contents="-", config=config):
                pass
        else:
            await models.generate_content(model=model, contents="-", config=config)

    async def _count(self, call: Call, version: str | None) -> None:
        model, config = _in_path(call.model), _counting_config(version)
        await self.client.models.count_tokens(model=model, contents="-", config=config)

    async def close(self) -> None:
        """Close the client and its connections."""
        await self._http.aclose()
        await self.client.aclose()
        self._genai.close()
