"""The pool of connections: who is given one, who waits, what is closed, and that none is lost on the way."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx2
import pytest

from llmring.providers.pool import Transport

from .test_network import BEGINNING, Serve, listening, request_of

OK = BEGINNING + b"content-length: 2\r\n\r\nok"


def bounds(most: int | None = None, idle: int | None = None, expiry: float | None = None) -> httpx2.Limits:
    return httpx2.Limits(max_connections=most, max_keepalive_connections=idle, keepalive_expiry=expiry)


class Server:
    """Answers each request with `ok`, once it is let.

    Attributes:
        open: connections that are open.
        paths: what was asked, and over which connection, by number.
        let: whether it answers.
    """

    def __init__(self) -> None:
        self.open = self.made = 0
        self.paths: list[tuple[str, int]] = []
        self.let = asyncio.Event()
        self.let.set()
        self._moved = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.made += 1
        number = self.made
        try:
            while True:
                head = await request_of(reader)
                self.paths.append((head.split()[1].decode(), number))
                self._moved.set()
                await self.let.wait()
                writer.write(OK)
        finally:
            self.open -= 1

    async def has(self, connections: int) -> bool:
        """Whether so many are open, soon."""
        for _ in range(1000):
            if self.open == connections:
                return True
            await asyncio.sleep(0.01)
        return False

    async def asked(self, count: int) -> None:
        """Until so many requests have come."""
        while len(self.paths) < count:
            self._moved.clear()
            await self._moved.wait()


@asynccontextmanager
async def serving(limits: httpx2.Limits) -> AsyncIterator[tuple[Server, httpx2.AsyncClient]]:
    """A server, and a client whose addresses are below it."""
    server = Server()
    async with (
        listening(server.serve) as port,
        httpx2.AsyncClient(transport=Transport(limits), base_url=f"http://127.0.0.1:{port}", timeout=10) as client,
    ):
        yield server, client


async def test_the_connection_that_was_used_last_is_used_next() -> None:
    async with serving(bounds()) as (server, client):
        server.let.clear()
        both = asyncio.gather(client.get("/a"), client.get("/b"))
        await server.asked(2)
        server.let.set()
        await both
        for _ in range(3):
            await client.get("/c")
        assert server.made == 2
        assert len({number for path, number in server.paths if path == "/c"}) == 1


async def test_who_waits_longest_is_given_the_next() -> None:
    async with serving(bounds(most=2)) as (server, client):
        server.let.clear()
        asked = []
        for number in range(6):
            asked.append(asyncio.create_task(client.get(f"/{number}")))
            await asyncio.sleep(0)
        await server.asked(2)
        assert not await waits_for(server, 3)
        server.let.set()
        assert [it.text for it in await asyncio.gather(*asked)] == ["ok"] * 6
        assert [path for path, _ in server.paths] == [f"/{number}" for number in range(6)]
        assert server.made == 2


def transport_of(client: httpx2.AsyncClient) -> Transport:
    assert isinstance(client._transport, Transport)
    return client._transport


async def waits_for(server: Server, count: int) -> bool:
    """Whether so many requests come within a moment."""
    with suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            await server.asked(count)
            return True
    return False


async def test_who_waits_too_long_is_told_so_and_is_forgotten() -> None:
    async with serving(bounds(most=1)) as (server, client):
        server.let.clear()
        first = asyncio.create_task(client.get("/first"))
        await server.asked(1)
        times = httpx2.Timeout(10, pool=0.05)
        for _ in range(3):
            with pytest.raises(httpx2.PoolTimeout):
                await client.get("/late", timeout=times)
        assert not transport_of(client)._waiting
        server.let.set()
        assert (await first).text == "ok"
        assert (await client.get("/next", timeout=times)).text == "ok"
        assert [path for path, _ in server.paths] == ["/first", "/next"]


async def test_cancelled_at_any_moment_nobody_takes_a_place_along() -> None:
    """While it waits, is given a place, connects, sends, waits for the answer or reads it."""
    chosen = random.Random(7)
    async with serving(bounds(most=3)) as (server, client):

        async def ask(steps: int) -> None:
            task = asyncio.create_task(client.get("/"))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

        for _ in range(40):
            await asyncio.gather(*(ask(chosen.randrange(40)) for _ in range(12)))
        server.let.clear()
        before = len(server.paths)
        whole = [asyncio.create_task(client.get("/whole")) for _ in range(5)]
        await asyncio.wait_for(server.asked(before + 3), 10)
        server.let.set()
        assert [it.text for it in await asyncio.gather(*whole)] == ["ok"] * 5
        assert server.open <= 3
    assert await server.has(0)


async def test_a_place_that_is_given_as_its_taker_is_cancelled_goes_to_the_next() -> None:
    async with serving(bounds(most=1)) as (_, client), client.stream("GET", "/held") as held:
        gone = asyncio.create_task(client.get("/gone"))
        after = asyncio.create_task(client.get("/after"))
        for _ in range(5):
            await asyncio.sleep(0)
        await held.aread()  # gives it to the first of them, who has not noticed yet
        gone.cancel()
        assert (await after).text == "ok"
        with pytest.raises(asyncio.CancelledError):
            await gone


async def test_old_connections_are_closed() -> None:
    """Also those that were not used last, and those to another server."""
    async with serving(bounds(expiry=0.2)) as (server, client), serving(bounds()) as (other, _):
        server.let.clear()
        three = asyncio.gather(*(client.get("/") for _ in range(3)))
        await server.asked(3)
        server.let.set()
        await three
        assert await server.has(3)
        for _ in range(6):
            await asyncio.sleep(0.05)
            await client.get("/")
        assert await server.has(1)
        assert other.open == 0


async def test_no_more_idle_connections_are_kept_than_may_be() -> None:
    async with serving(bounds(idle=2)) as (server, client):
        server.let.clear()
        many = asyncio.gather(*(client.get("/") for _ in range(5)))
        await server.asked(5)
        server.let.set()
        await many
        assert await server.has(2)
        await client.get("/")
        assert server.made == 5


async def test_an_idle_connection_makes_room_for_one_to_another_server() -> None:
    async with serving(bounds(most=1)) as (server, client):
        other = Server()
        async with listening(other.serve) as port:
            assert (await client.get("/")).text == "ok"
            assert (await client.get(f"http://127.0.0.1:{port}/")).text == "ok"
            assert await server.has(0)
            assert await other.has(1)
            # And one that somebody waits for.
            other.let.clear()
            held = asyncio.create_task(client.get(f"http://127.0.0.1:{port}/held"))
            await other.asked(2)
            waiting = asyncio.create_task(client.get("/waited"))
            await asyncio.sleep(0)
            other.let.set()
            assert [(await it).text for it in (held, waiting)] == ["ok", "ok"]
            assert await other.has(0)


async def test_nothing_is_kept_of_servers_to_which_no_connection_is_open() -> None:
    async with serving(bounds(expiry=0)) as (_, client):
        for _ in range(5):
            async with listening(Server().serve) as port:
                assert (await client.get(f"http://127.0.0.1:{port}/")).text == "ok"
        transport = transport_of(client)
        (await client.get("/")).raise_for_status()
        assert len(transport._idle) == len(transport._lines) == 1


async def test_a_request_that_was_cancelled_is_gone_at_once() -> None:
    """Its body, which may be large, is in no cycle that would have to be found first."""

    class Body(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"x"

    async with serving(bounds()) as (server, client):
        server.let.clear()
        body = Body()
        headers = {"Host": "127.0.0.1", "Content-Length": "1"}
        request = httpx2.Request("POST", client.base_url, headers=headers, stream=body)
        task = asyncio.create_task(client._transport.handle_async_request(request))
        await server.asked(1)
        gc.collect()
        gc.disable()
        try:
            task.cancel()
            await asyncio.wait([task])
            kept = weakref.ref(body)
            del task, request, body
            await asyncio.sleep(0)
            assert kept() is None
        finally:
            gc.enable()


async def test_what_is_under_way_and_who_waits_hear_of_the_end() -> None:
    """Closing leaves nobody waiting, and no connection open, one that is just being made neither."""
    async with serving(bounds(most=1)) as (server, client):
        server.let.clear()
        asked = [asyncio.create_task(client.get("/")) for _ in range(3)]
        await server.asked(1)
        await client.aclose()
        for task in asked:
            with pytest.raises(httpx2.TransportError):
                await asyncio.wait_for(task, 10)
        server.let.set()
        assert await server.has(0)
    async with serving(bounds()) as (server, client):
        for steps in range(12):
            transport = Transport(bounds())
            request = client.build_request("GET", "/")
            task = asyncio.create_task(transport.handle_async_request(request))
            for _ in range(steps):
                await asyncio.sleep(0)
            await transport.aclose()
            with suppress(httpx2.TransportError):
                await (await asyncio.wait_for(task, 10)).aclose()
        assert await server.has(0)


async def test_a_body_that_is_closed_twice_gives_back_one_connection() -> None:
    """By then it may be another's."""
    async with serving(bounds(most=1)) as (server, client):
        transport = client._transport
        first = await transport.handle_async_request(client.build_request("GET", "/1"))
        assert b"".join([part async for part in first.stream]) == b"ok"  # type: ignore[union-attr]
        await first.stream.aclose()  # type: ignore[union-attr]
        second = await transport.handle_async_request(client.build_request("GET", "/2"))
        await first.stream.aclose()  # type: ignore[union-attr]
        assert b"".join([part async for part in second.stream]) == b"ok"  # type: ignore[union-attr]
        await second.stream.aclose()  # type: ignore[union-attr]
        await client.get("/3")
        assert server.made == 1


