"""How a provider comes to life: in a thread, and once."""

from __future__ import annotations

import asyncio
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest

from llmring import LLMRequest, LLMRing, Message
from llmring.testing import PracticeServer

from ..conftest import Way

KEYRING = """
import time

def get_password(service, name):
    time.sleep(0.5)
    return "practice-of-the-keyring"
"""


def ask(model: str) -> LLMRequest:
    return LLMRequest(model=model, messages=[Message(role="user", content="Hi")])


async def test_a_slow_keyring_holds_nobody_up(
    server: PracticeServer, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that is installed may ask a person for a password."""
    (bare / "modules").mkdir()
    (bare / "modules" / "keyring.py").write_text(KEYRING)
    monkeypatch.syspath_prepend(bare / "modules")
    monkeypatch.delitem(sys.modules, "keyring", raising=False)
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    late = 0.0

    async def beat() -> None:
        nonlocal late
        while True:
            expected = time.monotonic() + 0.01
            await asyncio.sleep(0.01)
            late = max(late, time.monotonic() - expected)

    import_module("llmring.providers.anthropic")  # an import holds the interpreter, in whichever thread
    beating = asyncio.create_task(beat())
    async with LLMRing() as service:
        assert (await service.chat(ask("anthropic:m"))).content == "You said: Hi"
    beating.cancel()
    monkeypatch.delitem(sys.modules, "keyring")
    assert server.requests[-1].headers["authorization"] == "Bearer practice-of-the-keyring"
    assert late < 0.4


async def test_many_first_requests_make_one_client(way: Way, server: PracticeServer) -> None:
    async with LLMRing() as service:
        answers = await asyncio.gather(*(service.chat(ask("chatbot")) for _ in range(50)))
        assert [answer.content for answer in answers] == ["You said: Hi"] * 50
        assert len(service._registry._made) == 1
        made = service.get_provider(way.provider)
        assert all(provider is made for provider in service._registry._made.values())
