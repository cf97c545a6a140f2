"""OpenAI's Chat Completions format, which every OpenAI-compatible server speaks.

Request and events: the vendor's reference "Chat completions", and what compatible servers were seen to send:
`usage` inside a choice, arguments as an object, content as a list of parts, no finish reason at all.
"""

from __future__ import annotations

import re
from typing import Any

from ..schemas import FinishReason, LLMRequest, Message, StreamChunk
from .base import Decoder
from .calls import BuiltCall, is_json
from .errors import CannotCarry, read_error
from .framing import SSEFrames
from .turns import (
    call_ids,
    effort_of,
    function_tool,
    json_instruction,
    kept_of,
    media,
    openai_schema,
    plain_text,
    schema_of,
    without_custom_tools,
)
from .values import given, merge_params, name_of, usage_of

__all__ = ["CALL_ID", "MISTRAL_CALL_ID", "ChatDecoder", "render_request"]

CALL_ID = re.compile(r"[a-zA-Z0-9_-]{1,40}")
MISTRAL_CALL_ID = re.compile(r"[a-zA-Z0-9]{9}")

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
    request: LLMRequest,
    model: str,
    *,
    stream: bool,
    issuer: str,
    max_tokens_key: str = "max_tokens",
    call_id: re.Pattern[str] = CALL_ID,
) -> dict[str, Any]:
    """The body of a request.

    Args:
        request, model, stream: what to ask whom, and how.
        issuer: who is asked; what another one wants back is not sent to it.
        max_tokens_key: OpenAI's own models want `max_completion_tokens`.
        call_id: what the server takes for a call's id.
    """
    request = without_custom_tools(request)
    ids = call_ids(request.messages, call_id, 9 if call_id is MISTRAL_CALL_ID else 24, issuer)
    messages = [_message(m, ids, issuer) for m in request.messages]
    if instruction := json_instruction(request, unless_said=True):
        # The format's JSON mode is refused where no message speaks of JSON.
        messages.insert(0, {"role": "system", "content": instruction})
    body = {
        "model": model,
        "messages": messages,
        **given(
            temperature=request.temperature,
            top_p=request.top_p,
            stop=request.stop,
            seed=request.seed,
            reasoning_effort=effort_of(request),
            response_format=_format(request),
            tools=[function_tool(t) for t in request.tools] if request.tools else None,
            tool_choice=request.tool_choice,
        ),
        **given(**{max_tokens_key: request.max_tokens}),
    }
    merge_params(body, request.extra_params)
    if stream:
        body["stream"] = True
        body.setdefault("stream_options", {"include_usage": True})
    return body


def _message(message: Message, ids: dict[str, str], issuer: str) -> dict[str, Any]:
    if message.role == "tool":
        content = plain_text(message, "a tool's result in Chat Completions")
        return {"role": "tool", "tool_call_id": ids[message.tool_call_id or ""], "content": content}
    rendered: dict[str, Any] = {"role": message.role}
    if isinstance(message.content, list):
        rendered["content"] = [_part(part) for part in message.content]
    else:
        rendered["content"] = plain_text(message, "a message") or (None if message.tool_calls else "")
    if message.tool_calls:
        rendered["tool_calls"] = [{**call, "id": ids[call["id"]]} for call in message.tool_calls]
    rendered.update(kept_of(message, "openai_chat", issuer) or {})
    return rendered


def _part(part: dict[str, Any]) -> dict[str, Any]:
    if part.get("type") == "text":
        return {"type": "text", "text": part["text"]}
    found = media(part)
    if found is None:
        return part
    if found.kind == "image":
        return {"type": "image_url", "image_url": {"url": found.url or found.data_url, **given(detail=found.detail)}}
    if found.kind == "audio":
        return {"type": "input_audio", "input_audio": part["input_audio"]}
    if found.is_text:
        return {"type": "text", "text": found.quoted}
    if found.url:
        raise CannotCarry("Chat Completions takes no documents by address; fetch it and send its bytes")
    if found.file_id:
        return {"type": "file", "file": {"file_id": found.file_id}}
    if found.mime != "application/pdf":
        raise CannotCarry(f"Chat Completions takes no documents of type {found.mime}; convert it to PDF or text")
    return {"type": "file", "file": {"filename": found.filename, "file_data": found.data_url}}


def _format(request: LLMRequest) -> dict[str, Any] | None:
    table = schema_of(request)
    if table is None:
        given: dict[str, Any] | None = request.response_format
        return given
    return {"type": "json_schema", "json_schema": openai_schema(table)}


