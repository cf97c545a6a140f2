"""Tokens counted by the provider's own endpoint: on every wire that has one, under the limits of any request."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from llmring import LLMRequest, LLMRing, Message, TokenCount
from llmring.exceptions import (
    InvalidRequestError,
    LLMRingError,
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderError,
    ProviderNotFoundError,
    ProviderRateLimitError,
    ProviderResponseError,
    ProviderTimeoutError,
)
from llmring.parts import image, text
from llmring.providers import Call, Decoder, HTTPResponse, Provider, ProviderConfig
from llmring.testing import Fault, PracticeServer, RecordedRequest, Reply, Tokens

from ..conftest import Way, bind

COUNT = Tokens(prompt=1234, completion=0)
WAYS = [
    Way("anthropic", "/v1/messages/count_tokens"),
    Way("google", "/v1/models/model-1:countTokens", '[providers.google]\napi_version = "v1"\n'),
    Way("openai", "/v1/responses/input_tokens", '[providers.openai]\napi = "responses"\n'),
    Way("llamacpp", "/v1/chat/completions/input_tokens", '[providers.llamacpp]\nbase_url = "{url}/v1"\n'),
    Way("vllm", "/tokenize", '[providers.vllm]\nbase_url = "{url}/v1"\n'),
]


@pytest.fixture(params=WAYS, ids=lambda way: way.provider)
def way(request: pytest.FixtureRequest, server: PracticeServer, bare: Path) -> Way:
    """Each provider that counts, on the practice server; its wire is the path at which it does."""
    found: Way = request.param
    bind({"chatbot": [found.model]}, found.settings.format(url=server.url))
    return found


def weather(city: str) -> str:
    """What the weather is like."""
    return city


def ask(model: str = "chatbot", text: str = "What is the weather?", **fields: Any) -> LLMRequest:
    system = Message(role="system", content="Be brief.")
    return LLMRequest(model=model, messages=[system, Message(role="user", content=text)], **fields)


async def refused(request: LLMRequest, **options: Any) -> LLMRingError:
    async with LLMRing(max_retries=0, **options) as service:
        with pytest.raises(LLMRingError) as caught:
            await service.count_tokens(request)
    return caught.value


async def test_its_provider_counts_what_would_be_sent(way: Way, server: PracticeServer) -> None:
    asked = ask(tools=[weather], max_tokens=50, temperature=0.5, stop="x", seed=1)
    server.reply(usage=COUNT, wire="counting")
    async with LLMRing() as service:
        assert await service.count_tokens(asked) == TokenCount(way.model, 1234, True, "provider", 1234, 1234)
        counted = server.requests[-1]
        assert (counted.wire, counted.path, counted.model) == ("counting", way.wire, "model-1")
        server.lenient = True  # of the parameters, some are not for every vendor
        await service.chat(asked)
    sent = server.requests[-1].body
    body = counted.body.get("generateContentRequest", counted.body)
    assert {"What is the weather?", "Be brief.", "weather"} <= set(_strings(body))
    # What counts is as it is sent, and nothing but that is sent.
    assert {key: it for key, it in body.items() if key != "model"} == {
        key: it for key, it in sent.items() if key in body and key != "model"
    }
    assert not {"max_tokens", "temperature", "stop", "stream", "seed", "max_output_tokens", "store"} & set(body)


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict | list):
        return [text for it in (value.values() if isinstance(value, dict) else value) for text in _strings(it)]
    return [value] if isinstance(value, str) else []


async def test_nothing_is_refused_of_a_conversation_with_calls(way: Way, server: PracticeServer) -> None:
    call: Any = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}
    asked = ask(tools=[weather])
    asked.messages += [
        Message(role="assistant", tool_calls=[call]),
        Message(role="tool", tool_call_id="call_1", content="Sunny"),
    ]
    async with LLMRing() as service:
        assert (await service.count_tokens(asked)).exact
    assert server.requests[-1].refused is None


async def test_extra_params_count_where_the_endpoint_takes_them(server: PracticeServer) -> None:
    extra = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "metadata": {"user_id": "me"}}
    async with LLMRing() as service:
        await service.count_tokens(ask("anthropic:claude-haiku-4-5", extra_params=extra))
    body = server.requests[-1].body
    assert body["thinking"] == extra["thinking"]
    assert "metadata" not in body


async def test_params_of_the_binding_count(server: PracticeServer, bare: Path) -> None:
    path = bind({"chatbot": ["anthropic:claude-haiku-4-5"]})
    path.write_text(path.read_text() + 'params = { thinking = { type = "disabled" } }\n')
    async with LLMRing() as service:
        await service.count_tokens(ask())
    assert server.requests[-1].body["thinking"] == {"type": "disabled"}


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_where_there_is_no_such_endpoint_it_is_estimated(way: Way, server: PracticeServer, status: int) -> None:
    page = Reply(status=status, body=b"<html>nothing here</html>")
    server.script(lambda request: page if request.wire == "counting" else None)
    async with LLMRing() as service:
        first = await service.count_tokens(ask())
        assert (first.exact, first.source, first.model) == (False, "characters", way.model)
        assert first.reason is not None
        assert first.reason.startswith(f"{way.provider} has no endpoint that counts (HTTP {status})")
        assert first.at_least < first.tokens < (first.at_most or 0)
        # Nobody is asked for it again, and the model is as good as before.
        asked = len(server.requests)
        assert await service.count_tokens(ask()) == first
        assert len(server.requests) == asked
        assert (await service.chat(ask())).content


@pytest.mark.parametrize("model", ["groq:openai/gpt-oss-120b", "openai:gpt-4.1", "ollama:llama3.2"])
async def test_a_provider_without_one_is_not_asked(server: PracticeServer, model: str, bare: Path) -> None:
    groq = f'[providers.groq]\nsdk = "openai"\nbase_url = "{server.url}/v1"\napi_key_env = "OPENAI_API_KEY"\n'
    bind({"chatbot": [model]}, groq)
    async with LLMRing() as service:
        count = await service.count_tokens(ask())
    assert (count.exact, count.source) == (False, "characters")
    assert (count.reason or "").startswith(f"{model.partition(':')[0]} has no endpoint that counts")
    assert server.requests == []


async def test_an_endpoint_that_counts_no_tools_is_not_asked_for_them(server: PracticeServer, bare: Path) -> None:
    moonshot = f'[providers.moonshot]\nsdk = "openai"\nbase_url = "{server.url}/v1"\napi_key_env = "OPENAI_API_KEY"\n'
    bind({"chatbot": ["moonshot:kimi-k2.5"]}, moonshot)
    async with LLMRing() as service:
        assert (await service.count_tokens(ask())).exact
        assert server.requests[-1].path == "/v1/tokenizers/estimate-token-count"
        count = await service.count_tokens(ask(tools=[weather]))
    assert (count.source, count.reason) == ("characters", "moonshot counts no tools")
    assert len(server.requests) == 1


async def test_an_unknown_model_is_told_from_an_endpoint_that_is_not_there(way: Way, server: PracticeServer) -> None:
    said = {"error": {"message": "The model `model-1` does not exist", "type": "not_found_error"}}
    gone = Reply(status=404, body=json.dumps(said).encode(), content_type="application/json")
    server.script(lambda request: gone)
    error = await refused(ask())
    assert isinstance(error, ModelNotFoundError)
    assert "model-1" in str(error)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(problem="bad_key"), ProviderAuthenticationError),
        (Reply(status=403), ProviderAuthenticationError),
        (Reply(problem="rate_limit", retry_after=7), ProviderRateLimitError),
        (Reply(status=500), ProviderResponseError),
        (Reply(status=400, error="No."), ProviderResponseError),
        (Reply(fault=Fault.hang_up()), ProviderConnectionError),
        (Reply(usage=COUNT, fault=Fault.cut_after(0)), ProviderConnectionError),
        (Reply(usage=COUNT, fault=Fault.end_early()), ProviderConnectionError),
    ],
    ids=["bad key", "forbidden", "rate limit", "broken", "bad request", "hung up", "cut", "ended early"],
)
async def test_what_goes_wrong_is_the_error_of_a_chat(
    way: Way, server: PracticeServer, reply: Reply, kind: type[ProviderError]
) -> None:
    server.script(lambda request: reply)
    error = await refused(ask())
    assert type(error) is kind
    assert (error.provider, error.model) == (way.provider, "model-1")
    assert getattr(error, "retry_after", 7) in (None, 7)
    async with LLMRing(max_retries=0) as service:
        with pytest.raises(kind) as caught:
            await service.chat(ask())
    if not reply.fault:
        assert str(error) == str(caught.value)


@pytest.mark.parametrize("body", [b"[]", b'"many"', b"<html>", b'{"input_tokens": "many"}', b'{"input_tokens": -1}'])
async def test_an_answer_that_is_no_count_is_none(way: Way, server: PracticeServer, body: bytes) -> None:
    server.script(lambda request: Reply(body=body))
    async with LLMRing() as service:
        count = await service.count_tokens(ask())
    assert not count.exact
    assert f"{way.provider} answered with something that is no count" in (count.reason or "")


async def test_an_error_in_a_good_answer_is_one(way: Way, server: PracticeServer) -> None:
    server.script(lambda request: Reply(body=b'{"error": {"message": "Out of order", "type": "api_error"}}'))
    error = await refused(ask())
    assert isinstance(error, ProviderResponseError)
    assert "Out of order" in str(error)


async def test_a_count_without_end_is_none(way: Way, server: PracticeServer) -> None:
    server.script(lambda request: Reply(body=b" " * 200_000))
    async with LLMRing(max_bytes=100_000) as service:
        count = await service.count_tokens(ask())
    assert "answered with more than a count" in (count.reason or "")
    assert server.requests[-1].wait_closed()


async def test_silence_ends_with_the_timeout(way: Way, server: PracticeServer) -> None:
    server.script(lambda request: Reply(fault=Fault.never_answer()))
    error = await refused(ask(), timeout=0.3)
    assert isinstance(error, ProviderTimeoutError)
    assert server.requests[-1].wait_closed()
    late = await refused(ask(deadline=0.3), timeout=None)
    assert isinstance(late, ProviderTimeoutError)
    assert "deadline" in str(late)


async def test_a_body_that_dries_up_ends_with_the_timeout(way: Way, server: PracticeServer) -> None:
    server.script(lambda request: Reply(usage=COUNT, fault=Fault.stall_after(0)))
    assert isinstance(await refused(ask(), timeout=0.3), ProviderTimeoutError)
    assert server.requests[-1].wait_closed()


async def test_who_is_cancelled_leaves_nothing_open(way: Way, server: PracticeServer) -> None:
    server.script(lambda request: Reply(fault=Fault.never_answer()))
    async with LLMRing() as service:
        counting = asyncio.create_task(service.count_tokens(ask()))
        await server.received()
        counting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await counting
        assert await server.requests[-1].closed()


async def test_many_at_once(way: Way, server: PracticeServer) -> None:
    async with LLMRing() as service:
        asked = [ask(text="word " * number) for number in range(1, 41)]
        counts = await asyncio.gather(*map(service.count_tokens, asked))
    assert [it.tokens for it in counts] == [number + 2 for number in range(1, 41)]


async def test_a_packed_count_is_unpacked(way: Way, server: PracticeServer) -> None:
    server.script(lambda request: Reply(usage=COUNT, fault=Fault.gzip()))
    async with LLMRing() as service:
        assert (await service.count_tokens(ask())).tokens == 1234


async def test_a_redirect_is_followed_within_the_server_alone(way: Way, server: PracticeServer) -> None:
    def moved(request: RecordedRequest) -> Reply | None:
        return None if "there" in request.query else Reply(status=308, headers={"location": f"{request.path}?there=1"})

    server.script(moved)
    async with LLMRing() as service:
        assert (await service.count_tokens(ask())).exact
    server.script(lambda request: Reply(status=307, headers={"location": "http://localhost:9/elsewhere"}))
    assert "redirects to http://localhost:9" in str(await refused(ask()))


async def test_no_key_is_told(server: PracticeServer, way: Way) -> None:
    key = "practice-" + "of-my-own"
    server.script(lambda request: Reply(status=400, error=f"What is {key}?"))
    error = await refused(ask(), api_keys={way.provider: key})
    assert key not in f"{error!r} {vars(error)}"
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals["__name__"].startswith("llmring"):
            assert key not in repr(trace.tb_frame.f_locals)
        trace = trace.tb_next


async def test_who_cannot_be_asked_is_passed_over(
    server: PracticeServer, bare: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The count is of the model that would serve."""
    bind({"chatbot": ["anthropic:down", "mystery:m", "google:gemini-2.5-flash"]})
    server.script(lambda request: Reply(status=503) if request.model == "down" else None)
    async with LLMRing(max_retries=0) as service:
        with caplog.at_level(logging.WARNING, "llmring"):
            assert (await service.count_tokens(ask())).model == "google:gemini-2.5-flash"
        assert [it.message.split(": ")[1] for it in caplog.records] == [
            "moving on from anthropic:down to mystery:m",
            "moving on from mystery:m to google:gemini-2.5-flash",
        ]
        # It says nothing of how the model serves.
        assert service.breakers() == []
    bind({"chatbot": ["mystery:m"]})
    assert isinstance(await refused(ask()), ProviderNotFoundError)