async def test_what_comes_unasked_is_no_answer_to_whoever_waits() -> None:
    """A connection on which more has come than the answer is not handed on."""
    more = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            path = (await request_of(reader)).split()[1]
            writer.write(BEGINNING + b"content-length: %d\r\n\r\n" % len(path) + path)
            if path == b"/held":
                await more.wait()
                writer.write(BEGINNING + b"content-length: 5\r\n\r\nwrong")

    async with (
        listening(serve) as port,
        httpx2.AsyncClient(transport=Transport(bounds(most=1)), timeout=10) as client,
        client.stream("GET", f"http://127.0.0.1:{port}/held") as held,
    ):
        waiting = asyncio.create_task(client.get(f"http://127.0.0.1:{port}/waits"))
        await asyncio.sleep(0)
        more.set()
        (line,) = transport_of(client)._lines
        while not line.connection._arrived:  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.001)
        assert await held.aread() == b"/held"
        assert (await waiting).text == "/waits"


# HTTP


@asynccontextmanager
async def said(serve: Serve) -> AsyncIterator[httpx2.AsyncClient]:
    async with (
        listening(serve) as port,
        httpx2.AsyncClient(transport=Transport(bounds()), base_url=f"http://127.0.0.1:{port}", timeout=10) as client,
    ):
        yield client


