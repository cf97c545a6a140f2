"""Anthropic's Messages format (vendor's reference "Messages" and "Streaming messages")."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from pydantic_core import from_json

from ..schemas import FinishReason, LLMRequest, Message, StreamChunk, ToolCall
from . import media, schema_dialects
from .base import Decoder
from .errors import CannotCarry, read_error
from .framing import SSEFrames
from .turns import (
    Replay,
    arguments_of,
    budget_of,
    call_ids,
    described_schema,
    effort_of,
    in_dialect,
    in_turns,
    json_instruction,
    kept_of,
    parts,
    parts_of_result,
    plain_text,
    replayed,
    told_apart,
    without_custom_tools,
)
from .values import as_list, completed, count, merge_params, name_of, present, text, usage_of

__all__ = ["MessagesDecoder", "render_request"]

_FINISH: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_INPUT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_CALL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_CHOICES = {"auto": {"type": "auto"}, "none": {"type": "none"}, "required": {"type": "any"}}
# Models that take a budget of thinking tokens; those after them decide themselves, by effort.
# Source: Anthropic's "Extended thinking" and "Adaptive thinking".
_BUDGETED = re.compile(r"(.*/)?claude-(3-7|opus-4-[015]|opus-4-2\d{7}|sonnet-4-[05]|sonnet-4-2\d{7}|haiku-4)")


def render_request(
    request: LLMRequest, model: str, *, stream: bool, max_tokens: int, issuer: str = ""
) -> dict[str, Any]:
    """The body of a request. The format demands `max_tokens`; the argument serves where none is asked for."""
    request = without_custom_tools(request)
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": max_tokens if request.max_tokens is None else request.max_tokens,
        "messages": _turns(request.messages, issuer),
    }
    if system := _system(request):
        body["system"] = system
    if container := _container(request.messages, issuer):
        body["container"] = container
    body |= present(
        temperature=request.temperature,
        top_p=request.top_p,
        stop_sequences=as_list(request.stop),
        seed=request.seed,
        tools=[_tool(t) for t in request.tools] if request.tools else None,
        tool_choice=_choice(request.tool_choice),
    )
    output = present(format=_format(request))
    if (effort := effort_of(request)) is not None:
        budget = budget_of(request)
        if effort == "none":
            body["thinking"] = {"type": "disabled"}
        elif _BUDGETED.match(model):
            if request.reasoning_tokens is None:
                # The budget must leave room for an answer, and not be below the vendor's least.
                budget = max(1024, min(budget or 0, body["max_tokens"] - 1))
            body["thinking"] = {"type": "enabled", "budget_tokens": budget}
        else:
            # Newer models leave the text of their thinking out unless asked for it.
            body["thinking"] = {"type": "adaptive", "display": "summarized"}
            output["effort"] = "low" if effort == "minimal" else effort
    if output:
        body["output_config"] = output
    merge_params(body, request.extra_params)
    if stream:
        body["stream"] = True
    return body


def _system(request: LLMRequest) -> str | list[dict[str, Any]] | None:
    said = [m for m in request.messages if m.role == "system"]
    instruction = json_instruction(request)
    if len(said) == 1 and isinstance(said[0].content, str) and not said[0].metadata and not instruction:
        return said[0].content if said[0].content.strip() else None
    blocks = [block for m in said for block in _marked(_content(m), m)]
    return [*blocks, {"type": "text", "text": instruction}] if instruction else blocks or None


def _container(messages: Sequence[Message], issuer: str) -> str | None:
    """Where the tools of the last turn ran: a call that was made there is answered there."""
    for message in reversed(messages):
        if message.role == "assistant":
            kept = kept_of(message, "anthropic", issuer)
            return kept.get("container") if kept is not None else None
    return None


def _turns(messages: Sequence[Message], issuer: str) -> list[dict[str, Any]]:
    messages = told_apart(messages, issuer)
    ids = call_ids(messages, _CALL_ID, 24, issuer)
    turns: list[dict[str, Any]] = []
    for message, results in in_turns(messages):
        if message is None:
            turns.append({"role": "user", "content": [block for m in results for block in _result(m, ids)]})
        elif message.role == "assistant":
            blocks = _replayed(message, ids, issuer) or [
                *_content(message),
                *(_call(call, ids) for call in message.tool_calls or ()),
            ]
            if blocks:
                turns.append({"role": "assistant", "content": _marked(blocks, message)})
        else:
            plain = isinstance(message.content, str) and "cache_control" not in message.metadata
            content = message.content if plain else _marked(_content(message), message)
            if content if not isinstance(content, str) else content.strip():
                turns.append({"role": "user", "content": content})
    if turns and turns[-1]["role"] == "assistant" and (last := turns[-1]["content"][-1])["type"] == "text":
        # An answer that is to be gone on with may not end in white space.
        turns[-1]["content"][-1] = {**last, "text": last["text"].rstrip()}
    return turns


def _marked(blocks: list[dict[str, Any]], message: Message) -> list[dict[str, Any]]:
    """The blocks, the last one with the message's mark for prompt caching."""
    mark = message.metadata.get("cache_control")
    return [*blocks[:-1], {**blocks[-1], "cache_control": mark}] if mark and blocks else blocks


