"""HTTP/1.1 over connections of our own: a pool that does not look at all of them for each request.

A place in the pool is taken, passed on and given back without a wait in between. So whoever is cancelled, at whichever
moment, takes none with it.
"""

from __future__ import annotations

import asyncio
import sys
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import suppress
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeAlias

import h11
import httpcore2
import httpx2

from .network import Connection, Names, connect

if TYPE_CHECKING:
    import ssl

__all__ = ["Transport"]

Origin: TypeAlias = "tuple[str, bytes, int]"
_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_SECURE = ("https", "wss")
_READ = 64 * 1024
_HEAD = 100 * 1024
"""Bytes that the head of an answer may have, or the line before a chunk."""
_FOREIGN = (h11.ProtocolError, httpcore2.NetworkError, httpcore2.TimeoutException)
"""What goes up under httpx2's name for it. All else is raised as it is, by no function: that would be a cycle."""


class Transport(httpx2.AsyncBaseTransport):
    """HTTP over connections of `Connection`, for the clients of one event loop.

    Args:
        limits: of the pool.
        verify: what servers' certificates are checked against; `None` where all is asked in the clear.
    """

    def __init__(self, limits: httpx2.Limits, verify: ssl.SSLContext | None = None) -> None:
        most, idle = limits.max_connections, limits.max_keepalive_connections
        self._places = sys.maxsize if most is None else most
        self._most_idle = sys.maxsize if idle is None else idle
        self._expiry = inf if limits.keepalive_expiry is None else limits.keepalive_expiry
        if verify is not None:
            verify.set_alpn_protocols(["http/1.1"])
        self._verify = verify
        self._names = Names()
        self._lines: set[_Line] = set()
        # The one that was used last is at the end, and used next.
        self._idle: OrderedDict[_Line, None] = OrderedDict()
        self._waiting: deque[tuple[Origin, asyncio.Future[_Line | None]]] = deque()
        self._is_closed = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send, and give the answer with its body still to be read."""
        url = request.url
        if url.scheme not in _PORTS:
            wrong = f"{url.scheme}:// is no address of HTTP" if url.scheme else "the address has no scheme"
            raise httpx2.UnsupportedProtocol(f"{wrong}; write http:// or https://.")
        origin = url.scheme, url.raw_host, url.port or _PORTS[url.scheme]
        times = request.extensions.get("timeout") or {}
        line = None
        try:
            if (line := self._idle_one(origin)) is None:
                line = await self._place(origin, times.get("pool"))
                if line is None:
                    line = await self._new(origin, request.extensions.get("sni_hostname"), times.get("connect"))
            head = await line.ask(request, times)
        except BaseException as error:
            if line is not None:
                self.leave(line)
            if isinstance(error, _FOREIGN):
                raise _as_httpx(error) from error
            raise
        more = {
            "http_version": b"HTTP/" + head.http_version,
            "reason_phrase": head.reason,
            "network_stream": line.connection,
        }
        body = _Body(self, line, times.get("read"))
        return httpx2.Response(head.status_code, headers=head.headers.raw_items(), stream=body, extensions=more)

    async def aclose(self) -> None:
        """Close all connections."""
        self._is_closed = True
        for line in self._lines:
            line.connection.abort()
        for _, place in self._waiting:
            if not place.done():
                place.set_exception(_closed())
        self._lines.clear()
        self._idle.clear()
        # The sockets are closed in the loop's next step, which may be its last.
        await asyncio.sleep(0)

    def _idle_one(self, origin: Origin) -> _Line | None:
        """An open connection to a server that nobody uses."""
        now = monotonic()
        while self._idle and next(iter(self._idle)).expires <= now:
            self._end_oldest()
        while (line := next((it for it in reversed(self._idle) if it.origin == origin), None)) is not None:
            del self._idle[line]
            if line.connection.is_quiet():
                return line
            self._end(line)
        return None

    def _end_oldest(self) -> None:
        self._end(self._idle.popitem(last=False)[0])

    async def _place(self, origin: Origin, timeout: float | None) -> _Line | None:
        """A place for another connection, and `None`; or one to this server that is no longer used."""
        if self._places > 0:
            self._places -= 1
            return None
        if self._idle:  # to another server: that is closed for this one
            self._end_oldest()
            self._places -= 1
            return None
        place: asyncio.Future[_Line | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting := (origin, place))
        try:
            async with asyncio.timeout(timeout):
                return await place
        except BaseException as error:
            if not place.done() or place.cancelled():
                with suppress(ValueError):
                    self._waiting.remove(waiting)
            elif place.exception() is None:
                # It was given at the very moment at which nobody waited for it any more.
                self._pass_on(place.result())
            if isinstance(error, TimeoutError):
                raise httpx2.PoolTimeout("no connection became free in time") from error
            raise

    async def _new(self, origin: Origin, name: str | None, timeout: float | None) -> _Line:
        """A new connection in the place that was taken for it."""
        scheme, host, port = origin[0], origin[1].decode("ascii"), origin[2]
        connection = None
        try:
            connection = await connect(self._names, host, port, timeout)
            if scheme in _SECURE:
                assert self._verify is not None
                await connection.start_tls(self._verify, name or host, timeout)
            if self._is_closed:
                raise _closed()
        except BaseException:
            if connection is not None:
                connection.abort()
            self._pass_on(None)
            raise
        line = _Line(origin, connection)
        self._lines.add(line)
        return line

    def leave(self, line: _Line) -> None:
        """Have a connection back: to be used again, if what was said over it is over."""
        if line not in self._lines:
            return
        if self._is_closed or not line.is_done():
            self._end(line)
            return
        line.http.start_next_cycle()
        line.expires = monotonic() + self._expiry
        self._pass_on(line)

    def _end(self, line: _Line) -> None:
        self._lines.discard(line)
        line.connection.abort()
        self._pass_on(None)

    def _pass_on(self, line: _Line | None) -> None:
        """Give a place, and the connection in it, to whoever has waited longest."""
        while self._waiting:
            origin, place = self._waiting.popleft()
            if not place.done():
                if line is not None and (line.origin != origin or not line.connection.is_quiet()):
                    self._lines.discard(line)
                    line.connection.abort()
                    line = None
                place.set_result(line)
                return
        if line is None:
            self._places += 1
            return
        self._idle[line] = None
        if len(self._idle) > self._most_idle:
            self._end_oldest()


class _Line:
    """A connection to a server, and where HTTP/1.1 is on it.

    Attributes:
        expires: when it is too old to be used again, where nobody uses it.
    """

    __slots__ = ("connection", "expires", "http", "origin")

    def __init__(self, origin: Origin, connection: Connection) -> None:
        self.origin = origin
        self.connection = connection
        self.http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD)
        self.expires = inf

    def is_done(self) -> bool:
        """Whether all was said, and the server keeps it open; what came after its answer is no answer to the next."""
        http = self.http
        if http.our_state is not h11.DONE or http.their_state is not h11.DONE or http.trailing_data[0]:
            return False
        return not self.connection.is_closing()

    async def ask(self, request: httpx2.Request, times: dict[str, float | None]) -> Any:
        """Send a request, and wait for the head of its answer, which h11 has of two kinds."""
        assert isinstance(request.stream, httpx2.AsyncByteStream)
        http, write, timeout = self.http, self.connection.write, times.get("write")
        target = request.extensions.get("target") or request.url.raw_path
        # It goes with the beginning of the body: that is one packet, and one call of the system's.
        head = http.send(h11.Request(method=request.method, target=target, headers=request.headers.raw)) or b""
        try:
            parts = aiter(request.stream)
            try:
                async for part in parts:
                    await write(head + (http.send(h11.Data(data=part)) or b""), timeout)
                    head = b""
            finally:
                if (close := getattr(parts, "aclose", None)) is not None:
                    await close()
            if rest := head + (http.send(h11.EndOfMessage()) or b""):
                await write(rest, timeout)
        except httpcore2.WriteError:
            pass  # a server may have answered what it has not read to its end
        while True:
            event = await self.event(times.get("read"))
            if http.their_state is h11.SWITCHED_PROTOCOL:
                self.connection.unread(http.trailing_data[0])
                return event
            if isinstance(event, h11.Response):
                return event

    async def event(self, timeout: float | None) -> Any:
        """What the server says next, as h11 has it."""
        http = self.http
        while (event := http.next_event()) is h11.NEED_DATA:
            data = await self.connection.read(_READ, timeout)
            if not data and http.their_state is h11.SEND_RESPONSE:
                raise httpx2.RemoteProtocolError("Server disconnected without sending a response.")
            http.receive_data(data)
        return event

    def at_hand(self, part: bytes) -> tuple[bytes, bool, Exception | None]:
        """A piece of a body and those that have come with it, whether they are the end, and what is wrong after it."""
        come = [part]
        try:
            while len(come) < 64:  # a fast server may have sent megabytes
                if not isinstance(event := self.http.next_event(), h11.Data):
                    return b"".join(come), isinstance(event, h11.EndOfMessage), None
                come.append(event.data)
        except h11.RemoteProtocolError as error:
            return b"".join(come), False, error
        return b"".join(come), False, None


class _Body(httpx2.AsyncByteStream):
    """An answer's body. With its end it gives the connection back."""

    def __init__(self, pool: Transport, line: _Line, timeout: float | None) -> None:
        self._pool = pool
        self._line = line
        self._timeout = timeout
        self._is_left = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        line, is_first, over = self._line, True, False
        try:
            while not over and isinstance(event := await line.event(self._timeout), h11.Data):
                if is_first:
                    # It goes up by itself: who waits for it shall not wait for the decoding of the others.
                    is_first = False
                    yield bytes(event.data)
                    continue
                come, over, broken = line.at_hand(event.data)
                yield come
                if broken is not None:
                    raise broken
        except BaseException as error:
            self._leave()
            if isinstance(error, _FOREIGN):
                raise _as_httpx(error) from error
            raise

    async def aclose(self) -> None:
        self._leave()
        if self._line.connection.is_closing():
            # It is gone in the loop's next step.
            await asyncio.sleep(0)

    def _leave(self) -> None:
        if not self._is_left:
            self._is_left = True
            self._pool.leave(self._line)


def _closed() -> httpx2.ConnectError:
    return httpx2.ConnectError("the client was closed")


def _as_httpx(error: BaseException) -> Exception:
    """The exception of that name in httpx2, whose clients know only those."""
    kind: type[httpx2.TransportError] = getattr(httpx2, type(error).__name__)
    return kind(str(error))
