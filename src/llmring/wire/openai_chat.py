"""OpenAI's Chat Completions format, which every OpenAI-compatible server speaks.

Request and events: the vendor's reference "Chat completions", and what compatible servers were seen to send:
`usage` inside a choice, arguments as an object, content as a list of parts, no finish reason at all.
"""

from __future__ import annotations

from typing import Any

from ..schemas import FinishReason, LLMRequest, Message, StreamChunk
from .base import Decoder, given, merge_params, usage_of
from .errors import read_error
from .framing import SSEFrames

__all__ = ["ChatDecoder", "render_request"]

_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "end_turn": "stop",
    "eos": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


def render_request(
    request: LLMRequest, model: str, *, stream: bool, max_tokens_key: str = "max_tokens"
) -> dict[str, Any]:
    """The body of a request. OpenAI's own models want `max_tokens_key="max_completion_tokens"`."""
    body = {
        "model": model,
        "messages": [_message(m) for m in request.messages],
        **given(
            temperature=request.temperature,
            top_p=request.top_p,
            stop=request.stop,
            seed=request.seed,
            reasoning_effort=request.reasoning_effort,
        ),
        **given(**{max_tokens_key: request.max_tokens}),
    }
    merge_params(body, request.extra_params)
    if stream:
        body["stream"] = True
        body.setdefault("stream_options", {"include_usage": True})
    return body


def _message(message: Message) -> dict[str, Any]:
    rendered: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        rendered["tool_calls"] = message.tool_calls
        if not message.content:
            rendered["content"] = None
    if message.tool_call_id is not None:
        rendered["tool_call_id"] = message.tool_call_id
    return rendered


class ChatDecoder(Decoder):
    """Chunks of a Chat Completions answer."""

    __slots__ = ()

    frames = SSEFrames
    end_marker = "[DONE]"

    def feed(self, event: Any) -> StreamChunk | None:
        """Take one `chat.completion.chunk`."""
        return self._take(event, "delta")

    def feed_answer(self, answer: Any) -> StreamChunk | None:
        """Take a whole `chat.completion`."""
        if "choices" not in answer and not answer.get("error"):
            raise KeyError("choices")
        return self._take(answer, "message")

    def _take(self, event: Any, holder: str) -> StreamChunk | None:
        if event.get("error"):
            raise read_error(event)
        if event.get("usage"):
            self._report(event["usage"])
        if not self.response_model and event.get("model"):
            self.response_model = event["model"]
        choices = event.get("choices")
        if not choices:
            return None
        choice = choices[0]
        if choice.get("index"):
            return None
        if reason := choice.get("finish_reason"):
            self.finish_reason = _FINISH.get(reason, "other")
        if choice.get("usage"):
            self._report(choice["usage"])
        delta = choice.get(holder) or choice.get("message")
        if not delta:
            return None
        content = delta.get("content") or delta.get("refusal") or ""
        reasoning = delta.get("reasoning_content") or delta.get("reasoning") or None
        if content.__class__ is list:
            content, thinking = _texts(content)
            reasoning = thinking or reasoning
        if content.__class__ is not str or (reasoning is not None and reasoning.__class__ is not str):
            raise TypeError("content is neither text nor a list of parts")
        advanced = bool(delta.get("tool_calls")) and self._take_calls(delta["tool_calls"])
        if not content and reasoning is None and not advanced:
            return None
        return StreamChunk(content, self.model, reasoning, self.calls.snapshot() if advanced else None)

    def _take_calls(self, fragments: list[Any]) -> bool:
        for position, fragment in enumerate(fragments):
            function = fragment.get("function") or {}
            name, arguments, id = function.get("name"), function.get("arguments"), fragment.get("id")
            key = fragment.get("index")
            if key is None:
                key = id or position
            current = self.calls.known(key)
            # Some servers give every parallel call the index 0: a new id and name begin a new call.
            if current is None or (id and name and id != current["id"]):
                self.calls.start(key, name or "", id, arguments)
                continue
            if name and not current["function"]["name"]:
                current["function"]["name"] = name
            if arguments.__class__ is str:
                self.calls.extend(key, arguments)
            elif arguments:
                self.calls.replace(key, arguments)
        return True

    def _report(self, usage: dict[str, Any]) -> None:
        prompt = usage.get("prompt_tokens_details") or {}
        completion = usage.get("completion_tokens_details") or {}
        cached = prompt.get("cached_tokens")
        self.usage = usage_of(
            usage.get("prompt_tokens"),
            usage.get("completion_tokens"),
            cache_read=usage.get("prompt_cache_hit_tokens") if cached is None else cached,
            cache_write=prompt.get("cache_write_tokens"),
            reasoning=completion.get("reasoning_tokens"),
        )


def _texts(parts: list[Any]) -> tuple[str, str]:
    """Text and thinking of a content list, as Mistral's reasoning models send it."""
    text, thinking = [], []
    for part in parts:
        if part["type"] == "text":
            text.append(part["text"])
        elif part["type"] == "thinking":
            inner = part["thinking"]
            thinking.append(inner if isinstance(inner, str) else _texts(inner)[0])
    return "".join(text), "".join(thinking)
