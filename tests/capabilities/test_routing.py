"""Models that are known not to be able to take a request are passed over."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from llmring import LLMRequest, LLMRing, Message, audio, document, image, text
from llmring.capabilities import needs_of
from llmring.exceptions import ModelCapabilityError, ProviderResponseError
from llmring.request import prepare
from llmring.testing import Fault, PracticeServer, Reply

from ..conftest import bind

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 32
WAV = b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 24
MODELS = ["anthropic:first", "openai:second", "google:third"]


class City(BaseModel):
    name: str


def get_weather(city: str) -> str:
    """The weather."""
    return city


def asking(what: str) -> dict[str, Any]:
    """A request's fields that ask for one ability."""
    holding = {"images": image(PNG), "documents": document(b"%PDF-1.4 x"), "audio": audio(WAV)}
    if what in holding:
        return {"messages": [Message(role="user", content=[text("What is it?"), holding[what]])]}
    more: dict[str, Any] = {"tools": [get_weather]} if what == "tools" else {"response_format": City}
    return {"messages": [Message(role="user", content="Hello")], **more}


def request(what: str, model: str = "chatbot", **more: Any) -> LLMRequest:
    return LLMRequest(model=model, **asking(what), **more)


def cannot(what: str, *models: str) -> str:
    return "".join(f'[models."{model}"]\n{what} = false\n' for model in models)


ASKED = ["images", "documents", "audio", "tools", "structured_output"]
REPLY = {"structured_output": '{"name": "Paris"}'}


async def ask(service: LLMRing, asked: LLMRequest, *, stream: bool) -> Any:
    return await (service.chat_stream(asked).final_response() if stream else service.chat(asked))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("what", ASKED)
async def test_a_stand_by_that_cannot_is_passed_over(
    server: PracticeServer, caplog: pytest.LogCaptureFixture, what: str, stream: bool
) -> None:
    bind({"chatbot": ["openai:zeroth", *MODELS]}, cannot(what, *MODELS[:2]))
    server.reply(Reply(status=503), model="zeroth")
    server.reply(REPLY.get(what, "Fine."), model="third")
    async with LLMRing(max_retries=0) as service:
        response = await ask(service, request(what), stream=stream)
    assert response.model == "google:third"
    assert [it.model for it in server.requests] == ["zeroth", "third"]
    assert [(type(it).__name__, it.model) for it in response.attempts][1:] == [
        ("ModelCapabilityError", "first"),
        ("ModelCapabilityError", "second"),
    ]
    told = [it.getMessage() for it in caplog.records if it.levelno == logging.WARNING]
    assert [it.partition(": it")[0] for it in told[1:]] == [
        "chatbot: passing over anthropic:first",
        "chatbot: passing over openai:second",
    ]
    assert "as the lockfile says" in told[1]