async def test_what_no_provider_could_take_is_refused_before(server: PracticeServer) -> None:
    error = await refused(LLMRequest(model="anthropic:m", messages=[]))
    assert isinstance(error, InvalidRequestError)
    odd = ask("anthropic:m", extra_params={"tools": 5})
    assert isinstance(await refused(odd), LLMRingError)
    assert server.requests == [] or server.requests[-1].refused


async def test_a_service_that_closes_meanwhile_says_so(server: PracticeServer) -> None:
    server.reply(fault=Fault.never_answer(), wire="counting")
    service = LLMRing()
    counting = asyncio.create_task(service.count_tokens(ask("anthropic:m")))
    await server.received()
    await service.close()
    with pytest.raises(LLMRingError, match="closed"):
        await counting


class Own(Provider):
    """One that counts nothing."""

    sdk = "own"

    def render(self, call: Call) -> dict[str, Any]:
        return {}

    def decoder(self, call: Call) -> Decoder:
        raise NotImplementedError

    async def send(self, call: Call, body: bytes) -> HTTPResponse:
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing is open."""


async def test_what_a_provider_by_others_is_asked_is_estimated(server: PracticeServer) -> None:
    async with LLMRing() as service:
        service.register_provider("own", Own(ProviderConfig("own")))
        count = await service.count_tokens(ask("own:m"))
    assert (count.exact, count.reason) == (False, "own has no endpoint that counts")


async def test_a_closed_service_counts_nothing(server: PracticeServer) -> None:
    service = LLMRing()
    await service.close()
    with pytest.raises(LLMRingError, match="closed"):
        await service.count_tokens(ask("anthropic:m"))


async def test_another_version_of_geminis_api_is_found(server: PracticeServer) -> None:
    page = Reply(status=404, body=b"no route", content_type="text/plain")
    server.script(lambda request: None if request.path.startswith("/v1beta/") else page)
    async with LLMRing() as service:
        assert (await service.count_tokens(ask("google:gemini-2.5-flash"))).exact
        assert (await service.count_tokens(ask("google:gemini-2.5-flash"))).exact
    assert [it.path.split("/")[1] for it in server.requests] == ["v1", "v1beta", "v1beta"]


PIXEL = b"\x89PNG\r\n\x1a\n" + b"\0" * 32


def look(model: str) -> LLMRequest:
    return LLMRequest(model=model, messages=[Message(role="user", content=[text("What is it?"), image(PIXEL)])])


@pytest.mark.parametrize("sdk", ["anthropic", "openai"])
async def test_who_has_taken_over_an_endpoint_may_count_text_alone(
    server: PracticeServer, bare: Path, sdk: str
) -> None:
    """As llama.cpp has: a picture is a mark of its prompt there, and a thousand tokens to the model."""
    api, path = ('api = "responses"\n', "/v1") if sdk == "openai" else ("", "")
    bind({}, f'[providers.mine]\nsdk = "{sdk}"\napi_key_env = "OPENAI_API_KEY"\n{api}base_url = "{server.url}{path}"\n')
    server.reply(usage=COUNT, wire="counting")
    async with LLMRing() as service:
        count = await service.count_tokens(look("mine:model-1"))
        assert (count.exact, count.reason) == (False, "mine counts text alone")
        assert not server.requests, "nobody was asked"
        assert (await service.count_tokens(ask("mine:model-1"))).tokens == 1234


async def test_pictures_are_counted_where_they_count(way: Way, server: PracticeServer) -> None:
    server.reply(usage=COUNT, wire="counting")
    async with LLMRing() as service:
        count = await service.count_tokens(look("chatbot"))
    assert count.exact is (way.provider not in ("vllm", "llamacpp"))
    assert count.exact or count.reason == f"{way.provider} counts text alone"
    server.clear()


async def test_a_count_that_is_not_awaited_says_so(server: PracticeServer) -> None:
    async with LLMRing() as service:
        forgotten: list[Any] = [
            service.count_tokens(ask("openai:m")),
            service.validate_context_limit(ask("openai:m")),
        ]
        for it in forgotten:
            with pytest.raises(AttributeError, match=r"was not awaited, so it has no 'tokens'"):
                _ = it.tokens
            it.close()
