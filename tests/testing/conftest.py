"""A practice server, and a client that hides nothing of what it sends."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import h11
import pytest

from llmring.testing import PracticeServer

WIRES = ("openai-chat", "openai-responses", "anthropic", "gemini", "ollama")


BY_HAND = (sys.executable, "-X", "dev", "-W", "error", "-m", "llmring.testing")


@contextmanager
def by_hand(*options: str) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """A server that was started by hand: its process, its address, and the lines that it has printed."""
    pipe = subprocess.PIPE
    with subprocess.Popen([*BY_HAND, *options], stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        try:
            lines = process.stdout.read().splitlines()
            yield process, next(it for it in lines if "OLLAMA_HOST=" in it).partition("=")[2], lines
        finally:
            process.kill()


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def request_of(wire: str, stream: bool, question: str = "hi") -> tuple[str, dict[str, Any]]:
    """Path and body of a question on that wire."""
    turns = [{"role": "user", "content": question}]
    if wire == "gemini":
        verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"/v1/models/m:{verb}", {"contents": [{"role": "user", "parts": [{"text": question}]}]}
    if wire == "openai-responses":
        return "/v1/responses", {"model": "m", "input": question, "stream": stream}
    if wire == "openai-chat":
        options = {"stream_options": {"include_usage": True}} if stream else {}
        return "/v1/chat/completions", {"model": "m", "messages": turns, "stream": stream, **options}
    if wire == "ollama":
        return "/api/chat", {"model": "m", "messages": turns, "stream": stream}
    return "/v1/messages", {"model": "m", "max_tokens": 99, "messages": turns, "stream": stream}


@dataclass
class Received:
    """What came back, as far as it came.

    Attributes:
        chunks: the HTTP chunks, as they were framed.
        error: how the answer broke off: "silence", "reset" or "cut"; "" if HTTP calls it whole.
    """

    status: int = 0
    headers: dict[str, str] | None = None
    chunks: list[bytes] | None = None
    error: str = ""

    @property
    def body(self) -> bytes:
        """All that came, decompressed."""
        body = b"".join(self.chunks or [])
        zipped = (self.headers or {}).get("content-encoding") == "gzip"
        return zlib.decompressobj(wbits=31).decompress(body) if zipped else body


class Raw:
    """One connection to a server."""

    def __init__(self, server: PracticeServer):
        self.socket = socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1])))
        self.http = h11.Connection(h11.CLIENT)

    def send(self, wire: str, stream: bool = True, question: str = "hi") -> None:
        path, asked = request_of(wire, stream, question)
        body = json.dumps(asked).encode()
        headers = [("host", "practice"), ("content-length", str(len(body)))]
        self.socket.sendall(self.http.send(h11.Request(method="POST", target=path, headers=headers)) or b"")
        self.socket.sendall(self.http.send(h11.Data(data=body)) or b"")
        self.http.send(h11.EndOfMessage())

    def receive(self, patience: float = 5.0) -> Received:
        self.socket.settimeout(patience)
        got = Received(chunks=[])
        assert got.chunks is not None
        try:
            while True:
                event = self.http.next_event()
                if event is h11.NEED_DATA:
                    self.http.receive_data(self.socket.recv(1 << 16))
                elif isinstance(event, h11.Response):
                    got.status = event.status_code
                    got.headers = {name.decode(): value.decode() for name, value in event.headers}
                elif isinstance(event, h11.Data):
                    if event.chunk_start or not got.chunks:
                        got.chunks.append(b"")
                    got.chunks[-1] += bytes(event.data)
                else:
                    return got
        except TimeoutError:
            got.error = "silence"
        except ConnectionResetError:
            got.error = "reset"
        except h11.RemoteProtocolError:
            got.error = "cut"
        return got


Ask = Callable[..., Received]


@pytest.fixture
def ask(server: PracticeServer) -> Iterator[Ask]:
    """Ask on a wire over a fresh connection; what comes back, byte for byte."""
    opened: list[Raw] = []

    def ask(wire: str, stream: bool = True, patience: float = 5.0, question: str = "hi") -> Received:
        raw = Raw(server)
        opened.append(raw)
        raw.send(wire, stream, question)
        return raw.receive(patience)

    yield ask
    for raw in opened:
        raw.socket.close()


@pytest.fixture
def raw(server: PracticeServer) -> Iterator[Callable[[], Raw]]:
    opened: list[Raw] = []

    def connect() -> Raw:
        opened.append(Raw(server))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.socket.close()


@pytest.fixture
def parse() -> Callable[[str, bytes], list[Any]]:
    return events_of


@pytest.fixture
def text_in() -> Callable[[str, Any], str]:
    return text_of


def events_of(wire: str, body: bytes) -> list[Any]:
    """The JSON of each event, "[DONE]" as it is; bytes for what is not JSON."""
    out: list[Any] = []
    for line in re.split(rb"\r\n|\r|\n", body.removeprefix(b"\xef\xbb\xbf")):
        if wire == "ollama":
            data = line
        else:
            assert line.startswith((b"data: ", b"event: ", b":")) or not line
            data = line[6:] if line.startswith(b"data: ") else b""
        if data == b"[DONE]":
            out.append("[DONE]")
        elif data:
            try:
                out.append(json.loads(data))
            except ValueError:
                out.append(data)
    return out


def text_of(wire: str, event: Any) -> str:
    """The answer's text in one event."""
    if not isinstance(event, dict):
        return ""
    if wire == "openai-chat":
        return "".join(choice["delta"].get("content") or "" for choice in event.get("choices", []))
    if wire == "openai-responses":
        return event["delta"] if event["type"] == "response.output_text.delta" else ""
    if wire == "anthropic":
        return event.get("delta", {}).get("text", "") if event["type"] == "content_block_delta" else ""
    if wire == "gemini":
        parts = [p for c in event.get("candidates", []) for p in c["content"]["parts"]]
        return "".join(part.get("text", "") for part in parts)
    return str(event.get("message", {}).get("content", ""))
