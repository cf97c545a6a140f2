"""What we rely on of the official SDKs. One of these fails when a new version has moved."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable
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
from llmring.providers.vendors import SDKS
from llmring.testing import PracticeServer


def parameters(function: Callable[..., Any]) -> set[str]:
    return set(inspect.signature(function).parameters)


@pytest.fixture
def server(server: PracticeServer) -> PracticeServer:
    """A practice server that takes the next to nothing that is sent here."""
    server.lenient = True
    return server


@pytest.fixture
def openai_client(server: PracticeServer) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(max_retries=0)


@pytest.fixture
def anthropic_client(server: PracticeServer) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(max_retries=0)


ENTRANCES = ["openai.chat.completions", "openai.responses", "anthropic.messages"]


@pytest.fixture(params=ENTRANCES)
def entrance(
    request: pytest.FixtureRequest, openai_client: openai.AsyncOpenAI, anthropic_client: anthropic.AsyncAnthropic
) -> Any:
    """One of the objects with a `create`."""
    name, *path = request.param.split(".")
    found: Any = openai_client if name == "openai" else anthropic_client
    for step in path:
        found = getattr(found, step)
    return found


# openai and anthropic: bytes through `with_streaming_response`


def test_create_takes_what_we_give(entrance: Any) -> None:
    assert {"extra_body", "extra_headers", "timeout", "stream", "model"} <= parameters(entrance.create)
    assert parameters(entrance.with_streaming_response.create) >= {"extra_body", "timeout", "stream", "model"}


def test_anthropics_create_has_no_sampling_parameters(anthropic_client: anthropic.AsyncAnthropic) -> None:
    known = parameters(anthropic_client.messages.create)
    assert not {"temperature", "top_p", "top_k", "seed"} & known
    assert {"max_tokens", "messages", "system", "stop_sequences", "output_config", "thinking"} <= known


@pytest.mark.parametrize("stream", [True, False])
async def test_extra_body_is_the_body(entrance: Any, server: PracticeServer, stream: bool) -> None:
    """It wins over the arguments, key by key, and the bytes of the answer come as they are."""
    body = {"model": "mine", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 7, "x": {"a": [1]}}
    if "responses" in type(entrance).__name__.lower():
        body = {"model": "mine", "input": "Hi", "x": {"a": [1]}}
    needed: dict[str, Any] = {"model": ""}
    if "messages" in parameters(entrance.create):
        needed["messages"] = ()
    if "max_tokens" in parameters(entrance.create) and "Anthropic" in type(entrance._client).__name__:
        needed["max_tokens"] = 1
    manager = entrance.with_streaming_response.create(stream=stream, extra_body=body, timeout=5.0, **needed)
    answer = await manager.__aenter__()
    response = answer.http_response
    assert isinstance(response, httpx2.Response)
    data = b"".join([piece async for piece in response.aiter_bytes()])
    await response.aclose()
    assert b" said" in data
    assert data.startswith((b"data:", b"event:") if stream else b"{")
    sent = server.requests[0].body
    assert {key: sent[key] for key in body} == body
    assert set(sent) - set(body) <= {"stream"}
    await entrance._client.close()


async def test_leaving_a_response_early_closes_its_connection(entrance: Any, server: PracticeServer) -> None:
    """`aclose` of the response does, and nothing else of the SDK has to be closed with it."""
    server.reply(chunks=["x"] * 1000, interval=0.05)
    needed: dict[str, Any] = {"messages": ()} if "messages" in parameters(entrance.create) else {"input": ()}
    if "Anthropic" in type(entrance._client).__name__:
        needed["max_tokens"] = 1
    answer = await entrance.with_streaming_response.create(model="m", stream=True, **needed).__aenter__()
    pieces = answer.http_response.aiter_bytes()
    await anext(pieces)
    await answer.http_response.aclose()
    await pieces.aclose()
    assert await server.requests[0].closed(60)
    await entrance._client.close()


@pytest.mark.parametrize("sdk", [openai, anthropic])
def test_errors_of_a_status_hold_the_answer(sdk: Any) -> None:
    response = httpx2.Response(429, request=httpx2.Request("POST", "http://x"), headers={"retry-after": "3"}, json={})
    error = sdk.APIStatusError("No", response=response, body=None)
    assert (error.response, error.status_code) == (response, 429)
    assert issubclass(sdk.APIStatusError, sdk.APIError)
    assert issubclass(sdk.APITimeoutError, sdk.APIConnectionError)
    assert not issubclass(sdk.APIConnectionError, sdk.APIStatusError)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 503, 529])
async def test_every_status_is_an_error_of_that_kind(entrance: Any, server: PracticeServer, status: int) -> None:
    sdk: Any = anthropic if "Anthropic" in type(entrance._client).__name__ else openai
    needed: dict[str, Any] = {"messages": ()} if "messages" in parameters(entrance.create) else {"input": ()}
    if sdk is anthropic:
        needed["max_tokens"] = 1
    server.reply(status=status, error="It broke")
    with pytest.raises(sdk.APIStatusError) as raised:
        await entrance.with_streaming_response.create(model="m", stream=True, **needed).__aenter__()
    assert raised.value.status_code == status
    assert b"It broke" in raised.value.response.content
    await entrance._client.close()


@pytest.mark.parametrize("sdk", [openai, anthropic])
def test_clients_take_what_we_give(sdk: Any) -> None:
    client = sdk.AsyncOpenAI if sdk is openai else sdk.AsyncAnthropic
    given = {"api_key", "base_url", "default_headers", "timeout", "max_retries", "http_client"}
    assert given <= parameters(client)
    assert "max_retries" in parameters(client.with_options)
    assert issubclass(sdk.DefaultAsyncHttpxClient, httpx2.AsyncClient)


async def test_a_copy_with_other_retries_shares_the_connections(openai_client: openai.AsyncOpenAI) -> None:
    assert openai_client.with_options(max_retries=7)._client is openai_client._client
    assert str(openai_client.base_url).startswith("http://127.0.0.1")
    await openai_client.close()


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
