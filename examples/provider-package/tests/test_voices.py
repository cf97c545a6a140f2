"""What Larkspur says of its voices."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from larkspur import LarkspurServer
from llmring import LLMRing
from llmring.exceptions import ProviderAuthenticationError
from llmring.providers import ListedModel, ProviderConfig
from llmring.testing.conformance import ScriptServer
from llmring_larkspur import Larkspur

T = TypeVar("T")


def ask(question: Callable[[LLMRing], Awaitable[T]], key: str = "lk-1") -> T:
    """The answer to a question to a service whose Larkspur is the server of the tests."""

    async def run() -> T:
        with ScriptServer(LarkspurServer()) as server:
            async with LLMRing() as service:
                config = ProviderConfig("larkspur", key=key, base_url=f"{server.url}/v2")
                service.register_provider("larkspur", Larkspur(config))
                return await question(service)

    return asyncio.run(run())


def test_they_are_listed() -> None:
    assert ask(lambda service: service.get_available_models("larkspur")) == [ListedModel("lark-2", 32000, 4096)]


def test_what_one_can_do() -> None:
    abilities = ask(lambda service: service.capabilities("larkspur:lark-2"))
    assert abilities.context_window.value == 32000
    assert abilities.reasoning.value is True
    assert abilities.images.value is False


def test_a_stranger_is_told_nothing() -> None:
    with pytest.raises(ProviderAuthenticationError, match="We do not know you"):
        ask(lambda service: service.get_available_models("larkspur"), key="")
