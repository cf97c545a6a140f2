"""What holds of every stream, whatever its server said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from ...exceptions import ProviderError
from ...schemas import FinishReason, LLMResponse, StreamChunk, ToolCall
from . import contract

__all__ = ["Taken", "findings"]

_ONCE = (
    "Let `feed` make chunks of text and calls only, keep the reason in decoder.finish_reason, and leave the final "
    "chunk to decoder.close()"
)


@dataclass
class Taken:
    """A stream that was read.

    Attributes:
        chunks: in order.
        response: what was gathered.
        error: what it ended in, `None` for a good end.
    """

    chunks: list[StreamChunk]
    response: LLMResponse
    error: ProviderError | None = None

    @property
    def text(self) -> str:
        """What the chunks said."""
        return "".join(chunk.delta for chunk in self.chunks)

    @property
    def final(self) -> StreamChunk:
        """The last chunk."""
        return self.chunks[-1]


def findings(taken: Taken, model: str | None) -> Iterator[tuple[str, str]]:
    """What is wrong with a stream, and what the contract says of it.

    Args:
        taken: the stream.
        model: the `provider:model` that its chunks must name; `None` for any.
    """
    finals = [chunk for chunk in taken.chunks if chunk.finish_reason is not None]
    for what in _of_the_end(taken, finals):
        yield contract.FINAL, what
    if model is not None and (others := {chunk.model for chunk in taken.chunks} - {model}):
        yield (
            contract.MODEL,
            f"a chunk names {min(others)!r} as its model, and {model!r} was asked for: make the decoder with "
            'f"{self.name}:{call.model}", and each StreamChunk with the decoder\'s model',
        )
    for chunk in finals:
        if chunk.finish_reason not in get_args(FinishReason):
            yield contract.FINISH, f"the final chunk's finish_reason is {chunk.finish_reason!r}"
    if taken.error is None and taken.text != taken.response.content:
        yield contract.TEXT, "the chunks together say something else than stream.response.content"
    for what in _of_calls(taken, finals):
        yield contract.CALLS, what


def _of_the_end(taken: Taken, finals: list[StreamChunk]) -> Iterator[str]:
    if len(finals) > 1:
        yield f"{len(finals)} final chunks came. {_ONCE}"
    if finals and taken.final is not finals[0]:
        yield f"chunks came after the final one. {_ONCE}"
    if taken.error is None and not finals:
        yield "the stream ended without a final chunk"
    if taken.error is not None and finals:
        yield "a final chunk came, and an error after it"
    for chunk in taken.chunks:
        for name in ("usage", "response_model", "parsed"):
            if chunk.finish_reason is None and getattr(chunk, name) is not None:
                yield f"a chunk before the final one carries `{name}`. {_ONCE}"


def _of_calls(taken: Taken, finals: list[StreamChunk]) -> Iterator[str]:
    shown: list[ToolCall] = []
    for chunk in taken.chunks:
        calls = chunk.tool_calls
        if calls is None:
            continue
        if [call["id"] for call in calls[: len(shown)]] != [call["id"] for call in shown]:
            yield "a chunk's tool_calls lack a call that an earlier chunk had, or it has another id"
        shown = [*calls]
    if finals and shown and len(finals[-1].tool_calls or ()) != len(shown):
        yield "the final chunk does not repeat the calls. Start them in decoder.calls"
