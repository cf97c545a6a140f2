"""Whatever bytes come over a socket: text or an `LLMRingError`, in time, with one final chunk, which is the last."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Coroutine, Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmring import LLMRequest, LLMRing
from llmring.exceptions import LLMRingError, ProviderError
from llmring.testing import Fault, Reply, Tokens, ToolCallScript
from llmring.testing.exchange import RecordedRequest
from llmring.testing.script import script
from llmring.testing.wires import FORMATS

from .ground import PROVIDERS, Ground, ask, ground

TIMEOUT = 60.0
SHORT = 0.3
"""The timeout where a server stalls."""

RICH = Reply(
    chunks=["One", " two", " thrée", " 四"],
    reasoning=["Hm", "m."],
    tool_calls=[ToolCallScript("f", {"x": [1, "é"]}), ToolCallScript("g")],
    usage=Tokens(7, 5, cache_read=2, reasoning=1),
)
EXAMPLES = int(os.environ.get("EXAMPLES", "40"))
"""More of them find more: `EXAMPLES=2000 python -m pytest tests/faults/test_properties.py`."""

moderately = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
on_every_wire = pytest.mark.parametrize("wire", PROVIDERS)


def recording(wire: str, *, stream: bool) -> list[bytes]:
    """The answer of a wire, piece by piece."""
    body = {"stream_options": {"include_usage": True}}
    request = RecordedRequest(wire, "POST", "/", {}, {}, b"", body=body, model="m", stream=stream)
    return [piece.data for piece in script(RICH, request, FORMATS[wire]).pieces]


class Field:
    """A service that goes on from example to example, in a loop that does.

    Attributes:
        raw: what a second server answers anyone with, before it closes.
    """

    def __init__(self, practice: Ground, runner: asyncio.Runner) -> None:
        self.practice = practice
        self.runner = runner
        self.raw = b""
        self.server = runner.run(asyncio.start_server(self.answer, "127.0.0.1", 0))
        practice.places["raw-"] = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        practice.bind({})
        self.service: LLMRing = practice.service(timeout=TIMEOUT, max_retries=0)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(h[15:]) for h in head.lower().split(b"\r\n") if h.startswith(b"content-length:"))
            await reader.readexactly(length)
            writer.write(self.raw)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def streamed(self, reference: str, reply: Reply | None = None, timeout: float = TIMEOUT) -> str:
        """What a stream came to."""
        return self.run(stream(self.service, ask(reference, timeout=timeout)), reply)

    def whole(self, reference: str, reply: Reply | None = None) -> str:
        """What an answer came to."""
        return self.run(whole(self.service, ask(reference)), reply)

    def run(self, outcome: Coroutine[Any, Any, str], reply: Reply | None) -> str:
        """Run it, with the server answering so. Nothing waits for the longer timeout."""
        if reply is not None:
            self.practice.server.default = reply
        began = time.monotonic()
        said = self.runner.run(outcome)
        assert time.monotonic() - began < TIMEOUT
        return said


async def stream(service: LLMRing, request: LLMRequest) -> str:
    said, finals, failure = "", [], None
    chunks = service.chat_stream(request)
    try:
        async for chunk in chunks:
            said += chunk.delta
            assert chunk.model == request.model
            finals.append(chunk.finish_reason is not None)
            if not finals[-1]:
                assert (chunk.usage, chunk.response_model, chunk.parsed, chunk.skipped_events) == (None, None, None, 0)
    except LLMRingError as error:
        failure = error
    if failure is not None:
        assert not any(finals)
        assert isinstance(failure, ProviderError)
        assert (failure.partial.content if failure.partial else "") == said
        str(failure).encode()
    else:
        assert finals.count(True) == 1
        assert finals[-1]
        for call in chunks.response.tool_calls or ():
            json.loads(call["function"]["arguments"])
    assert chunks.response.content == said
    assert [chunk async for chunk in chunks] == []
    return said


async def whole(service: LLMRing, request: LLMRequest) -> str:
    try:
        response = await service.chat(request)
    except LLMRingError as error:
        str(error).encode()
        return ""
    assert response.model == request.model
    assert response.finish_reason is not None
    return response.content


@pytest.fixture(scope="module")
def field() -> Iterator[Field]:
    with ground() as practice, asyncio.Runner() as runner:
        made = Field(practice, runner)
        for provider in PROVIDERS.values():
            runner.run(made.service.chat(ask(f"{provider}:m", timeout=20)))
        yield made
        runner.run(made.service.close())
        made.server.close()
        runner.run(made.server.wait_closed())


# Bytes

SCRAPS = [
    *(
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"data:",
        b"data: ",
        b"event: ",
        b": ",
        b"[DONE]",
        b"\xef\xbb\xbf",
        b"\xff",
        b"\0",
    ),
    *(
        b"null",
        b"true",
        b"-1",
        b"1e999",
        b"9" * 400,
        b'""',
        b'"x"',
        b"{}",
        b"[]",
        b"[" * 3000,
        b'"\\ud800"',
        b"\\",
        b'"',
    ),
    *(b'"error":', b'{"error":{"message":"no","code":503}}', b'"done":true', b"1\r\n", b"0\r\n\r\n", b"ffffffffff\r\n"),
]
scraps = st.sampled_from(SCRAPS) | st.binary(max_size=6)
places = st.floats(0, 1)
changes = st.lists(
    st.tuples(st.sampled_from(["insert", "delete", "double", "set"]), places, places, scraps), max_size=4
)


def changed(data: bytes, how: list[tuple[str, float, float, bytes]]) -> bytes:
    """The bytes with these changes."""
    for kind, at, more, scrap in how:
        start = int(at * len(data))
        end = start + int(more * more * 200)
        replacement = {"insert": data[start:end], "delete": b"", "double": data[start:end] * 2, "set": b""}[kind]
        replacement += scrap if kind in ("insert", "set") else b""
        data = data[:start] + replacement + data[end:]
    return data


def cut(data: bytes, where: list[float]) -> list[bytes]:
    """The bytes in pieces."""
    at = sorted({int(place * len(data)) for place in where} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(at)] or [data]


endings = st.sampled_from([None] * 12 + [Fault.cut_after(1), Fault.reset_after(2), Fault.stall_after(2), Fault.gzip()])


@on_every_wire
@moderately
@given(how=changes, where=st.lists(places, max_size=12), ending=endings)
def test_a_stream_changed_anywhere_and_cut_anywhere(
    field: Field, wire: str, how: list[tuple[str, float, float, bytes]], where: list[float], ending: Fault | None
) -> None:
    pieces = cut(changed(b"".join(recording(wire, stream=True)), how), where)
    reply = Reply(body=pieces, content_type="text/event-stream", fault=ending or ())
    said = field.streamed(f"{PROVIDERS[wire]}:m", reply, SHORT if ending and ending.kind == "stall" else TIMEOUT)
    if not how and (ending is None or ending.kind == "gzip"):
        assert said == "One two thrée 四"


@on_every_wire
@moderately
@given(how=changes)
def test_an_answer_changed_anywhere(field: Field, wire: str, how: list[tuple[str, float, float, bytes]]) -> None:
    body = changed(b"".join(recording(wire, stream=False)), how)
    said = field.whole(f"{PROVIDERS[wire]}:m", Reply(body=body, content_type="application/json"))
    if not how:
        assert said == "One two thrée 四"


@on_every_wire
@moderately
@given(status=st.integers(200, 599), body=st.binary(max_size=300) | st.sampled_from(SCRAPS))
def test_any_status_with_any_body(field: Field, wire: str, status: int, body: bytes) -> None:
    reply = Reply(status=status, body=body, content_type="application/json")
    field.streamed(f"{PROVIDERS[wire]}:m", reply)
    field.whole(f"{PROVIDERS[wire]}:m", reply)


# JSON

VALUES: list[Any] = [
    *(None, True, False, 0, -1, 2**70, 1e308, float("inf"), float("nan"), "", "x", "é", "\ud800", "a" * 5000),
    *([], [None], [[]], ["x"], [{}], {}, {"type": "x"}, {"text": None}, {"": ""}, {"error": "no"}),
]


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside a value."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in inner:
        yield from paths(below, (*path, key))


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The value with another at that place."""
    if not path:
        return new
    copy: Any = value.copy()
    copy[path[0]] = put(copy[path[0]], path[1:], new)
    return copy