def _content(message: Message) -> list[dict[str, Any]]:
    blocks = []
    for part in parts(message):
        if part.get("type") == "text":
            # Blank text is refused, and another model's may be; what stands beside it is not.
            if part["text"].strip():
                blocks.append(part)
        elif (found := media.of_part(part)) is None:
            blocks.append(part)
        else:
            blocks.append({**_media(found), **present(cache_control=part.get("cache_control"))})
    return blocks


def _media(found: media.Media) -> dict[str, Any]:
    if found.kind == "audio":
        raise CannotCarry("Anthropic's API takes no audio; send a transcript")
    if found.file_id:
        title = present(title=found.name) if found.kind == "document" else {}
        return {"type": found.kind, "source": {"type": "file", "file_id": found.file_id}, **title}
    if found.url:
        return {"type": found.kind, "source": {"type": "url", "url": found.url}}
    if found.kind == "image":
        if found.mime not in _IMAGES:
            raise CannotCarry(f"Anthropic's API takes no pictures of type {found.mime}; convert it to PNG or JPEG")
        return {"type": "image", "source": {"type": "base64", "media_type": found.mime, "data": found.data}}
    if found.mime == "application/pdf":
        source = {"type": "base64", "media_type": found.mime, "data": found.data}
    elif found.is_text:
        source = {"type": "text", "media_type": "text/plain", "data": found.text}
    else:
        raise CannotCarry(f"Anthropic's API takes no documents of type {found.mime}; convert it to PDF or text")
    return {"type": "document", "source": source, **present(title=found.name)}


def _result(message: Message, ids: dict[str, str]) -> list[dict[str, Any]]:
    said = plain_text(message, "a tool's result") if parts_of_result(message) is None else _content(message)
    block = {"type": "tool_result", "tool_use_id": ids[message.tool_call_id or ""], "content": said}
    return _marked([block], message)


def _call(call: ToolCall, ids: dict[str, str]) -> dict[str, Any]:
    function = call["function"]
    return {
        "type": "tool_use",
        "id": ids[call["id"]],
        "name": function["name"],
        "input": arguments_of(function["arguments"]),
    }


def _replayed(message: Message, ids: dict[str, str], issuer: str) -> list[dict[str, Any]] | None:
    """The turn as its server sent it, thinking and all, unless the caller has changed it since."""

    def block(kept: dict[str, Any], turn: Replay) -> dict[str, Any] | None:
        if kept["type"] == "text":
            said = turn.text(kept["length"])
            return {"type": "text", "text": said, **present(citations=kept.get("citations"))} if said.strip() else None
        return kept | _call(turn.call(), ids) if kept["type"] == "tool_use" else kept

    kept = kept_of(message, "anthropic", issuer)
    return None if kept is None else replayed(message, kept["blocks"], block)


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    if tool.get("type") != "function":
        return tool
    function = tool["function"]
    return {
        "name": function["name"],
        "input_schema": {"type": "object", **function["parameters"]},
        **present(
            description=function.get("description"),
            strict=function.get("strict"),
            cache_control=tool.get("cache_control"),
        ),
    }


def _choice(choice: str | dict[str, Any] | None) -> dict[str, Any] | None:
    if isinstance(choice, dict):
        # One that Anthropic runs itself is called by its name, as any other.
        return {"type": "tool", "name": (choice.get("function") or choice).get("name") or choice["type"]}
    return _CHOICES[choice] if choice else None


def _format(request: LLMRequest) -> dict[str, Any] | None:
    if (schema := described_schema(request)) is None:
        return None
    return {"type": "json_schema", "schema": in_dialect(schema, schema_dialects.ANTHROPIC, "Anthropic")}


