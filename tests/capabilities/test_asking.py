"""What a model can do: asked of its provider through the real SDK, each in its own way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import pickle
import threading
import zlib
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from llmring import Capabilities, Fact, ListedModel, LLMRing
from llmring.capabilities import ABILITIES
from llmring.exceptions import (
    AliasNotFoundError,
    LLMRingError,
    ProviderAuthenticationError,
    ProviderNotFoundError,
    ProviderResponseError,
)
from llmring.providers import Call, Decoder, Dialect, HTTPResponse, Provider, ProviderConfig
from llmring.testing import Fault, PracticeServer, Reply
from llmring.vendors import FACTS, of_vendors

from ..conftest import bind

ABLE: dict[str, Any] = {
    "tools": True,
    "parallel_tools": True,
    "images": True,
    "documents": True,
    "audio": True,
    "structured_output": True,
    "reasoning": True,
    "reasoning_efforts": ["low", "high"],
    "context_window": 123_456,
    "max_output_tokens": 7_890,
}
UNABLE: dict[str, Any] = {
    **{name: False for name, value in ABLE.items() if value is True},
    "reasoning_efforts": [],
    "context_window": 4_321,
    "max_output_tokens": 1_234,
}

LIMITS = {"context_window", "max_output_tokens"}
# What each way says of a model that can, and of one that cannot.
SAYS: dict[str, tuple[set[str], set[str]]] = {
    "anthropic": (
        {"images", "documents", "structured_output", "reasoning", "reasoning_efforts", *LIMITS},
        {"images", "documents", "structured_output", "reasoning", "reasoning_efforts", *LIMITS},
    ),
    "google": ({"reasoning", *LIMITS}, {"reasoning", *LIMITS}),
    "ollama": (
        {"tools", "images", "reasoning", "context_window"},
        {"tools", "images", "reasoning", "context_window"},
    ),
    "openrouter": (
        {"tools", "parallel_tools", "images", "documents", "audio", "structured_output", "reasoning", *LIMITS},
        {"tools", "images", "audio", "reasoning", *LIMITS},
    ),
    "groq": (LIMITS, LIMITS),
    "mistral": (
        {"tools", "images", "audio", "reasoning", "context_window"},
        {"tools", "images", "audio", "reasoning", "context_window"},
    ),
    "xai": ({"images"}, {"images"}),
    "vllm": ({"context_window"}, {"context_window"}),
    "llamacpp": (
        {"tools", "parallel_tools", "images", "audio", "context_window"},
        {"images", "audio", "context_window"},
    ),
    "lmstudio": ({"tools", "images", "context_window"}, {"images", "context_window"}),
    "openai": (set(), set()),
}
KINDS = {"anthropic": "anthropic", "google": "gemini", "ollama": "ollama"}


@pytest.fixture
def vendors(server: PracticeServer) -> PracticeServer:
    """The practice server as each vendor, by its name."""
    tables = "".join(
        f'[providers.{name}]\nbase_url = "{server.url}/{name}/v1"\napi_key_env = "OPENAI_API_KEY"\n'
        for name in SAYS
        if name not in ("openai", *KINDS)
    )
    bind({"chatbot": ["anthropic:able", "ollama:able"]}, tables)
    for name in server.models:
        server.models[name] = ["able", "unable"]
    server.describe("able", **ABLE)
    server.describe("unable", **UNABLE)
    return server


@pytest.mark.parametrize("provider", SAYS)
@pytest.mark.parametrize("model", ["able", "unable"])
async def test_each_provider_says_what_its_endpoint_has_words_for(
    vendors: PracticeServer, provider: str, model: str
) -> None:
    facts: dict[str, Any] = ABLE if model == "able" else UNABLE
    if provider == "llamacpp":  # its /props are about the one model that it serves
        vendors.models["openai"] = [model]
    async with LLMRing(max_retries=0) as service:
        caps = await service.capabilities(f"{provider}:{model}")
    said = {name: fact for name, fact in caps.facts() if fact.source == "provider"}
    always = of_vendors("capabilities")[provider].get("always", {})
    assert said.keys() == SAYS[provider][model == "unable"] - always.keys()
    for name, fact in said.items():
        assert fact.value == (tuple(facts[name]) if isinstance(facts[name], list) else facts[name]), name
        assert fact.date == datetime.now(UTC).date()
    assert caps.model == f"{provider}:{model}"
    assert caps.streaming == Fact(True, "assumed")
    for name, fact in caps.facts():
        if name not in said and fact.source != "catalogue" and name != "streaming":
            assert fact == Fact(None)


@pytest.mark.parametrize("model", ["able", "unable"])
@pytest.mark.parametrize("form", ["openrouter", "vllm", "groq", "mistral"])
async def test_a_host_that_nobody_knows_is_read_as_any(vendors: PracticeServer, form: str, model: str) -> None:
    bind({}, f'[providers.mine]\nsdk = "openai"\nbase_url = "{vendors.url}/{form}/v1"\n')
    async with LLMRing(max_retries=0) as service:
        caps = await service.capabilities(f"mine:{model}")
    assert {name for name, it in caps.facts() if it.source == "provider"} == SAYS[form][model == "unable"]


async def test_what_an_sdk_cannot_carry_no_model_takes(vendors: PracticeServer) -> None:
    async with LLMRing() as service:
        caps = await service.capabilities("ollama:able")
        assert (caps.can("documents"), caps.documents.source) == (False, "catalogue")
        assert (await service.capabilities("anthropic:able")).refused_parameters == Fact(("seed",), "catalogue")


async def test_an_ollama_model_has_the_window_that_it_was_given(server: PracticeServer) -> None:
    shown = {
        "parameters": 'stop    "x"\nnum_ctx                        8192\ntemperature 1',
        "model_info": {"general.architecture": "qwen3", "qwen3.context_length": 40_960},
        "capabilities": ["completion"],
    }
    server.reply(body=json.dumps(shown).encode(), content_type="application/json", wire="models")
    async with LLMRing() as service:
        assert (await service.capabilities("ollama:llama3.2")).context_window.value == 8192


async def test_the_lockfile_counts_most(vendors: PracticeServer) -> None:
    tables = '[models."ollama:*"]\nimages = false\ncontext_window = 99\n[models."ollama:able"]\nimages = true\n'
    bind({"chatbot": ["ollama:unable"]}, tables)
    async with LLMRing() as service:
        caps = await service.capabilities("chatbot")
        assert caps.images == Fact(False, "lockfile")
        assert caps.context_window == Fact(99, "lockfile")
        assert caps.tools == Fact(False, "provider", datetime.now(UTC).date())
        assert (await service.capabilities("ollama:able")).images == Fact(True, "lockfile")
        bind({"chatbot": ["ollama:unable"]}, tables.replace("images = false", "images = true"))
        assert (await service.capabilities("chatbot")).images == Fact(True, "lockfile"), "an edit counts at once"


async def test_the_model_of_an_alias_is_asked_about(vendors: PracticeServer) -> None:
    async with LLMRing() as service:
        assert (await service.capabilities("chatbot")).model == "anthropic:able"
        with pytest.raises(AliasNotFoundError):
            await service.capabilities("nobody")
        with pytest.raises(ProviderNotFoundError, match="There is no provider 'nix'"):
            await service.capabilities("nix:model")


async def test_a_provider_is_asked_once(vendors: PracticeServer) -> None:
    async with LLMRing() as service:
        several = await asyncio.gather(*(service.capabilities("anthropic:able") for _ in range(20)))
        assert len({*several}) == 1
        again = await service.capabilities("anthropic:able")
        assert again == several[0]
        assert [request.path for request in vendors.requests] == ["/v1/models/able"]
        await service.capabilities("anthropic:unable")
        assert len(vendors.requests) == 2


def test_event_loops_share_what_was_said(vendors: PracticeServer) -> None:
    service = LLMRing()

    async def ask() -> Capabilities:
        return await service.capabilities("ollama:able")

    first = asyncio.run(ask())
    found: list[Capabilities] = []
    threads = [threading.Thread(target=lambda: found.append(asyncio.run(ask()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [first] * 4
    assert len(vendors.requests) == 1
    asyncio.run(service.close())


async def test_one_who_leaves_takes_the_answer_from_nobody(vendors: PracticeServer) -> None:
    body = b'{"capabilities": ["vision"], "model_info": {}}'
    vendors.reply(delay=0.2, body=body, content_type="application/json", wire="models")
    async with LLMRing() as service:
        leaving, staying = (asyncio.create_task(service.capabilities("ollama:able")) for _ in range(2))
        await vendors.received()
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert (await staying).images == Fact(True, "provider", datetime.now(UTC).date())
        assert len(vendors.requests) == 1


async def test_when_nobody_waits_any_more_the_question_ends(vendors: PracticeServer) -> None:
    vendors.reply(fault=Fault.never_answer(), wire="models")
    async with LLMRing(timeout=None) as service:
        asking = asyncio.create_task(service.capabilities("anthropic:able"))
        request = await vendors.received()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await request.closed()
        assert (await service.capabilities("anthropic:able")).can("images"), "the next one asks anew"


@pytest.mark.parametrize("provider", ["openrouter", "anthropic", "google", "ollama"])
@pytest.mark.parametrize("status", [401, 403, 500, 503])
async def test_a_failure_is_told_and_not_kept(
    vendors: PracticeServer, caplog: pytest.LogCaptureFixture, provider: str, status: int
) -> None:
    vendors.reply(Reply(status=status, error="no entry with practice-key"), wire="models")
    async with LLMRing(max_retries=0) as service:
        with caplog.at_level(logging.INFO, "llmring"):
            caps = await service.capabilities(f"{provider}:able")
        assert caps.context_window.value is None
        (record,) = (it for it in caplog.records if it.name == "llmring")
        assert record.levelno == logging.WARNING
        assert f"{provider}:able" in record.getMessage()
        assert f"HTTP {status}" in record.getMessage()
        assert "practice-key" not in record.getMessage()
        if status == 401:
            assert "_API_KEY" in record.getMessage()
        assert (await service.capabilities(f"{provider}:able")).context_window.value == 123_456


@pytest.mark.parametrize("provider", ["openrouter", "anthropic", "google", "ollama"])
@pytest.mark.parametrize("body", [b"<html>", b"{", b"[]", b"null", b'{"data": 1}', b'{"data": [1, {"id": 2}]}', b"{}"])
async def test_what_is_no_description_says_nothing(vendors: PracticeServer, provider: str, body: bytes) -> None:
    vendors.reply(body=body, content_type="application/json", wire="models")
    async with LLMRing(max_retries=0) as service:
        caps = await service.capabilities(f"{provider}:able")
    assert not [name for name, it in caps.facts() if it.source == "provider"]


ODD: list[Any] = [True, False, None, 0, -1, 1.5, "1", [], {}, [[]], {"supported": 1}, "\x1b[31m", 10**30]


@pytest.mark.parametrize("odd", ODD, ids=repr)
async def test_a_fact_of_another_kind_is_none(vendors: PracticeServer, odd: Any) -> None:
    entry = dict.fromkeys(
        ("max_model_len", "context_length", "capabilities", "architecture", "supported_parameters"), odd
    )
    body = json.dumps({"data": [{"id": "able", **entry}]}).encode()
    vendors.reply(body=body, content_type="application/json", wire="models")
    async with LLMRing(max_retries=0) as service:
        caps = await service.capabilities("openai:able")
    for name, fact in caps.facts():
        if fact.source == "provider":
            assert type(fact.value) is (tuple if FACTS[name] is list else FACTS[name])
            assert fact.value is not True or name in ABILITIES


@pytest.mark.parametrize("provider", ["openrouter", "anthropic", "google", "ollama"])
@pytest.mark.parametrize("status", [404, 405, 501])
async def test_a_provider_without_the_endpoint_is_asked_once(
    vendors: PracticeServer, caplog: pytest.LogCaptureFixture, provider: str, status: int
) -> None:
    vendors.reply(Reply(status=status), wire="models")
    async with LLMRing(max_retries=0) as service:
        with caplog.at_level(logging.INFO, "llmring"):
            for _ in range(2):
                caps = await service.capabilities(f"{provider}:able")
                assert not [name for name, it in caps.facts() if it.source == "provider"]
    assert len(vendors.requests) == 1
    assert not [it for it in caplog.records if it.name == "llmring"]


async def test_one_of_two_endpoints_is_enough(vendors: PracticeServer, caplog: pytest.LogCaptureFixture) -> None:
    vendors.models["openai"] = ["able"]
    vendors.reply(Reply(status=500), wire="models")
    async with LLMRing(max_retries=0) as service:
        caps = await service.capabilities("llamacpp:able")
    assert caps.context_window.value == 123_456
    assert caps.images.value is None
    assert "not all is known" in caplog.text


async def test_silence_ends_in_time(vendors: PracticeServer, caplog: pytest.LogCaptureFixture) -> None:
    vendors.reply(fault=Fault.never_answer(), wire="models")
    async with LLMRing(timeout=0.2, max_retries=0) as service:
        assert (await service.capabilities("anthropic:able")).images.value is None
    assert "within 0.2 s" in caplog.text


async def test_without_a_key_the_catalogue_answers(
    bare: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with LLMRing() as service:
        with caplog.at_level(logging.INFO, "llmring"):
            caps = await service.capabilities("anthropic:claude-haiku-5-5")
    assert caps.can("images")
    assert caps.images.source == "catalogue"
    assert caps.images.date is not None
    assert [it.levelno for it in caplog.records] == [logging.INFO]
    assert "ANTHROPIC_API_KEY" in caplog.text


async def test_who_lists_names_alone_is_not_asked(bare: Path) -> None:
    async with LLMRing(api_keys={"openai": "never-sent"}) as service:
        caps = await service.capabilities("openai:gpt-5-mini")
        assert caps.refused_parameters.value == ("temperature", "top_p")
        assert caps.max_output_tokens.value == 128_000
        assert caps.can("audio") is False


async def test_a_closed_service_asks_nobody(vendors: PracticeServer) -> None:
    service = LLMRing()
    await service.close()
    with pytest.raises(LLMRingError, match="closed"):
        await service.capabilities("anthropic:able")
    with pytest.raises(LLMRingError, match="closed"):
        await service.get_available_models("anthropic")
    assert not vendors.requests


@pytest.mark.parametrize("provider", ["openrouter", "groq", "vllm", "mistral", "anthropic", "google", "ollama"])
async def test_a_listing_has_names_and_the_limits_that_it_says(vendors: PracticeServer, provider: str) -> None:
    async with LLMRing() as service:
        listed = await service.get_available_models(provider)
    assert [it.name for it in listed] == ["able", "unable"]
    assert listed[0].context_window == (123_456 if provider != "ollama" else None)
    limited = provider in ("openrouter", "groq", "anthropic", "google")
    assert listed[0].max_output_tokens == (7_890 if limited else None)


async def test_a_listing_that_is_refused_is_an_error(vendors: PracticeServer) -> None:
    vendors.reply(Reply(status=401, error="no entry with practice-key"), wire="models")
    async with LLMRing(max_retries=0) as service:
        with pytest.raises(ProviderAuthenticationError, match="ANTHROPIC_API_KEY") as raised:
            await service.get_available_models("anthropic")
        assert "practice-key" not in str(raised.value)
        with pytest.raises(ProviderNotFoundError, match="There is no provider 'nix'"):
            await service.get_available_models("nix")


class Own(Provider):
    """A provider of somebody's own, which knows its models by itself."""

    dialect = Dialect("own")
    failure: Exception | None = None

    async def describe_model(self, model: str) -> dict[str, Any]:
        if self.failure is not None:
            raise self.failure
        return {"images": True, "context_window": 5, "audio": "yes", "colour": "blue", "reasoning_efforts": ("low",)}

    async def list_models(self) -> list[ListedModel]:
        return [ListedModel("one", 5)]

    def render(self, call: Call) -> dict[str, Any]:
        raise NotImplementedError

    def decoder(self, call: Call) -> Decoder:
        raise NotImplementedError

    async def send(self, call: Call, body: bytes) -> HTTPResponse:
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing."""


@pytest.mark.parametrize("made", [False, True])
async def test_a_provider_of_ones_own_says_it_by_itself(bare: Path, made: bool) -> None:
    async with LLMRing() as service:
        service.register_provider("own", Own(ProviderConfig("own")) if made else Own)
        caps = await service.capabilities("own:one")
        assert {name: it.value for name, it in caps.facts() if it.source == "provider"} == {
            "images": True,
            "context_window": 5,
            "reasoning_efforts": ("low",),
        }
        assert await service.get_available_models("own") == [ListedModel("one", 5)]


async def test_what_a_provider_of_ones_own_raises_is_told(bare: Path, caplog: pytest.LogCaptureFixture) -> None:
    own = Own(ProviderConfig("own"))
    async with LLMRing() as service:
        service.register_provider("own", own)
        for failure in (KeyError("x"), ProviderAuthenticationError("It is shut.")):
            own.failure = failure
            assert (await service.capabilities("own:one")).images.value is None
    assert "KeyError" in caplog.text
    assert "It is shut." in caplog.text


async def test_a_variant_that_is_not_listed_is_the_model(vendors: PracticeServer) -> None:
    async with LLMRing() as service:
        assert (await service.capabilities("openrouter:able:nitro")).context_window.value == 123_456
        assert (await service.capabilities("openrouter:ab:nitro")).context_window.value is None


async def test_a_listing_may_be_a_list_by_itself(server: PracticeServer) -> None:
    bind({}, f'[providers.together]\nbase_url = "{server.url}/v1"\napi_key_env = "OPENAI_API_KEY"\n')
    listed = [{"id": "other"}, {"id": "able", "context_length": 9}]
    server.reply(body=json.dumps(listed).encode(), content_type="application/json", wire="models")
    async with LLMRing() as service:
        assert (await service.capabilities("together:able")).context_window.value == 9


async def test_closing_the_service_ends_a_question(vendors: PracticeServer) -> None:
    vendors.reply(fault=Fault.never_answer(), wire="models")
    service = LLMRing(timeout=None)
    asking = asyncio.create_task(service.capabilities("anthropic:able"))
    request = await vendors.received()
    await service.close()
    assert (await asking).images.value is None
    assert await request.closed()


async def test_the_models_of_which_something_is_kept_have_a_bound(
    vendors: PracticeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmring.capabilities.knowing._MOST", 3)
    async with LLMRing() as service:
        for number in range(7):
            await service.capabilities(f"vllm:{number}")
        assert (await service.capabilities("vllm:able")).context_window.value == 123_456


def test_what_is_known_can_be_kept_and_shown() -> None:
    caps = Capabilities("a:b", images=Fact(True, "provider", datetime.now(UTC).date()))
    assert pickle.loads(pickle.dumps(caps)) == caps
    assert {caps: 1}[caps] == 1
    assert asdict(caps)["images"]["value"] is True
    assert "images=Fact(value=True, source='provider'" in repr(caps)
    assert [*FACTS] == [name for name, _ in caps.facts()]
    with pytest.raises(TypeError, match=r"neither true nor false.*caps\.can"):
        bool(caps.images)
    with pytest.raises(ValueError, match="There is no ability 'vision'; there are: streaming, tools"):
        caps.can("vision")  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        caps.images = Fact(False)  # type: ignore[misc]


async def test_a_host_of_ones_own_serves_what_it_likes_under_a_name(server: PracticeServer) -> None:
    async with LLMRing() as service:
        caps = await service.capabilities("anthropic:claude-haiku-4-5")
    assert caps.images == Fact(None)
    assert caps.reasoning == Fact(None)


async def test_an_instruction_of_the_lockfile_is_not_asked_for_elsewhere(bare: Path) -> None:
    """What no provider is needed for is known without one."""
    bind({"chatbot": ["openai:gpt-5-mini"]}, '[models."*"]\nstreaming = false\n')
    async with LLMRing() as service:
        assert (await service.capabilities("chatbot")).streaming == Fact(False, "lockfile")


@pytest.mark.parametrize("provider", ["anthropic", "google", "ollama", "groq"])
@pytest.mark.parametrize("packed", [True, False])
async def test_an_answer_without_end_is_read_no_further_than_a_list_goes(
    vendors: PracticeServer, caplog: pytest.LogCaptureFixture, provider: str, packed: bool
) -> None:
    """A hundred kilobytes hold a hundred megabytes, and a client would take them all, and parse them."""
    body = b'{"data": [' + b" " * 40 * 1024 * 1024 + b'], "models": [], "capabilities": []}'
    sent = zlib.compress(body, wbits=31) if packed else body
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{'Content-Encoding: gzip' if packed else 'X-A: b'}\r\n"
    )
    head += f"Content-Length: {len(sent)}\r\nConnection: close\r\n\r\n"
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        with contextlib.suppress(OSError):
            writer.write(head.encode() + sent)
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        bind({}, f'[providers.{provider}]\nbase_url = "{url}"\napi_key_env = "OPENAI_API_KEY"\n')
        async with LLMRing(max_retries=0) as service:
            caps = await service.capabilities(f"{provider}:able")
            with pytest.raises(ProviderResponseError, match="no list of models"):
                await service.get_available_models(provider)
    assert caps.context_window == Fact(None)
    assert "no description of a model" in caplog.text
    assert all(b"accept-encoding: gzip, deflate\r\n" in it.lower() for it in asked)