@pytest.mark.parametrize("what", ASKED)
async def test_one_that_is_not_needed_is_not_spoken_of(
    server: PracticeServer, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    bind({"chatbot": ["google:third", "anthropic:first"]}, cannot(what, "anthropic:first"))
    server.reply(REPLY.get(what, "Fine."))
    async with LLMRing() as service:
        assert (await service.chat(request(what))).attempts == []
    assert not caplog.records


@pytest.mark.parametrize("what", ASKED)
async def test_the_first_that_can_serves(server: PracticeServer, what: str) -> None:
    bind({"chatbot": MODELS}, cannot(what, *MODELS[:2]))
    server.reply(REPLY.get(what, "Fine."))
    async with LLMRing() as service:
        response = await service.chat(request(what))
    assert (response.model, len(response.attempts)) == ("google:third", 2)
    assert len(server.requests) == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("models", [MODELS, MODELS[:1]], ids=len)
@pytest.mark.parametrize("what", ASKED)
async def test_if_none_can_the_error_says_what_each_lacks(
    server: PracticeServer, what: str, models: list[str], stream: bool
) -> None:
    bind({"chatbot": models}, cannot(what, *models))
    async with LLMRing() as service:
        with pytest.raises(ModelCapabilityError) as raised:
            await ask(service, request(what), stream=stream)
    error = pickle.loads(pickle.dumps(raised.value))
    words = {"images": "takes no pictures", "tools": "calls no tools", "audio": "takes no audio"}
    assert str(error).count(f"{words.get(what, 'no ')}") >= len(models)
    for model in models:
        assert model in str(error)
    assert f'[models."{models[-1]}"] {what} = true' in str(error)
    assert f"{error.provider}:{error.model}" == models[-1]
    assert [f"{it.provider}:{it.model}" for it in error.attempts] == models[:-1]
    assert not server.requests


async def test_a_model_that_is_named_directly_is_judged_as_well(server: PracticeServer) -> None:
    bind({}, cannot("images", "ollama:*"))
    async with LLMRing() as service:
        with pytest.raises(ModelCapabilityError, match=r"^ollama:llama3\.2 cannot take this request: it takes no pict"):
            await service.chat(request("images", "ollama:llama3.2"))
        assert (await service.chat(request("tools", "ollama:llama3.2"))).content
    assert len(server.requests) == 1


async def test_the_last_that_can_is_asked_again(server: PracticeServer) -> None:
    """Behind it stand only such as cannot: nobody would take its place."""
    bind({"chatbot": MODELS}, cannot("images", *MODELS[1:]))
    server.reply(Reply(status=503, retry_after=0.01))
    async with LLMRing(max_retries=1) as service:
        response = await service.chat(request("images"))
    assert (response.model, response.retries) == ("anthropic:first", 1)


async def test_if_all_fail_those_passed_over_are_listed(server: PracticeServer) -> None:
    bind({"chatbot": MODELS}, cannot("tools", "openai:second", "google:third"))
    server.reply(Reply(status=500, error="Broken."), times=2)
    async with LLMRing(max_retries=0) as service:
        with pytest.raises(ProviderResponseError, match=r"Broken") as raised:
            await service.chat(request("tools"))
    assert [it.model for it in raised.value.attempts] == ["second", "third"]
    assert str(raised.value).endswith("in vain: openai:second (passed over), google:third (passed over).")


async def test_what_is_the_callers_to_see_is_no_matter_of_others(server: PracticeServer) -> None:
    bind({"chatbot": MODELS[:2]}, cannot("tools", "openai:second"))
    server.reply(Reply(status=400, error="No."))
    async with LLMRing(max_retries=0) as service:
        with pytest.raises(ProviderResponseError, match="No") as raised:
            await service.chat(request("tools"))
    assert raised.value.attempts == []


async def test_text_asks_for_nothing(server: PracticeServer) -> None:
    everything = "".join(f"{what} = false\n" for what in ASKED)
    bind({"chatbot": MODELS}, f'[models."*"]\n{everything}')
    async with LLMRing() as service:
        plain = LLMRequest(model="chatbot", messages=[Message(role="user", content="Hi")])
        assert (await service.chat(plain)).model == "anthropic:first"
        parts = [text("Read this"), document(b"plain text", filename="a.txt")]
        told = LLMRequest(model="chatbot", messages=[Message(role="user", content=parts)])
        assert (await service.chat(told)).model == "anthropic:first"
        server.reply("{}")
        form = LLMRequest(model="chatbot", messages=[Message(role="user", content="Hi")], json_response=True)
        assert (await service.chat(form)).model == "anthropic:first"


async def test_what_a_provider_has_said_counts_and_nobody_is_asked_for_it(server: PracticeServer) -> None:
    bind({"chatbot": ["ollama:second", "google:third"]})
    server.models["ollama"] = ["second"]
    server.describe("second", images=False)
    async with LLMRing() as service:
        assert (await service.chat(request("images"))).model == "ollama:second"
        assert [it.wire for it in server.requests] == ["ollama"], "nothing else was asked"
        await service.capabilities("ollama:second")
        response = await service.chat(request("images"))
        assert response.model == "google:third"
        assert "as its provider says" in str(response.attempts[0])


async def test_what_an_sdk_cannot_carry_moves_on(server: PracticeServer) -> None:
    bind({"chatbot": ["ollama:second", "anthropic:first", "google:third"]})
    async with LLMRing() as service:
        assert (await service.chat(request("documents"))).model == "anthropic:first"
        assert (await service.chat(request("audio"))).model == "google:third"


@pytest.mark.parametrize(
    ("settings", "binding", "served"),
    [
        ("", "", "ollama:second"),  # the prompt tells of tools by itself
        ('[providers.ollama]\ntools = "native"\n', "", "google:third"),
        ('[providers.ollama]\ntools = "prompt:hermes"\n', "", "ollama:second"),
        ('[providers.ollama]\ntools = "native"\n', 'tools = "prompt:hermes"\n', "ollama:second"),
        ("", 'tools = "read:hermes"\n', "google:third"),
    ],
)
async def test_a_model_that_is_told_of_tools_in_the_prompt_needs_none_of_its_own(
    server: PracticeServer, settings: str, binding: str, served: str
) -> None:
    path = bind({"chatbot": ["ollama:second", "google:third"]}, cannot("tools", "ollama:second") + settings)
    path.write_text(path.read_text().replace('alias = "chatbot"\n', f'alias = "chatbot"\n{binding}'))
    async with LLMRing() as service:
        assert (await service.chat(request("tools"))).model == served


async def test_an_unknown_provider_is_told_at_its_turn(server: PracticeServer) -> None:
    bind({"chatbot": ["nix:model", "google:third"]}, cannot("images", "ollama:second"))
    async with LLMRing() as service:
        response = await service.chat(request("images"))
    assert response.model == "google:third"
    assert "There is no provider 'nix'" in str(response.attempts[0])


async def test_an_edit_counts_for_the_next_request(server: PracticeServer) -> None:
    bind({"chatbot": MODELS}, cannot("images", "anthropic:first"))
    async with LLMRing() as service:
        assert (await service.chat(request("images"))).model == "openai:second"
        bind({"chatbot": MODELS}, cannot("images", "anthropic:first").replace("false", "true"))
        assert (await service.chat(request("images"))).model == "anthropic:first"


async def test_who_goes_on_with_a_stream_is_one_who_can(server: PracticeServer) -> None:
    bind({"chatbot": MODELS}, cannot("images", "openai:second"))
    server.reply(Reply("One two three", fault=Fault.cut_after(2)), model="first")
    async with LLMRing(max_retries=0) as service:
        response = await service.chat_stream(request("images", on_interrupt="resume")).final_response()
    assert response.model == "google:third"
    assert [it.model for it in response.attempts] == ["first", "second"]


async def test_what_a_request_needs(bare: Path) -> None:
    async def needs(**fields: Any) -> set[str]:
        return {*needs_of(*(await prepare(LLMRequest(model="m", **fields))))}

    for what in ASKED:
        assert await needs(**asking(what)) == {what}
    earlier = [*asking("images")["messages"], Message(role="assistant", content="A cat."), *asking("tools")["messages"]]
    assert await needs(messages=earlier) == {"images"}
    provided = [{"type": "web_search_20250305", "name": "web_search"}]
    assert await needs(messages=asking("tools")["messages"], tools=provided) == set()
    broken: list[dict[str, Any]] = [{"type": "image_url", "image_url": {}}, {"type": "new"}]
    assert needs_of(LLMRequest(model="m", messages=[Message(role="user", content=broken)]), None) == ()
