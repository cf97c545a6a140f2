"""The network under the SDKs: TLS, proxies, slow readers, slow servers, connections that end between two requests."""

from __future__ import annotations

import asyncio
import datetime
import gc
import ipaddress
import json
import re
import socket
import ssl
import threading
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import httpcore2
import httpx2
import openai
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from llmring import LLMRequest, LLMRing, Message
from llmring.exceptions import ProviderConnectionError, ProviderResponseError
from llmring.providers.listing import list_models
from llmring.providers.network import Connection
from llmring.providers.pool import Transport
from llmring.providers.posting import Carrier
from llmring.providers.transport import http_options
from llmring.testing import PracticeServer, Reply

LIMITS = httpx2.Limits(max_connections=None)
BEGINNING = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"
PATHS = {"openai": "/v1", "anthropic": "", "google": "", "ollama": ""}

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def ask(model: str) -> LLMRequest:
    return LLMRequest(model=model, messages=[Message(role="user", content="Hi")])


@asynccontextmanager
async def nothing_left_open() -> AsyncIterator[None]:
    """What is done in here closes all that it opens, before the collector finds it."""
    gc.collect()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        yield
        await asyncio.sleep(0.01)
        gc.collect()
    assert [str(each.message) for each in seen] == []


@asynccontextmanager
async def listening(
    serve: Serve, context: ssl.SSLContext | None = None, *, at: tuple[str, int] = ("127.0.0.1", 0)
) -> AsyncIterator[int]:
    """A server; gives its port."""

    tasks: set[asyncio.Task[Any]] = set()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            tasks.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await serve(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(served, *at, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)


async def carried(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes = b"") -> None:
    """Carry bytes between a client and whoever listens at that port."""
    inner, outer = await asyncio.open_connection("127.0.0.1", port)
    outer.write(first)

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                sink.write(data)
                await sink.drain()
        finally:
            sink.transport.abort()

    await asyncio.gather(carry(reader, outer), carry(inner, writer), return_exceptions=True)


async def request_of(reader: asyncio.StreamReader) -> bytes:
    """The head of a request, its body read and left out."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line.partition(b":")[2]))
    return head


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of this machine's own, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


@asynccontextmanager
async def over_tls(server: PracticeServer, certificate: tuple[Path, Path]) -> AsyncIterator[int]:
    """The practice server behind TLS; gives the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await carried(int(server.url.rpartition(":")[2]), reader, writer)

    async with listening(serve, context) as port:
        yield port


@pytest.mark.parametrize("provider", PATHS)
async def test_tls(
    server: PracticeServer,
    certificate: tuple[Path, Path],
    provider: str,
    bare: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All of it arrives, and leaving closes the connection without waiting for the other side's farewell."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    async with over_tls(server, certificate) as port:
        (bare / "llmring.lock").write_text(
            'version = "1.0"\n[profiles.default]\nname = "default"\n'
            f'[providers.{provider}]\nbase_url = "https://localhost:{port}{PATHS[provider]}"\n'
        )
        async with LLMRing() as service:
            server.reply(chunks=["word "] * 5000)
            assert (await service.chat_stream(ask(f"{provider}:m")).final_response()).content == "word " * 5000
            server.reply("whole")
            assert (await service.chat(ask(f"{provider}:m"))).content == "whole"
            server.reply(chunks=["x"] * 1000, interval=0.02)
            async with service.chat_stream(ask(f"{provider}:m")) as stream:
                await anext(stream)
            assert await server.requests[-1].closed(60)
            assert len({request.connection for request in server.requests}) == 1, "the connection was not kept"


async def test_a_certificate_that_nobody_vouches_for(
    server: PracticeServer, certificate: tuple[Path, Path], bare: Path
) -> None:
    async with over_tls(server, certificate) as port:
        (bare / "llmring.lock").write_text(
            'version = "1.0"\n[profiles.default]\nname = "default"\n'
            f'[providers.openai]\nbase_url = "https://localhost:{port}/v1"\n'
        )
        async with LLMRing(max_retries=0) as service:
            with pytest.raises(ProviderConnectionError, match="certificate verify failed"):
                await service.chat(ask("openai:m"))
            with pytest.raises(ProviderConnectionError, match=r"certificate verify failed.* SSL_CERT_FILE"):
                await list_models(service.get_provider("openai"))
    assert server.requests == []


async def test_a_handshake_that_stalls() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    way = Transport(LIMITS, ssl.create_default_context())
    async with listening(serve) as port, httpx2.AsyncClient(transport=way, timeout=0.3) as client:
        began = time.monotonic()
        with pytest.raises(httpx2.ConnectTimeout):
            await client.get(f"https://127.0.0.1:{port}/")
        assert time.monotonic() - began < 20


async def test_what_is_trusted_is_loaded_for_whom_it_concerns() -> None:
    """It takes long: with the client for what is asked over TLS, never for what is asked in the clear."""
    for address, loaded in (("https://example.com", 1), (None, 1), ("http://127.0.0.1", 0)):
        transport = http_options({"max_connections": 1}, address)["transport"]
        assert transport._trust.cache_info().currsize == loaded


# Slow readers, slow servers


async def test_a_slow_reader_holds_the_server_back() -> None:
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await request_of(reader)
        writer.write(BEGINNING + b"content-length: 100000000\r\n\r\n")
        writer.transport.set_write_buffer_limits(high=0)  # what was drained has left, and is not aborted at the end
        for _ in range(1000):
            writer.write(b"x" * 100_000)
            await writer.drain()
            sent += 100_000

    async with (
        listening(serve) as port,
        httpx2.AsyncClient(transport=Transport(LIMITS), timeout=10) as client,
        client.stream("GET", f"http://127.0.0.1:{port}/") as response,
    ):
        parts = response.aiter_bytes()
        got = len(await anext(parts))
        await asyncio.sleep(0.5)
        assert sent < 50_000_000, "nobody reads, and all of it was taken"
        async for part in parts:
            got += len(part)
    assert got == 100_000_000


async def test_a_flood_lets_others_have_their_turn() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(BEGINNING + b"transfer-encoding: chunked\r\n\r\n")
        with suppress(ConnectionError):
            while True:
                writer.write(b"1\r\nx\r\n" * 10_000)
                await writer.drain()

    async def flooded(port: int, client: httpx2.AsyncClient) -> None:
        async with client.stream("GET", f"http://127.0.0.1:{port}/") as response:
            async for _ in response.aiter_bytes():
                pass

    async with listening(serve) as port, httpx2.AsyncClient(transport=Transport(LIMITS), timeout=10) as client:
        task = asyncio.create_task(flooded(port, client))
        for _ in range(20):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_large_request_to_a_slow_server() -> None:
    got = b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal got
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.3)
        got = await reader.readexactly(20_000_000)
        writer.write(BEGINNING + b"content-length: 2\r\n\r\nok")
        await writer.drain()

    content = bytes(range(250)) * 80_000
    async with listening(serve) as port, httpx2.AsyncClient(transport=Transport(LIMITS), timeout=10) as client:
        assert (await client.post(f"http://127.0.0.1:{port}/", content=content)).text == "ok"
    assert got == content


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_request_travels_in_one_piece(method: str) -> None:
    """Head and body: what is sent in two costs both sides twice. And the next one on the same connection, too."""
    pieces: list[bytes] = []

    class Server(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            pieces.append(data)
            self.transport.write(BEGINNING + b"content-length: 2\r\n\r\nok")

    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    content = b"body" if method == "POST" else None
    async with server, httpx2.AsyncClient(transport=Transport(LIMITS), timeout=10) as client:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        for _ in range(2):
            assert (await client.request(method, url, content=content)).text == "ok"
    assert [piece.endswith(content or b"\r\n\r\n") for piece in pieces] == [True, True]


async def test_a_body_that_comes_bit_by_bit() -> None:
    """What there is of it goes at once."""
    arrived = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"one")
        arrived.set()
        await reader.readuntil(b"0\r\n\r\n")
        writer.write(BEGINNING + b"content-length: 2\r\n\r\nok")
        await writer.drain()

    async def body() -> AsyncIterator[bytes]:
        yield b"one"
        await arrived.wait()
        yield b"two"

    async with listening(serve) as port, httpx2.AsyncClient(transport=Transport(LIMITS), timeout=10) as client:
        assert (await client.post(f"http://127.0.0.1:{port}/", content=body())).text == "ok"


@pytest.mark.parametrize(
    ("last", "fault"),
    [(b"1\r\nd\r\n0\r\n\r\n", None), (b"zz\r\n", "zz"), (b"", ".*")],
    ids=["whole", "broken", "cut"],
)
async def test_what_has_come_goes_up_at_once(last: bytes, fault: str | None) -> None:
    """Also where what follows is broken, which is told of as it is; after its end the connection is used again."""
    served: list[object] = []
    said = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            said.clear()
            await request_of(reader)
            served.append(writer)
            writer.write(BEGINNING + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n")
            await said.wait()
            writer.write(b"1\r\nb\r\n1\r\nc\r\n" + last)
            await writer.drain()
            if not last:
                return

    async with listening(serve) as port, httpx2.AsyncClient(transport=Transport(LIMITS), timeout=10) as client:
        for _ in range(3):
            pieces: list[bytes] = []
            broken = nullcontext() if fault is None else pytest.raises(httpx2.TransportError, match=fault)
            with broken:
                async with client.stream("GET", f"http://127.0.0.1:{port}/") as response:
                    async for piece in response.aiter_raw():
                        if not pieces:
                            said.set()
                        pieces.append(piece)
            assert pieces == [b"a", b"bcd" if fault is None else b"bc"]
    assert len(served) == 3
    assert len(set(served)) == (1 if fault is None else 3)


async def test_the_first_piece_waits_for_no_other() -> None:
    """Who waits for the first text does not wait for the decoding of what has come with it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        chunks = b"".join(b"1\r\n%c\r\n" % letter for letter in b"abc")
        writer.write(BEGINNING + b"transfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
        await writer.drain()

    async with (
        listening(serve) as port,
        httpx2.AsyncClient(transport=Transport(LIMITS), timeout=10) as client,
        client.stream("GET", f"http://127.0.0.1:{port}/") as response,
    ):
        assert [piece async for piece in response.aiter_raw()] == [b"a", b"bc"]


async def test_many_pieces_that_have_come_together_go_up_in_steps() -> None:
    """All that a fast server has sent would otherwise be decoded at once."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(BEGINNING + b"transfer-encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 200 + b"0\r\n\r\n")
        await writer.drain()

    async with (
        listening(serve) as port,
        httpx2.AsyncClient(transport=Transport(LIMITS), timeout=10) as client,
        client.stream("GET", f"http://127.0.0.1:{port}/") as response,
    ):
        pieces = [piece async for piece in response.aiter_raw()]
    assert b"".join(pieces) == b"a" * 200
    assert max(map(len, pieces)) <= 64


async def test_a_cookie_that_cannot_be_sent_is_not_kept() -> None:
    """Every later request to its server would fail with it."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            heads.append(await request_of(reader))
            writer.write(BEGINNING + b"set-cookie: name=J\xf6rg\r\nset-cookie: other=1\r\ncontent-length: 2\r\n\r\nok")

    async with listening(serve) as port, Carrier(**http_options({}, "http:")) as client:
        for _ in range(2):
            assert (await client.get(f"http://127.0.0.1:{port}/")).text == "ok"
    assert b"cookie: other=1\r\n" in heads[1].lower()


async def test_a_server_that_takes_nothing() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async with listening(serve) as port, httpx2.AsyncClient(transport=Transport(LIMITS), timeout=0.3) as client:
        with pytest.raises(httpx2.WriteTimeout):
            await client.post(f"http://127.0.0.1:{port}/", content=b"x" * 50_000_000)


async def test_the_sdks_own_timeout(server: PracticeServer, bare: Path) -> None:
    """Whoever uses the SDK's client has the timeouts that the SDK promises."""
    server.default = Reply("late", delay=60.0)
    async with LLMRing() as service:
        client = service.get_provider("openai").client.with_options(timeout=0.3, max_retries=0)
        began = time.monotonic()
        with pytest.raises(openai.APITimeoutError):
            await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
        assert time.monotonic() - began < 20


# Connections


async def connected(port: int) -> Connection:
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: Connection(loop), "127.0.0.1", port)
    return connection


