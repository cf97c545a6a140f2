"""What the decoders of all wires share."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable
from typing import Any, ClassVar

from pydantic_core import from_json, to_json

from ..schemas import FinishReason, LLMResponse, StreamChunk, ToolCall, Usage
from .errors import WireError, read_error
from .framing import LineFrames

__all__ = [
    "Decoder",
    "ToolCalls",
    "as_list",
    "count",
    "given",
    "is_json",
    "merge_params",
    "name_of",
    "text",
    "usage_of",
]

logger = logging.getLogger("llmring")

_HEAD = 4096
_MISSHAPEN = (AttributeError, IndexError, KeyError, TypeError, ValueError)


class ToolCalls:
    """The calls of one answer, built from fragments.

    `key` is whatever a wire tells one call's fragments by: an index, a block, an item's id.
    """

    __slots__ = ("_calls", "_ids", "_of_key")

    def __init__(self) -> None:
        self._calls: list[ToolCall] = []
        self._ids: set[str] = set()
        self._of_key: dict[Any, ToolCall] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def __len__(self) -> int:
        return len(self._calls)

    def known(self, key: Any) -> ToolCall | None:
        """The call that `key` stands for now."""
        return self._of_key.get(key)

    def start(self, key: Any, name: str, id: Any = None, arguments: Any = "") -> None:
        """Begin a call. Ids that are missing, or taken already, are replaced by unique ones."""
        text(name)
        id = name_of(id)
        if id is None or id in self._ids:
            id = f"call_{os.urandom(12).hex()}"
        self._ids.add(id)
        call: ToolCall = {
            "id": id,
            "type": "function",
            "function": {"name": name, "arguments": _as_json(arguments)},
        }
        self._of_key[key] = call
        self._calls.append(call)

    def extend(self, key: Any, fragment: Any) -> None:
        """Add a piece of a call's arguments."""
        self._of_key[key]["function"]["arguments"] += _as_json(fragment)

    def replace(self, key: Any, arguments: Any) -> None:
        """Set a call's arguments, whole."""
        self._of_key[key]["function"]["arguments"] = _as_json(arguments)

    def snapshot(self) -> list[ToolCall]:
        """A copy of all calls as they stand."""
        return [{"id": call["id"], "type": "function", "function": call["function"].copy()} for call in self._calls]

    def complete(self, *, cut: bool = False) -> list[ToolCall]:
        """A copy of all calls, their arguments checked; `WireError` shows arguments that are not JSON.

        Args:
            cut: the answer was cut off at its token limit, so the last call may lack its arguments, or a part of them.
        """
        calls = self.snapshot()
        for call in calls:
            function = call["function"]
            cut_here = cut and call is calls[-1]
            if not function["arguments"].strip() and not cut_here:
                function["arguments"] = "{}"
            if not is_json(function["arguments"]):
                raise WireError(
                    f"a call of {function['name']!r} that was cut off at max_tokens, in the middle of its arguments: "
                    f"{function['arguments'] or '(none yet)'}. Raise max_tokens"
                    if cut_here
                    else f"the model called {function['name']!r} with arguments that are not valid JSON: "
                    f"{function['arguments']}"
                )
        return calls


