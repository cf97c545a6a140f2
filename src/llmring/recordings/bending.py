"""A replay bent by a `Fault` of `llmring.testing`, as the practice server bends its answers.

What concerns bytes alone (`one_byte`, `newlines`, `bom`, `comments`, `gzip`, `unknown_events`) is not felt there, and
so is not here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..exceptions import ConfigurationError
from ..references import shown
from ..wire.errors import WireError
from .exchanges import Answered, Exchange, Piece
from .playing import Block, Played

if TYPE_CHECKING:
    from ..providers.base import Call, Provider
    from ..testing import Fault

__all__ = ["bent", "faults_of"]


def faults_of(fault: Fault | Sequence[Fault]) -> list[Fault]:
    """One or several, as a list.

    Raises:
        ConfigurationError: it is none.
    """
    faults: list[Any] = [*fault] if isinstance(fault, list | tuple) else [fault]
    for it in faults:
        if not isinstance(getattr(it, "kind", None), str):
            raise ConfigurationError(f"{shown(it)} is no fault; it takes those of llmring.testing.Fault.")
    return faults


async def bent(provider: Provider, fault: Fault | Sequence[Fault], exchange: Exchange, call: Call) -> Played:
    """A recorded answer, begun anew and bent.

    Raises:
        ProviderError: the fault is that it does not begin, or that was recorded.
    """
    faults: dict[str, Fault] = {it.kind: it for it in faults_of(fault)}
    answered = exchange.answered
    if "never_answer" in faults:
        await asyncio.get_running_loop().create_future()
    if "hang_up" in faults:
        raise provider.error(ConnectionResetError("the server hung up"), call)
    recorded = exchange.error()
    if recorded is not None and not answered.begun:
        raise recorded
    if page := faults.get("not_a_stream"):
        raise provider.error(WireError(f"a body that is no stream of events: {page.text.strip()}"), call)
    if "invalid_utf8" in faults and not call.stream:
        raise provider.error(WireError("a body that is no answer of this API: it is no text"), call)
    pieces, end = _said(answered, faults, call.stream)
    error: Exception | None = recorded
    broken, lost = _stopped(faults, call.stream), faults.get("lost_event")
    if lost is not None and call.stream and any(it.calls for it in answered.pieces[lost.after - 1 : lost.after]):
        # What is left of a call is not the model's.
        error = provider.error(WireError("an event that could not be decoded while a tool call arrived"), call)
    elif broken is not None:
        # Of an answer in one piece, half is none.
        pieces, end, error = pieces[: broken.after if call.stream else 0], replace(end, finish_reason=None), None
        if broken.kind == "error_event":
            said = broken.message or "The server had an error while processing your request."
            codes = (broken.type,) if broken.type else ()
            error = provider.error(WireError(said, broken.status, codes, enveloped=True), call)
        elif broken.kind in ("reset", "cut"):
            error = provider.error(ConnectionResetError("the connection was cut"), call)
    silent = broken is not None and broken.kind in _SILENT
    return Played(_blocks(exchange, pieces, end, error), then="silence" if silent else "end")


_STOPS = ("headers_only", "stall", "chatter", "reset", "cut", "error_event", "end_early")
_STOPS_WHOLE = ("linger", "malformed_event")
"""Those that stop an answer in one piece alone."""
_SILENT = ("headers_only", "stall", "chatter", "linger")


def _stopped(faults: Mapping[str, Fault], stream: bool) -> Fault | None:
    """The fault that stops an answer before its end."""
    return next((faults[kind] for kind in (*_STOPS, *(() if stream else _STOPS_WHOLE)) if kind in faults), None)


def _said(answered: Answered, faults: Mapping[str, Fault], stream: bool) -> tuple[list[Piece], Answered]:
    """The chunks and the end of an answer with the faults in them that concern what is said."""
    pieces, skipped = [*answered.pieces], answered.skipped_events
    if (fault := faults.get("lost_event")) and fault.after > 0 and stream:
        skipped += len(pieces[fault.after - 1 : fault.after])
        del pieces[fault.after - 1 : fault.after]
    skipped += len(faults.keys() & {"malformed_event", "invalid_utf8"})
    if fault := faults.get("big_event"):
        pieces.append(Piece(0, "x" * fault.size))
    usage = None if "no_usage" in faults else answered.usage
    return pieces, replace(answered, skipped_events=skipped, usage=usage)


def _blocks(exchange: Exchange, pieces: Sequence[Piece], end: Answered, error: Exception | None) -> list[Block]:
    """Each piece by itself, so that those before a fault have come before it."""
    blocks = []
    for piece in pieces:
        block = Block()
        block.model, block.response_model, block.pieces = exchange.model, end.response_model, [piece]
        blocks.append(block)
    last = Block()
    last.model, last.end, last.error = exchange.model, end, error
    return [*blocks, last]