def bent(event: bytes, at: float, new: Any) -> bytes:
    """An event, or an answer, with one value in its JSON replaced."""
    start, end = event.find(b"{"), event.rfind(b"}") + 1
    if start < 0:
        return event
    value = json.loads(event[start:end])
    everywhere = list(paths(value))
    other = put(value, everywhere[int(at * (len(everywhere) - 1))], new)
    return event[:start] + json.dumps(other).encode() + event[end:]


bends = st.lists(st.tuples(places, places, st.sampled_from(VALUES)), min_size=1, max_size=3)


@on_every_wire
@moderately
@given(how=bends)
def test_a_stream_of_other_values(field: Field, wire: str, how: list[tuple[float, float, Any]]) -> None:
    events = recording(wire, stream=True)
    for which, at, new in how:
        index = int(which * (len(events) - 1))
        events[index] = bent(events[index], at, new)
    field.streamed(f"{PROVIDERS[wire]}:m", Reply(body=events, content_type="text/event-stream"))


@on_every_wire
@moderately
@given(how=bends)
def test_an_answer_of_other_values(field: Field, wire: str, how: list[tuple[float, float, Any]]) -> None:
    (body,) = recording(wire, stream=False)
    for _, at, new in how:
        body = bent(body, at, new)
    field.whole(f"{PROVIDERS[wire]}:m", Reply(body=body, content_type="application/json"))


# HTTP

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@on_every_wire
@moderately
@given(how=changes, head=st.lists(st.tuples(places, scraps), max_size=2))
def test_http_changed_anywhere(
    field: Field, wire: str, how: list[tuple[str, float, float, bytes]], head: list[tuple[float, bytes]]
) -> None:
    framed = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in recording(wire, stream=True)) + b"0\r\n\r\n"
    lines = changed(HEAD, [("insert", at, 0.0, scrap) for at, scrap in head])
    field.raw = lines + changed(framed, how)
    said = field.streamed(f"raw-{PROVIDERS[wire]}:m")
    if not how and not head:
        assert said == "One two thrée 四"
