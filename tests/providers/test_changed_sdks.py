"""An SDK that does not send through our HTTP client any more: each request says so, and what to do."""

from __future__ import annotations

from typing import Any

import httpx
import httpx2
import pytest

from llmring import LLMRequest, LLMRing, Message
from llmring.exceptions import ProviderResponseError
from llmring.testing import PracticeServer

from ..conftest import Way


def sends_by_itself(service: LLMRing, provider: str, server: PracticeServer) -> Any:
    """Give the SDK's client an HTTP client that is none of ours."""
    client = service.get_provider(provider).client
    own: Any
    if provider == "google":
        own = client._api_client._async_httpx_client = httpx2.AsyncClient()
    elif provider == "ollama":
        own = client._client = httpx.AsyncClient(base_url=server.url)
    else:
        own = client._client = httpx2.AsyncClient()
    return own


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_it_is_said(way: Way, server: PracticeServer, stream: bool) -> None:
    request = LLMRequest(model=way.model, messages=[Message(role="user", content="Hi")])
    async with LLMRing() as service, sends_by_itself(service, way.provider, server):
        with pytest.raises(ProviderResponseError, match=r"does not send through the HTTP client.*Install an earlier"):
            await (service.chat_stream(request).final_response() if stream else service.chat(request))
    (sent,) = server.requests
    assert "Hi" not in str(sent.body)