async def test_what_comes_before_an_answer_is_none() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request_of(reader)
            writer.write(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK)

    async with said(serve) as client:
        for _ in range(2):
            answer = await client.get("/")
            assert (answer.status_code, answer.text, answer.http_version) == (200, "ok", "HTTP/1.1")
            assert answer.reason_phrase == "OK"


async def test_an_answer_to_what_was_not_read_to_its_end() -> None:
    """A server may refuse a body, and close, before it has seen all of it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 3\r\n\r\nbig")
        await writer.drain()
        writer.write_eof()
        await asyncio.sleep(0.2)

    async with said(serve) as client:
        for _ in range(2):
            answer = await client.post("/", content=b"x" * 20_000_000)
            assert (answer.status_code, answer.text) == (413, "big")


async def test_an_answer_from_a_server_that_reads_no_more() -> None:
    """It has said all, and waits: whoever sends need not wait until it takes the rest."""
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 3\r\n\r\nbig")
        writer.write_eof()
        await over.wait()

    async with said(serve) as client:
        answer = await client.post("/", content=b"x" * 20_000_000)
        assert (answer.status_code, answer.text) == (413, "big")
        over.set()


async def test_a_head_that_would_be_two_is_not_sent() -> None:
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            heads.append(await request_of(reader))
            writer.write(OK)

    async with said(serve) as client:
        for headers in ({"X-Name": "a\r\nX-Other: b"}, {"X-Name\r\nX-Other": "b"}, {"X-Name": "a\0"}):
            with pytest.raises(httpx2.LocalProtocolError):
                await client.get("/", headers=headers)
        assert heads == []
        assert (await client.get("/")).text == "ok"


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"", "without sending a response"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok", "incomplete|without sending complete"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok", "Content-Length"),
        (b"SMTP ready\r\n\r\n", "."),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000 + b"\r\n\r\n", "."),
    ],
    ids=["nothing", "a part", "two lengths", "no HTTP", "a head without end"],
)
async def test_an_answer_that_is_none(answer: bytes, fault: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(answer)
        await writer.drain()

    async with said(serve) as client:
        for _ in range(2):
            with pytest.raises(httpx2.RemoteProtocolError, match=fault):
                await client.get("/")


async def test_a_head_alone() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await request_of(reader)
            writer.write(BEGINNING + b"content-length: 2\r\n\r\n" + (b"" if head.startswith(b"HEAD") else b"ok"))

    async with said(serve) as client:
        assert (await client.head("/")).headers["content-length"] == "2"
        assert (await client.get("/")).text == "ok"


@pytest.mark.parametrize(
    ("method", "headers", "head"),
    [
        (
            "GET",
            {"Connection": "upgrade", "Upgrade": "echo"},
            b"101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n",
        ),
        ("CONNECT", {}, b"200 Connected\r\n\r\n"),
    ],
    ids=["upgrade", "tunnel"],
)
async def test_another_protocol_on_the_same_connection(method: str, headers: dict[str, str], head: bytes) -> None:
    """What has come with the answer is read first; the connection is not used for requests any more."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 " + head + b"hello ")
        while piece := await reader.read(100):
            writer.write(piece)

    async with said(serve) as client:
        for _ in range(2):
            async with client.stream(method, "/", headers=headers) as answer:
                assert answer.status_code == int(head[:3])
                stream = answer.extensions["network_stream"]
                await stream.write(b"and ")
                await stream.write(b"again")
                got = b""
                while len(got) < 15:
                    got += await stream.read(100, timeout=5)
                assert got == b"hello and again"


