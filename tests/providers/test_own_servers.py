"""A server of one's own that does not run, or lacks a model: the error says the command, by the data of its vendor."""

from __future__ import annotations

import pytest

from llmring import LLMRequest, LLMRing, Message
from llmring.exceptions import LLMRingError, ModelNotFoundError, ProviderConnectionError
from llmring.providers.errors import error_of_answer, error_of_network
from llmring.testing import PracticeServer
from llmring.vendors import BUILT_IN
from llmring.wire.errors import read_error


async def failure(model: str) -> LLMRingError:
    async with LLMRing(max_retries=0) as service:
        with pytest.raises(LLMRingError) as caught:
            await service.chat(LLMRequest(model=model, messages=[Message(role="user", content="Hello")]))
    return caught.value


async def test_ollama_without_the_model(server: PracticeServer, bare: object) -> None:
    server.reply(status=404, error='model "llama3.2" not found, try pulling it first')
    error = await failure("ollama:llama3.2")
    assert type(error) is ModelNotFoundError
    assert "To get it: ollama pull llama3.2." in str(error)
    assert "your key" not in str(error)


async def test_a_name_is_no_part_of_a_shells_language(server: PracticeServer, bare: object) -> None:
    server.reply(status=404, error="model not found")
    assert "ollama pull 'x;rm'." in str(await failure("ollama:x;rm"))


async def test_an_ollama_that_does_not_run(
    server: PracticeServer, bare: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", server.refused_url())
    error = await failure("ollama:llama3.2")
    assert type(error) is ProviderConnectionError
    assert "To start it: ollama serve. Check that it runs and that its address is right." in str(error)
    async with LLMRing() as service:
        with pytest.raises(ProviderConnectionError, match="To start it: ollama serve"):
            await service.get_available_models("ollama")


@pytest.mark.parametrize("name", [name for name, row in BUILT_IN.items() if row.local])
def test_whoever_has_a_command(name: str) -> None:
    row = BUILT_IN[name]
    for address, there in (("http://127.0.0.1:1/v1", ""), ("http://box:1/v1", " there"), (None, "")):
        error = error_of_network(
            ConnectionRefusedError("no"), provider=name, model="m", timeout=None, address=address, row=row
        )
        assert f" To start it{there}: {row.start}. Check" in str(error)


@pytest.mark.parametrize("name", [name for name, row in BUILT_IN.items() if not row.local or not row.fetch])
def test_nobody_else_fetches(name: str) -> None:
    failed = read_error({"error": {"message": "The model does not exist", "code": "model_not_found"}}, 404)
    error = error_of_answer(failed, provider=name, model="m", key_source="KEY", row=BUILT_IN[name])
    assert type(error) is ModelNotFoundError
    assert "Check the name, and what your key may use." in str(error)


def test_a_vendors_own_place_is_nobodys_to_start() -> None:
    """Ollama's cloud has an Ollama of its own, with a key."""
    row, address = BUILT_IN["ollama"], "https://ollama.com"
    failed = read_error({"error": "model not found"}, 404)
    error = error_of_answer(failed, provider="ollama", model="m", key_source="KEY", address=address, row=row)
    assert "your key" in str(error)
    away = ConnectionRefusedError("no")
    assert "serve" not in str(
        error_of_network(away, provider="ollama", model="m", timeout=None, address=address, row=row)
    )
