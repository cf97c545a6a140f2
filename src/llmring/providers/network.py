"""The network under all SDKs: httpcore2's connection pool, on asyncio's own transports.

A stream is read in small pieces for minutes, and each piece costs httpcore2's usual backend a timer, two changes to
what the event loop waits for, and several layers of context managers. Here a piece costs one callback.
"""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import Future
from contextlib import suppress
from ipaddress import ip_address
from threading import Thread
from typing import Any, NoReturn, cast

import httpcore2
import httpx2

__all__ = ["Transport"]

_AHEAD = 256 * 1024  # bytes that are read before they are asked for
_NEXT_ADDRESS = 0.25  # seconds after which the next address of a host is tried beside the last, as in RFC 8305
_KEEP_ALIVE = {"SO_KEEPALIVE": 1, "TCP_KEEPIDLE": 60, "TCP_KEEPALIVE": 60, "TCP_KEEPINTVL": 60, "TCP_KEEPCNT": 5}
"""Socket options, as far as the system has them: a model may think for minutes, and routers forget idle connections."""


class Transport(httpx2.AsyncBaseTransport):
    """HTTP over connections of `Connection`.

    Args:
        limits: of the pool.
        verify: what servers' certificates are checked against; not needed for what is asked in the clear.
    """

    def __init__(self, limits: httpx2.Limits, verify: ssl.SSLContext | None = None) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=verify,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_Backend(),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send, and give the answer with its body still to be read."""
        url = request.url
        theirs = httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        try:
            answer = await self._pool.handle_async_request(theirs)
        except Exception as error:
            _raise_as_httpx(error)
        return httpx2.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(answer.stream, answer.extensions.get("network_stream")),
            extensions=answer.extensions,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()
        # The sockets are closed in the loop's next step, which may be its last.
        await asyncio.sleep(0)


class _Body(httpx2.AsyncByteStream):
    """An answer's body."""

    def __init__(self, stream: Any, connection: Any) -> None:
        self._stream = stream
        self._connection = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        # The first goes up by itself: who waits for it shall not wait for the decoding of the others.
        parts, state = self._stream.__aiter__(), None
        try:
            async for part in parts:
                come, over, broken = _with_it(part, state)
                yield come
                state = state or _state_of(self._stream)
                if broken is not None:
                    raise httpx2.RemoteProtocolError(str(broken)) from broken
                if over:
                    break
        except Exception as error:
            _raise_as_httpx(error)
        finally:
            await parts.aclose()

    async def aclose(self) -> None:
        connection = self._connection if isinstance(self._connection, Connection) else None
        if connection is not None and (state := _state_of(self._stream)) is not None and state.trailing_data[0]:
            # More came than the answer: the pool would begin the next one with it.
            connection.abort()
        await self._stream.aclose()
        if connection is None or connection.is_closing():
            # It is gone in the loop's next step.
            await asyncio.sleep(0)


def _with_it(part: bytes, state: Any) -> tuple[bytes, bool, Exception | None]:
    """A piece and those that have come with it, whether they are the end, and what is wrong with what follows."""
    come = [part]
    try:
        while state is not None and len(come) < 64:  # a fast server may have sent megabytes
            if (more := getattr(event := state.next_event(), "data", None)) is None:
                # Of what h11 gives, only the signs that nothing has come are types.
                return b"".join(come), not isinstance(event, type), None
            come.append(more)
    except Exception as error:
        return b"".join(come), False, error
    return b"".join(come), False, None


def _state_of(stream: Any) -> Any:
    """The `h11.Connection` of an answer, `None` where httpcore2 keeps it elsewhere."""
    return getattr(getattr(getattr(stream, "_stream", None), "_connection", None), "_h11_state", None)


def _raise_as_httpx(error: Exception) -> NoReturn:
    """Raise the exception of that name in httpx2, whose clients know only those; any other as it is."""
    kind = getattr(httpx2, type(error).__name__, None) if type(error).__module__.startswith("httpcore2") else None
    if kind is None:
        raise error
    raise kind(str(error)) from error


class _Backend(httpcore2.AsyncNetworkBackend):
    """Opens connections."""

    def __init__(self) -> None:
        self._names = _Names()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """A connection to a host, by whichever of its addresses answers first."""
        try:
            async with asyncio.timeout(timeout):
                return await _connect(self._names, host, port)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(str(error)) from error
        except (OSError, UnicodeError, RuntimeError) as error:  # the last where no thread can be had
            raise httpcore2.ConnectError(str(error)) from error

    async def sleep(self, seconds: float) -> None:
        """Between attempts to connect."""
        await asyncio.sleep(seconds)


async def _connect(names: _Names, host: str, port: int) -> Connection:
    """A connection, by whichever of the host's addresses answers first."""
    from aiohappyeyeballs import addr_to_addr_infos, start_connection

    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    found = addr_to_addr_infos((host, port)) if _is_address(host) else await names.look_up(host, port)
    cancelled = task.cancelling() if task is not None else 0
    sock = await start_connection(found or [], happy_eyeballs_delay=_NEXT_ADDRESS)
    if task is not None and task.cancelling() > cancelled:
        # While the race waited for those who lost it, that was lost.
        sock.close()
        raise asyncio.CancelledError
    return (await loop.create_connection(lambda: Connection(loop), sock=sock))[1]


