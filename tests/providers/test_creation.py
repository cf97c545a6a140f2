"""How a provider comes to life: in a thread, and once."""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import PIPE
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

WHILE_HTTPX_IS_LOADED = """
import asyncio, sys, threading, time
from importlib.abc import MetaPathFinder
from llmring import LLMRequest, LLMRing, Message

class Slow(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "httpx._config":
            time.sleep(0.5)

def ask(model):
    return LLMRequest(model=model, messages=[Message(role="user", content="Hi")])

async def main():
    async with LLMRing() as service:
        await service.chat(ask("openai:m"))
        sys.meta_path.insert(0, Slow())
        other = asyncio.create_task(service.chat(ask("ollama:m")))
        answers = 0
        while not other.done():
            answers += (await service.chat(ask("openai:m"))).content == "You said: Hi"
        print((await other).content, answers > 0)

asyncio.run(main())
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
    del sys.modules["keyring"]  # not with monkeypatch, which would bring it back
    assert server.requests[-1].headers["authorization"] == "Bearer practice-of-the-keyring"
    assert late < 0.4


async def test_many_first_requests_make_one_client(way: Way, server: PracticeServer) -> None:
    async with LLMRing() as service:
        answers = await asyncio.gather(*(service.chat(ask("chatbot")) for _ in range(50)))
        assert [answer.content for answer in answers] == ["You said: Hi"] * 50
        assert len(service._registry._made) == 1
        made = service.get_provider(way.provider)
        assert all(provider is made for provider in service._registry._made.values())


async def test_a_provider_that_is_loaded_disturbs_no_request_of_another(server: PracticeServer, bare: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WHILE_HTTPX_IS_LOADED, stdout=PIPE, stderr=PIPE
    )
    said, complaint = await process.communicate()
    assert (said.decode().strip(), complaint.decode()) == ("You said: Hi True", "")