async def test_what_is_written_to_a_connection_that_has_ended_is_an_error() -> None:
    """Whether the other side has closed it or we, and also where it is closed while it takes no more."""
    closing = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await closing.wait()

    async with listening(serve) as port:
        stuffed, left, closed = [await connected(port) for _ in range(3)]
        stuck = asyncio.create_task(stuffed.write(b"x" * 50_000_000))
        await asyncio.sleep(0)
        assert not stuck.done()
        await closed.aclose()
        with pytest.raises(httpcore2.WriteError, match="the connection is closed"):
            await closed.write(b"more")
        assert await closed.read(10) == b""
        closing.set()
        with pytest.raises(httpcore2.WriteError, match="the connection was closed"):
            await stuck
        assert await left.read(10) == b""
        with pytest.raises(httpcore2.WriteError, match="the connection is closed"):
            await left.write(b"head")
        for connection in (stuffed, left):
            await connection.aclose()


async def test_who_stops_waiting_to_send_stops_nobody_else() -> None:
    reading = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reading.wait()
        while await reader.read(1_000_000):
            pass

    async with listening(serve) as port:
        connection = await connected(port)
        given_up, kept = (asyncio.create_task(connection.write(b"x" * 20_000_000)) for _ in range(2))
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        with pytest.raises(httpcore2.WriteTimeout):
            await connection.write(b"more", timeout=0.01)
        reading.set()
        await kept
        await connection.aclose()


