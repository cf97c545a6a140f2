"""What the decoders of all wires share."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from pydantic_core import from_json

from ..schemas import FinishReason, Served, StreamChunk, Usage
from . import MAX_BYTES
from .calls import ToolCalls
from .errors import WireError, read_error
from .framing import LineFrames, TooLargeError, WholeFrames
from .values import Halves, contradiction

__all__ = ["MISSHAPEN", "Decoder", "NoChunkError"]

logger = logging.getLogger("llmring")
content = logging.getLogger("llmring.content")

_HEAD = 4096
_FEW_WORDS = 4096
"""Bytes of an event."""
_WARNINGS = 3
"""Events that are told of one by one; of those after them, only how many there were."""
_OF_A_CALL = re.compile(rb'"tool_calls"\s*:\s*\[\s*\{|"function_?[cC]all"\s*:\s*\{')
"""What an event that holds a call, or a piece of one, says on the wires whose events may hold all of it."""
MISSHAPEN = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What comes of reading an event that has another form than its wire's."""


class NoChunkError(Exception):
    """A decoder gave something else than a chunk: its author's fault, and nothing that a server could have sent."""


class Decoder:
    """Turns one answer's events into chunks. Each wire has its own.

    Names with an underscore are this class's, too (`_head`, `_begun`, `_read`): what a class derived from it keeps
    needs other ones.

    Attributes:
        model: the `provider:model` that every chunk names.
        issuer: the provider and its address, to whom alone what is kept goes back.
        parts: what the model made that is not text, in the form of a message's parts.
        answer_at: where in the text the answer proper begins; what stands before it is commentary.
        ended: the wire's end marker has been seen; nothing after it is of interest.
        complete: all that the wire must say has been said, so that the end of the bytes is no cut.
        service_tier: the tier that served, in the provider's word.
        error: what the provider said in the stream instead of going on, or what the decoder stumbled over.
        conceal: takes out of bytes what must not be shown, before they come into a message or a log.
        read_refusal: what a body says that came in place of a stream.
        metadata: what the same provider needs back with the turn.
        unclosed: all of the text, where it has ended within `<think>`; till then its chunks said it as thinking.
        checkpoint: the provider's token to go on from, if all that was said came before it.
        most: bytes that a line, an event, the calls or a whole answer may have.
        hop_ended: the provider gives only so much at a time: the bytes end, the answer goes on at the checkpoint.
    """

    frames: ClassVar[type[LineFrames]]
    end_marker: ClassVar[str]
    openings: ClassVar[tuple[bytes, ...]] = (b"data", b"event", b"id:", b"retry:", b":")
    """What a stream begins with; a body that does not is none."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.issuer = ""
        self.calls = ToolCalls()
        self.parts: list[dict[str, Any]] = []
        self.answer_at = 0
        self.finish_reason: FinishReason | None = None
        self.usage: Usage | None = None
        self.reported_total: Any = None
        self.response_model: str | None = None
        self.service_tier: str | None = None
        self.metadata: dict[str, Any] = {}
        self.unclosed = ""
        self.skipped_events = 0
        self.checkpoint: str | None = None
        self.hop_ended = False
        self.ended = False
        self.complete = False
        self.error: Exception | None = None
        self.conceal: Callable[[bytes], bytes] = bytes
        self.read_refusal: Callable[[bytes], WireError] = read_error
        self.most = MAX_BYTES
        self._read = self._gathered = 0
        self._frames = self.frames()
        self._halves = Halves()
        self._head = b""
        self._begun = False

    def feed(self, event: Any) -> StreamChunk | None:
        """Take one event of the stream, parsed. Raises `WireError` if it reports a failure."""
        raise NotImplementedError

    def feed_answer(self, answer: Any) -> StreamChunk | None:
        """Take a whole answer, parsed: all of its text and calls as one chunk."""
        raise NotImplementedError

    def read(self, data: bytes) -> list[StreamChunk]:
        """Take bytes of the stream, cut anywhere, and give the chunks that they complete.

        A failure that the provider reports is kept in `error`, so that the chunks before it are not lost.
        """
        if len(self._head) < _HEAD:
            self._head += data[:_HEAD]
        try:
            payloads = self._frames.feed(data)
            chunks = self._decode(payloads)
            self._read += len(data)
            if self._read > self.most:
                self._weigh(chunks, payloads)
            if chunks and not self._begun:
                self._begun = True
                _check(chunks[0], self.feed)
            return chunks
        except (TooLargeError, NoChunkError) as error:
            self.error = self.too_large(str(error)) if isinstance(error, TooLargeError) else error
            return []

    def bound(self, most: int, *, whole: bool = False) -> None:
        """Set how many bytes a line, an event, the calls or a whole answer may have; `whole`: it is not streamed."""
        self.most = most
        self._frames = (WholeFrames if whole else self.frames)(most)

    def too_large(self, what: str) -> WireError:
        """The error for an answer of which something passes the bound."""
        return WireError(
            f"{what} of more than {self.most / 2**20:g} MiB, which is not kept. If that is right, raise `max_bytes` of "
            "LLMRing",
            enveloped=True,
        )

    def _weigh(self, chunks: list[StreamChunk], payloads: list[bytes]) -> None:
        """More has come than may be kept. Most of it may be the wire's: from now on, what is gathered is counted.

        What is in an event that says nothing, or has more in it than a few words, may be kept as it is.
        """
        said = sum(len(chunk.delta) + len(chunk.reasoning or "") for chunk in chunks)
        self._gathered += max(said, sum(len(it) for it in payloads if not chunks or len(it) > _FEW_WORDS))
        if self._gathered > self.most:
            raise TooLargeError("an answer")
        if self.calls.size > self.most:
            raise TooLargeError("tool calls")

    @property
    def held(self) -> str:
        """Text that is kept back, as it may turn out to be something else."""
        return ""

    def end_of_bytes(self) -> list[StreamChunk]:
        """The bytes have ended: the chunks of a whole answer, or of a last event whose end the sender left out."""
        if isinstance(self._frames, WholeFrames):
            return self.answer(*self._frames.close())
        return self._decode(self._frames.close(), cut=True)

    def _decode(self, payloads: list[bytes], *, cut: bool = False) -> list[StreamChunk]:
        chunks: list[StreamChunk] = []
        feed, halves = self.feed, self._halves
        for payload in payloads:
            if self.ended or self.error is not None:
                break
            try:
                try:
                    event = from_json(payload)
                except ValueError as refused:
                    if payload.strip() == b"[DONE]":
                        self.ended = self.complete = True
                        break
                    event = halves.parse(payload, refused)
                else:
                    if halves.waiting:
                        event = halves.join(event)
                chunk = feed(event)
            except MISSHAPEN as error:
                if not cut:
                    self._skip(payload, error)
                continue
            except Exception as error:  # a failure that the provider reports, or a fault of the decoder
                self.error = error
                break
            if chunk is not None:
                chunks.append(chunk)
        return chunks

    def _skip(self, payload: bytes, error: Exception) -> None:
        if _OF_A_CALL.search(payload):
            self.calls.lose_call()
        self.calls.lose()
        self.leave_out(error, payload)

    def leave_out(self, why: object, payload: bytes = b"") -> None:
        """Count what cannot be read, and tell of the first few, without what must not be shown."""
        self.skipped_events += 1
        if self.skipped_events > _WARNINGS:
            return
        said = self.conceal(str(why).encode(errors="replace")).decode()
        logger.warning(
            "%s: left out an event that cannot be decoded (%.120s), of %d bytes", self.model, said, len(payload)
        )
        # What may be part of an answer is for those who have asked for that very logger.
        if content.level and content.isEnabledFor(logging.DEBUG):
            content.debug("%s: the event was %.120r", self.model, self.conceal(payload))

    def not_a_stream(self) -> WireError | None:
        """The error that the bytes are, if they were no stream at all."""
        head = self.conceal(self._head).removeprefix(b"\xef\xbb\xbf").lstrip()
        if self._begun or self.response_model is not None or not head or head.startswith(self.openings):
            return None
        error = self.read_refusal(head)
        if not error.enveloped:
            error.message = f"a body that is no stream of events: {error.message}"
        return error

    def answer(self, body: bytes) -> list[StreamChunk]:
        """Take a whole answer that was not streamed: all that it says as one chunk, to be followed by `close`.

        What is no answer is an `error`. One that is cut is read as far as it goes, and leaves `complete` unset.
        """
        body = body.lstrip(b"\xef\xbb\xbf \t\r\n")
        chunk, cut = None, False
        try:
            try:
                parsed = from_json(body)
            except ValueError as refused:
                cut = not body or (body.startswith((b"{", b"[")) and str(refused).startswith("EOF"))
                if cut:
                    parsed = from_json(body, allow_partial="trailing-strings")
                else:
                    parsed = self._halves.parse(body, refused, whole=True)
            self.complete = True
            chunk = self.feed_answer(parsed)
            if chunk is not None:
                _check(chunk, self.feed_answer)
        except MISSHAPEN:
            self.error = said = read_error(self.conceal(body))
            if not said.enveloped:
                said.message = f"a body that is no answer of this API: {said.message}"
        except Exception as error:  # as with an event
            self.error, chunk = error, None
        if cut:
            # It is not at its end, whatever it says of that.
            self.complete = self.hop_ended = False
            self.error = self.finish_reason = None
        return [] if chunk is None else [chunk]

    def gather(self, made: Iterable[dict[str, Any]]) -> None:
        """Take what the model made that is not text. What has an odd form is counted, and costs no answer."""
        parts = iter(made)
        while True:
            try:
                self.parts.append(next(parts))
            except StopIteration:
                return
            except MISSHAPEN as error:
                self.leave_out(error)
                return

    def begin_hop(self) -> None:
        """Make ready for the rest of the answer, which comes as bytes of its own."""
        self._frames = type(self._frames)(self.most)
        self.hop_ended = False
        self.error = None

    def close(self) -> StreamChunk:
        """The final chunk. Raises `WireError` if a tool call's arguments are not JSON, or not the model's."""
        if self._halves.waiting:
            self.skipped_events += len(self._halves.waiting)
            if self._halves.in_arguments:
                self.calls.lose_call()
        if self.skipped_events > _WARNINGS:
            logger.warning("%s: left out %d events that cannot be decoded", self.model, self.skipped_events)
        if self.usage is not None and (odd := contradiction(self.usage, self.reported_total)):
            logger.warning("%s: reported usage that contradicts itself: %s", self.model, odd)
        if self.metadata or self.calls:
            self.metadata["issuer"] = self.issuer
        finish = self.finish_reason or "stop"
        if finish == "tool_calls" and self.calls.gap and not self.calls:
            self.calls.lose_call()
        calls = self.calls.complete(cut=finish == "length") if self.calls else None
        if calls and finish in ("stop", "other"):
            finish = "tool_calls"
        return StreamChunk(
            self.unclosed,
            self.model,
            tool_calls=calls,
            finish_reason=finish,
            usage=self.usage,
            response_model=self.response_model,
            skipped_events=self.skipped_events,
            served=(self.served,),
        )

    @property
    def size(self) -> int:
        """Bytes that have been read."""
        return self._read

    @property
    def served(self) -> Served:
        """What this answer's model has served of it so far."""
        return Served(self.model, self.usage, self.response_model, self.service_tier)


def _check(chunk: Any, made_by: Any) -> None:
    """See to it that a decoder of an author's own makes chunks: once an answer, as it does so always, or never."""
    if not isinstance(chunk, StreamChunk):
        raise NoChunkError(
            f"{made_by.__qualname__} gave {type(chunk).__name__}, and what it gives is a StreamChunk, or None: "
            "return StreamChunk(text, self.model)"
        )
