"""How a provider comes to life: in a thread, and once."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from asyncio.subprocess import PIPE
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from llmring import LLMRequest, LLMRing, LLMRingError, Message
from llmring.exceptions import ProviderNotFoundError, ProviderTimeoutError
from llmring.testing import PracticeServer

from ..conftest import Way, bind

KEYRING = """
import threading

asked, unlocked = threading.Event(), threading.Event()

def get_password(service, name):
    asked.set()
    unlocked.wait(60)
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
        other = asyncio.create_task(service.chat(ask(sys.argv[1])))
        answers = 0
        while not other.done():
            answers += (await service.chat(ask("openai:m"))).content == "You said: Hi"
        print((await other).content, answers > 0)

asyncio.run(main())
"""

WITH_A_BROKEN_SDK = """
import asyncio
from llmring import LLMRequest, LLMRing, Message
from llmring.exceptions import ProviderNotFoundError

def ask(model):
    return LLMRequest(model=model, messages=[Message(role="user", content="Hi")])

async def main():
    async with LLMRing() as service:
        for answer in (await service.chat(ask("chatbot")), await service.chat_stream(ask("chatbot")).final_response()):
            print(answer.model, [type(attempt).__name__ for attempt in answer.attempts])
        for give in (lambda: service.chat(ask("openai:m")), lambda: asyncio.to_thread(service.get_provider, "openai")):
            try:
                await give()
            except ProviderNotFoundError as error:
                print(error, repr(error.original))

asyncio.run(main())
"""


def ask(model: str, **options: Any) -> LLMRequest:
    return LLMRequest(model=model, messages=[Message(role="user", content="Hi")], **options)


class Keyring:
    """The keyring above."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self.unlock: Callable[[], None] = module.unlocked.set

    async def asked(self) -> None:
        """Wait until somebody asks it."""
        assert await asyncio.to_thread(self._module.asked.wait, 60)


@pytest.fixture
def keyring(server: PracticeServer, bare: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keyring]:
    """Anthropic's key is in a keyring that is still locked; the SDK is loaded already."""
    (bare / "modules").mkdir()
    (bare / "modules" / "keyring.py").write_text(KEYRING)
    monkeypatch.syspath_prepend(bare / "modules")
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    import_module("llmring.providers.anthropic")
    sys.modules.pop("keyring", None)
    found = Keyring(import_module("keyring"))
    yield found
    found.unlock()
    sys.modules.pop("keyring", None)


async def test_a_slow_keyring_holds_nobody_up(keyring: Keyring, server: PracticeServer) -> None:
    """The one that is installed may ask a person for a password."""
    async with LLMRing() as service:
        asking = asyncio.create_task(service.chat(ask("anthropic:m")))
        await keyring.asked()
        for _ in range(10):
            await asyncio.sleep(0.01)
        assert not asking.done()
        keyring.unlock()
        assert (await asking).content == "You said: Hi"
    assert server.requests[-1].headers["authorization"] == "Bearer practice-of-the-keyring"


async def test_who_waits_for_a_key_is_told_so(keyring: Keyring) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            loop.call_soon_threadsafe(told.put_nowait, record.getMessage())

    handler, logger = Heard(logging.WARNING), logging.getLogger("llmring")
    logger.addHandler(handler)
    try:
        async with LLMRing(timeout=60) as service:
            asking = asyncio.create_task(service.chat(ask("anthropic:m")))
            said = await told.get()
            assert "keyring is still waited for, for the key of anthropic" in said
            assert "set ANTHROPIC_API_KEY in the environment" in said
            keyring.unlock()
            assert (await asking).content == "You said: Hi"
    finally:
        logger.removeHandler(handler)


async def test_what_would_be_said_of_a_wait_holds_no_program_up_and_is_not_said_after_it(keyring: Keyring) -> None:
    def timers() -> list[threading.Timer]:
        return [it for it in threading.enumerate() if isinstance(it, threading.Timer) and not it.finished.is_set()]

    async with LLMRing() as service:
        asking = asyncio.create_task(service.chat(ask("anthropic:m")))
        await keyring.asked()
        assert [it.daemon for it in timers()] == [True]
        keyring.unlock()
        assert (await asking).content == "You said: Hi"
        assert timers() == []


