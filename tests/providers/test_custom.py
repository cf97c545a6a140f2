"""An adapter that is not ours, by the least that `Provider` and `HTTPResponse` ask of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2

from llmring import LLMRequest, LLMRing, Message
from llmring.providers.base import Call, HTTPResponse, Provider, ProviderConfig
from llmring.testing import PracticeServer, Reply
from llmring.wire.base import Decoder
from llmring.wire.openai_chat import ChatDecoder, render_request


class Least:
    """An answer with nothing but what `HTTPResponse` names."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        return self._response.aiter_bytes()

    async def aclose(self) -> None:
        await self._response.aclose()


class Own(Provider):
    sdk = "own"

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        self.client = httpx2.AsyncClient()

    def render(self, call: Call) -> dict[str, Any]:
        return render_request(call.request, call.model, stream=call.stream, issuer=self.issuer)

    def decoder(self, call: Call) -> Decoder:
        return ChatDecoder(f"{self.name}:{call.model}")

    async def send(self, call: Call, body: bytes) -> HTTPResponse:
        url = f"{self.config.base_url}/chat/completions"
        return Least(await self.client.send(self.client.build_request("POST", url, content=body), stream=True))

    async def close(self) -> None:
        await self.client.aclose()


async def test_it_is_read_as_any_other(server: PracticeServer) -> None:
    server.default = Reply("Grüße")
    request = LLMRequest(model="own:m", messages=[Message(role="user", content="Hi")])
    async with LLMRing() as service:
        service.register_provider("own", Own(ProviderConfig("own", base_url=f"{server.url}/v1")))
        assert (await service.chat(request)).content == "Grüße"
        assert (await service.chat_stream(request).final_response()).content == "Grüße"
