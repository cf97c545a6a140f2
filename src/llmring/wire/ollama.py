"""Ollama's chat format: one JSON object a line (vendor's reference "Generate a chat message")."""

from __future__ import annotations

from typing import Any

from ..schemas import FinishReason, LLMRequest, Message, StreamChunk
from .base import Decoder, as_list, given, merge_params, text, usage_of
from .errors import read_error
from .framing import LineFrames

__all__ = ["OllamaDecoder", "render_request"]

_FINISH: dict[str, FinishReason] = {"stop": "stop", "length": "length"}


def render_request(request: LLMRequest, model: str, *, stream: bool) -> dict[str, Any]:
    """The body of a request."""
    options = given(
        temperature=request.temperature,
        top_p=request.top_p,
        num_predict=request.max_tokens,
        stop=as_list(request.stop),
        seed=request.seed,
    )
    body: dict[str, Any] = {"model": model, "messages": [_message(m) for m in request.messages]}
    if options:
        body["options"] = options
    merge_params(body, request.extra_params)
    body["stream"] = stream
    return body


def _message(message: Message) -> dict[str, Any]:
    content = message.content
    if not isinstance(content, str):
        content = "\n".join(part["text"] for part in content or [] if part.get("type") == "text")
    return {"role": message.role, "content": content}


class OllamaDecoder(Decoder):
    """Chunks of an Ollama answer."""

    __slots__ = ()

    frames = LineFrames
    end_marker = '"done": true'

    def feed(self, event: Any) -> StreamChunk | None:
        """Take one line."""
        if event.get("error"):
            raise read_error(event)
        chunk = self._message(event.get("message") or {})
        if event.get("done"):
            self.ended = self.complete = True
            if reason := event.get("done_reason"):
                self.finish_reason = _FINISH.get(reason, "other")
            self.usage = usage_of(event.get("prompt_eval_count"), event.get("eval_count"))
        if not self.response_model and event.get("model"):
            self.response_model = event["model"]
        return chunk

    def feed_answer(self, answer: Any) -> StreamChunk | None:
        """Take a whole answer."""
        if "message" not in answer and not answer.get("error"):
            raise KeyError("message")
        return self.feed(answer)

    def _message(self, message: dict[str, Any]) -> StreamChunk | None:
        said, thinking, calls = (
            message.get("content") or "",
            message.get("thinking"),
            message.get("tool_calls"),
        )
        for call in calls or ():
            function = call["function"]
            self.calls.start(len(self.calls), function["name"], call.get("id"), function.get("arguments") or {})
        if not said and not thinking and not calls:
            return None
        return StreamChunk(
            text(said),
            self.model,
            text(thinking) if thinking else None,
            self.calls.snapshot() if calls else None,
        )

    @classmethod
    def _openings(cls) -> tuple[bytes, ...]:
        return (b'{"model"',)