async def test_what_is_known_of_a_connection() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(1000):
            writer.write(piece)

    async with listening(serve) as port:
        connection = await connected(port)
        await connection.write(b"answer")
        assert await connection.read(3) == b"ans"
        assert await connection.read(100) == b"wer"
        assert connection.get_extra_info("server_addr") == ("127.0.0.1", port)
        assert connection.get_extra_info("client_addr")[0] == "127.0.0.1"
        assert not connection.get_extra_info("is_readable")
        await connection.aclose()
        assert connection.is_closing()
        assert connection.get_extra_info("is_readable")


@pytest.mark.parametrize("farewell", ["at once", "later"])
async def test_a_connection_that_ends_between_two_requests(farewell: str) -> None:
    """It is not used again."""
    served = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        await request_of(reader)
        served += 1
        writer.write(BEGINNING + b"content-length: 2\r\n\r\nok")
        await writer.drain()
        if farewell == "later":
            await asyncio.sleep(0.05)

    async with listening(serve) as port, httpx2.AsyncClient(transport=Transport(LIMITS), timeout=10) as client:
        for _ in range(10):
            assert (await client.get(f"http://127.0.0.1:{port}/")).text == "ok"
            if farewell == "later":
                await asyncio.sleep(0.1)
    assert served == 10


