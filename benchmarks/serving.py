"""The server process: answers that are encoded once, written as fast as they are taken, or at a steady pace.

The practice server says what is sent, on every wire. It is not asked to send it, since rendering and framing each
chunk anew would leave the clients waiting for it.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from llmring.testing import Reply, ToolCallScript
from llmring.testing.exchange import RecordedRequest
from llmring.testing.script import script
from llmring.testing.wires import Format, route

PER_SECOND = 50
_TICKS = 20  # per interval: streams take turns, since real ones do not send in step
_STAMP = "0000000.000000"
_WHOLE_CALLS = 100


def reply(kind: str, count: int, wire: str) -> Reply:
    """An answer of `count` chunks."""
    words = [f"word{n % 10} " for n in range(count)]  # a client may take always the same one for a fault
    if kind == "reasoning":
        return Reply("Done.", reasoning=words)
    if kind == "calls" and wire in ("gemini", "ollama"):
        # Calls come whole here.
        calls = [ToolCallScript("look_up", {"words": "word " * 20, "page": n}) for n in range(min(count, _WHOLE_CALLS))]
        return Reply(tool_calls=calls)
    if kind == "calls":
        return Reply(tool_calls=[ToolCallScript("look_up", ['{"words": "', *words[2:], '"}'])])
    return Reply(chunks=[_STAMP] if kind in ("paced", "waiting") else words)


def carried(kind: str, count: int, wire: str) -> int:
    """How many chunks of content such an answer has."""
    return min(count, _WHOLE_CALLS) if kind == "calls" and wire in ("google", "ollama") else count


class Answers:
    """Answers as the bytes that travel, encoded when they are first asked for."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, int, str, bool], list[bytes]] = {}

    def get(self, kind: str, count: int, format: Format, stream: bool) -> list[bytes]:
        """The head, and every piece of the body."""
        key = (kind, count, format.NAME, stream)
        if key not in self._made:
            request = RecordedRequest(format.NAME, "POST", "/", {}, {}, b"", {}, "practice-1", stream)
            made = script(reply(kind, count, format.NAME), request, format)
            chunked = not any(name == "content-length" for name, _ in made.headers)
            headers = [*made.headers, *([("transfer-encoding", "chunked")] if chunked else [])]
            head = "".join(("HTTP/1.1 200 OK\r\n", *(f"{name}: {value}\r\n" for name, value in headers), "\r\n"))
            pieces = [_chunk(piece.data) if chunked else piece.data for piece in made.pieces]
            self._made[key] = [head.encode(), *pieces, *([b"0\r\n\r\n"] if chunked else [])]
        return self._made[key]


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._received = bytearray()
        self._queue: list[bytes] = []
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        lines = self._received[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        whole = end + 4 + int(headers.get("content-length", 0))
        if len(self._received) < whole:
            return
        body = bytes(self._received[end + 4 : whole])
        del self._received[:whole]
        method, target, _ = lines[0].split(" ")
        to = route(method, target.partition("?")[0], {}, headers, json.loads(body) if body else None)
        self._server.answer(self, to.format, to.stream)

    def send(self, pieces: list[bytes]) -> None:
        """Write it all, 64 KB at a time, as fast as the client takes it."""
        self._queue = list(_blocks(pieces))[::-1]
        self._drain()

    def _drain(self) -> None:
        while self._queue and not self._paused:
            self.transport.write(self._queue.pop())

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._drain()

    def connection_lost(self, error: Exception | None) -> None:
        self._queue.clear()
        self._server.left(self)


def _blocks(pieces: list[bytes]) -> Iterator[bytes]:
    block = bytearray()
    for piece in pieces:
        block += piece
        if len(block) >= 65_536:
            yield bytes(block)
            block = bytearray()
    yield bytes(block)


class Server:
    """Answers every request with what was asked for on standard input, a line of `KIND COUNT SECONDS`."""

    def __init__(self) -> None:
        self._answers = Answers()
        self._kind, self._count = "text", 1
        self._paced: list[Paced] = []
        self._ends = 0.0

    def choose(self, kind: str, count: int, seconds: float) -> None:
        """From now on, answer with this. `paced` begins when that many clients have asked, and ends that much later."""
        self._kind, self._count = kind, count
        self._seconds, self._ends = seconds, 0.0
        for paced in self._paced:
            paced.connection.transport.abort()
        self._paced.clear()

    def answer(self, to: Connection, format: Format, stream: bool) -> None:
        pieces = self._answers.get(self._kind, self._count, format, stream)
        if self._kind not in ("paced", "waiting"):
            to.send(pieces)
            return
        at = next(n for n, piece in enumerate(pieces) if _STAMP.encode() in piece)
        if self._kind == "waiting":
            to.send(pieces[: at + 1])
            return
        to.send(pieces[:at])
        before, _, after = pieces[at].partition(_STAMP.encode())
        self._paced.append(Paced(to, before, after, b"".join(pieces[at + 1 :])))
        if len(self._paced) == self._count and not self._ends:
            now = asyncio.get_running_loop().time()
            self._ends = now + self._seconds
            self._tick(0, now)

    def left(self, connection: Connection) -> None:
        self._paced = [paced for paced in self._paced if paced.connection is not connection]

    def _tick(self, number: int, due: float) -> None:
        """Send a chunk, stamped with the time, to the streams whose turn it is; at the end, their rest."""
        if due >= self._ends:
            for paced in self._paced:
                paced.connection.transport.write(paced.rest)
            self._paced.clear()
        for paced in self._paced[number % _TICKS :: _TICKS]:
            paced.connection.transport.write(b"%s%014.6f%s" % (paced.before, time.monotonic() % 1e7, paced.after))
        if self._paced:
            due += 1 / PER_SECOND / _TICKS
            asyncio.get_running_loop().call_at(due, self._tick, number + 1, due)


class Paced(NamedTuple):
    """A stream with its chunk around the time, and what comes after the last chunk."""

    connection: Connection
    before: bytes
    after: bytes
    rest: bytes


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = Server()
    listening = await loop.create_server(lambda: Connection(server), "127.0.0.1", 0, backlog=4096)
    print(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", flush=True)
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        kind, count, seconds = line.decode().split()
        server.choose(kind, int(count), float(seconds))
        print("ready", flush=True)


class ServerProcess:
    """The server, as the benchmarks see it.

    Attributes:
        url: where it listens.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.url = self._read()

    def choose(self, kind: str, count: int = 1, seconds: float = 3600.0) -> None:
        """From now on, answer with `count` chunks of `text`, `calls` or `reasoning`; or `waiting`; or `paced`."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{kind} {count} {seconds}\n")
        self._process.stdin.flush()
        self._read()

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise RuntimeError("the server has ended")
        return line


@contextmanager
def server_process() -> Iterator[ServerProcess]:
    """A server for the time of the block."""
    command = [sys.executable, "-m", "benchmarks.serving"]
    process: Any = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            yield ServerProcess(process)
        finally:
            process.stdin.close()


if __name__ == "__main__":
    asyncio.run(serve())