class ChatDecoder(Decoder):
    """Chunks of a Chat Completions answer."""

    __slots__ = ("_ids", "_last_call", "_refused", "_streamed", "_thoughts")

    frames = SSEFrames
    end_marker = "[DONE]"

    def __init__(self, model: str) -> None:
        super().__init__(model)
        # The ids that the server itself gave to the calls, and what it told the last fragment's call by.
        self._ids: dict[Any, Any] = {}
        self._last_call: Any = None
        # What the server wants back with a turn that calls tools: DeepSeek its reasoning, OpenRouter the details.
        self._thoughts: dict[str, list[Any]] = {}
        # Whether deltas have brought anything: the whole message that some servers send after them says it again.
        self._streamed = False
        self._refused = False

    def feed(self, event: Any) -> StreamChunk | None:
        """Take one `chat.completion.chunk`."""
        return self._take(event, "delta")

    def feed_answer(self, answer: Any) -> StreamChunk | None:
        """Take a whole `chat.completion`."""
        if "choices" not in answer and not answer.get("error"):
            raise KeyError("choices")
        return self._take(answer, "message")

    def close(self) -> StreamChunk:
        """The final chunk."""
        if self.calls and self._thoughts:
            kept: dict[str, Any] = {}
            if details := self._thoughts.get("reasoning_details"):
                kept["reasoning_details"] = [detail for some in details for detail in some]
            elif pieces := self._thoughts.get("reasoning_content"):
                kept["reasoning_content"] = "".join(map(str, pieces))
            self.metadata["openai_chat"] = kept
        if self._refused and self.finish_reason in (None, "stop"):
            self.finish_reason = "content_filter"
        return super().close()

    def _take(self, event: Any, holder: str) -> StreamChunk | None:
        if event.get("error") or ("choices" not in event and ("message" in event or "detail" in event)):
            raise read_error(event)
        if usage := event.get("usage"):
            self._report(usage)
        if usage or self.response_model is None:
            self.response_model = self.response_model or name_of(event.get("model"))
            self.service_tier = name_of(event.get("service_tier")) or self.service_tier
        choices = event.get("choices")
        if not choices:
            return None
        choice = choices[0]
        if choice.get("index"):
            return None
        if reason := choice.get("finish_reason"):
            self.finish_reason = _FINISH.get(reason, "other")
        if usage := choice.get("usage"):
            self._report(usage)
        delta = choice.get(holder)
        whole = not delta
        if whole:
            delta = None if self._streamed else choice.get("message")
        if not delta:
            return None
        if thought := delta.get("reasoning_content"):
            self._thoughts.setdefault("reasoning_content", []).append(thought)
        if details := delta.get("reasoning_details"):
            self._thoughts.setdefault("reasoning_details", []).append(details)
        content = delta.get("content") or ""
        if refusal := delta.get("refusal"):
            self._refused = True
            content = content or refusal
        reasoning = thought or delta.get("reasoning") or None
        if content.__class__ is list:
            content, thinking = _texts(content)
            reasoning = thinking or reasoning
        if content.__class__ is not str or (reasoning is not None and reasoning.__class__ is not str):
            raise TypeError("content is neither text nor a list of parts")
        if advanced := bool(delta.get("tool_calls")):
            self._take_calls(delta["tool_calls"])
        if not content and reasoning is None and not advanced:
            return None
        self._streamed = self._streamed or not whole
        return StreamChunk(content, self.model, reasoning, self.calls.snapshot() if advanced else None)

    def _take_calls(self, fragments: list[Any]) -> None:
        for position, fragment in enumerate(fragments):
            custom = fragment.get("custom")
            function = custom or fragment.get("function") or {}
            name, arguments, id = (
                function.get("name"),
                function.get("input" if custom else "arguments"),
                fragment.get("id"),
            )
            key = fragment.get("index")
            if key is None:
                # What names neither an index, an id nor a function goes on with the last call.
                key = id or (position if name else self._last_call)
            self._last_call = key
            current = self.calls.known(key)
            if current is None or (name and self._is_another(key, id, name, arguments, current)):
                self.calls.start(key, name or "", id, arguments, arriving=True, custom=bool(custom))
                self._ids[key] = id
                continue
            current.name = current.name or name or ""
            if arguments.__class__ is str:
                self.calls.extend(key, arguments)
            elif arguments:
                self.calls.replace(key, arguments)

    def _is_another(self, key: Any, id: Any, name: str, arguments: Any, current: BuiltCall) -> bool:
        """Whether a fragment that names a function begins a new call: some servers number them all 0."""
        if current.name and name != current.name:
            return True
        if id:
            return bool(id != self._ids[key])
        begins = arguments.lstrip()[:1] in ("", "{") if isinstance(arguments, str) else True
        # The cheap signs come first: some servers name the function in every one of many fragments.
        return begins and current.ends_with("}") and is_json(self.calls.arguments(current))

    def _report(self, usage: Any) -> None:
        """Take the counts; what has another form than theirs must not cost the text beside it."""
        if not isinstance(usage, dict):
            return
        prompt, completion = (
            details if isinstance(details := usage.get(f"{side}_tokens_details"), dict) else {}
            for side in ("prompt", "completion")
        )
        cached = prompt.get("cached_tokens")
        counted = usage_of(
            usage.get("prompt_tokens"),
            usage.get("completion_tokens"),
            cache_read=usage.get("prompt_cache_hit_tokens") if cached is None else cached,
            cache_write=prompt.get("cache_write_tokens"),
            reasoning=completion.get("reasoning_tokens"),
        )
        self.usage = counted or self.usage


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
