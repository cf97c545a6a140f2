"""The providers `replay` and `record`: one answers from a file, the other asks and writes down what it hears.

    replay:tests/recordings/chat.jsonl
    replay:tests/recordings/chat.jsonl+anthropic:claude-haiku-5-5     what that model answered, and nobody else
    record:tests/recordings/chat.jsonl+anthropic:claude-haiku-5-5

They are found as those of any package are, and are made of what an author's are made of (`llmring.providers`). What
they render is what a request means, by which a recording is found. An error that was recorded is raised anew, a chunk
is given as it came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from pydantic_core import from_json

from .. import exceptions
from ..answer import Answer
from ..dialects import Dialect
from ..exceptions import LLMRingError, ProviderError
from ..providers.base import Call, HTTPResponse, Provider, ProviderConfig
from ..references import shown, split_reference
from ..wire.base import Decoder
from . import bending, files
from .errors import RecordingError, table_of
from .exchanges import Answered, Exchange, Piece
from .meaning import key_of, meaning
from .naming import divided
from .playing import Block, PassingDecoder, Played, blocks_of, said_of
from .session import Session, active

if TYPE_CHECKING:
    from pathlib import Path

    from ..provided import Lender
    from ..schemas import StreamChunk

__all__ = ["Record", "Replay"]

_SOURCE = "llmring's own: docs/recordings.md"
_NOT_RECORDED = (
    exceptions.ProviderNotFoundError,
    exceptions.CircuitBreakerError,
    exceptions.ModelCapabilityError,
)
"""What no provider has said."""
_NEARLY = 0.95
"""Of the timeout: who stops waiting then has not had enough of an answer, but of its silence."""


class _Recorded(Provider):
    """What both have in common."""

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        self.client = None
        self._session = Session()
        self._places: dict[tuple[str, str], Path] = {}

    def render(self, call: Call) -> dict[str, Any]:
        """What the request means: by that its recording is found."""
        return meaning(call.request)

    def decoder(self, call: Call) -> Decoder:
        """One that gives chunks as they are."""
        return PassingDecoder(f"{self.name}:{call.model}")

    async def close(self) -> None:
        """Nothing is open."""

    def _place(self, written: str, lender: Lender | None, session: Session) -> Path:
        """The file that a binding names."""
        folder = session.folder or (lender.folder if lender is not None else files.here())
        place = str(folder), written
        if place not in self._places:
            self._places[place] = files.place(written, folder)
        return self._places[place]

    async def _played(self, session: Session, exchange: Exchange, call: Call) -> HTTPResponse:
        """A recorded answer, begun anew."""
        answered = exchange.answered
        if fault := session.next_fault():
            return await bending.bent(self, fault, exchange, call)
        if answered.error is not None and not answered.begun:
            error = exchange.error()
            assert error is not None
            raise error
        blocks = blocks_of(exchange, whole=not call.stream and not session.pace)
        if answered.left:
            blocks[-1].error = RecordingError(
                f"The recording breaks off here: whoever read the answer of line {exchange.number} left it in the "
                "middle. To have all of it: record it anew, and read to the end."
            )
        return Played(blocks, session.pace)


class Replay(_Recorded):
    """Answers from a recording, and asks nobody."""

    dialect = Dialect("replay", source=_SOURCE)

    async def send(self, call: Call, body: bytes) -> HTTPResponse:
        """What was recorded of the request.

        Raises:
            RecordingMissError: nothing was.
            ProviderError: that was recorded.
        """
        session = active(self._session)
        written, reference = divided(call.model)
        path = self._place(written, call.lender, session)
        if reference is not None:
            split_reference(reference)  # one that is none is told of, and nothing is looked for
        whom = reference or "provider:model"
        hint = f"to record it: bind record:{written}+{whom}, and ask with LLMRING_RECORD=missing."
        exchange = session.take(path, _looked_for(session, call, body), reference, hint=hint)
        assert exchange is not None
        return await self._played(session, exchange, call)


def _looked_for(session: Session, call: Call, body: bytes) -> bytes:
    """What a request means, as far as it may be seen."""
    redaction = session.redaction
    return key_of(redaction.of(meaning(call.request))) if redaction.concerns(body) else body


class Record(_Recorded):
    """Asks another provider, and writes down its answer; or replays what was written, as `LLMRING_RECORD` says."""

    dialect = Dialect("record", source=_SOURCE)

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        self._asked: dict[str, Provider] = {}

    def error(self, error: Exception, call: Call, headers: Mapping[str, str] | None = None) -> LLMRingError:
        """The error of the one who was asked, as it would be without a recording."""
        reference = divided(call.model)[1]
        inner = self._asked.get(reference) if reference is not None else None
        if inner is None or reference is None:
            return super().error(error, call, headers)
        return inner.error(error, replace(call, model=split_reference(reference)[1]), headers)

    async def send(self, call: Call, body: bytes) -> HTTPResponse:
        """What was recorded, or what the model says, which is recorded while it is read.

        Raises:
            RecordingError: it cannot be written, or nothing was recorded and nobody is to be asked.
            ProviderError: of the model.
        """
        session = active(self._session)
        written, reference = divided(call.model)
        if reference is None:
            raise RecordingError(
                f"record:{shown(call.model)[1:-1]} does not say who is to be asked. Write it as "
                "record:tests/recordings/chat.jsonl+anthropic:claude-haiku-5-5, the file's name ending in .jsonl"
            )
        name, model = split_reference(reference)
        if name in ("record", "replay"):
            raise RecordingError(f"record:{written} names {name!r} as whom to ask; it takes a provider that is asked.")
        path = self._place(written, call.lender, session)
        key = _looked_for(session, call, body)
        mode = session.mode
        if mode != "all":
            hint = "" if mode == "missing" else "to record it: LLMRING_RECORD=missing."
            if (exchange := session.take(path, key, reference, hint=hint)) is not None:
                return await self._played(session, exchange, call)
        if call.lender is None:
            raise RecordingError(f"{self.name} asks others for a service, and there is none: ask through an LLMRing.")
        inner, let_go = await call.lender.lend(reference)
        self._asked[reference] = inner
        notes = _Notes(session, path, reference, from_json(key), call.stream, inner)
        try:
            asked = replace(call, model=model, lender=None, files=None)
            return await _Taken.open(inner, asked, notes, let_go)
        except BaseException:
            let_go()
            raise


class _Notes:
    """What is written down of one exchange.

    Args:
        session, path: where.
        reference: who is asked.
        request: what.
        stream: whether a stream was asked for.
        inner: who is asked, and knows the key that nobody may see.
    """

    def __init__(
        self, session: Session, path: Path, reference: str, request: dict[str, Any], stream: bool, inner: Provider
    ) -> None:
        self._session = session
        self._path = path
        self._reference = reference
        self._request = request
        self._stream = stream
        self._inner = inner
        self._calls: list[Any] = []
        self.pieces: list[Piece] = []

    def hear(self, chunks: Sequence[Any], wait: int) -> None:
        """Chunks have come."""
        for chunk in chunks:
            self.pieces.append(said_of(chunk, self._calls, wait))
            wait = 0

    async def write(self, answered: Answered) -> None:
        """Write it down.

        Raises:
            RecordingError: it cannot be.
        """
        session, redaction = self._session, self._session.redaction
        answered.pieces = redaction.pieces(self.pieces, self._conceal)
        for name in ("unclosed", "calls", "parts", "metadata", "error"):
            if value := getattr(answered, name):
                setattr(answered, name, redaction.of(value))
        exchange = Exchange.of(self._reference, self._request, answered, stream=self._stream, test=session.test)
        # Whatever it stands in, and however it came there.
        exchange.line = self._inner.conceal(exchange.line)
        # What has been asked is written, also where nobody waits for it any more.
        await asyncio.shield(asyncio.to_thread(session.add, self._path, Exchange.read(exchange.line, 0)))

    def _conceal(self, text: str) -> str:
        return self._inner.conceal(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    async def failed(self, error: ProviderError, so_far: Answered | None = None) -> None:
        """It failed; `so_far`, what had been said by then, where the answer had begun."""
        if not isinstance(error, _NOT_RECORDED):
            await self.write(replace(so_far or Answered(), error=table_of(error), begun=so_far is not None))


class _Taken:
    """An answer on its way in, which is written down as it is read."""

    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, answer: Answer, notes: _Notes, let_go: Callable[[], None], began: float) -> None:
        self._answer = answer
        self._notes = notes
        self._let_go = let_go
        self._last = began
        self._waited = 0.0
        self._over = self._closed = False

    @classmethod
    async def open(cls, inner: Provider, call: Call, notes: _Notes, let_go: Callable[[], None]) -> Self:
        """Ask.

        Raises:
            ProviderError: it is recorded, too.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            answer = await Answer.open(inner, call)
        except ProviderError as error:
            await notes.failed(error)
            raise
        except asyncio.CancelledError:
            if call.timeout is not None and loop.time() - began >= call.timeout * _NEARLY:
                await _timed_out(inner, call, notes)
            raise
        return cls(answer, notes, let_go, began)

    def aiter_bytes(self) -> Self:
        """What is read."""
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._over:
            raise StopAsyncIteration
        answer, decoder, loop = self._answer, self._answer.decoder, asyncio.get_running_loop()
        since = loop.time()
        try:
            chunks = await answer.read()
        except BaseException:
            self._waited = loop.time() - since
            raise
        if answer.failure is not None and not answer.call.stream:
            # Of an answer in one piece, what had come is in no chunk.
            chunks += decoder.end_of_bytes()
        block = Block()
        block.model, block.decoder = answer.model, decoder
        block.final = chunks.pop() if answer.finished else None
        block.chunks, block.error = chunks, answer.failure
        now = loop.time()
        self._notes.hear(chunks, round((now - self._last) * 1000))
        self._last = now
        if block.final is not None:
            self._over = True
            await self._notes.write(self._so_far(block.final))
        elif isinstance(answer.failure, ProviderError):
            self._over = True
            await self._notes.failed(answer.failure, self._so_far())
        return block

    def _so_far(self, final: StreamChunk | None = None) -> Answered:
        """What the answer has said by now; `final`, its final chunk."""
        decoder = self._answer.decoder
        made = Answered(
            usage=decoder.usage,
            response_model=decoder.response_model,
            service_tier=decoder.service_tier,
            skipped_events=decoder.skipped_events,
            answer_at=decoder.answer_at,
            unclosed=decoder.unclosed,
            parts=decoder.parts,
            metadata=decoder.metadata,
        )
        if final is not None:
            made.finish_reason = final.finish_reason
            told = any(it.calls for it in self._notes.pieces)
            made.calls = None if told and final.tool_calls == decoder.calls.snapshot()() else final.tool_calls
        return made

    async def aclose(self) -> None:
        """Close the answer; of one that was left, what had come is written down."""
        if self._closed:
            return
        self._closed = True
        try:
            if not self._over:
                self._over = True
                call = self._answer.call
                if call.timeout is not None and self._waited >= call.timeout * _NEARLY:
                    await _timed_out(self._answer.provider, call, self._notes, self._so_far())
                elif self._notes.pieces:
                    await self._notes.write(replace(self._so_far(), left=True))
        finally:
            try:
                await self._answer.close()
            finally:
                self._let_go()


async def _timed_out(inner: Any, call: Call, notes: _Notes, so_far: Answered | None = None) -> None:
    error: LLMRingError = inner.error(TimeoutError(), call)
    if isinstance(error, ProviderError):
        await notes.failed(error, so_far)
