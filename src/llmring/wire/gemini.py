"""Google's Gemini format (vendor's reference "Generating content", `v1` and `v1beta`)."""

from __future__ import annotations

from typing import Any

from ..schemas import FinishReason, LLMRequest, Message, StreamChunk
from .base import Decoder, as_list, given, merge_params, usage_of
from .errors import read_error
from .framing import SSEFrames

__all__ = ["GenerateDecoder", "render_request"]

_FINISH: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
}


def render_request(request: LLMRequest) -> dict[str, Any]:
    """The body of a request; the model and whether to stream are in its URL."""
    system = [part for m in request.messages if m.role == "system" for part in _parts(m)]
    body: dict[str, Any] = {"contents": [_content(m) for m in request.messages if m.role != "system"]}
    if system:
        body["systemInstruction"] = {"parts": system}
    config = given(
        temperature=request.temperature,
        topP=request.top_p,
        maxOutputTokens=request.max_tokens,
        stopSequences=as_list(request.stop),
        seed=request.seed,
    )
    if config:
        body["generationConfig"] = config
    return merge_params(body, request.extra_params)


def _content(message: Message) -> dict[str, Any]:
    return {"role": "model" if message.role == "assistant" else "user", "parts": _parts(message)}


def _parts(message: Message) -> list[dict[str, Any]]:
    if isinstance(message.content, str):
        return [{"text": message.content}]
    return [{"text": part["text"]} for part in message.content or [] if part.get("type") == "text"]


class GenerateDecoder(Decoder):
    """Chunks of a `generateContent` answer.

    The format has no end marker but a finish reason, and some models repeat it on several events: what follows
    it still counts, and the end of the bytes is the end.
    """

    __slots__ = ()

    frames = SSEFrames
    end_marker = "finishReason"

    def feed(self, event: Any) -> StreamChunk | None:
        """Take one `GenerateContentResponse`."""
        if "error" in event:
            raise read_error(event)
        if usage := event.get("usageMetadata"):
            self._report(usage)
        if version := event.get("modelVersion"):
            self.response_model = version
        if (event.get("promptFeedback") or {}).get("blockReason"):
            self.finish_reason = "content_filter"
            self.complete = True
        candidates = event.get("candidates")
        if not candidates:
            return None
        candidate = candidates[0]
        if reason := candidate.get("finishReason"):
            self.finish_reason = _FINISH.get(reason, "other")
            self.complete = True
        return self._parts((candidate.get("content") or {}).get("parts") or [])

    def feed_answer(self, answer: Any) -> StreamChunk | None:
        """Take a whole `GenerateContentResponse`."""
        chunk = self.feed(answer)
        if not self.complete and "candidates" not in answer:
            raise KeyError("candidates")
        return chunk

    def _parts(self, parts: list[dict[str, Any]]) -> StreamChunk | None:
        text, reasoning, calls = "", "", len(self.calls)
        for part in parts:
            if piece := part.get("text"):
                if part.get("thought"):
                    reasoning += piece
                else:
                    text += piece
            elif call := part.get("functionCall"):
                self.calls.start(len(self.calls), call["name"], call.get("id"), call.get("args") or {})
        advanced = len(self.calls) > calls
        if not text and not reasoning and not advanced:
            return None
        return StreamChunk(text, self.model, reasoning or None, self.calls.snapshot() if advanced else None)

    def _report(self, usage: dict[str, Any]) -> None:
        prompt, tools = usage.get("promptTokenCount"), usage.get("toolUsePromptTokenCount")
        output, thoughts = usage.get("candidatesTokenCount"), usage.get("thoughtsTokenCount")
        if prompt is None and output is None and thoughts is None:
            return
        self.usage = usage_of(
            (prompt or 0) + (tools or 0),
            (output or 0) + (thoughts or 0),
            cache_read=usage.get("cachedContentTokenCount"),
            reasoning=thoughts,
        )
