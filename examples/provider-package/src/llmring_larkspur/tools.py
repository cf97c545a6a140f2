"""Tools: Larkspur's voices know them by text, in the form that is called `hermes`."""

from __future__ import annotations

from llmring import LLMRequest
from llmring.providers import StreamChunk, ToldCalls, reader_of, request_in_words
from llmring.tool_dialects import dialect

from .answer import AnswerDecoder

HERMES = dialect("hermes")


def in_words(request: LLMRequest) -> LLMRequest:
    """The request with its tools, its calls and their results as text."""
    return request_in_words(request, HERMES)


class ToolDecoder(AnswerDecoder):
    """Chunks of an answer whose text may hold calls of the request's tools."""

    def __init__(self, model: str, request: LLMRequest) -> None:
        super().__init__(model)
        reader = reader_of(request, HERMES)  # None where the request has no tools
        self._told = ToldCalls(reader, self.calls) if reader is not None else None

    @property
    def held(self) -> str:
        """Text that may turn out to be a call, and is not shown yet."""
        return self._told.held if self._told is not None else ""

    def say(self, said: str) -> StreamChunk | None:
        """The chunk for what of a piece is text for certain, and for the calls that it completes."""
        if self._told is None:
            return super().say(said)
        before = len(self.calls)
        said = self._told.take(said, self.skipped_events)
        calls = self.calls.snapshot() if len(self.calls) > before else None
        return StreamChunk(said, self.model, tool_calls=calls) if said or calls else None

    def close(self) -> StreamChunk:
        """The final chunk, with the text that was held back and turned out to be text."""
        rest = ""
        if self._told is not None:
            rest = self._told.end("", self.skipped_events, cut=self.finish_reason == "length")
        final = super().close()
        final.delta = rest + final.delta
        return final