class _Names:
    """Looks up hosts, each in a thread of its own, once for all who wait for it.

    An event loop has a few threads for this, which are everybody's: a dead name server would soon be in all of them.
    """

    def __init__(self) -> None:
        self._under_way: dict[tuple[str, int], Future[list[Any]]] = {}

    async def look_up(self, host: str, port: int) -> list[Any]:
        """What `socket.getaddrinfo` gives, or raises."""
        place = host, port
        if (found := self._under_way.get(place)) is None:
            found = Future()
            Thread(target=self._find, args=(place, found), name=f"llmring-name-{host}", daemon=True).start()
            self._under_way[place] = found
            if found.done():
                self._under_way.pop(place, None)
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()

        def wake(_: object) -> None:
            with suppress(RuntimeError):  # its loop is closed
                loop.call_soon_threadsafe(_wake, waiter)

        found.add_done_callback(wake)
        await waiter
        if (failure := found.exception()) is not None:
            # Each of those who waited has its own, to write on.
            raise type(failure)(*failure.args)
        return found.result()

    def _find(self, place: tuple[str, int], found: Future[list[Any]]) -> None:
        try:
            found.set_result(socket.getaddrinfo(*place, type=socket.SOCK_STREAM))
        except Exception as error:
            found.set_exception(error)
        self._under_way.pop(place, None)


class Connection(asyncio.Protocol, httpcore2.AsyncNetworkStream):
    """One connection, as asyncio and as httpcore2 see it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport
        self._arrived: deque[bytes] = deque()
        self._size = 0
        self._held_back = False
        self._ended = False
        self._error: Exception | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._head: bytes | None = None

    # As asyncio sees it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast("asyncio.Transport", transport)
        sock = transport.get_extra_info("socket")
        for name, value in _KEEP_ALIVE.items():
            option = getattr(socket, name, None)
            if sock is not None and option is not None:
                with suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET if name.startswith("SO_") else socket.IPPROTO_TCP, option, value)

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        self._arrived.append(data)
        self._size += len(data)
        if self._size > _AHEAD and not self._held_back:
            self._held_back = True
            self._transport.pause_reading()
        _wake(self._reader)

    def eof_received(self) -> None:
        """The other side has said all."""
        self._ended = True
        _wake(self._reader)

    def connection_lost(self, error: Exception | None) -> None:
        """It is closed."""
        self._ended = True
        self._error = error
        _wake(self._reader)
        _wake(self._writer)

    def pause_writing(self) -> None:
        """The other side takes no more for now."""
        self._writer = self._loop.create_future()

    def resume_writing(self) -> None:
        """It takes more."""
        _wake(self._writer)
        self._writer = None

    # As httpcore2 sees it

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """The next bytes; none where the other side has said all."""
        if self._head:
            self._transport.write(self._head)
        self._head = None
        if self._arrived:
            # Whoever is sent more than it can take must still let others have their turn.
            await asyncio.sleep(0)
        elif not self._ended:
            self._reader = self._loop.create_future()
            try:
                await _within(timeout, self._reader, httpcore2.ReadTimeout)
            finally:
                self._reader = None
        if not self._arrived:
            if self._error is not None:
                raise httpcore2.ReadError(str(self._error)) from self._error
            return b""
        data = self._arrived.popleft()
        if len(data) > max_bytes:
            self._arrived.appendleft(data[max_bytes:])
            data = data[:max_bytes]
        self._size -= len(data)
        if self._held_back and self._size <= _AHEAD // 2:
            self._held_back = False
            if not self._transport.is_closing():
                self._transport.resume_reading()
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send bytes, and wait while the other side takes no more."""
        if self._ended or self._transport.is_closing():
            raise httpcore2.WriteError("the connection is closed")
        if self._head is None:
            # A request's head goes with what comes after it: that is one packet, and one call of the system's.
            self._head = buffer
            return
        if self._head:
            buffer, self._head = self._head + buffer, b""
        self._transport.write(buffer)
        if self._writer is not None:
            await _within(timeout, self._writer, httpcore2.WriteTimeout)
            if self._ended:
                raise httpcore2.WriteError("the connection was closed")

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        """Speak TLS from now on."""
        try:
            async with asyncio.timeout(timeout):
                transport = await self._loop.start_tls(
                    self._transport, self, ssl_context, server_hostname=server_hostname
                )
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        if transport is None:
            raise httpcore2.ConnectError("the connection was closed in the TLS handshake")
        self._transport = transport
        return self

    async def aclose(self) -> None:
        """Close it at once: TLS would first wait for the other side.

        Nothing is awaited: the pool closes those that it has already forgotten one after the other, and were that
        cancelled on the way, nobody would close the rest.
        """
        self.abort()

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._transport.is_closing()

    def abort(self) -> None:
        """Close it, from where nothing can be awaited."""
        self._transport.abort()

    def get_extra_info(self, info: str) -> Any:
        """What httpcore2 asks of a connection."""
        if info == "is_readable":
            over = self._ended or self._transport.is_closing()
            return over or bool(self._arrived) or _is_readable(self._transport.get_extra_info("socket"))
        return self._transport.get_extra_info({"client_addr": "sockname", "server_addr": "peername"}.get(info, info))


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


async def _within(timeout: float | None, waiter: asyncio.Future[None], error: type[Exception]) -> None:
    if timeout is None:
        await waiter
        return
    try:
        async with asyncio.timeout(timeout):
            await waiter
    except TimeoutError as late:
        raise error(str(late)) from late


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_readable(sock: Any) -> bool:
    """Whether there is something to read on an idle connection: only its end can be."""
    if sock is None or sock.fileno() < 0:
        return True
    if not hasattr(select, "poll"):
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
