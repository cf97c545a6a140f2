"""What the faults do to events and to bytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from .faults import Fault, Kind
from .formats import Answer, Event, Format
from .replies import Problem, Reply

__all__ = ["STOPS", "Faults", "Piece", "adjust", "bend", "drip", "encode", "in_band", "place", "stop", "zipped"]

Faults = Mapping[Kind, Fault]
STOPS: tuple[Kind, ...] = ("stall", "chatter", "reset", "cut")

_INVALID = "\udcff\udcfe"
"""Text that is encoded to the bytes FF FE."""


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
        broken = Event(model.data[: len(model.data) * 2 // 3], model.name)
        events.insert(_place(events, fault), broken)
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


def encode(event: Event, lines: bool, newline: bytes) -> bytes:
    """The event as it travels."""
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
