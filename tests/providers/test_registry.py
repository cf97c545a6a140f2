"""What a request may expect of a provider that is not there yet."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import threading
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmring import LLMRequest, LLMRing, Message
from llmring.exceptions import ProviderNotFoundError
from llmring.testing import PracticeServer

LOCKED = """
def get_password(service, name):
    return "practice-of-the-keyring" if unlocked else None

unlocked = False
"""

LOADED_SLOWLY = """
import asyncio, sys, time
from importlib.abc import MetaPathFinder
from llmring import LLMRequest, LLMRing, Message

class Slow(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "ollama":
            time.sleep(3)

async def main():
    sys.meta_path.insert(0, Slow())
    async with LLMRing(timeout=2) as service:
        print((await service.chat(LLMRequest(model="ollama:m", messages=[Message(role="user", content="Hi")]))).content)

asyncio.run(main())
"""


def ask(model: str) -> LLMRequest:
    return LLMRequest(model=model, messages=[Message(role="user", content="Hi")])


@pytest.fixture
def keyring(server: PracticeServer, bare: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Has Anthropic's key, once it is unlocked."""
    (bare / "modules").mkdir()
    (bare / "modules" / "keyring.py").write_text(LOCKED)
    monkeypatch.syspath_prepend(bare / "modules")
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    sys.modules.pop("keyring", None)
    yield
    sys.modules.pop("keyring", None)


async def test_what_could_not_be_made_is_tried_again(
    server: PracticeServer, keyring: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the very next request of the same service: whoever unlocks the keyring need not start the program anew."""
    async with LLMRing(max_retries=0) as service:
        for _ in range(2):
            with pytest.raises(ProviderNotFoundError):
                await service.chat(ask("anthropic:m"))
        monkeypatch.setattr("keyring.unlocked", True)
        assert (await service.chat(ask("anthropic:m"))).content == "You said: Hi"


def test_several_threads_get_the_same(server: PracticeServer, keyring: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no loop runs, threads may make it at the same time: one is kept, and closed with the service."""
    both = threading.Barrier(2)

    def get_password(service: str, name: str) -> str:
        both.wait(60)
        return "practice-of-the-keyring"

    service, got = LLMRing(), list[Any]()
    importlib.import_module("keyring")
    monkeypatch.setattr("keyring.get_password", get_password)
    threads = [threading.Thread(target=lambda: got.append(service.get_provider("anthropic"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 2
    assert got[0] is got[1]
    asyncio.run(service.close())
    assert got[0].client.is_closed()


async def test_the_timeout_counts_from_when_the_sdk_is_imported(server: PracticeServer) -> None:
    """The first request of a program is not to fail because a disk is slow."""
    environment = os.environ | server.environ()
    script = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LOADED_SLOWLY, env=environment, stdout=PIPE, stderr=PIPE
    )
    said, wrong = await script.communicate()
    assert (said.decode().strip(), wrong.decode()) == ("You said: Hi", "")
