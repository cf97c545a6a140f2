"""What an answer cost, on the span that it was paid for with."""

from __future__ import annotations

import pytest

from llmring import LLMRing
from llmring.testing import PracticeServer, Tokens

from ..faults.ground import ask
from .seen import Seen, attributes


@pytest.fixture
def billed(server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The practice server, by the name of a gateway and through a proxy: at a host of one's own nobody bills."""
    for name, value in server.environ("http://gateway.invalid").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.mark.usefixtures("billed")
@pytest.mark.parametrize("cost", [True, False])
async def test_it_is_there_once(server: PracticeServer, cost: bool) -> None:
    seen = Seen(cost=cost)
    server.reply("one", usage=Tokens(1_000_000, 1000), model="claude-haiku-4-5")
    server.reply(status=503, model="gpt-5-mini")
    models = ["openai:gpt-5-mini", "anthropic:claude-haiku-4-5"]
    async with LLMRing(aliases={"chatbot": models}, on_event=seen.listener, max_retries=0) as service:
        response = await service.chat(ask("chatbot"))
        total = service.calculate_cost(response).total
    seen.keeps_to_the_conventions()
    assert total is not None
    found = [attributes(it).get("llmring.cost.usd") for it in seen.spans()]
    assert [it for it in found if it is not None] == [total] * cost
    assert attributes(seen.attempts()[1]).get("llmring.cost.usd") == (total if cost else None)
    assert seen.counted("llmring.cost") == (total if cost else 0)