class Decoder:
    """Turns one answer's events into chunks. Each wire has its own.

    Attributes:
        model: the `provider:model` that every chunk names.
        ended: the wire's end marker has been seen; nothing after it is of interest.
        complete: all that the wire must say has been said, so that the end of the bytes is no cut.
        error: what the provider said in the stream instead of going on.
        conceal: takes out of bytes what must not be shown, before they come into a message or a log.
        metadata: what the same provider needs back with the turn.
        checkpoint: the provider's token to go on from, if all that was said came before it.
        hop_ended: the provider gives only so much at a time: the bytes end, the answer goes on at the checkpoint.
    """

    __slots__ = (
        "_frames",
        "_head",
        "calls",
        "checkpoint",
        "complete",
        "conceal",
        "ended",
        "error",
        "finish_reason",
        "hop_ended",
        "metadata",
        "model",
        "response_model",
        "skipped_events",
        "usage",
    )

    frames: ClassVar[type[LineFrames]]
    end_marker: ClassVar[str]

    def __init__(self, model: str) -> None:
        self.model = model
        self.calls = ToolCalls()
        self.finish_reason: FinishReason | None = None
        self.usage: Usage | None = None
        self.response_model: str | None = None
        self.metadata: dict[str, Any] = {}
        self.skipped_events = 0
        self.checkpoint: str | None = None
        self.hop_ended = False
        self.ended = False
        self.complete = False
        self.error: WireError | None = None
        self.conceal: Callable[[bytes], bytes] = bytes
        self._frames = self.frames()
        self._head = b""

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
        return self._decode(self._frames.feed(data))

    @property
    def held(self) -> str:
        """Text that is kept back, as it may turn out to be something else."""
        return ""

    def end_of_bytes(self) -> list[StreamChunk]:
        """The bytes have ended: the chunks of a last event whose end the sender left out."""
        return self._decode(self._frames.close(), cut=True)

    def _decode(self, payloads: list[bytes], *, cut: bool = False) -> list[StreamChunk]:
        chunks = []
        for payload in payloads:
            if self.ended or self.error:
                break
            if len(payload) < 32 and payload.strip() == b"[DONE]":
                self.ended = self.complete = True
                break
            try:
                event = from_json(payload)
                chunk = self.feed(event)
            except WireError as error:
                self.error = error
                break
            except _MISSHAPEN as error:
                if not cut:
                    self._skip(payload, error)
                continue
            if chunk is not None:
                chunks.append(chunk)
        return chunks

    def _skip(self, payload: bytes, error: Exception) -> None:
        self.skipped_events += 1
        why = self.conceal(str(error).encode(errors="replace")).decode()
        shown = self.conceal(payload)
        logger.warning("%s: left out an event that cannot be decoded (%.120s): %.120r", self.model, why, shown)

    def not_a_stream(self) -> WireError | None:
        """The error that the bytes are, if they were no stream at all."""
        head = self.conceal(self._head).removeprefix(b"\xef\xbb\xbf").lstrip()
        if self.response_model is not None or not head or head.startswith(self._openings()):
            return None
        error = read_error(head)
        if not error.enveloped:
            error.message = f"a body that is no stream of events: {error.message}"
        return error

    @classmethod
    def _openings(cls) -> tuple[bytes, ...]:
        return (b"data", b"event", b"id:", b"retry:", b":")

    def answer(self, body: bytes) -> StreamChunk:
        """Take a whole answer that was not streamed, and give its final chunk with all of its text.

        One that is not at its end leaves `complete` unset, and its chunk names no finish reason.

        Raises `WireError`, with what the answer holds in `partial` where that can be read.
        """
        try:
            parsed = from_json(body.removeprefix(b"\xef\xbb\xbf"))
            self.complete = True
            chunk = self.feed_answer(parsed)
        except _MISSHAPEN:
            error = read_error(self.conceal(body))
            if not error.enveloped:
                error.message = f"a body that is no answer of this API: {error.message}"
            raise error from None
        try:
            final = self.close() if self.complete else self._so_far()
        except WireError as error:
            error.partial = LLMResponse(
                model=self.model,
                content=chunk.delta if chunk else "",
                reasoning=chunk.reasoning if chunk else None,
                tool_calls=self.calls.snapshot() or None,
                usage=self.usage,
                response_model=self.response_model,
            )
            raise
        if chunk is not None:
            final.delta, final.reasoning = chunk.delta, chunk.reasoning
        return final

    def _so_far(self) -> StreamChunk:
        """In place of the final chunk, where there is none: calls may be cut off."""
        return StreamChunk(
            model=self.model,
            tool_calls=self.calls.snapshot() or None,
            usage=self.usage,
            response_model=self.response_model,
        )

    def begin_hop(self) -> None:
        """Make ready for the rest of the answer, which comes as bytes of its own."""
        self._frames = self.frames()
        self.hop_ended = False
        self.error = None

    def close(self) -> StreamChunk:
        """The final chunk. Raises `WireError` if a tool call's arguments are not JSON."""
        finish = self.finish_reason or "stop"
        calls = self.calls.complete(cut=finish == "length") if self.calls else None
        if calls and finish in ("stop", "other"):
            finish = "tool_calls"
        return StreamChunk(
            model=self.model,
            tool_calls=calls,
            finish_reason=finish,
            usage=self.usage,
            response_model=self.response_model,
            skipped_events=self.skipped_events,
        )


def text(value: Any) -> str:
    """The value, which must be text: what a wire sends instead cannot be decoded."""
    if value.__class__ is not str:
        raise TypeError(f"{value!r} where text was expected")
    return value


def name_of(value: Any) -> str | None:
    """The value where a name or an id is expected; numbers are taken for one, anything else for none."""
    if value.__class__ is int:
        return str(value)
    return value if isinstance(value, str) and value else None


def usage_of(
    prompt: Any,
    completion: Any,
    *,
    cache_read: Any = None,
    cache_write: Any = None,
    reasoning: Any = None,
) -> Usage | None:
    """The counts as `Usage`; `None` if neither side was reported."""
    if not isinstance(prompt, int | float) and not isinstance(completion, int | float):
        return None
    prompt, completion = count(prompt) or 0, count(completion) or 0
    usage: Usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if (read := count(cache_read)) is not None:
        usage["cache_read_tokens"] = read
    if (written := count(cache_write)) is not None:
        usage["cache_write_tokens"] = written
    if (thought := count(reasoning)) is not None:
        usage["reasoning_tokens"] = thought
    return usage


def count(value: Any) -> int | None:
    """The value where a number is expected, `None` for anything else."""
    if isinstance(value, int):
        return int(value)
    return int(value) if isinstance(value, float) and math.isfinite(value) else None


def is_json(text: str) -> bool:
    """Whether the text is a whole JSON value."""
    try:
        from_json(text)
    except ValueError:
        return False
    return True


def _as_json(arguments: Any) -> str:
    """Arguments as a JSON string: vendors send a string, fragments of one, an object, or nothing."""
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else to_json(arguments).decode()


def given(**values: Any) -> dict[str, Any]:
    """Those of the values that are set: what is not set is not sent."""
    return {name: value for name, value in values.items() if value is not None}


def as_list(stop: str | list[str] | None) -> list[str] | None:
    """Stop sequences for a wire that takes only a list of them."""
    return [stop] if isinstance(stop, str) else stop


def merge_params(body: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    """Merge the caller's own parameters into a body: tables merge, everything else is replaced."""
    for key, value in extra.items():
        mine = body.get(key)
        if isinstance(value, dict) and isinstance(mine, dict):
            body[key] = merge_params(dict(mine), value)
        else:
            body[key] = value
    return body