async def test_what_is_said_over_another_protocol_is_sent_at_once() -> None:
    """Also while somebody reads, as it is with a WebSocket."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n")
        while piece := await reader.read(100):
            writer.write(piece)

    headers = {"Connection": "upgrade", "Upgrade": "echo"}
    async with said(serve) as client, client.stream("GET", "/", headers=headers) as answer:
        stream = answer.extensions["network_stream"]
        for word in (b"one", b"two"):
            reading = asyncio.create_task(stream.read(100, timeout=5))
            await asyncio.sleep(0)
            await stream.write(word)
            assert await reading == word


async def test_a_head_is_sent_with_the_beginning_of_the_body() -> None:
    """As one packet, with one call of the system's; by itself, where there is no body."""
    pieces: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(1000):
            pieces.append(piece.partition(b"\r\n\r\n")[2])
            writer.write(OK)

    async with said(serve) as client:
        assert (await client.post("/", content=b"body")).text == "ok"
        assert (await client.get("/")).text == "ok"
    assert pieces == [b"body", b""]


@pytest.mark.parametrize(("address", "wrong"), [("ftp://127.0.0.1/", "ftp://"), ("//127.0.0.1/", "has no scheme; ")])
async def test_what_is_no_address_of_http(address: str, wrong: str) -> None:
    with pytest.raises(httpx2.UnsupportedProtocol, match=wrong):
        await Transport(bounds()).handle_async_request(httpx2.Request("GET", address))


@pytest.mark.parametrize("seed", range(3))
async def test_a_crowd_and_servers_with_faults(seed: int) -> None:
    """Everybody gets the answer to what they asked, or an error; and all places are there in the end."""
    chosen = random.Random(seed)
    most = 4

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            path = (await request_of(reader)).split()[1]
            fault = chosen.choice(["", "", "", "cut", "close", "more", "late", "gone", "chunks"])
            if fault == "gone":
                return
            await asyncio.sleep(0.02 if fault == "late" else chosen.choice([0, 0.001]))
            length = b"transfer-encoding: chunked\r\n" if fault == "chunks" else b"content-length: %d\r\n" % len(path)
            head = BEGINNING + length + (b"connection: close\r\n" if fault == "close" else b"")
            body = b"".join(b"1\r\n%c\r\n" % it for it in path) + b"0\r\n\r\n" if fault == "chunks" else path
            writer.write(head + b"\r\n" + (body[:2] if fault == "cut" else body))
            if fault == "more":
                writer.write(BEGINNING + b"content-length: 5\r\n\r\nwrong")
            if fault == "cut":
                return

    async def ask(number: int) -> str:
        url = f"http://127.0.0.1:{chosen.choice(ports)}/{number}"
        steps, way = chosen.randrange(60), chosen.choice(["whole", "whole", "cancelled", "left", "in time"])
        times = httpx2.Timeout(10, pool=0.01 if way == "in time" else 10)
        task = asyncio.create_task(read(url, f"/{number}", whole=way != "left", times=times))
        if way == "cancelled":
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            return "cancelled"
        except httpx2.TransportError as error:
            return type(error).__name__

    async def read(url: str, path: str, *, whole: bool, times: httpx2.Timeout) -> str:
        async with client.stream("GET", url, timeout=times) as answer:
            if whole:
                assert (await answer.aread()).decode() == path
        return "whole" if whole else "left"

    transport = Transport(bounds(most=most, idle=3, expiry=0.05))
    async with listening(serve) as one, listening(serve) as other, httpx2.AsyncClient(transport=transport) as client:
        ports = [one, other]
        for _ in range(8):
            got = await asyncio.gather(*(ask(number) for number in range(40)))
            assert {"whole", "cancelled"} <= set(got)
            assert transport._places + len(transport._lines) == most
            assert len(transport._idle) == len(transport._lines) <= 3
            assert not transport._waiting
