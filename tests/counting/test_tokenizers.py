"""OpenAI's tokenizers: exact for text where their files are there, and never waited for where they are not."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiktoken

from llmring import LLMRequest, LLMRing, Message
from llmring.counting.tokenizers import Tokenizers, Unavailable, _count
from llmring.testing import PracticeServer

BYTES = tiktoken.Encoding(
    "bytes", pat_str=r"\w+|\W", mergeable_ranks={bytes([it]): it for it in range(256)}, special_tokens={"<|end|>": 256}
)
"""A real one, of a token for each byte."""
FILES = os.environ.get("TIKTOKEN_CACHE_DIR")


@pytest.fixture
def offline(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No files of tokenizers, and no network to fetch any."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed.getsockname()[1]}")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(bare / "nothing"))


@pytest.fixture
def silent(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """No files, and a network that takes what it is asked and says nothing; set when it was asked."""
    asked, done, taken = threading.Event(), threading.Event(), []

    def listen() -> None:
        while not done.is_set():
            try:
                taken.append(network.accept()[0])
            except OSError:
                return
            asked.set()

    with socket.create_server(("127.0.0.1", 0)) as network:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{network.getsockname()[1]}")
        monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(bare / "nothing"))
        thread = threading.Thread(target=listen)
        thread.start()
        yield asked
        done.set()
        socket.create_connection(network.getsockname()).close()
        thread.join()
    for it in taken:
        it.close()


def ask(model: str, text: str = "What is the weather?", **fields: float) -> LLMRequest:
    return LLMRequest(model=model, messages=[Message(role="user", content=text)], **fields)  # type: ignore[arg-type]


def test_text_is_counted_whatever_it_says() -> None:
    assert _count(BYTES, "Hällo <|end|>") == len("Hällo <|end|>".encode())
    assert _count(BYTES, "") == 0
    assert _count(BYTES, "a half \udc80") == len("a half ") + 3  # as the replacement for it has
    assert _count(BYTES, "x" * 120_000) == 120_000


async def test_without_its_files_it_is_estimated_by_characters(offline: None, server: PracticeServer) -> None:
    async with LLMRing() as service:
        count = await service.count_tokens(ask("openai:gpt-4.1"))
        assert (count.source, count.exact) == ("characters", False)
        assert "its tokenizer could not be loaded" in (count.reason or "")
        assert "TIKTOKEN_CACHE_DIR" in (count.reason or "")
        # It is tried anew, and not waited for.
        again = await service.count_tokens(ask("openai:gpt-4.1"))
        assert (again.tokens, again.source) == (count.tokens, "characters")


async def test_a_network_that_is_silent_is_waited_for_once(silent: threading.Event, server: PracticeServer) -> None:
    async with LLMRing() as service:
        count = await service.count_tokens(ask("openai:gpt-4.1", timeout=0.2))
        assert silent.wait(30)
        assert count.source == "characters"
        assert "were not there within 0.2 s" in (count.reason or "")
        # Else this would take seconds, for each of them.
        await asyncio.gather(*(service.count_tokens(ask("openai:gpt-4.1")) for _ in range(50)))


async def test_models_of_others_have_none(offline: None, server: PracticeServer) -> None:
    async with LLMRing() as service:
        assert (await service.count_tokens(ask("openai:gpt-oss-20b"))).reason == "openai has no endpoint that counts"
        assert (await service.count_tokens(ask("ollama:llama3.2"))).reason == "ollama has no endpoint that counts"


async def test_a_model_that_tiktoken_does_not_know(offline: None) -> None:
    with pytest.raises(Unavailable) as caught:
        await Tokenizers().count("gpt-none-of-these-0", ["Hi"], None)
    assert caught.value.args == ()


def test_several_event_loops_share_them(offline: None) -> None:
    tokenizers = Tokenizers()

    async def count() -> None:
        with pytest.raises(Unavailable):
            await tokenizers.count("gpt-4.1", ["Hi"], None)

    threads = [threading.Thread(target=asyncio.run, args=(count(),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.skipif(not FILES, reason="needs the files of tiktoken, in TIKTOKEN_CACHE_DIR")
async def test_with_its_files_text_is_counted_exactly(server: PracticeServer) -> None:
    async with LLMRing() as service:
        one, more = [
            await service.count_tokens(ask("openai:gpt-4.1", text)) for text in ("Hi", "Hi" + " there" * 30_000)
        ]
    assert (one.source, one.exact) == ("tiktoken", False)
    assert 0 <= more.tokens - one.tokens - 30_000 < 5  # of which a seam costs one
    assert more.at_most is not None
    assert more.at_most - more.at_least < 0.25 * more.tokens
