"""A vendor without an SDK: what an author writes is one class and one decoder, and what they get is the rest.

The vendor is made up: its events go by their names, its key has a header of its own, it says usage in two places.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from llmring import LLMRequest, LLMRing, Message
from llmring.exceptions import (
    ConfigurationError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderRateLimitError,
    ProviderResponseError,
)
from llmring.providers import (
    Call,
    Decoder,
    Dialect,
    HTTPProvider,
    LineFrames,
    NamedSSEFrames,
    ProviderConfig,
    StreamChunk,
    WireError,
    plain_text,
    present,
    usage_of,
)
from llmring.schemas import FinishReason
from llmring.testing import Fault, PracticeServer, RecordedRequest, Reply
from llmring.testing.conformance import Answer, Asked, Event, Problem, ScriptServer, WireScript

KEY = "practice-of-mint-1234567890"

_WHY: Mapping[str, FinishReason] = {"done": "stop", "too much": "length", "tools": "tool_calls"}


class MintDecoder(Decoder):
    frames: ClassVar[type[LineFrames]] = NamedSSEFrames
    end_marker = "event: end"

    def feed(self, event: Any) -> StreamChunk | None:
        data = event["data"]
        match event["event"]:
            case "begin":
                self.response_model, self.usage = data["model"], usage_of(data["in"], 0)
            case "text":
                return StreamChunk(data["say"], self.model)
            case "thought":
                return StreamChunk("", self.model, data["say"])
            case "call":
                self.calls.start(data["number"], data["tool"], data["id"], arriving=True)
                return StreamChunk("", self.model, tool_calls=self.calls.snapshot())
            case "with":
                self.calls.extend(data["number"], data["piece"])
                return StreamChunk("", self.model, tool_calls=self.calls.snapshot())
            case "end":
                self._end(data)
                self.ended = self.complete = True
            case "failure":
                raise WireError(data["text"], data.get("status"), (data["kind"],), enveloped=True)
        return None

    def feed_answer(self, answer: Any) -> StreamChunk | None:
        self.response_model = answer["model"]
        for number, call in enumerate(answer["calls"]):
            self.calls.start(number, call["tool"], call["id"], call["with"])
        self._end(answer)
        return StreamChunk(answer["text"], self.model)

    def _end(self, data: dict[str, Any]) -> None:
        self.finish_reason = _WHY.get(data["why"], "other")
        self.usage = usage_of(data["in"], data["out"])


class Mint(HTTPProvider):
    headers: ClassVar[Mapping[str, str]] = {"X-Mint-Key": "{key}", "Mint-Version": "2026-01-01"}

    def path(self, call: Call) -> str:
        return f"/engines/{call.model}/{'stream' if call.stream else 'answer'}"

    def render(self, call: Call) -> dict[str, Any]:
        turns = [[it.role, plain_text(it, "a turn")] for it in call.request.messages]
        return {"turns": turns, **present(heat=call.request.temperature), **call.request.extra_params}

    def decoder(self, call: Call) -> Decoder:
        return MintDecoder(f"{self.name}:{call.model}")


# The vendor


def events(*given: tuple[str, dict[str, Any]]) -> bytes:
    return b"".join(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode() for name, data in given)


CALL = {"tool": "look", "id": "c-1", "with": {"at": "sky"}}
STREAM: list[tuple[str, dict[str, Any]]] = [
    ("begin", {"model": "mint-2", "in": 7}),
    ("thought", {"say": "Hm."}),
    ("text", {"say": "Grü"}),
    ("sunshine", {"nobody": "knows it"}),
    ("text", {"say": "ße"}),
    ("call", {"number": 0, "tool": "look", "id": "c-1"}),
    ("with", {"number": 0, "piece": '{"at": '}),
    ("with", {"number": 0, "piece": '"sky"}'}),
    ("end", {"why": "tools", "in": 7, "out": 5}),
]
ANSWER = {"model": "mint-2", "text": "Grüße", "calls": [CALL], "why": "tools", "in": 7, "out": 5}


def streamed(*given: tuple[str, dict[str, Any]], pieces: int = 0) -> Reply:
    body = events(*(given or STREAM))
    cut: Iterable[bytes] = (body[at : at + pieces] for at in range(0, len(body), pieces)) if pieces else [body]
    return Reply(body=[*cut], content_type="text/event-stream")


def whole(answer: Any = ANSWER) -> Reply:
    return Reply(body=json.dumps(answer).encode(), content_type="application/json")


def ask(**more: Any) -> LLMRequest:
    return LLMRequest(model="mint:m-1", messages=[Message(role="user", content="Hi")], **more)


class AnyPath(WireScript):
    """Each test says what is answered, whatever it is asked."""

    def read(self, request: RecordedRequest) -> Asked:
        return Asked(model="", stream=False, texts=["Hi"])

    def events(self, answer: Answer) -> Iterator[Event]:
        return iter(())

    def body(self, answer: Answer) -> Any:
        return {}

    def error(self, problem: Problem) -> Any:
        return {"oh": problem.message}


@pytest.fixture
def server(bare: Path) -> Iterator[ScriptServer]:
    with ScriptServer(AnyPath()) as server:
        yield server


@pytest.fixture
def service(server: PracticeServer) -> LLMRing:
    service = LLMRing(max_retries=0)

    class Own(Mint):
        dialect = Dialect(
            "mint",
            base_url=f"{server.url}/mint/",
            key_variables=["MINT_KEY"],
            statuses={"crowded": 429},
        )

    service.register_provider("mint", Own, api_key=KEY)
    return service


async def test_a_refusal_in_place_of_a_stream_is_read_as_any_other(server: PracticeServer) -> None:
    """A vendor that says of all that it is well, with a status of 200."""

    class Polite(Mint):
        dialect = Dialect("mint", base_url=f"{server.url}/mint/", key_variables=["MINT_KEY"])

        def read_error(self, body: bytes, status: int, headers: Mapping[str, str]) -> WireError:
            said = json.loads(body)["fault"]
            return WireError(said["say"], {11: 401, 21: 404}[said["no"]], enveloped=True)

    async with LLMRing(max_retries=0) as service:
        service.register_provider("mint", Polite, api_key=KEY)
        server.reply(whole({"ok": False, "fault": {"no": 11, "say": "pass unknown"}}))
        with pytest.raises(ProviderAuthenticationError, match="pass unknown"):
            await service.chat_stream(ask()).final_response()


@pytest.mark.parametrize("model", ["llama3:8b", "../../admin", "..", "m?x=1#y", "a/b%2fc"])
async def test_whatever_a_model_is_called_it_is_one_segment_of_the_path(
    model: str, service: LLMRing, server: PracticeServer
) -> None:
    server.reply(whole())
    await service.chat(ask().model_copy(update={"model": f"mint:{model}"}))
    # The server has undone the encoding, as the vendor's would.
    assert server.requests[0].path == f"/mint/engines/{model}/answer"
    await service.close()


@pytest.mark.parametrize("pieces", [0, 1, 7, 50])
async def test_streamed_in_every_cut(pieces: int, service: LLMRing, server: PracticeServer) -> None:
    server.reply(streamed(pieces=pieces))
    async with service:
        response = await service.chat_stream(ask(temperature=0.5)).final_response()
    assert (response.content, response.reasoning) == ("Grüße", "Hm.")
    assert (response.finish_reason, response.response_model) == ("tool_calls", "mint-2")
    assert response.usage == {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    assert response.tool_calls == [
        {"id": "c-1", "type": "function", "function": {"name": "look", "arguments": '{"at": "sky"}'}}
    ]
    [request] = server.requests
    assert request.path == "/mint/engines/m-1/stream"
    assert request.body == {"turns": [["user", "Hi"]], "heat": 0.5}
    assert request.headers["x-mint-key"] == KEY
    assert request.headers["mint-version"] == "2026-01-01"
    assert request.headers["content-type"] == "application/json"
    assert "authorization" not in request.headers


async def test_a_whole_answer(service: LLMRing, server: PracticeServer) -> None:
    server.reply(whole())
    async with service:
        response = await service.chat(ask())
    assert response.content == "Grüße"
    assert response.tool_calls is not None
    assert response.tool_calls[0]["function"]["arguments"] == '{"at":"sky"}'
    assert server.requests[0].path == "/mint/engines/m-1/answer"


async def test_failures(service: LLMRing, server: PracticeServer, caplog: pytest.LogCaptureFixture) -> None:
    async with service:
        server.reply(Reply(status=401, error=f"no key {KEY}"))
        with pytest.raises(ProviderAuthenticationError) as found:
            await service.chat(ask())
        assert found.value.status_code == 401
        assert type(found.value.original).__name__ == "HTTPStatusError"
        assert KEY not in f"{found.value} {found.value.original!r} {vars(found.value)}"
        server.reply(Reply(status=429, error="slowly", retry_after=2))
        with pytest.raises(ProviderRateLimitError) as late:
            await service.chat(ask())
        assert late.value.retry_after == 2
        server.reply(streamed(*STREAM[:3], ("failure", {"kind": "crowded", "text": "Come back."})))
        with pytest.raises(ProviderRateLimitError) as crowded:
            await service.chat_stream(ask()).final_response()
        assert crowded.value.partial is not None
        assert crowded.value.partial.content == "Grü"
        server.reply(streamed(*STREAM[:5]))
        with pytest.raises(ProviderConnectionError, match="event: end"):
            await service.chat_stream(ask()).final_response()
        server.reply(whole({"no": "answer"}))
        with pytest.raises(ProviderResponseError, match="no answer of this API"):
            await service.chat(ask())
        server.reply(streamed(*STREAM[:3], ("text", {"tell": "?"}), ("end", {"why": "done", "in": 7, "out": 5})))
        response = await service.chat_stream(ask()).final_response()
        assert (response.content, response.skipped_events) == ("Grü", 1)
        assert "left out an event" in caplog.text
        server.reply(Reply(fault=Fault.hang_up()))
        with pytest.raises(ProviderConnectionError):
            await service.chat(ask())
    assert KEY not in caplog.text


@pytest.mark.parametrize(("status", "followed"), [(307, True), (302, False)])
async def test_a_redirect(status: int, followed: bool, service: LLMRing, server: PracticeServer) -> None:
    server.reply(Reply(status=status, headers={"location": "/elsewhere"}, body=b""))
    server.reply(whole())
    async with service:
        if followed:
            assert (await service.chat(ask())).content == "Grüße"
            assert server.requests[-1].path == "/elsewhere"
        else:
            with pytest.raises(ProviderResponseError, match="redirects to"):
                await service.chat(ask())


async def test_a_stream_that_is_left_is_closed(service: LLMRing, server: PracticeServer) -> None:
    pieces = [events(it) for it in STREAM[:3]] + [b": and so on\n"] * 1000
    server.reply(Reply(body=pieces, content_type="text/event-stream", interval=0.01))
    async with service:
        async for chunk in service.chat_stream(ask()):
            if chunk.delta:
                break
        assert await asyncio.to_thread(server.requests[0].wait_closed)


async def test_headers_and_address_of_the_lockfile(server: PracticeServer) -> None:
    """They take the place of the class's."""
    config = ProviderConfig("mint", key=KEY, base_url=server.url, headers={"x-mint-key": "another", "X-Team": "blue"})
    server.reply(whole())
    async with Mint(config) as mint:
        await mint.chat(ask())
    [request] = server.requests
    assert (request.headers["x-mint-key"], request.headers["x-team"]) == ("another", "blue")
    assert KEY not in str(request.headers)
    assert request.path == "/engines/m-1/answer"