@pytest.mark.parametrize("whole", [True, False], ids=["read to its end", "left"])
async def test_more_than_an_answer(whole: bool) -> None:
    """What comes over a connection after an answer is no answer to the next request."""
    served = 0
    answer = BEGINNING + b"content-length: 2\r\n\r\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        while True:
            await request_of(reader)
            served += 1
            writer.write(answer + b"%02d" % served + answer + b"no")
            await writer.drain()

    async with listening(serve) as port, httpx2.AsyncClient(transport=Transport(LIMITS), timeout=10) as client:
        for expected in ("01", "02", "03"):
            async with client.stream("GET", f"http://127.0.0.1:{port}/") as response:
                if whole:
                    assert (await response.aread()).decode() == expected
    assert served == 3


async def test_a_name_with_two_addresses() -> None:
    """`localhost` is ::1 too on many machines, where nobody listens here."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(BEGINNING + b"content-length: 2\r\n\r\nok")
        await writer.drain()

    async with listening(serve) as port, httpx2.AsyncClient(transport=Transport(LIMITS), timeout=10) as client:
        assert (await client.get(f"http://localhost:{port}/")).text == "ok"


async def test_an_address_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one is tried beside it, and the one that lost is closed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(BEGINNING + b"content-length: 2\r\n\r\nok")
        await writer.drain()

    async with listening(serve) as port:
        with socket.create_server(("127.0.0.2", port), backlog=0), ExitStack() as filled:
            for _ in range(4):
                waiting = filled.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(("127.0.0.2", port))
            name_both(monkeypatch, "127.0.0.2", "127.0.0.1")
            async with nothing_left_open(), httpx2.AsyncClient(transport=Transport(LIMITS), timeout=60) as client:
                began = time.monotonic()
                assert (await client.get(f"http://two.invalid:{port}/")).text == "ok"
                assert 0.2 < time.monotonic() - began < 20


@asynccontextmanager
async def on_two_addresses() -> AsyncIterator[tuple[int, set[str]]]:
    """A server on both; gives its port, and the addresses at which a connection is open."""
    open_at: set[str] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        here = writer.get_extra_info("sockname")[0]
        open_at.add(here)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(BEGINNING + b"content-length: 2\r\n\r\nok")
        finally:
            open_at.discard(here)

    async with listening(serve) as port, listening(serve, at=("127.0.0.2", port)):
        yield port, open_at


async def settled(open_at: set[str], number: int) -> bool:
    """Whether so many connections are open, soon."""
    for _ in range(6000):
        if len(open_at) == number:
            return True
        await asyncio.sleep(0.01)
    return False


def hold(monkeypatch: pytest.MonkeyPatch, until: Callable[[str], Awaitable[None]]) -> None:
    """Have every socket be connected for a while before it is given to whoever asked for it."""
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect

    async def sock_connect(sock: socket.socket, address: Any) -> None:
        await connect(sock, address)
        await until(address[0])

    monkeypatch.setattr(loop, "sock_connect", sock_connect)


async def test_two_addresses_that_answer_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One is used; the other, open too late to be cancelled, is closed."""
    both = asyncio.Event()
    seen: set[str] = set()

    async def until_both(host: str) -> None:
        seen.add(host)
        if len(seen) == 2:
            both.set()
        await both.wait()

    async with on_two_addresses() as (port, open_at):
        name_both(monkeypatch, "127.0.0.1", "127.0.0.2")
        hold(monkeypatch, until_both)
        async with httpx2.AsyncClient(transport=Transport(LIMITS), timeout=10) as client:
            assert (await client.get(f"http://two.invalid:{port}/")).text == "ok"
            assert seen == {"127.0.0.1", "127.0.0.2"}
            assert await settled(open_at, 1)
        assert await settled(open_at, 0)


