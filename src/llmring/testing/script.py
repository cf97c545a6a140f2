"""From a reply to what happens on the connection: rendered by the wire's format, bent by the faults."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, NamedTuple

from .exchange import Problem, RecordedRequest, Reply
from .faults import Fault, Kind
from .wires import FORMATS, Answer, Event, Format, Framed
from .wires.answer import dumps

__all__ = ["Queue", "Script", "script"]

_OTHERS = ("models", "counting", "files", "batches")
_WIRES = (*FORMATS, *_OTHERS)
_ACTIONS = ("begin", "create", "retrieve", "list", "download", "cancel", "delete")
_PROVIDERS = ("openai:", "anthropic:", "google:", "ollama:")
"""What an alias's models begin with; the names that the providers give to theirs do not."""

Faults = Mapping[Kind, Fault]
STOPS: tuple[Kind, ...] = ("stall", "chatter", "reset", "cut")

_INVALID = "\udcff\udcfe"
"""Text that is encoded to the bytes FF FE."""
Ending = Literal["done", "stall", "chatter", "reset", "cut"]


@dataclass
class _Queued:
    reply: Reply
    wire: str | None
    model: str | None
    action: str | None
    times: int

    def fits(self, request: RecordedRequest) -> bool:
        if self.wire is None and request.wire in _OTHERS:
            return False
        fits = self.wire in (None, request.wire) and self.model in (None, request.model)
        return fits and self.action in (None, request.action)


class Queue:
    """Replies in order. Filled by the test, emptied by the server's thread."""

    def __init__(self) -> None:
        self._waiting: list[_Queued] = []
        self._lock = threading.Lock()

    def add(self, reply: Reply, wire: str | None, model: str | None, times: int, action: str | None = None) -> None:
        """Put a reply at the end, for requests on that wire, for that model and action; `None` for any.

        Raises:
            ValueError: no request could be meant.
        """
        if wire not in (None, *_WIRES):
            raise ValueError(f"there is no wire {wire!r}; there are: {', '.join(_WIRES)}")
        if model is not None and model.startswith(_PROVIDERS):
            raise ValueError(f"name the model as its provider sees it: {model.partition(':')[2]!r}")
        if action is not None and (wire not in ("files", "batches") or action not in _ACTIONS):
            said = f"an action is one of {', '.join(_ACTIONS)}, on the wire 'files' or 'batches'"
            raise ValueError(f"there is no action {action!r} on the wire {wire!r}; {said}")
        if times < 1:
            raise ValueError(f"times is {times}; a reply answers at least one request")
        with self._lock:
            self._waiting.append(_Queued(reply, wire, model, action, times))

    def take(self, request: RecordedRequest) -> Reply | None:
        """The first reply that fits the request."""
        with self._lock:
            for queued in self._waiting:
                if queued.fits(request):
                    queued.times -= 1
                    if not queued.times:
                        self._waiting.remove(queued)
                    return queued.reply
        return None

    def replies(self) -> list[Reply]:
        """What waits, once for each request that it would answer."""
        with self._lock:
            return [queued.reply for queued in self._waiting for _ in range(queued.times)]

    def clear(self) -> None:
        """Forget all of it."""
        with self._lock:
            self._waiting.clear()


class Piece(NamedTuple):
    """Bytes that travel as one HTTP chunk.

    Attributes:
        data: the bytes.
        chunks: how many pieces of text, reasoning or arguments are in them.
        wait: seconds before they are sent.
        end: whether they are the end marker, or what a body that is not streamed ends with.
    """

    data: bytes
    chunks: int = 0
    wait: float = 0.0
    end: bool = False


@dataclass
class Script:
    """All that the connection does to answer one request.

    Attributes:
        opening: whether the answer begins at all.
        delay: seconds before the headers.
        status, headers, pieces: the answer.
        drip: whether each piece is written by itself.
        ending: how it ends.
        tail: after `cut`, the beginning of a chunk that promises more; for `chatter`, what is said again and again.
    """

    status: int
    headers: list[tuple[str, str]]
    pieces: list[Piece]
    delay: float = 0.0
    opening: Literal["answer", "silence", "hang_up"] = "answer"
    drip: bool = False
    ending: Ending = "done"
    tail: bytes = b""


