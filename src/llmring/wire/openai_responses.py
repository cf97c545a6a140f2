"""OpenAI's Responses format (vendor's reference "Responses" and "Streaming events")."""

from __future__ import annotations

from typing import Any

from ..schemas import FinishReason, LLMRequest, Message, StreamChunk
from .base import Decoder, given, merge_params, text, usage_of
from .errors import WireError, read_error
from .framing import SSEFrames

__all__ = ["ResponsesDecoder", "render_request"]

_INCOMPLETE: dict[str, FinishReason] = {
    "max_output_tokens": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
}


def render_request(request: LLMRequest, model: str, *, stream: bool) -> dict[str, Any]:
    """The body of a request. Nothing is stored at the vendor unless `extra_params` says so."""
    body: dict[str, Any] = {
        "model": model,
        "input": [_item(m) for m in request.messages],
        "store": False,
    }
    body |= given(
        temperature=request.temperature,
        top_p=request.top_p,
        max_output_tokens=request.max_tokens,
        stop=request.stop,
        seed=request.seed,
    )
    merge_params(body, request.extra_params)
    if stream:
        body["stream"] = True
    return body


def _item(message: Message) -> dict[str, Any]:
    return {"role": message.role, "content": message.content}


class ResponsesDecoder(Decoder):
    """Chunks of a Responses answer."""

    __slots__ = ("_thinking_part",)

    frames = SSEFrames
    end_marker = "response.completed"

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self._thinking_part: tuple[Any, Any] | None = None

    def feed(self, event: Any) -> StreamChunk | None:
        """Take one event of the stream."""
        kind = event["type"]
        if kind in ("response.output_text.delta", "response.refusal.delta"):
            return StreamChunk(text(event["delta"]), self.model) if event["delta"] else None
        if kind == "response.function_call_arguments.delta":
            if event["delta"] and self.calls.known(event["output_index"]):
                self.calls.extend(event["output_index"], event["delta"])
                return StreamChunk("", self.model, None, self.calls.snapshot())
        elif kind in ("response.reasoning_summary_text.delta", "response.reasoning_text.delta"):
            return self._think(event, event["delta"])
        elif kind == "response.output_item.added":
            item = event["item"]
            if item["type"] == "function_call":
                self.calls.start(event["output_index"], item["name"], item["call_id"], item.get("arguments"))
                return StreamChunk("", self.model, None, self.calls.snapshot())
        elif kind == "response.output_item.done":
            return self._item_done(event["output_index"], event["item"])
        elif kind in ("response.completed", "response.incomplete", "response.failed"):
            self._finish(event["response"])
            self.ended = self.complete = True
        elif kind in ("response.created", "response.in_progress"):
            self.response_model = event["response"].get("model") or self.response_model
        elif kind == "error":
            raise read_error(event)
        return None

    def feed_answer(self, answer: Any) -> StreamChunk | None:
        """Take a whole response."""
        said, reasoning = [], []
        for index, item in enumerate(answer["output"]):
            kind = item["type"]
            if kind == "message":
                said += [part.get("text") or part.get("refusal") or "" for part in item["content"]]
            elif kind == "reasoning":
                reasoning += [part["text"] for part in (item.get("summary") or item.get("content") or [])]
            elif kind == "function_call":
                self.calls.start(index, item["name"], item["call_id"], item["arguments"])
        self._finish(answer)
        return StreamChunk("".join(said), self.model, "\n\n".join(reasoning) or None)

    def _item_done(self, index: int, item: dict[str, Any]) -> StreamChunk | None:
        """An item is complete; a call whose pieces did not come is taken from it whole."""
        if item["type"] != "function_call":
            return None
        call = self.calls.known(index)
        if call is None:
            self.calls.start(index, item["name"], item["call_id"], item["arguments"])
        elif call["function"]["arguments"] == item["arguments"]:
            return None
        else:
            self.calls.replace(index, item["arguments"])
        return StreamChunk("", self.model, None, self.calls.snapshot())

    def _think(self, event: dict[str, Any], delta: str) -> StreamChunk | None:
        if not delta:
            return None
        part = (event.get("output_index"), event.get("summary_index", event.get("content_index")))
        if self._thinking_part not in (None, part):
            delta = "\n\n" + text(delta)
        self._thinking_part = part
        return StreamChunk("", self.model, text(delta))

    def _finish(self, response: dict[str, Any]) -> None:
        if response.get("error"):
            raise read_error(response)
        if response.get("status") == "failed":
            raise WireError("the response failed, and the provider did not say why")
        self.response_model = response.get("model") or self.response_model
        reason = (response.get("incomplete_details") or {}).get("reason")
        if reason:
            self.finish_reason = _INCOMPLETE.get(reason, "other")
        usage = response.get("usage") or {}
        prompt = usage.get("input_tokens_details") or {}
        self.usage = usage_of(
            usage.get("input_tokens"),
            usage.get("output_tokens"),
            cache_read=prompt.get("cached_tokens"),
            cache_write=prompt.get("cache_write_tokens"),
            reasoning=(usage.get("output_tokens_details") or {}).get("reasoning_tokens"),
        )