async def test_a_race_that_is_called_off_as_it_is_won(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody takes the connection: it is closed."""

    async def call_off(host: str) -> None:
        assert await settled(open_at, 1)
        asking.cancel()

    async with on_two_addresses() as (port, open_at):
        name_both(monkeypatch, "127.0.0.1", "127.0.0.2")
        hold(monkeypatch, call_off)
        async with httpx2.AsyncClient(transport=Transport(LIMITS), timeout=10) as client:
            asking = asyncio.create_task(client.get(f"http://two.invalid:{port}/"))
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert await settled(open_at, 0)


async def test_a_race_that_is_called_off_while_the_loser_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a winner by then, whom nobody wants any more."""
    late = asyncio.Event()

    async def until_late(host: str) -> None:
        if host == "127.0.0.1":
            await late.wait()
            return
        late.set()
        try:
            await asyncio.Event().wait()
        finally:
            asking.cancel()

    async with on_two_addresses() as (port, open_at):
        name_both(monkeypatch, "127.0.0.1", "127.0.0.2")
        hold(monkeypatch, until_late)
        async with httpx2.AsyncClient(transport=Transport(LIMITS), timeout=10) as client:
            asking = asyncio.create_task(client.get(f"http://two.invalid:{port}/"))
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert await settled(open_at, 0)


async def test_no_address_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is told of."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    name_both(monkeypatch, "127.0.0.1", "127.0.0.2")
    async with httpx2.AsyncClient(transport=Transport(LIMITS), timeout=10) as client:
        with pytest.raises(httpx2.ConnectError) as caught:
            await client.get(f"http://two.invalid:{port}/")
    assert "127.0.0.1" in str(caught.value)
    assert "127.0.0.2" in str(caught.value)


def name_both(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Have every name stand for these addresses."""

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


async def test_a_dead_name_server_takes_down_its_own_model_alone(
    server: PracticeServer, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many wait for it: it is asked once, and the look-ups of others do not queue behind it."""
    asked, over, real = [], threading.Event(), socket.getaddrinfo

    def getaddrinfo(host: Any, *rest: Any, **more: Any) -> Any:
        if host in ("dead.example", b"dead.example"):
            asked.append(host)
            over.wait(30)
            raise socket.gaierror(-3, "Temporary failure in name resolution")
        return real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    by_name = server.url.replace("127.0.0.1", "localhost")
    (bare / "llmring.lock").write_text(
        'version = "1.0"\n[profiles.default]\nname = "default"\n'
        '[[profiles.default.bindings]]\nalias = "both"\nmodels = ["dead:m", "standby:m"]\n'
        '[providers.dead]\nsdk = "openai"\nbase_url = "http://dead.example:81/v1"\napi_key_env = "OPENAI_API_KEY"\n'
        f'[providers.standby]\nsdk = "openai"\nbase_url = "{by_name}/v1"\napi_key_env = "OPENAI_API_KEY"\n'
    )
    try:
        async with LLMRing(timeout=2, max_retries=0) as service:
            service.get_provider("dead")
            got = await asyncio.gather(*(service.chat(ask("both")) for _ in range(40)))
            assert {(one.model, one.content) for one in got} == {("standby:m", "You said: Hi")}
            assert (await service.chat(ask("standby:m"))).content == "You said: Hi"
            assert asked == ["dead.example"]
    finally:
        over.set()


async def test_a_name_that_is_none(bare: Path) -> None:
    """A label may have 63 letters."""
    (bare / "llmring.lock").write_text(
        'version = "1.0"\n[profiles.default]\nname = "default"\n'
        f'[providers.openai]\nbase_url = "http://{"a" * 70}.invalid/v1"\n'
    )
    async with LLMRing(max_retries=0) as service:
        with pytest.raises(ProviderConnectionError):
            await service.chat(ask("openai:m"))


async def test_cancelled_while_it_connects(server: PracticeServer, bare: Path) -> None:
    """At whichever step, and by a name that has to be looked up: no socket is left."""
    (bare / "llmring.lock").write_text(
        'version = "1.0"\n[profiles.default]\nname = "default"\n'
        f'[providers.openai]\nbase_url = "{server.url.replace("127.0.0.1", "localhost")}/v1"\n'
    )
    async with nothing_left_open(), LLMRing(max_retries=0) as service:
        service.get_provider("openai")
        for step in range(100):
            task = asyncio.create_task(service.chat(ask("openai:m")))
            for _ in range(step // 2):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await asyncio.sleep(0.001)


async def test_cancelled_while_the_pool_closes_others() -> None:
    """All of them are closed: the pool has forgotten them by then, and nobody else would."""
    at_once, stale, spoken, gone = asyncio.Barrier(3), asyncio.Event(), asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        await at_once.wait()
        writer.write(BEGINNING + b"content-length: 2\r\n\r\nok")
        await stale.wait()
        writer.write(b"An idle connection that has something to say is not used again.")
        spoken.release()
        try:
            await reader.read()
        finally:
            gone.release()

    async with listening(serve) as port, httpx2.AsyncClient(transport=Transport(LIMITS)) as client:
        url = f"http://127.0.0.1:{port}/"
        assert [it.text for it in await asyncio.gather(*(client.get(url) for _ in range(3)))] == ["ok"] * 3
        stale.set()
        for _ in range(3):
            await spoken.acquire()
        asking = asyncio.create_task(client.get(url))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        async with asyncio.timeout(10):
            for _ in range(3):
                await gone.acquire()


async def test_idle_connections_are_kept_alive() -> None:
    """Routers forget connections on which nothing is said while a model thinks."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(BEGINNING + b"content-length: 2\r\n\r\nok")
        await writer.drain()

    async with (
        listening(serve) as port,
        httpx2.AsyncClient(transport=Transport(LIMITS), timeout=10) as client,
        client.stream("GET", f"http://127.0.0.1:{port}/") as response,
    ):
        sock = response.extensions["network_stream"].get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        for name, expected in {"TCP_KEEPIDLE": 60, "TCP_KEEPALIVE": 60, "TCP_KEEPINTVL": 60, "TCP_KEEPCNT": 5}.items():
            if (option := getattr(socket, name, None)) is not None:
                assert sock.getsockopt(socket.IPPROTO_TCP, option) == expected


# Event loops


async def say_all(factory: Any = None) -> list[str]:
    """Ask all four, streamed and not, at an address that has to be looked up."""
    said = []
    if factory is not None:
        asyncio.get_running_loop().set_task_factory(factory)
    async with LLMRing(max_retries=0, timeout=10) as service:
        for provider in PATHS:
            said.append((await service.chat(ask(f"{provider}:m"))).content)
            said.append((await service.chat_stream(ask(f"{provider}:m")).final_response()).content)
    return said


def at_localhost(server: PracticeServer, bare: Path) -> None:
    """Declare all four there."""
    url = server.url.replace("127.0.0.1", "localhost")
    tables = "".join(f'[providers.{name}]\nbase_url = "{url}{path}"\n' for name, path in PATHS.items())
    (bare / "llmring.lock").write_text('version = "1.0"\n[profiles.default]\nname = "default"\n' + tables)


def test_uvloop(server: PracticeServer, bare: Path) -> None:
    """It holds to less of asyncio's interface than one would think."""
    uvloop = pytest.importorskip("uvloop", reason="there is none for Windows")
    at_localhost(server, bare)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(say_all()) == ["You said: Hi"] * 8


def test_eager_tasks(server: PracticeServer, bare: Path) -> None:
    """A task may have ended before whoever made it goes on."""
    factory = getattr(asyncio, "eager_task_factory", None)
    if factory is None:
        pytest.skip("Python 3.12 brought them")
    at_localhost(server, bare)
    assert asyncio.run(say_all(factory)) == ["You said: Hi"] * 8


@pytest.mark.parametrize("status", [302, 307, 308])
@pytest.mark.parametrize("provider", PATHS)
async def test_a_redirect_to_another_server(server: PracticeServer, provider: str, status: int, bare: Path) -> None:
    """Key and question are not for it, and the error says so."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await request_of(reader)
        path = head.split()[1].decode()
        place = f"{server.url}{path}".replace("127.0.0.1", "localhost")
        writer.write(f"HTTP/1.1 {status} Elsewhere\r\nlocation: {place}\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()

    async with listening(serve) as port:
        declare(bare, provider, f"http://127.0.0.1:{port}{PATHS[provider]}")
        async with LLMRing(max_retries=0) as service:
            request = ask(f"{provider}:m")
            for answer in (service.chat(request), service.chat_stream(request).final_response()):
                with pytest.raises(ProviderResponseError, match="redirects to http://localhost") as caught:
                    await answer
                assert caught.value.status_code == status
    assert server.requests == []


@pytest.mark.parametrize("provider", PATHS)
async def test_a_redirect_within_the_server(server: PracticeServer, provider: str, bare: Path) -> None:
    """It is followed."""
    target = int(server.url.rpartition(":")[2])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b" /old" not in head.partition(b"\r\n")[0]:
            await carried(target, reader, writer, head)
            return
        await reader.readexactly(int(re.search(rb"content-length: (\d+)", head.lower())[1]))  # type: ignore[index]
        path = head.split()[1].removeprefix(b"/old")
        writer.write(b"HTTP/1.1 307 Moved\r\nlocation: " + path + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()

    async with listening(serve) as port:
        declare(bare, provider, f"http://127.0.0.1:{port}/old{PATHS[provider]}")
        async with LLMRing(max_retries=0) as service:
            assert (await service.chat(ask(f"{provider}:m"))).content == "You said: Hi"


@pytest.mark.parametrize("provider", PATHS)
async def test_a_redirect_holds_no_connection(server: PracticeServer, provider: str, bare: Path) -> None:
    """One is enough for a request that is sent twice."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            path = (await request_of(reader)).split()[1]
            if path.startswith(b"/old"):
                place = path.removeprefix(b"/old")
                writer.write(b"HTTP/1.1 308 Moved\r\nlocation: " + place + b"\r\ncontent-length: 4\r\n\r\nthen")
            else:
                writer.write(b"HTTP/1.1 418 Here\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\nhere")

    async with listening(serve) as port:
        declare(bare, provider, f"http://127.0.0.1:{port}/old{PATHS[provider]}")
        async with LLMRing(max_retries=0, max_connections=1, timeout=60) as service:
            for _ in range(2):
                with pytest.raises(ProviderResponseError, match=r"HTTP 418\): here"):
                    await service.chat(ask(f"{provider}:m"))


async def test_a_redirect_without_an_end(bare: Path) -> None:
    """Within its server, and again."""
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await request_of(reader)
        seen.append(head.split()[1])
        writer.write(b"HTTP/1.1 307 Moved\r\nlocation: %s/x\r\ncontent-length: 0\r\n\r\n" % head.split()[1])
        await writer.drain()

    async with listening(serve) as port:
        declare(bare, "ollama", f"http://127.0.0.1:{port}")
        async with LLMRing(max_retries=0) as service:
            with pytest.raises(ProviderResponseError, match="it is one of more than 5"):
                await service.chat(ask("ollama:m"))
    assert len(seen) == 6


@pytest.mark.parametrize("status", [301, 302, 303])
@pytest.mark.parametrize("provider", PATHS)
async def test_a_redirect_that_would_ask_by_a_get(
    server: PracticeServer, provider: str, status: int, bare: Path
) -> None:
    """It is told as what it is, with where it leads and what to set, and no stand-by hides it."""
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await request_of(reader)
        seen.append(head.split()[0])
        place = b"/moved" + head.split()[1]
        writer.write(b"HTTP/1.1 %d Moved\r\nlocation: %s\r\ncontent-length: 0\r\n\r\n" % (status, place))
        await writer.drain()

    async with listening(serve) as port:
        declare(
            bare, provider, f"http://127.0.0.1:{port}{PATHS[provider]}", aliases={"both": [f"{provider}:m", "ollama:n"]}
        )
        async with LLMRing(max_retries=0) as service:
            for model in (f"{provider}:m", "both"):
                for answer in (service.chat(ask(model)), service.chat_stream(ask(model)).final_response()):
                    with pytest.raises(
                        ProviderResponseError, match=rf"redirects to http://127.0.0.1:{port}/moved/"
                    ) as it:
                        await answer
                    assert it.value.status_code == status
                    assert f"set it: base_url in [providers.{provider}]" in str(it.value)
    assert seen == [b"POST"] * 4


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google", "ollama"])
async def test_outside_a_request_the_client_follows(server: PracticeServer, provider: str, bare: Path) -> None:
    """As the SDK's own does, to whichever server: files lie elsewhere than the API."""

    async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nfile")
        await writer.drain()

    async with listening(elsewhere) as other:

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            place = f"http://localhost:{other}/files/1".encode()
            writer.write(b"HTTP/1.1 302 Found\r\nlocation: %s\r\ncontent-length: 0\r\n\r\n" % place)
            await writer.drain()

        async with listening(serve) as port:
            url = f"http://127.0.0.1:{port}"
            declare(bare, provider, url)
            async with LLMRing() as service:
                client = service.get_provider(provider).client
                if provider == "openai":
                    assert (await client.files.content("1")).content == b"file"
                else:
                    http = getattr(client, "_client", None) or client._api_client._async_httpx_client
                    assert (await http.get(f"{url}/files/1")).content == b"file"


def declare(bare: Path, provider: str, url: str, aliases: dict[str, list[str]] | None = None) -> None:
    bindings = "".join(
        f'[[profiles.default.bindings]]\nalias = "{alias}"\nmodels = {json.dumps(models)}\n'
        for alias, models in (aliases or {}).items()
    )
    (bare / "llmring.lock").write_text(
        f'version = "1.0"\n[profiles.default]\nname = "default"\n{bindings}[providers.{provider}]\nbase_url = "{url}"\n'
    )


@pytest.mark.parametrize("provider", PATHS)
async def test_a_proxy(server: PracticeServer, provider: str, bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that the environment names is used, and `NO_PROXY` is heard."""
    seen: list[bytes] = []
    target = int(server.url.rpartition(":")[2])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head.partition(b"\r\n")[0])
        await carried(target, reader, writer, head.replace(f"http://provider.invalid:{target}".encode(), b""))

    host = f"http://provider.invalid:{target}"
    (bare / "llmring.lock").write_text(
        'version = "1.0"\n[profiles.default]\nname = "default"\n'
        f'[providers.{provider}]\nbase_url = "{host}{PATHS[provider]}"\n'
    )
    async with listening(serve) as port:
        for variable in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(variable, f"http://127.0.0.1:{port}")
        async with LLMRing(max_retries=0) as service:
            server.reply("Through it")
            assert (await service.chat_stream(ask(f"{provider}:m")).final_response()).content == "Through it"
        assert seen
        assert host.encode() in seen[0]
        for variable in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(variable, "provider.invalid")
        async with LLMRing(max_retries=0) as service:
            with pytest.raises(ProviderConnectionError):
                await service.chat(ask(f"{provider}:m"))
        assert len(seen) == 1


async def test_an_exception_of_ones_own_is_raised_as_it_is(server: PracticeServer) -> None:
    """And is not its own cause, which whoever walks the causes would never leave."""

    async def body() -> AsyncIterator[bytes]:
        raise ValueError("no body after all")
        yield b""

    async with httpx2.AsyncClient(transport=Transport(LIMITS)) as client:
        with pytest.raises(ValueError, match="no body after all") as raised:
            await client.post(server.url, content=body())
    assert raised.value.__cause__ is None
