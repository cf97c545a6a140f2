"""llama.cpp's server, for real (`make real`): both of its formats stream, call, take calls back, and stop when left."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest
from pydantic_core import from_json

from llmring import ChatStream, LLMRequest, LLMRing, Message, image
from llmring.exceptions import ContextLengthError, ModelCapabilityError

from .llama import CALL, CONTEXT, END

pytestmark = pytest.mark.skipif(
    find_spec("xllamacpp") is None or find_spec("gguf") is None, reason="needs xllamacpp and gguf: make real"
)

ENDLESS: dict[str, Any] = {"ignore_eos": True}
# The model's letters are random: these have it call, and end after a call or two.
CALLING: dict[str, Any] = {"logit_bias": [[END, 9], [CALL, 6]]}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where the server listens."""
    command = [sys.executable, "-m", "tests.real.llama"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command, cwd=root, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as server:
        assert server.stdout is not None
        line = server.stdout.readline().strip()
        assert line, "the server has not started"
        yield line
        server.kill()


@pytest.fixture(params=["chat", "responses"])
def service(request: pytest.FixtureRequest, address: str, tmp_path: Path) -> LLMRing:
    """A service whose alias `tiny` is served by the server, over one of its formats."""
    (tmp_path / "llmring.lock").write_text(
        'version = "1.0"\ndefault_profile = "default"\n[profiles.default]\nname = "default"\n'
        '[[profiles.default.bindings]]\nalias = "tiny"\nmodels = ["llamacpp:random"]\n'
        f'[providers.llamacpp]\nbase_url = "{address}/v1"\napi = "{request.param}"\n'
    )
    return LLMRing(lockfile_path=tmp_path / "llmring.lock", timeout=60.0, max_retries=0)


def ask(text: str = "Hello", **options: Any) -> LLMRequest:
    return LLMRequest(model="tiny", messages=[Message(role="user", content=text)], **options)


def paint(colour: Literal["red", "blue"]) -> str:
    """Paint the wall."""
    return colour


async def busy(address: str) -> bool:
    """Whether the server is generating."""
    async with httpx2.AsyncClient() as client:
        return any(slot["is_processing"] for slot in (await client.get(f"{address}/slots")).json())


async def until(address: str, *, generating: bool, every: float = 0.05) -> None:
    """Wait until the server does, or does not: it tells only who asks."""
    async with asyncio.timeout(60):
        while await busy(address) is not generating:  # noqa: ASYNC110
            await asyncio.sleep(every)


async def test_a_stream(service: LLMRing) -> None:
    async with service:
        stream = service.chat_stream(ask(max_tokens=40, extra_params=ENDLESS))
        chunks = [chunk async for chunk in stream]
        response = await stream.final_response()
        assert "".join(chunk.delta for chunk in chunks) == response.content
        assert response.content.isascii()
        assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == [response.finish_reason]
        assert chunks[-1].usage == response.usage
        assert response.usage is not None
        assert response.usage["completion_tokens"] == 40
        assert response.usage["prompt_tokens"] > 5
        assert response.response_model
        assert response.skipped_events == 0


async def test_a_whole_answer(service: LLMRing) -> None:
    async with service:
        response = await service.chat(ask(max_tokens=40, extra_params=ENDLESS))
        assert len(response.content) >= 30
        assert response.usage is not None
        assert response.usage["completion_tokens"] == 40


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_call_and_its_result(service: LLMRing, streaming: bool) -> None:
    async with service:
        request = ask(tools=[paint], tool_choice="required", max_tokens=1000, extra_params=CALLING)
        response = await (service.chat_stream(request).final_response() if streaming else service.chat(request))
        assert response.finish_reason == "tool_calls"
        assert response.tool_calls
        assert len({call["id"] for call in response.tool_calls}) == len(response.tool_calls)
        turns = [*request.messages, response.to_message()]
        for call in response.tool_calls:
            assert call["function"]["name"] == "paint"
            assert from_json(call["function"]["arguments"])["colour"] in ("red", "blue")
            turns.append(Message(role="tool", tool_call_id=call["id"], content="done"))
        after = request.model_copy(
            update={"messages": turns, "tool_choice": None, "max_tokens": 10, "extra_params": ENDLESS}
        )
        assert (await service.chat(after)).content


async def test_a_structured_answer(service: LLMRing) -> None:
    async with service:
        # Its Responses API lets `text.format` pass unseen, and takes the form as its other API does.
        form = {"type": "json_schema", "json_schema": {"name": "colour", "schema": {"enum": ["red", "blue"]}}}
        request = ask(response_format=Literal["red", "blue"], extra_params={"response_format": form}, max_tokens=1000)
        assert (await service.chat(request)).parsed in ("red", "blue")


async def cancel(stream: ChatStream) -> None:
    stream.cancel()


async def close(stream: ChatStream) -> None:
    await stream.aclose()


@pytest.mark.parametrize("leave", [cancel, close])
async def test_the_server_stops_when_the_stream_is_left(service: LLMRing, address: str, leave: Any) -> None:
    async with service:
        await until(address, generating=False)
        stream = service.chat_stream(ask(extra_params=ENDLESS))
        async for chunk in stream:
            if chunk.delta:
                break
        assert await busy(address)
        await leave(stream)
        await until(address, generating=False)


async def test_the_server_stops_when_the_stream_is_dropped(service: LLMRing, address: str) -> None:
    async with service:
        async for chunk in service.chat_stream(ask(extra_params=ENDLESS)):
            if chunk.delta:
                assert await busy(address)
                break
        await until(address, generating=False)


@pytest.mark.parametrize("streaming", [True, False])
async def test_the_server_stops_when_the_task_is_cancelled(service: LLMRing, address: str, streaming: bool) -> None:
    async with service:

        async def read() -> None:
            request = ask(extra_params=ENDLESS)
            await (service.chat_stream(request).final_response() if streaming else service.chat(request))

        task = asyncio.create_task(read())
        await until(address, generating=True)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # Who waits for a whole answer is looked after once a second, counted anew from each answer to anybody.
        await until(address, generating=False, every=0.05 if streaming else 2.5)


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_prompt_that_is_too_long(service: LLMRing, streaming: bool) -> None:
    async with service:
        request = ask("x" * 2 * CONTEXT, max_tokens=5)
        with pytest.raises(ContextLengthError):
            await (service.chat_stream(request).final_response() if streaming else service.chat(request))


async def test_what_it_can_do(service: LLMRing) -> None:
    async with service:
        caps = await service.capabilities("tiny")
        (listed,) = await service.get_available_models("llamacpp")
    assert (caps.context_window.value, caps.context_window.source) == (CONTEXT, "provider")
    assert (caps.can("tools"), caps.can("images"), caps.can("audio")) == (True, False, False)
    assert caps.tools.source == caps.images.source == "provider"
    assert listed.context_window == CONTEXT


async def test_a_picture_is_not_sent_to_it_once_it_has_said_so(service: LLMRing, address: str) -> None:
    asked = LLMRequest(model="tiny", messages=[Message(role="user", content=[image(b"\x89PNG\r\n\x1a\n" + bytes(32))])])
    async with service:
        await service.capabilities("tiny")
        with pytest.raises(ModelCapabilityError, match=r"takes no pictures \(as its provider says\)"):
            await service.chat(asked)
    assert not await busy(address)


async def test_it_counts_what_it_reads(service: LLMRing) -> None:
    """By its own endpoint in both formats, tools and all."""
    async with service:
        for request in (ask(max_tokens=1), ask("Paint it. " * 20, tools=[paint], max_tokens=1)):
            count = await service.count_tokens(request)
            response = await service.chat(request)
            assert (count.exact, count.reason) == (True, None)
            assert response.usage is not None
            assert count.tokens == response.usage["prompt_tokens"]
            assert (await service.validate_context_limit(request)).window == CONTEXT
        with pytest.raises(ContextLengthError, match="was not sent"):
            await service.validate_context_limit(ask("x" * 2 * CONTEXT))