def script(reply: Reply, request: RecordedRequest, format: Format) -> Script:
    """The way that this reply answers that request on that wire."""
    faults: Faults = {fault.kind: fault for fault in reply.faults}
    reply = adjust(reply, faults, request.stream)
    problem = _problem(reply, format, request)
    content_type, chunked = "application/json", bool(faults)
    if reply.body is not None:
        content_type = reply.content_type
        parts = [reply.body] if isinstance(reply.body, bytes) else list(reply.body)
        pieces = [Piece(part, 1, reply.interval if index else 0.0) for index, part in enumerate(parts)]
        chunked |= len(parts) > 1
    elif problem is not None:
        pieces = [Piece(dumps(format.error(problem)), 1)]
    elif request.stream:
        content_type, chunked = format.STREAM_TYPE, True
        pieces = list(_stream(Answer.of(reply, request), format, faults, reply.interval))
    else:
        pieces = [Piece(_whole(Answer.of(reply, request), format, faults), 1)]

    pieces, tail = stop(pieces, faults)
    if "chatter" in faults:
        tail = _comment(format, format.NEWLINE)
    headers = {"content-type": content_type, **dict(_headers(reply, problem, format, request))}
    if "bom" in faults:
        pieces = [Piece(b"\xef\xbb\xbf"), *pieces]
    if "gzip" in faults:
        headers["content-encoding"] = "gzip"
        pieces, tail = list(zipped(pieces, whole=not faults.keys() & set(STOPS))), b""
    if not chunked:
        headers["content-length"] = str(sum(len(piece.data) for piece in pieces))
    return Script(
        status=problem.status if problem else reply.status,
        headers=list((headers | {name.lower(): value for name, value in reply.headers.items()}).items()),
        pieces=[] if "headers_only" in faults else list(drip(pieces)) if "one_byte" in faults else pieces,
        delay=reply.delay,
        opening="silence" if "never_answer" in faults else "hang_up" if "hang_up" in faults else "answer",
        drip="one_byte" in faults,
        ending=_ending(faults),
        tail=tail,
    )


def _ending(faults: Faults) -> Ending:
    if "chatter" in faults:
        return "chatter"
    if faults.keys() & {"stall", "headers_only", "linger"}:
        return "stall"
    return "reset" if "reset" in faults else "cut" if "cut" in faults else "done"


def _stream(answer: Answer, format: Format, faults: Faults, interval: float) -> Iterator[Piece]:
    """The answer as a stream, a piece for each event."""
    newline = faults["newlines"].text.encode() if "newlines" in faults else format.NEWLINE
    comment = _comment(format, newline) if "comments" in faults else b""
    framed = format.frame if isinstance(format, Framed) else partial(encode, format.LINES)
    first = True
    if comment:
        yield Piece(comment)
    for event in bend(format.events(answer), answer, format, faults):
        carries = event.carries is not None
        wait = interval if carries and not first else 0.0
        first = first and not carries
        yield Piece(framed(event, newline) + comment, int(carries), wait, event.end)


def _comment(format: Format, newline: bytes) -> bytes:
    """What keeps a connection awake and says nothing."""
    return newline if format.LINES else b": keep-alive" + newline * 2