@pytest.mark.parametrize(
    ("base_url", "path", "asked"),
    [
        ("/api", "", "/api"),
        ("/api/", "", "/api/"),
        ("/api/", "/chat", "/api/chat"),
        ("", "chat", "/chat"),
        ("/api?version=3", "chat", "/api/chat"),
    ],
)
async def test_where_it_is_posted(base_url: str, path: str, asked: str, server: PracticeServer) -> None:
    class Somewhere(Mint):
        def path(self, call: Call) -> str:
            return path

    server.reply(whole())
    async with Somewhere(ProviderConfig("mint", base_url=server.url + base_url)) as mint:
        await mint.chat(ask())
    [request] = server.requests
    assert request.path == asked
    assert request.query == ({"version": "3"} if "?" in base_url else {})


async def test_without_a_key_none_is_sent(server: PracticeServer) -> None:
    server.reply(whole())
    async with Mint(ProviderConfig("mint", base_url=server.url)) as mint:
        await mint.chat(ask())
    assert "x-mint-key" not in server.requests[0].headers
    assert server.requests[0].headers["mint-version"] == "2026-01-01"


def test_without_an_address_it_is_none() -> None:
    with pytest.raises(ConfigurationError, match="mint has no address"):
        Mint(ProviderConfig("mint"))


async def test_its_client_is_for_everything_else(service: LLMRing, server: PracticeServer) -> None:
    server.reply(Reply(body=b"[]", content_type="application/json"))
    async with service:
        client: Any = service.get_provider("mint").client
        answer = await client.get("engines")
    assert answer.json() == []
    assert server.requests[0].path == "/mint/engines"
    assert server.requests[0].headers["x-mint-key"] == KEY


def test_it_logs_nothing_that_it_should_not(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert KEY not in repr(Mint(ProviderConfig("mint", key=KEY, base_url="http://127.0.0.1:9")))
    assert KEY not in caplog.text
