"""From a reply to what happens on the connection: rendered by the wire's format, bent by the faults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from .bending import STOPS, Faults, Piece, adjust, bend, drip, encode, in_band, stop, zipped
from .formats import Answer, Format
from .formats.answer import dumps
from .replies import Problem, Reply
from .requests import RecordedRequest

__all__ = ["Script", "script"]

Ending = Literal["done", "stall", "chatter", "reset", "cut"]


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
    first = True
    if comment:
        yield Piece(comment)
    for event in bend(format.events(answer), answer, format, faults):
        carries = event.carries is not None
        wait = interval if carries and not first else 0.0
        first = first and not carries
        yield Piece(encode(event, format.LINES, newline) + comment, int(carries), wait, event.end)


def _comment(format: Format, newline: bytes) -> bytes:
    """What keeps a connection awake and says nothing."""
    return newline if format.LINES else b": keep-alive" + newline * 2


def _whole(answer: Answer, format: Format, faults: Faults) -> bytes:
    """The answer in one piece."""
    body = format.body(answer)
    if fault := faults.get("error_event"):
        body = format.error(in_band(fault, answer))
    if "unknown_events" in faults:
        body["future"] = {"value": 1}
    data = dumps(body)
    if "malformed_event" in faults or "end_early" in faults:
        data = data[: len(data) * 2 // 3]
    return b"\n\n" + data if "comments" in faults else data


def _problem(reply: Reply, format: Format, request: RecordedRequest) -> Problem | None:
    """The error that the reply is, if it is one."""
    if reply.problem is not None:
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
