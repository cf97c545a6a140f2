"""One connection of a client: requests are read and answered in turn."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections.abc import Callable
from urllib.parse import parse_qsl, unquote, urlsplit

try:
    import h11
except ImportError as exc:
    raise ImportError("llmring.testing needs h11: pip install h11") from exc

from .exchange import RecordedRequest
from .script import Script

__all__ = ["Connection"]

_ENOUGH = 64 * 1024
"""Bytes that are gathered before they are written, where nothing has to wait in between."""

_ARRIVAL = 0.02
"""Seconds that what was sent gets to arrive before a reset, which may overtake it."""

_BREATH = 0.05
"""Seconds between comments."""


class Connection(asyncio.Protocol):
    """The server's end of a connection. Lives in the server's thread.

    Args:
        number: of the connection.
        answer: decides what to do about a request.
        among: the connections that are open; it keeps itself there.
    """

    def __init__(self, number: int, answer: Callable[[RecordedRequest], Script], among: set[Connection]):
        self.number = number
        self._decide = answer
        self._among = among
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=256 * 1024)
        self._head: h11.Request | None = None
        self._body: list[bytes] = []
        self._request: RecordedRequest | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._closing = False
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._among.add(self)

    def data_received(self, data: bytes) -> None:
        """Take in bytes; while an answer is under way they wait."""
        self._http.receive_data(data)
        if self.task is None:
            self._read()

    def eof_received(self) -> None:
        """The client has closed its side; nobody half-closes to hear the rest."""
        self._client_left()
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Both sides are closed; an answer under way is given up."""
        self._client_left()
        self._among.discard(self)
        self._writable.set()
        if self.task is not None:
            self.task.cancel()

    def pause_writing(self) -> None:
        """The client does not keep up."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It does again."""
        self._writable.set()

    def close(self, reset: bool = False) -> None:
        """Close at once; with a TCP reset if asked for."""
        self._closing = True
        if reset:
            linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._transport.abort()

    def _client_left(self) -> None:
        """Tell the last request, unless it was us who closed."""
        if not self._closing:
            self._closing = True
            if self._request is not None:
                self._request.disconnected_at = time.monotonic()
                self._request.closed_by_client.set()

    def _read(self) -> None:
        """Take in what has arrived; a whole request starts its answer."""
        try:
            while self.task is None:
                event = self._http.next_event()
                if isinstance(event, h11.Request):
                    self._head, self._body = event, []
                elif isinstance(event, h11.Data):
                    self._body.append(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage):
                    self.task = asyncio.get_running_loop().create_task(self._answer())
                    self.task.add_done_callback(self._answered)
                else:
                    if event is h11.NEED_DATA and self._http.they_are_waiting_for_100_continue:
                        self._send(h11.InformationalResponse(status_code=100, headers=[]))
                    return
        except h11.RemoteProtocolError as exc:
            self._closing = True
            if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                headers = [("content-length", "0"), ("connection", "close")]
                self._send(h11.Response(status_code=exc.error_status_hint, headers=headers))
            self._transport.close()

    def _send(self, event: h11.Event) -> None:
        self._transport.write(self._http.send(event) or b"")

    async def _answer(self) -> None:
        assert self._head is not None
        request = self._request = self._recorded(self._head, b"".join(self._body))
        self._body = []
        await self._perform(self._decide(request), request)

    def _answered(self, task: asyncio.Task[None]) -> None:
        """Go on with the next request, or close."""
        self.task = None
        if not task.cancelled() and (exc := task.exception()):
            self.close()
            raise exc
        if self._transport.is_closing():
            return
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self._read()
        else:
            self._closing = True
            self._transport.close()

    def _recorded(self, head: h11.Request, raw: bytes) -> RecordedRequest:
        try:
            target = urlsplit(head.target.decode("ascii"))
        except ValueError:  # such as half of an IPv6 address
            target = urlsplit("/" + head.target.decode("ascii").replace("[", "%5B").lstrip("/"))
        return RecordedRequest(
            wire=None,
            method=head.method.decode("ascii"),
            path=unquote(target.path),
            query=dict(parse_qsl(target.query, keep_blank_values=True)),
            headers={name.decode("ascii"): value.decode("latin-1") for name, value in head.headers},
            raw=raw,
            connection=self.number,
        )

    async def _perform(self, script: Script, request: RecordedRequest) -> None:
        """Do what the script says."""
        if script.opening == "silence":
            await _for_ever()
        if script.opening == "hang_up":
            self.close()
            return
        if script.delay:
            await asyncio.sleep(script.delay)
        http = self._http
        reason = b"" if script.status != 529 else b"Overloaded"
        waiting = bytearray(
            http.send(h11.Response(status_code=script.status, headers=script.headers, reason=reason)) or b""
        )
        for piece in script.pieces if request.method != "HEAD" else ():
            if piece.wait:
                await self._write(waiting)
                await asyncio.sleep(piece.wait)
            waiting += http.send(h11.Data(data=piece.data)) or b""
            request.chunks_sent += piece.chunks
            if script.drip or len(waiting) > _ENOUGH:
                await self._write(waiting)
        if script.ending == "done":
            waiting += http.send(h11.EndOfMessage()) or b""
        elif script.ending == "cut":
            waiting += b"%x\r\n%s" % (len(script.tail) + 100, script.tail)
        request.finished_at = time.monotonic() if script.ending == "done" else None
        await self._write(waiting)
        if script.ending == "stall":
            await _for_ever()
        elif script.ending == "chatter":
            while True:
                await asyncio.sleep(_BREATH)
                await self._write(bytearray(http.send(h11.Data(data=script.tail)) or b""))
        elif script.ending == "cut":
            self._closing = True
            self._transport.close()
        elif script.ending == "reset":
            await asyncio.sleep(_ARRIVAL)
            self.close(reset=True)

    async def _write(self, waiting: bytearray) -> None:
        """Hand over what is waiting, as fast as the client takes it."""
        if waiting:
            self._transport.write(bytes(waiting))
            waiting.clear()
        await asyncio.sleep(0)
        await self._writable.wait()


async def _for_ever() -> None:
    """Until the client leaves or the server closes, which cancels."""
    await asyncio.get_running_loop().create_future()
