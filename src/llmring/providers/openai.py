"""Adapter of the `openai` SDK: OpenAI itself, and every server that speaks one of its two formats."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import openai

from ..wire import openai_chat, openai_responses
from ..wire.base import Decoder
from .base import Call, HTTPResponse, Provider, ProviderConfig
from .exchange import Exchange, Exchanging
from .network import http_options

# With each request the SDK looks whether httpx is loaded, and trips over one that another thread is just loading, as
# ollama's first use does.
with suppress(ImportError):
    import httpx  # noqa: F401

__all__ = ["OpenAIProvider"]

_OFFICIAL_HOST = "api.openai.com"
# Where OpenAI's own models are, which take the new name of the limit; the reasoning ones take no other. Azure's two
# hosts are one API (learn.microsoft.com/azure/foundry/openai/api-version-lifecycle).
_OPENAI_MODELS = (_OFFICIAL_HOST, ".openai.azure.com", ".services.ai.azure.com")
# Its calls have ids of nine letters and digits, and no others are taken.
_MISTRAL_HOST = "api.mistral.ai"


class _Client(Exchanging, openai.DefaultAsyncHttpxClient):
    """The SDK's own HTTP client."""


class _Elsewhere(openai.AsyncOpenAI):
    """The SDK's client for a host that is not OpenAI's: what the environment says of OpenAI is not for it."""

    def __init__(
        self,
        *,
        default_headers: Mapping[str, str] | None = None,
        organization: str | None = None,
        project: str | None = None,
        admin_api_key: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(default_headers=default_headers, **options)
        self._custom_headers = default_headers or {}
        self.organization, self.project, self.admin_api_key = organization, project, admin_api_key


class OpenAIProvider(Provider):
    """OpenAI through its Responses API, other hosts through Chat Completions, unless `api` says otherwise."""

    sdk = "openai"

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        kind = openai.AsyncOpenAI if config.name == self.sdk else _Elsewhere
        self.client = kind(
            # A server that needs no key still gets the header that the SDK insists on.
            api_key=config.key or "none",
            base_url=config.base_url,
            default_headers=dict(config.headers),
            timeout=config.timeout,
            max_retries=config.max_retries,
            http_client=_Client(**http_options(config.limits)),
        )
        self._by_retries = {config.max_retries: self.client}
        self._host = self.client.base_url.host
        self.official = self._host == _OFFICIAL_HOST
        self.responses = config.api == "responses" or (config.api is None and self.official)

    def render(self, call: Call) -> dict[str, Any]:
        """The body to send."""
        if self.responses:
            return openai_responses.render_request(call.request, call.model, stream=call.stream)
        return openai_chat.render_request(
            call.request,
            call.model,
            stream=call.stream,
            provider=self.name,
            max_tokens_key="max_completion_tokens" if self._host.endswith(_OPENAI_MODELS) else "max_tokens",
            call_id=openai_chat.MISTRAL_CALL_ID if self._host == _MISTRAL_HOST else openai_chat.CALL_ID,
        )

    def decoder(self, call: Call) -> Decoder:
        """A decoder for the answer."""
        kind = openai_responses.ResponsesDecoder if self.responses else openai_chat.ChatDecoder
        return kind(f"{self.name}:{call.model}")

    async def send(self, call: Call, body: bytes) -> HTTPResponse:
        """Send through the SDK's raw-response path, with the rendered body in place of its own."""
        client = self._by_retries.get(call.max_retries)
        if client is None:
            client = self._by_retries[call.max_retries] = self.client.with_options(max_retries=call.max_retries)
        async with Exchange(body, call.timeout):
            if self.responses:
                manager: Any = client.responses.with_streaming_response.create(
                    model=call.model, stream=call.stream, timeout=call.timeout
                )
            else:
                manager = client.chat.completions.with_streaming_response.create(
                    model=call.model, messages=(), stream=call.stream, timeout=call.timeout
                )
            answer = await manager.__aenter__()
        response: HTTPResponse = answer.http_response
        return response

    async def close(self) -> None:
        """Close the client and its connections."""
        await self.client.close()