async def test_who_needs_no_key_waits_for_none(
    keyring: Keyring, server: PracticeServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("OLLAMA_API_KEY")
    async with LLMRing(timeout=None) as service:
        assert (await service.chat(ask("ollama:m"))).content == "You said: Hi"
    assert "authorization" not in server.requests[-1].headers
    said = [record.getMessage() for record in caplog.records]
    assert said == ["ollama is asked without a key: the system's keyring does not answer"]


async def test_a_key_in_the_keyring_is_sent_to_whom_needs_none(
    keyring: Keyring, server: PracticeServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("OLLAMA_API_KEY")
    keyring.unlock()
    async with LLMRing() as service:
        assert (await service.chat(ask("ollama:m"))).content == "You said: Hi"
    assert server.requests[-1].headers["authorization"] == "Bearer practice-of-the-keyring"
    assert not caplog.records


async def test_the_wait_for_a_key_has_an_end(keyring: Keyring) -> None:
    """Each of many is told so in time, with an error of its own, and the key serves once it is there."""
    async with LLMRing(timeout=0.3) as service:
        failures = await asyncio.gather(
            *(service.chat(ask("anthropic:m")) for _ in range(20)),
            service.chat_stream(ask("anthropic:m")).final_response(),
            return_exceptions=True,
        )
        assert {type(failure) for failure in failures} == {ProviderTimeoutError}
        assert len({id(failure) for failure in failures}) == 21
        keyring.unlock()
        assert (await service.chat(ask("anthropic:m", timeout=60))).content == "You said: Hi"


async def test_who_waits_for_a_key_holds_no_other_provider_up(
    keyring: Keyring, server: PracticeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The threads that look up names and read files are left alone."""
    monkeypatch.setenv("OPENAI_BASE_URL", server.url.replace("127.0.0.1", "localhost") + "/v1")
    async with LLMRing(timeout=60) as service:
        await service.chat(ask("openai:m"))
        waiting = [asyncio.create_task(service.chat(ask("anthropic:m"))) for _ in range(100)]
        await asyncio.sleep(0.1)
        await asyncio.gather(*(service.chat(ask("openai:m")) for _ in range(20)))
        assert not any(task.done() for task in waiting)
        keyring.unlock()
        await asyncio.gather(*waiting)


async def test_what_the_environment_said_when_it_was_asked(
    keyring: Keyring, server: PracticeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changed while a keyring is asked, it is for the requests that come then."""
    settings = '[providers.anthropic]\nheaders = { X-Tenant = "$PRACTICE_TENANT" }\n'
    bind({"chatbot": ["anthropic:m"]}, settings)
    monkeypatch.setenv("PRACTICE_TENANT", "first-tenant")
    async with LLMRing(timeout=60) as service:
        first = asyncio.create_task(service.chat(ask("chatbot")))
        await keyring.asked()
        monkeypatch.setenv("PRACTICE_TENANT", "second-tenant")
        keyring.unlock()
        await first
        await service.chat(ask("chatbot"))
        monkeypatch.setenv("PRACTICE_TENANT", "first-tenant")
        await service.chat(ask("chatbot"))
    seen = [request.headers["x-tenant"] for request in server.requests]
    assert seen == ["first-tenant", "second-tenant", "first-tenant"]


async def test_a_key_that_is_not_found_is_each_ones_own_error(server: PracticeServer, bare: Path) -> None:
    async with LLMRing() as service:
        failures = await asyncio.gather(*(service.chat(ask("groq:m")) for _ in range(3)), return_exceptions=True)
    assert {type(failure) for failure in failures} == {ProviderNotFoundError}
    assert len({id(failure) for failure in failures}) == 3
    assert all("GROQ_API_KEY" in str(failure) for failure in failures)


async def test_a_provider_that_comes_after_the_service_was_closed(keyring: Keyring) -> None:
    """It is closed, too, and there are no more."""
    service = LLMRing(timeout=60)
    asked = asyncio.create_task(service.chat(ask("anthropic:m")))
    await keyring.asked()
    (made,) = [entry.task for entry in service._records.here().providers.values()]
    await service.close()
    with pytest.raises(LLMRingError, match="closed"):
        await asked
    keyring.unlock()
    client = (await made).client
    async with asyncio.timeout(60):
        while not client.is_closed():  # noqa: ASYNC110 - in a task of the registry's
            await asyncio.sleep(0.01)
    with pytest.raises(LLMRingError, match="closed"):
        service.get_provider("anthropic")


async def test_an_sdk_that_cannot_be_imported(
    server: PracticeServer, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its import raises, it is said as such, and a stand-by serves."""
    bind({"chatbot": ["openai:m", "anthropic:m"]})
    (bare / "broken").mkdir()
    (bare / "broken" / "openai.py").write_text("raise RuntimeError('no such symbol')")
    monkeypatch.setenv("PYTHONPATH", f"{bare / 'broken'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", WITH_A_BROKEN_SDK, stdout=PIPE, stderr=PIPE)
    said, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    served, streamed, *errors = said.decode().splitlines()
    assert served == streamed == "anthropic:m ['ProviderNotFoundError']"
    assert len(errors) == 2
    for error in errors:
        assert "The SDK for openai cannot be imported (RuntimeError: no such symbol)" in error
        assert "pip install" in error
        assert error.endswith("RuntimeError('no such symbol')")


async def test_many_first_requests_make_one_client(way: Way, server: PracticeServer) -> None:
    async with LLMRing() as service:
        answers = await asyncio.gather(*(service.chat(ask("chatbot")) for _ in range(50)))
        assert [answer.content for answer in answers] == ["You said: Hi"] * 50
        assert len(service._records.here().providers) == 1
        made = service.get_provider(way.provider)
        assert [entry.provider for entry in service._records.here().providers.values()] == [made]


@pytest.mark.parametrize("model", ["google:m", "ollama:m"])
async def test_a_provider_that_is_loaded_disturbs_no_request_of_another(
    model: str, server: PracticeServer, bare: Path
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WHILE_HTTPX_IS_LOADED, model, stdout=PIPE, stderr=PIPE
    )
    said, complaint = await process.communicate()
    assert (said.decode().strip(), complaint.decode()) == ("You said: Hi True", "")
