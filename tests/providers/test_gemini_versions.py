"""Gemini's API under another version than the one that the SDK asks for."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from pathlib import Path

import pytest

from llmring import LLMRequest, LLMResponse, LLMRing, Message
from llmring.exceptions import LLMRingError, ModelNotFoundError, ProviderAuthenticationError
from llmring.testing import PracticeServer, RecordedRequest, Reply

PAGE = Reply(status=404, body=b"no route", content_type="text/plain")
ASK = LLMRequest(model="google:model-1", messages=[Message(role="user", content="Hi")])


async def answer(service: LLMRing, request: LLMRequest, streamed: bool) -> LLMResponse:
    return await (service.chat_stream(request).final_response() if streamed else service.chat(request))


def versions(server: PracticeServer) -> list[str]:
    return [request.path.split("/")[1] for request in server.requests]


def only_beta(request: RecordedRequest) -> Reply | None:
    return None if request.path.startswith("/v1beta/") else PAGE


@pytest.mark.parametrize("streamed", [True, False])
async def test_the_version_that_is_there_is_found_and_asked_from_then_on(
    server: PracticeServer, streamed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with LLMRing() as service:
        server.script(only_beta)
        with caplog.at_level(logging.INFO, "llmring"):
            for _ in range(2):
                assert (await answer(service, ASK, streamed)).content
        assert versions(server) == ["v1", "v1beta", "v1beta"]
        assert 'api_version = "v1beta" in [providers.google]' in caplog.text
        assert len(caplog.records) == 1


async def test_a_model_that_no_version_knows(server: PracticeServer) -> None:
    async with LLMRing() as service:
        said = {"error": {"code": 404, "message": "models/model-1 is not found", "status": "NOT_FOUND"}}
        unknown = Reply(status=404, body=json.dumps(said).encode(), content_type="application/json")
        server.script(lambda request: unknown if request.path.startswith("/v1beta/") else PAGE)
        with pytest.raises(ModelNotFoundError, match="is not found"):
            await service.chat(ASK)
        server.script(lambda request: PAGE if request.path.startswith("/v1beta/") else unknown)
        with pytest.raises(ModelNotFoundError, match="is not found"):
            await service.chat(ASK)


async def test_what_the_other_version_refuses_is_told(server: PracticeServer) -> None:
    async with LLMRing() as service:
        server.script(lambda request: Reply(status=401) if request.path.startswith("/v1beta/") else PAGE)
        with pytest.raises(ProviderAuthenticationError):
            await service.chat(ASK)
        assert versions(server) == ["v1", "v1beta"]


async def test_the_lockfile_names_the_version(server: PracticeServer, tmp_path: Path) -> None:
    server.script(only_beta)
    path = tmp_path / "llmring.lock"
    path.write_text(
        'version = "1.0"\n[profiles.default]\nname = "default"\n'
        f'[providers.beta]\nsdk = "google"\nbase_url = "{server.url}"\napi_version = "v1beta"\n'
    )
    async with LLMRing(path) as service:
        for streamed in (True, False):
            assert (await answer(service, ASK.model_copy(update={"model": "beta:model-1"}), streamed)).content
    assert versions(server) == ["v1beta", "v1beta"]


@pytest.mark.parametrize("model", ["../../admin", "..", "m?x=1#y", "a/b", "models/../../admin"])
async def test_whatever_a_model_is_called_it_stays_where_models_are(model: str, server: PracticeServer) -> None:
    """The SDK puts the name into the path as it is; the key goes with it."""
    request = ASK.model_copy(update={"model": f"google:{model}"})
    async with LLMRing(max_retries=0) as service:
        for streamed in (True, False):
            with suppress(LLMRingError):
                await answer(service, request, streamed)
        with suppress(LLMRingError):
            await service.count_tokens(request)
        await service.capabilities(f"google:{model}")
    assert len(server.requests) >= 4
    for asked in server.requests:
        # The server has undone the encoding.
        _, _, under, name = asked.path.split("/", 3)
        assert under == "models"
        assert name.partition(":")[0].endswith(model.removeprefix("models/"))