class MessagesDecoder(Decoder):
    """Chunks of a Messages answer."""

    frames = SSEFrames
    end_marker = "message_stop"

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self._counts: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        # Calls whose whole input their start has named: what is streamed then says it again.
        self._named: set[int] = set()
        self._container: str | None = None

    def feed(self, event: Any) -> StreamChunk | None:
        """Take one event of the stream."""
        kind = event["type"]
        if kind == "content_block_delta":
            index, delta = event["index"], event["delta"]
            if delta["type"] != "text_delta":
                return self._delta(index, delta)
            said = text(delta["text"])
            if (block := self._blocks.get(index)) is None:
                # The block's start may have been lost: its text must not be.
                block = self._blocks[index] = {"type": "text"}
            block["length"] = block.get("length", 0) + len(said)
            return StreamChunk(said, self.model) if said else None
        if kind == "content_block_start":
            return self._start(event["index"], event["content_block"])
        if kind == "content_block_stop":
            self.calls.settle(event["index"])
        elif kind == "message_delta":
            self._stop(event["delta"])
            self._report(event.get("usage"))
        elif kind == "message_start":
            message = event["message"]
            self.response_model = name_of(message.get("model"))
            self._stop(message)
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
        for index, block in enumerate(answer["content"] or ()):
            chunk = self._start(index, block)
            if chunk is not None:
                said.append(chunk.delta)
                reasoning.append(chunk.reasoning or "")
        self.response_model = name_of(answer.get("model"))
        self._stop(answer)
        self._report(answer.get("usage"))
        return StreamChunk("".join(said), self.model, "".join(reasoning) or None)

    def close(self) -> StreamChunk:
        """The final chunk."""
        blocks = [self._kept(block) for block in self._blocks.values()]
        if self._container or any(block.keys() - {"type", "length"} for block in blocks):
            self.metadata["anthropic"] = {"blocks": blocks, **present(container=self._container)}
            self.gather(media.made_of_blocks(blocks))
        return super().close()

    def _start(self, index: int, block: dict[str, Any]) -> StreamChunk | None:
        kind = block["type"]
        if kind == "text":
            said, cited = text(block.get("text") or ""), present(citations=block.get("citations") or None)
            self._blocks[index] = {"type": "text", "length": len(said), **cited}
            return StreamChunk(said, self.model) if said else None
        if kind == "tool_use":
            # While streaming, the input is an empty object that fragments of JSON replace.
            self.calls.start(index, block["name"], block.get("id"), block.get("input") or "", arriving=True)
            if block.get("input"):
                self._named.add(index)
            # Who called it, and of which set of tools it is, must be said again.
            self._blocks[index] = {k: v for k, v in block.items() if k not in ("id", "name", "input") and v is not None}
            return StreamChunk("", self.model, None, self.calls.snapshot())
        thought = text(block.get("thinking") or "") if kind == "thinking" else ""
        self._blocks[index] = dict(block)
        return StreamChunk("", self.model, thought) if thought else None

    def _delta(self, index: int, delta: dict[str, Any]) -> StreamChunk | None:
        kind = delta["type"]
        if kind == "thinking_delta":
            thought = text(delta["thinking"])
            block = self._blocks.setdefault(index, {"type": "thinking", "thinking": "", "signature": ""})
            block.setdefault("pieces", []).append(thought)
            return StreamChunk("", self.model, thought) if thought else None
        if kind == "input_json_delta":
            if self.calls.known(index):
                if delta["partial_json"]:
                    if index in self._named:
                        self._named.discard(index)
                        self.calls.replace(index, "")
                    self.calls.extend(index, delta["partial_json"])
                    return StreamChunk("", self.model, None, self.calls.snapshot())
            elif index not in self._blocks:
                # The block's start was lost, and with it whose arguments these are.
                self.calls.lose_call()
            else:
                self._blocks[index].setdefault("json", []).append(text(delta["partial_json"]))
        elif kind == "citations_delta":
            self._blocks[index].setdefault("citations", []).append(delta["citation"])
        elif kind == "signature_delta":
            self._blocks[index]["signature"] = delta["signature"]
        elif kind == "compaction_delta":
            self._blocks[index]["content"] = delta["content"]
        return None

    @staticmethod
    def _kept(block: dict[str, Any]) -> dict[str, Any]:
        """A block as it must go back, its fragments put together."""
        block = dict(block)
        if pieces := block.pop("pieces", None):
            before = block.get("thinking")
            block["thinking"] = (before if isinstance(before, str) else "") + "".join(pieces)
        if (pieces := block.pop("json", None)) and (whole := "".join(pieces)):
            with suppress(ValueError):
                block["input"] = from_json(whole)
        return block

    def _stop(self, said: dict[str, Any]) -> None:
        if reason := said.get("stop_reason"):
            self.finish_reason = _FINISH.get(reason, "other")
        if container := said.get("container"):
            self._container = name_of(container.get("id"))

    def _report(self, usage: dict[str, Any] | None) -> None:
        """Counts are cumulative: a later one replaces, one that is left out stands."""
        usage = usage or {}
        if not any(map(usage.get, _INPUT)):
            # Some servers end in a report of zeros where they have nothing new to say of the input.
            usage = {name: value for name, value in usage.items() if name not in _INPUT or name not in self._counts}
        counts = self._counts = completed(self._counts, usage)
        self.service_tier = "fast" if counts.get("speed") == "fast" else name_of(counts.get("service_tier"))
        read = counts.get("cache_read_input_tokens")
        written = counts.get("cache_creation_input_tokens")
        prompt = count(counts.get("input_tokens"))
        self.usage = usage_of(
            None if prompt is None else prompt + (count(read) or 0) + (count(written) or 0),
            counts.get("output_tokens"),
            cache_read=read,
            cache_write=written,
            reasoning=(counts.get("output_tokens_details") or {}).get("thinking_tokens"),
        )
