"""An answer out of a recording, or on its way into one, as an answer of any provider's: blocks, and their decoder."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, cast

from ..schemas import StreamChunk, Usage
from ..wire.base import Decoder
from ..wire.framing import LineFrames
from .exchanges import Answered, Called, Piece

if TYPE_CHECKING:
    from .exchanges import Exchange

__all__ = ["Block", "PassingDecoder", "Played", "blocks_of", "said_of"]

_FACTS = (
    *("finish_reason", "usage", "response_model", "service_tier", "skipped_events", "answer_at", "unclosed"),
    *("parts", "metadata"),
)
"""What a decoder and a recorded answer call alike."""


class Block(bytes):
    """What is read at once: chunks where a wire has bytes, so that nothing is encoded on this way, and decoded again.

    Attributes:
        model, response_model: the `provider:model` that answered, and who it said that it is.
        pieces: the chunks, recorded.
        chunks: or as they came just now.
        wait: milliseconds since the block before it.
        end: what had been said in all, where this is the last; with no finish reason, it does not end well.
        error: the failure that it ends in.
        decoder: of an answer that comes just now, whose state is to be seen.
    """

    model = ""
    response_model: str | None = None
    pieces: Sequence[Piece] = ()
    chunks: Sequence[StreamChunk] = ()
    wait = 0
    end: Answered | None = None
    error: Exception | None = None
    decoder: Decoder | None = None
    final: StreamChunk | None = None


class PassingDecoder(Decoder):
    """Gives the chunks of blocks."""

    frames = LineFrames
    end_marker: ClassVar[str] = "the end of what was recorded"

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self._last: StreamChunk | None = None
        self._end: Answered | None = None

    def bound(self, most: int, *, whole: bool = False) -> None:
        """What is here already is in memory, and a whole answer comes as a stream does."""
        self.most = most

    def read(self, data: bytes) -> list[StreamChunk]:
        """Give the chunks of a block, and take on what it says of the answer."""
        block = cast(Block, data)
        self.model, self.response_model = block.model, block.response_model
        if block.decoder is not None:
            return self._passed_on(block, block.decoder)
        chunks = [self._chunk(it) for it in block.pieces]
        if block.end is not None:
            self._take_on(block.end)
        self.error = block.error
        return chunks

    def _chunk(self, piece: Piece) -> StreamChunk:
        if piece.calls is None:
            return StreamChunk(piece.text, self.model, piece.reasoning)
        calls = self.calls
        for at, arguments, name, id in piece.calls:
            if name is None:
                calls.extend(at, arguments)
            elif calls.known(at) is None:
                calls.start(at, name, id, arguments)
            else:
                calls.fix(at, name, arguments)
        return StreamChunk(piece.text, self.model, piece.reasoning, calls.snapshot())

    def _take_on(self, end: Answered) -> None:
        self._end = end
        self.finish_reason = end.finish_reason
        self.usage = cast(Usage, {**end.usage}) if end.usage is not None else None
        self.response_model, self.service_tier = end.response_model, end.service_tier
        self.skipped_events, self.answer_at, self.unclosed = end.skipped_events, end.answer_at, end.unclosed
        if end.parts:
            self.parts = deepcopy([*end.parts])
        if end.metadata:
            self.metadata = deepcopy({**end.metadata})
        self.ended = self.complete = end.finish_reason is not None

    def _passed_on(self, block: Block, decoder: Decoder) -> list[StreamChunk]:
        self.calls = decoder.calls
        for name in _FACTS:
            setattr(self, name, getattr(decoder, name))
        self._last, self.error = block.final, block.error
        if block.final is not None:
            self.ended = self.complete = True
        return [*block.chunks]

    def close(self) -> StreamChunk:
        """The final chunk."""
        if self._last is not None:
            return self._last
        end = self._end
        assert end is not None
        finish = end.finish_reason or "stop"
        for at, call in enumerate(end.calls or ()):
            if at < len(self.calls):
                self.calls.fix(at, call["function"]["name"], call["function"]["arguments"])
            else:
                self.calls.start(at, call["function"]["name"], call["id"], call["function"]["arguments"])
        return StreamChunk(
            self.unclosed,
            self.model,
            tool_calls=self.calls.complete(cut=finish == "length") if self.calls else None,
            finish_reason=finish,
            usage=self.usage,
            response_model=self.response_model,
            skipped_events=self.skipped_events,
            served=(self.served,),
        )

    def end_of_bytes(self) -> list[StreamChunk]:
        """Nothing is kept back."""
        return []

    def not_a_stream(self) -> None:
        """What is recorded is one."""


class Played:
    """A recorded answer, as the response of a server.

    Args:
        blocks: what is read, one after the other.
        pace: how many times faster than it was recorded; 0 does not wait.
        then: what comes after the last block: its end, or nothing, for ever.
    """

    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, blocks: Sequence[Block], pace: float = 0.0, then: Literal["end", "silence"] = "end") -> None:
        self._blocks = blocks
        self._pace = pace
        self._then = then
        self._at = 0

    def aiter_bytes(self) -> Self:
        """The blocks."""
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._at >= len(self._blocks):
            if self._then == "silence":
                await asyncio.get_running_loop().create_future()
            raise StopAsyncIteration
        block = self._blocks[self._at]
        if self._pace and block.wait:
            await asyncio.sleep(block.wait / 1000 / self._pace)
        elif self._at:
            await asyncio.sleep(0)  # whoever reads lets others in between, as with a server
        self._at += 1
        return block

    async def aclose(self) -> None:
        """Nothing is open."""


def blocks_of(exchange: Exchange, *, whole: bool = False) -> list[Block]:
    """A recorded answer as it is read: what came together comes together; `whole`: all of it does.

    Raises:
        RecordingError: it is no answer.
    """
    answered = exchange.answered
    blocks: list[Block] = []
    gathered: list[Piece] = []
    for piece in answered.pieces:
        if gathered and piece.wait and not whole:
            blocks.append(_block(exchange, gathered))
            gathered = []
        gathered.append(piece)
    last = _block(exchange, gathered)
    blocks.append(last)
    last.end, last.error = answered, exchange.error()
    return blocks


def _block(exchange: Exchange, pieces: Sequence[Piece]) -> Block:
    block = Block()
    block.model, block.response_model, block.pieces = exchange.model, exchange.answered.response_model, pieces
    block.wait = pieces[0].wait if pieces else 0
    return block


def said_of(chunk: StreamChunk, before: list[Any], wait: int) -> Piece:
    """A chunk as it is recorded.

    Args:
        chunk: it.
        before: the calls as the chunks before it had them; they are brought up to date.
        wait: milliseconds since the chunk before it.
    """
    if chunk.unseen_calls is None:
        return Piece(wait, chunk.delta, chunk.reasoning)
    return Piece(wait, chunk.delta, chunk.reasoning, tuple(_told(chunk.tool_calls or [], before)))


def _told(calls: Sequence[Any], before: list[Any]) -> Iterator[Called]:
    for at, call in enumerate(calls):
        name, written = call["function"]["name"], call["function"]["arguments"]
        if at >= len(before):
            before.append((call["id"], name, written))
            yield Called(at, written, name, call["id"])
        elif before[at] != (call["id"], name, written):
            extends = before[at][:2] == (call["id"], name) and written.startswith(before[at][2])
            piece = written[len(before[at][2]) :]
            before[at] = (call["id"], name, written)
            yield Called(at, piece) if extends else Called(at, written, name, call["id"])