def _whole(answer: Answer, format: Format, faults: Faults) -> bytes:
    """The answer in one piece."""
    body = format.body(answer)
    if fault := faults.get("error_event"):
        body = format.error(in_band(fault, answer))
    if "unknown_events" in faults and isinstance(body, dict):
        body["future"] = {"value": 1}
    data = dumps(body)
    if "malformed_event" in faults or "end_early" in faults:
        data = data[: len(data) * 2 // 3]
    return b"\n\n" + data if "comments" in faults else data


def _problem(reply: Reply, format: Format, request: RecordedRequest) -> Problem | None:
    """The error that the reply is, if it is one."""
    if reply.problem is not None:
        if reply.problem not in format.TROUBLES:
            raise ValueError(f"the wire {format.NAME} has no word for the problem {reply.problem!r}")
        problem = format.TROUBLES[reply.problem]
    elif reply.status >= 400:
        problem = Problem(reply.status)
    else:
        return None
    message = problem.message and problem.message.replace("{model}", request.model)
    return replace(
        problem,
        message=message if reply.error is None else reply.error,
        type=problem.type if reply.error_type is None else reply.error_type,
        code=problem.code if reply.error_code is None else reply.error_code,
        request_id=reply.request_id or request.id,
        retry_after=problem.retry_after if reply.retry_after is None else reply.retry_after,
    )


def _headers(
    reply: Reply, problem: Problem | None, format: Format, request: RecordedRequest
) -> Iterator[tuple[str, str]]:
    """The headers that depend on the wire."""
    if format.ID_HEADER:
        yield format.ID_HEADER, reply.request_id or request.id
    wait = problem.retry_after if problem else reply.retry_after
    if isinstance(wait, str):
        yield "retry-after", wait
    elif wait is not None and not format.RETRY_IN_BODY:
        yield "retry-after", f"{wait:g}"


def adjust(reply: Reply, faults: Faults, stream: bool) -> Reply:
    """The reply with the faults in it that concern what is said."""
    if "no_usage" in faults:
        reply = replace(reply, usage=None)
    if "no_finish_reason" in faults:
        reply = replace(reply, finish_reason=None)
    if fault := faults.get("big_event"):
        reply = replace(reply, chunks=[*reply.text_chunks, "x" * fault.size])
    if "invalid_utf8" in faults and not stream:
        reply = replace(reply, chunks=[*reply.text_chunks, _INVALID])
    if fault := faults.get("not_a_stream"):
        reply = replace(reply, body=fault.text.encode(), content_type=fault.type or "text/html")
    return reply


def bend(events: list[Event], answer: Answer, format: Format, faults: Faults) -> list[Event]:
    """The stream with the events that the faults put in, and without those that they leave out."""
    if fault := faults.get("malformed_event"):
        model = next((event for event in events if event.carries), events[0])
        events.insert(_place(events, fault), _broken(model))
    if fault := faults.get("lost_event"):
        carrying = [index for index, event in enumerate(events) if event.carries is not None]
        for index in carrying[fault.after - 1 : fault.after]:
            events[index] = _broken(events[index])
    if fault := faults.get("invalid_utf8"):
        strange = format.events(replace(answer, chunks=[_INVALID]))
        broken = next(event for event in strange if event.carries == _INVALID)
        events.insert(_place(events, fault), broken._replace(carries=None))
    if "unknown_events" in faults:
        events = list(_with_strangers(events, format.unknown_events(answer)))
    if fault := faults.get("error_event"):
        return [*events[: _place(events, fault)], *format.error_events(in_band(fault, answer), answer)]
    if fault := faults.get("end_early"):
        return events[: _place(events, fault)]
    return events


def _broken(event: Event) -> Event:
    """The event, its JSON broken off."""
    return Event(event.data[: len(event.data) * 2 // 3], event.name)


def in_band(fault: Fault, answer: Answer) -> Problem:
    """The error that comes inside a good answer."""
    return Problem(fault.status, fault.message, fault.type, request_id=answer.request.id)


def _place(events: list[Event], fault: Fault) -> int:
    return place([event.carries is not None for event in events], [event.end for event in events], fault.after)


def place(carries: list[bool], ends: list[bool], after: int) -> int:
    """The index right after that many pieces of content, at most that of the end; 0 for none."""
    if after == 0:
        return 0
    end = ends.index(True) if True in ends else len(ends)
    places = [index + 1 for index, carried in enumerate(carries) if carried]
    return min(places[after - 1], end) if after <= len(places) else end


def stop(pieces: list[Piece], faults: Faults) -> tuple[list[Piece], bytes]:
    """The pieces before a fault that stops them, and the first half of what is cut there."""
    fault = next((faults[kind] for kind in STOPS if kind in faults), None)
    if fault is None:
        return pieces, b""
    if len(pieces) == 1:
        data = pieces[0].data
        pieces = [Piece(data[: len(data) // 2], 1), Piece(data[len(data) // 2 :], end=True)]
    at = place([piece.chunks > 0 for piece in pieces], [piece.end for piece in pieces], fault.after)
    rest = pieces[at].data if at < len(pieces) else b""
    return pieces[:at], rest[: len(rest) // 2]


def _with_strangers(events: list[Event], strangers: list[Event]) -> Iterator[Event]:
    """Unknown events after the first event, and after each that carries content."""
    for index, event in enumerate(events):
        yield event
        if index == 0 or event.carries is not None:
            yield from strangers


def encode(lines: bool, event: Event, newline: bytes) -> bytes:
    """The event as it travels: a line of its own, or a server-sent event."""
    if lines:
        return event.data + newline
    name = b"event: %s%s" % (event.name.encode(), newline) if event.name else b""
    return b"%sdata: %s%s%s" % (name, event.data, newline, newline)


def zipped(pieces: list[Piece], whole: bool) -> Iterator[Piece]:
    """The pieces compressed, each flushed; the end of the compressed data only if it is whole."""
    compressor = zlib.compressobj(wbits=31)
    for piece in pieces:
        yield piece._replace(data=compressor.compress(piece.data) + compressor.flush(zlib.Z_SYNC_FLUSH))
    if whole:
        yield Piece(compressor.flush())


def drip(pieces: list[Piece]) -> Iterator[Piece]:
    """One byte at a time; what a piece holds has come with its last one."""
    for piece in pieces:
        for byte in piece.data[:1]:
            yield Piece(bytes([byte]), piece.chunks if len(piece.data) == 1 else 0, piece.wait)
        for at in range(1, len(piece.data)):
            yield Piece(piece.data[at : at + 1], piece.chunks if at == len(piece.data) - 1 else 0)
