"""Anthropic's Messages format (vendor's reference "Messages" and "Streaming messages")."""

from __future__ import annotations

from typing import Any

from ..schemas import FinishReason, LLMRequest, Message, StreamChunk
from .base import Decoder, as_list, given, merge_params, text, usage_of
from .errors import read_error
from .framing import SSEFrames

__all__ = ["MessagesDecoder", "render_request"]

_FINISH: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def render_request(request: LLMRequest, model: str, *, stream: bool, max_tokens: int) -> dict[str, Any]:
    """The body of a request. The format demands `max_tokens`; the argument serves where none is asked for."""
    system = [m for m in request.messages if m.role == "system"]
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": max_tokens if request.max_tokens is None else request.max_tokens,
        "messages": [_message(m) for m in request.messages if m.role != "system"],
    }
    if len(system) == 1 and isinstance(system[0].content, str):
        body["system"] = system[0].content
    elif system:
        body["system"] = [block for m in system for block in _blocks(m)]
    body |= given(
        temperature=request.temperature,
        top_p=request.top_p,
        stop_sequences=as_list(request.stop),
        seed=request.seed,
    )
    merge_params(body, request.extra_params)
    if stream:
        body["stream"] = True
    return body


def _message(message: Message) -> dict[str, Any]:
    content = message.content if isinstance(message.content, str) else _blocks(message)
    return {"role": message.role, "content": content}


def _blocks(message: Message) -> list[dict[str, Any]]:
    if isinstance(message.content, str):
        return [{"type": "text", "text": message.content}] if message.content else []
    return list(message.content or [])


class MessagesDecoder(Decoder):
    """Chunks of a Messages answer."""

    __slots__ = ("_counts",)

    frames = SSEFrames
    end_marker = "message_stop"

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self._counts: dict[str, Any] = {}

    def feed(self, event: Any) -> StreamChunk | None:
        """Take one event of the stream."""
        kind = event["type"]
        if kind == "content_block_delta":
            return self._delta(event["index"], event["delta"])
        if kind == "content_block_start":
            return self._start(event["index"], event["content_block"])
        if kind == "message_delta":
            self._stop(event["delta"].get("stop_reason"))
            self._report(event.get("usage"))
        elif kind == "message_start":
            message = event["message"]
            self.response_model = message.get("model")
            self._report(message.get("usage"))
        elif kind == "message_stop":
            self.ended = self.complete = True
        elif kind == "error":
            raise read_error(event)
        return None

    def feed_answer(self, answer: Any) -> StreamChunk | None:
        """Take a whole message."""
        if answer.get("type") == "error":
            raise read_error(answer)
        said, reasoning = [], []
        for index, block in enumerate(answer["content"]):
            chunk = self._start(index, block)
            if chunk is not None:
                said.append(chunk.delta)
                reasoning.append(chunk.reasoning or "")
        self.response_model = answer.get("model")
        self._stop(answer.get("stop_reason"))
        self._report(answer.get("usage"))
        return StreamChunk("".join(said), self.model, "".join(reasoning) or None)

    def _start(self, index: int, block: dict[str, Any]) -> StreamChunk | None:
        kind = block["type"]
        if kind == "text" and block.get("text"):
            return StreamChunk(text(block["text"]), self.model)
        if kind == "thinking" and block.get("thinking"):
            return StreamChunk("", self.model, text(block["thinking"]))
        if kind == "tool_use":
            # While streaming, the input is an empty object that fragments of JSON replace.
            self.calls.start(index, block["name"], block.get("id"), block.get("input") or "")
            return StreamChunk("", self.model, None, self.calls.snapshot())
        return None

    def _delta(self, index: int, delta: dict[str, Any]) -> StreamChunk | None:
        kind = delta["type"]
        if kind == "text_delta":
            return StreamChunk(text(delta["text"]), self.model) if delta["text"] else None
        if kind == "thinking_delta":
            return StreamChunk("", self.model, text(delta["thinking"])) if delta["thinking"] else None
        if kind == "input_json_delta" and self.calls.known(index) and delta["partial_json"]:
            self.calls.extend(index, delta["partial_json"])
            return StreamChunk("", self.model, None, self.calls.snapshot())
        return None

    def _stop(self, reason: str | None) -> None:
        if reason:
            self.finish_reason = _FINISH.get(reason, "other")

    def _report(self, usage: dict[str, Any] | None) -> None:
        """Counts are cumulative: a later one replaces, one that is left out stands."""
        if not usage:
            return
        counts = self._counts
        counts.update({key: value for key, value in usage.items() if value is not None})
        read = counts.get("cache_read_input_tokens")
        written = counts.get("cache_creation_input_tokens")
        prompt = counts.get("input_tokens")
        self.usage = usage_of(
            None if prompt is None else prompt + (read or 0) + (written or 0),
            counts.get("output_tokens"),
            cache_read=read,
            cache_write=written,
            reasoning=(counts.get("output_tokens_details") or {}).get("thinking_tokens"),
        )
