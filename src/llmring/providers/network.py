"""The network under all SDKs: connections, on asyncio's own transports.

A stream is read in small pieces for minutes, and each piece costs the usual backend of httpcore2 a timer, two changes
to what the event loop waits for, and several layers of context managers. Here a piece costs one callback.
"""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from ipaddress import ip_address
from threading import Thread
from typing import Any, cast

import httpcore2

__all__ = ["Connection", "Names", "connect"]

_AHEAD = 256 * 1024  # bytes that are read before they are asked for
_NEXT_ADDRESS = 0.25  # seconds after which the next address of a host is tried beside the last, as in RFC 8305
_KEEP_ALIVE = {"SO_KEEPALIVE": 1, "TCP_KEEPIDLE": 60, "TCP_KEEPALIVE": 60, "TCP_KEEPINTVL": 60, "TCP_KEEPCNT": 5}
"""Socket options, as far as the system has them: a model may think for minutes, and routers forget idle connections."""


async def connect(names: Names, host: str, port: int, timeout: float | None) -> Connection:
    """A connection to a host, by whichever of its addresses answers first.

    Raises:
        httpcore2.ConnectTimeout: it took longer than that many seconds.
        httpcore2.ConnectError: there is no way to it.
    """
    try:
        async with asyncio.timeout(timeout):
            return await _connect(names, host, port)
    except TimeoutError as error:
        raise httpcore2.ConnectTimeout(str(error)) from error
    except (OSError, UnicodeError, RuntimeError) as error:  # the last where no thread can be had
        raise httpcore2.ConnectError(str(error)) from error


async def _connect(names: Names, host: str, port: int) -> Connection:
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


class Names:
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
    """One connection, as asyncio sees it, and as HTTP does: in httpcore2's form, which whoever upgrades it knows."""

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
        self._looks: Callable[[int], Any] | None = None

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
        """The other side has said all, and whoever still tells it something need not wait until it takes that."""
        self._ended = True
        _wake(self._reader)
        _wake(self._writer)

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

    # As HTTP sees it

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """The next bytes; none where the other side has said all."""
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

    def unread(self, data: bytes) -> None:
        """Put bytes back, to be read next."""
        if data:
            self._arrived.appendleft(data)
            self._size += len(data)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send bytes, and wait while the other side takes no more."""
        if self._ended or self._transport.is_closing():
            raise httpcore2.WriteError("the connection is closed")
        self._transport.write(buffer)
        if self._writer is not None:
            # Another may wait, too, and is not to be cancelled together with this one.
            await _within(timeout, asyncio.shield(self._writer), httpcore2.WriteTimeout)
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
        """Close it at once: TLS would first wait for the other side."""
        self.abort()

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._transport.is_closing()

    def is_quiet(self) -> bool:
        """Whether it is open, and nothing has come: of an idle connection, only its end can."""
        if self._ended or self._arrived or self._transport.is_closing() or self._loop.is_closed():
            return False
        if self._looks is None:
            self._looks = _looks_at(self._transport.get_extra_info("socket"))
        return not self._looks(0)

    def abort(self) -> None:
        """Close it, from where nothing can be awaited."""
        with suppress(RuntimeError):  # its loop is closed, and leaves it to the garbage collector
            self._transport.abort()

    def get_extra_info(self, info: str) -> Any:
        """What is known of the connection, by httpcore2's names or asyncio's."""
        if info == "is_readable":
            return not self.is_quiet()
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


def _looks_at(sock: Any) -> Callable[[int], Any]:
    """Says, once it has waited so many milliseconds, whether there is something to read."""
    if sock is None or sock.fileno() < 0:
        return lambda _: True
    if not hasattr(select, "poll"):
        return lambda wait: select.select([sock], [], [], wait / 1000)[0]
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return poll.poll
