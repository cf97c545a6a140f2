"""What we rely on of the official SDKs. One of these fails when a new version has moved."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import re
from collections.abc import AsyncIterator, Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import anthropic
import httpx
import httpx2
import ollama
import openai
import pytest
from google import genai
from google.genai import errors, types

from llmring import LLMRing
from llmring.providers.creation import LOOKED_AT
from llmring.testing import PracticeServer, Tokens
from llmring.vendors import SDKS, of_vendors


def parameters(function: Callable[..., Any]) -> set[str]:
    return set(inspect.signature(function).parameters)


@pytest.fixture
def server(server: PracticeServer) -> PracticeServer:
    """A practice server that takes the next to nothing that is sent here."""
    server.lenient = True
    return server


@pytest.fixture
def openai_client(server: PracticeServer) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI()


@pytest.fixture
def anthropic_client(server: PracticeServer) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic()


ENTRANCES = ["openai /chat/completions", "openai /responses", "anthropic /v1/messages"]


class Entrance:
    """Where one of the two SDKs posts bytes."""

    def __init__(self, sdk: Any, client: Any, path: str) -> None:
        self.sdk, self.client, self.path = sdk, client, path
        self.asked = {"input": "Hi"} if path == "/responses" else {"messages": [{"role": "user", "content": "Hi"}]}

    async def post(self, body: dict[str, Any], content: Any = None, **options: Any) -> Any:
        return await self.client.post(
            self.path,
            cast_to=httpx2.Response,
            content=content or json.dumps(body).encode(),
            options=options,
            stream=True,
            stream_cls=self.sdk.AsyncStream[object],
        )


@pytest.fixture(params=ENTRANCES)
def entrance(
    request: pytest.FixtureRequest, openai_client: openai.AsyncOpenAI, anthropic_client: anthropic.AsyncAnthropic
) -> Entrance:
    name, path = request.param.split()
    sdk, client = (openai, openai_client) if name == "openai" else (anthropic, anthropic_client)
    return Entrance(sdk, client, path)


# openai and anthropic: bytes, posted in public


def test_anthropics_create_has_no_sampling_parameters(anthropic_client: anthropic.AsyncAnthropic) -> None:
    known = parameters(anthropic_client.messages.create)
    assert not {"temperature", "top_p", "top_k", "seed"} & known
    assert {"max_tokens", "messages", "system", "stop_sequences", "output_config", "thinking"} <= known


@pytest.mark.parametrize("stream", [True, False])
async def test_what_is_posted_is_the_body(entrance: Entrance, server: PracticeServer, stream: bool) -> None:
    """To the last key; and the bytes of the answer come as they are, streamed or whole."""
    body = {**entrance.asked, "model": "mine", "max_tokens": 7, "stream": stream, "x": {"a": [1]}}
    response = await entrance.post(body, timeout=5.0, max_retries=0)
    assert isinstance(response, httpx2.Response)
    assert not response.is_closed
    data = b"".join([piece async for piece in response.aiter_bytes()])
    await response.aclose()
    assert b" said" in data
    assert data.startswith((b"data:", b"event:") if stream else b"{")
    assert server.requests[0].body == body
    assert server.requests[0].headers["content-type"] == "application/json"
    await entrance.client.close()


async def test_a_content_of_any_kind_reaches_the_http_client_as_it_is(
    entrance: Entrance, server: PracticeServer
) -> None:
    """So ours can know it for its own."""

    class Content:
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"{}"

    class Client(httpx2.AsyncClient):
        def build_request(self, method: str, url: Any, **options: Any) -> httpx2.Request:
            seen.append(options["content"])
            return super().build_request(method, url, **options)

    seen: list[Any] = []
    content = Content()
    async with Client() as own:
        entrance.client = entrance.client.with_options(http_client=own)
        await (await entrance.post({}, content)).aclose()
    assert seen == [content]


async def test_leaving_a_response_early_closes_its_connection(entrance: Entrance, server: PracticeServer) -> None:
    """`aclose` of the response does, and nothing else of the SDK has to be closed with it."""
    server.reply(chunks=["x"] * 1000, interval=0.05)
    response = await entrance.post({**entrance.asked, "model": "m", "stream": True})
    pieces = response.aiter_bytes()
    await anext(pieces)
    await response.aclose()
    await pieces.aclose()
    assert await server.requests[0].closed(60)
    await entrance.client.close()


@pytest.mark.parametrize("sdk", [openai, anthropic])
def test_errors_of_a_status_hold_the_answer(sdk: Any) -> None:
    response = httpx2.Response(429, request=httpx2.Request("POST", "http://x"), headers={"retry-after": "3"}, json={})
    error = sdk.APIStatusError("No", response=response, body=None)
    assert (error.response, error.status_code) == (response, 429)
    assert issubclass(sdk.APIStatusError, sdk.APIError)
    assert issubclass(sdk.APITimeoutError, sdk.APIConnectionError)
    assert not issubclass(sdk.APIConnectionError, sdk.APIStatusError)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 503, 529])
async def test_every_status_is_an_error_of_that_kind(entrance: Entrance, server: PracticeServer, status: int) -> None:
    server.reply(status=status, error="It broke")
    with pytest.raises(entrance.sdk.APIStatusError) as raised:
        await entrance.post({**entrance.asked, "model": "m", "stream": True}, max_retries=0)
    assert raised.value.status_code == status
    assert b"It broke" in raised.value.response.content
    assert len(server.requests) == 1
    await entrance.client.close()


def test_what_is_looked_for_in_httpx_is_there_while_it_is_loaded() -> None:
    looking = inspect.getsource(import_module("openai._httpx2"))
    assert set(re.findall(r"\bmodule\.(\w+)", looking)) <= {*LOOKED_AT} <= set(httpx.__all__)


@pytest.mark.parametrize("sdk", [openai, anthropic])
def test_clients_take_what_we_give(sdk: Any) -> None:
    client = sdk.AsyncOpenAI if sdk is openai else sdk.AsyncAnthropic
    given = {"api_key", "base_url", "default_headers", "timeout", "max_retries", "http_client"}
    assert given <= parameters(client)
    assert {"cast_to", "content", "options", "stream", "stream_cls"} <= parameters(client.post)
    assert issubclass(sdk.DefaultAsyncHttpxClient, httpx2.AsyncClient)


# google-genai: a client of ours, through which every request passes


def test_google_takes_a_client_of_ours() -> None:
    fields = types.HttpOptions.model_fields
    assert {"base_url", "headers", "timeout", "retry_options", "httpx_async_client"} <= set(fields)
    assert {"attempts"} <= set(types.HttpRetryOptions.model_fields)
    assert "http_options" in types.GenerateContentConfig.model_fields
    assert "disable" in types.AutomaticFunctionCallingConfig.model_fields
    assert issubclass(errors.APIError, Exception)


@pytest.mark.parametrize("stream", [True, False])
async def test_googles_requests_pass_through_it(server: PracticeServer, stream: bool) -> None:
    """Its `send` is given every request, whole; an empty answer of its own is taken for one."""
    seen: list[httpx2.Request] = []

    class Client(httpx2.AsyncClient):
        async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
            seen.append(request)
            return httpx2.Response(200, content=b"", request=request)

    own = Client()
    client = genai.Client(http_options=types.HttpOptions(base_url=server.url, httpx_async_client=own))
    if stream:
        stream_ = await client.aio.models.generate_content_stream(model="m", contents="-")
        assert [chunk async for chunk in stream_] == []
    else:
        await client.aio.models.generate_content(model="m", contents="-")
    [request] = seen
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    assert str(request.url) == f"{server.url}/v1/models/m:{verb}"
    assert request.headers["x-goog-api-key"] == "practice-key"
    assert server.requests == []
    await own.aclose()
    await client.aio.aclose()
    client.close()


async def test_googles_errors_hold_the_answer(server: PracticeServer) -> None:
    server.reply(status=429, error="It broke", headers={"retry-after": "3"})
    own = httpx2.AsyncClient()
    client = genai.Client(http_options=types.HttpOptions(base_url=server.url, httpx_async_client=own))
    with pytest.raises(errors.APIError) as raised:
        await client.aio.models.generate_content(model="m", contents="-")
    response: Any = raised.value.response
    assert isinstance(response, httpx2.Response)
    assert raised.value.code == response.status_code == 429
    assert response.headers["retry-after"] == "3"
    assert b"It broke" in response.content
    await own.aclose()
    await client.aio.aclose()
    client.close()


async def test_google_leaves_a_config_as_it_is(server: PracticeServer) -> None:
    """One serves for many requests."""
    server.reply(status=503)
    config = types.GenerateContentConfig(
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        http_options=types.HttpOptions(retry_options=types.HttpRetryOptions(attempts=2, initial_delay=0.01)),
    )
    before = config.model_dump()
    own = httpx2.AsyncClient()
    client = genai.Client(http_options=types.HttpOptions(base_url=server.url, httpx_async_client=own))
    async for _ in await client.aio.models.generate_content_stream(model="m", contents="-", config=config):
        pass
    await client.aio.models.generate_content(model="m", contents="-", config=config)
    assert config.model_dump() == before
    assert len(server.requests) == 3
    await own.aclose()
    await client.aio.aclose()
    client.close()


def test_google_speaks_v1() -> None:
    """Which our wire module is written for."""
    client = genai.Client(api_key="practice")
    assert client._api_client._http_options.api_version == "v1"
    client.close()


# ollama: an HTTP client of ours


async def test_ollama_takes_an_http_client_of_ours(server: PracticeServer) -> None:
    """Its `send` is given every request, whole; an empty answer of its own is taken for one."""
    seen: list[httpx.Request] = []

    class HTTPClient(httpx.AsyncClient):
        async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
            seen.append(request)
            return httpx.Response(200, content=b"", request=request)

    class Client(ollama.AsyncClient):
        def __init__(self, **options: Any) -> None:
            super(ollama.AsyncClient, self).__init__(HTTPClient, None, **options)

    client = Client(headers={"x-mine": "1"}, timeout=5.0, limits=httpx.Limits(max_connections=None))
    assert [line async for line in await client.chat(model="m", messages=[], stream=True)] == []
    [request] = seen
    assert str(request.url) == f"{server.url}/api/chat"
    assert request.headers["x-mine"] == "1"
    assert server.requests == []
    await client.close()  # type: ignore[no-untyped-call]


def test_ollamas_error() -> None:
    error = ollama.ResponseError("No", 404)
    assert (error.error, error.status_code, str(error)) == ("No", 404, "No (status code: 404)")
    assert ollama.ResponseError('{"error": "No"}').error == "No"


# httpx and httpx2, which they ride


@pytest.mark.parametrize("http", [httpx, httpx2])
def test_exceptions_of_the_http_libraries(http: Any) -> None:
    """They are told apart by name, since there are two of each."""
    for name in ("ConnectError", "ReadError", "WriteError", "RemoteProtocolError", "CloseError"):
        assert issubclass(getattr(http, name), http.TransportError)
    for name in ("ConnectTimeout", "ReadTimeout", "WriteTimeout", "PoolTimeout"):
        assert issubclass(getattr(http, name), http.TimeoutException)
    assert issubclass(http.TransportError, http.HTTPError)


@pytest.mark.parametrize("http", [httpx, httpx2])
async def test_reading_to_the_end_gives_the_connection_back(http: Any, server: PracticeServer) -> None:
    """And leaving early closes it, once the response is closed."""
    server.default = _slow
    async with http.AsyncClient() as client:
        request = client.build_request("POST", f"{server.url}/v1/messages", json={"messages": [], "stream": True})
        for early in (False, False, True):
            response = await client.send(request, stream=True)
            pieces = response.aiter_bytes()
            await anext(pieces)
            if not early:
                with contextlib.suppress(StopAsyncIteration):
                    while True:
                        await anext(pieces)
            await response.aclose()
            await pieces.aclose()
            await asyncio.sleep(0.02)
        assert len({request.connection for request in server.requests}) == 1
        assert await server.requests[-1].closed(60)


def _slow(_: Any) -> Any:
    from llmring.testing import Reply

    return Reply(chunks=["x"] * 10, interval=0.01)


def test_where_each_goes_if_it_is_told_nothing(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(name, "practice")
    service = LLMRing()
    clients = {name: service.get_provider(name).client for name in SDKS}
    addresses = {
        "openai": clients["openai"].base_url,
        "anthropic": clients["anthropic"].base_url,
        "google": clients["google"]._api_client._http_options.base_url,
        "ollama": clients["ollama"]._client.base_url,
    }
    assert {name: str(it).rstrip("/") for name, it in addresses.items()} == {it: SDKS[it].home for it in SDKS}


def test_the_fields_that_are_counted_are_those_that_the_sdks_count() -> None:
    from anthropic.types import MessageCountTokensParams
    from openai.types.responses import InputTokenCountParams

    for vendor, params in (("anthropic", MessageCountTokensParams), ("openai", InputTokenCountParams)):
        assert {*of_vendors("counting")[vendor]["fields"]} <= {*params.__annotations__}
    assert {"model", "contents", "config"} <= parameters(genai.Client(api_key="-").aio.models.count_tokens)
    assert "http_options" in types.CountTokensConfig.model_fields


async def test_the_sdks_count_at_the_paths_that_we_ask(
    server: PracticeServer, openai_client: openai.AsyncOpenAI, anthropic_client: anthropic.AsyncAnthropic
) -> None:
    server.reply(usage=Tokens(7, 0), wire="counting", times=3)
    turns: Any = [{"role": "user", "content": "Hi"}]
    assert (await openai_client.responses.input_tokens.count(model="m", input="Hi")).input_tokens == 7
    assert (await anthropic_client.messages.count_tokens(model="m", messages=turns)).input_tokens == 7
    client = genai.Client(api_key="practice", http_options=types.HttpOptions(base_url=server.url))
    assert (await client.aio.models.count_tokens(model="m", contents="Hi")).total_tokens == 7
    await client.aio.aclose()
    paths = [request.path for request in server.requests]
    rows = of_vendors("counting")
    assert paths == [f"/v1{rows['openai']['path']}", rows["anthropic"]["path"], "/v1/models/m:countTokens"]
    await openai_client.close()
    await anthropic_client.close()
