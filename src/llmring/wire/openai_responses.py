"""OpenAI's Responses format (vendor's reference "Responses" and "Streaming events")."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import accumulate, zip_longest
from typing import Any

from ..schemas import FinishReason, LLMRequest, Message, StreamChunk, ToolCall
from . import media
from .base import Decoder
from .errors import CannotCarry, WireError, read_error
from .framing import SSEFrames
from .turns import (
    Replay,
    call_ids,
    custom_names,
    custom_text,
    effort_of,
    json_instruction,
    kept_of,
    openai_schema,
    parts,
    parts_of_result,
    plain_text,
    replayed,
    schema_of,
    told_apart,
)
from .values import merge_params, name_of, present, table_of, text, usage_of

__all__ = ["ResponsesDecoder", "render_request"]

_CALL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
# Models that think, and so give encrypted reasoning to carry along; the others refuse to be asked for it.
_REASONING = re.compile(r"(.*[/:])?(o\d|gpt-([5-9]|\d\d)|codex)(?!.*chat)")

_OF_A_CALL = ("arguments", "input", "call_id", "name")
# How a kept message says what its text was.
_OF_TEXT = ("lengths", "annotations")
# Some servers name no status at all.
_AT_THE_END = frozenset(f"response.{it}" for it in ("completed", "incomplete", "failed", "cancelled"))
_ENDED = ("completed", "incomplete", None)
_INCOMPLETE: dict[str, FinishReason] = {
    "max_output_tokens": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
}


def render_request(request: LLMRequest, model: str, *, stream: bool, issuer: str = "") -> dict[str, Any]:
    """The body of a request. Nothing is stored at the vendor unless `extra_params` says so."""
    turns, stored = told_apart(request.messages, issuer), request.extra_params.get("store") is True
    talk = _Talk(issuer, call_ids(turns, _CALL_ID, 24, issuer), custom_names(request), stored=stored)
    items = [item for m in turns for item in _items(m, talk)]
    if instruction := json_instruction(request, unless_said=True):
        # The format's JSON mode is refused where no message speaks of JSON.
        items.insert(0, {"role": "system", "content": instruction})
    body: dict[str, Any] = {
        "model": model,
        "input": items,
        "store": False,
        **present(
            temperature=request.temperature,
            top_p=request.top_p,
            max_output_tokens=request.max_tokens,
            stop=request.stop,
            seed=request.seed,
            text=_format(request),
            tools=[_tool(t) for t in request.tools] if request.tools else None,
            tool_choice=_choice(request.tool_choice),
        ),
    }
    if (effort := effort_of(request)) is not None:
        body["reasoning"] = {"effort": effort} | ({} if effort == "none" else {"summary": "auto"})
    if effort or _REASONING.match(model):
        body["include"] = ["reasoning.encrypted_content"]
    merge_params(body, request.extra_params)
    if stream:
        body["stream"] = True
    return body


@dataclass(slots=True)
class _Talk:
    """What the items of a conversation need to know of it.

    Attributes:
        issuer: who is asked.
        ids: of its calls, as they are sent.
        customs: the names of the request's custom tools.
        stored: the vendor keeps what it says, so that ids mean something to it.
        answers: what the result of a call is to say beside its text, by the call's id.
    """

    issuer: str
    ids: dict[str, str]
    customs: frozenset[str]
    stored: bool
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)


def _items(message: Message, talk: _Talk) -> list[dict[str, Any]]:
    if message.role == "tool":
        id = message.tool_call_id or ""
        return [{"call_id": talk.ids[id], "output": _result(message), **talk.answers[id]}]
    if message.role != "assistant":
        plain = not isinstance(message.content, list)
        content = plain_text(message, "a message") if plain else [_part(p) for p in parts(message)]
        return [{"role": message.role, "content": content}]
    if (replayed := _replayed(message, talk)) is not None:
        return replayed
    text_of = plain_text(message, "an assistant's turn")
    # The vendor takes it without a type, other servers of the format do not.
    said = [{"type": "message", "role": "assistant", "content": text_of}] if text_of else []
    return [*said, *(_call(call, talk, {}) for call in message.tool_calls or ())]


def _result(message: Message) -> str | list[dict[str, Any]]:
    if (found := parts_of_result(message)) is not None:
        return [_part(part) for part in found]
    return plain_text(message, "a tool's result")


def _call(call: ToolCall, talk: _Talk, kept: dict[str, Any]) -> dict[str, Any]:
    """A call as an item, with what was kept of it, and how its result is to be given."""
    name, id = call["function"]["name"], call["id"]
    custom = kept.get("type") == "custom_tool_call" or (not kept and name in talk.customs)
    words = custom_text(call) if custom else None
    kind = "function_call" if words is None else "custom_tool_call"
    # Whoever made the call is told of its result.
    talk.answers[id] = {"type": f"{kind}_output", **present(caller=kept.get("caller"))}
    said = call["function"] if words is None else {"name": name, "input": words}
    return {**kept, "type": kind, "call_id": talk.ids[id], **said}


def _replayed(message: Message, talk: _Talk) -> list[dict[str, Any]] | None:
    """The turn's items as OpenAI sent them, reasoning and all, unless the caller has changed it since.

    Of reasoning that was not encrypted OpenAI kept only the id, which without storing means nothing to it, and neither
    do the ids of the items that belong to it: such a turn is sent as plain text and calls.
    """

    def item(kept: dict[str, Any], turn: Replay) -> dict[str, Any]:
        if kept["type"] == "message":
            content = [
                {"type": "output_text", "text": turn.text(length), "annotations": notes or []}
                for length, notes in zip_longest(kept["lengths"], kept.get("annotations", ()))
            ]
            return {**{k: v for k, v in kept.items() if k not in _OF_TEXT}, "content": content}
        return _call(turn.call(), talk, kept) if _is_call(kept) else kept

    kept = kept_of(message, "openai_responses", talk.issuer)
    if kept is None or (not talk.stored and any(_is_lost(it) for it in kept["items"])):
        return None
    return replayed(message, kept["items"], item)


def _is_lost(item: dict[str, Any]) -> bool:
    # Servers that show the thinking itself, in `content`, take it back so.
    return item["type"] == "reasoning" and not item.get("encrypted_content") and not item.get("content")


def _part(part: dict[str, Any]) -> dict[str, Any]:
    if part.get("type") == "text":
        return {"type": "input_text", "text": part["text"]}
    found = media.of_part(part)
    if found is None:
        return part
    if found.kind == "audio":
        raise CannotCarry(
            'the Responses API takes no audio; use api = "chat" with an audio model, or send a transcript'
        )
    if found.kind == "image":
        picture = present(file_id=found.file_id, image_url=found.url or found.data_url)
        return {"type": "input_image", **picture, "detail": found.detail or "auto"}
    return {
        "type": "input_file",
        **present(file_id=found.file_id, file_url=found.url, file_data=found.data_url),
        **({"filename": found.filename} if found.data else {}),
    }


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    if tool.get("type") != "function":
        return tool
    function = tool["function"]
    return {
        "type": "function",
        "name": function["name"],
        "parameters": function["parameters"],
        # This API takes a definition that is silent for a strict one, which few schemas are.
        "strict": bool(function.get("strict")),
        **present(description=function.get("description")),
    }


def _choice(choice: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
    function = choice.get("function") if isinstance(choice, dict) else None
    return {"type": "function", "name": function["name"]} if function else choice


def _format(request: LLMRequest) -> dict[str, Any] | None:
    table = schema_of(request)
    if table is not None:
        return {"format": {"type": "json_schema", **openai_schema(table)}}
    return {"format": request.response_format} if request.response_format else None


class ResponsesDecoder(Decoder):
    """Chunks of a Responses answer."""

    frames = SSEFrames
    end_marker = "response.completed"

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self._items: dict[Any, dict[str, Any]] = {}
        # What the events of the item under way are told by, where they do not say.
        self._last: Any = None
        # Characters of text that were streamed.
        self._said = 0
        self._refused = False
        self._thinking_part: tuple[Any, ...] | None = None

    def feed(self, event: Any) -> StreamChunk | None:
        """Take one event of the stream."""
        kind = event["type"]
        if kind in ("response.output_text.delta", "response.refusal.delta"):
            self._refused = self._refused or kind == "response.refusal.delta"
            delta = text(event["delta"])
            self._said += len(delta)
            return StreamChunk(delta, self.model) if delta else None
        if kind in ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta"):
            key = self._key(event)
            # Whose they are may have been in an event that was lost; it comes once more when the item is done.
            if event["delta"] and self.calls.known(key) is not None:
                self.calls.extend(key, event["delta"])
                return StreamChunk("", self.model, None, self.calls.snapshot())
        elif kind in ("response.reasoning_summary_text.delta", "response.reasoning_text.delta"):
            return self._think(event, event["delta"])
        elif kind == "response.output_item.added":
            key = self._key(event, event["item"])
            if _is_call(event["item"]):
                self._start(key, event["item"], arriving=True)
                return StreamChunk("", self.model, None, self.calls.snapshot())
        elif kind == "response.output_item.done":
            return self._item_done(self._key(event, event["item"]), event["item"])
        elif kind in _AT_THE_END:
            # It is the end, however odd the rest of what it says may be.
            self.ended = self.complete = True
            if kind == "response.incomplete":
                self.finish_reason = "other"
            return self._unsaid(self._finish(event["response"]))
        elif kind in ("response.created", "response.in_progress"):
            self.response_model = name_of(event["response"].get("model")) or self.response_model
        elif kind == "error":
            raise read_error(event)
        return None

    def feed_answer(self, answer: Any) -> StreamChunk | None:
        """Take a whole response. One that the vendor runs in the background is not at its end at first."""
        if "output" not in answer:
            raise KeyError("output")
        self.complete = answer.get("status") in _ENDED
        return self._unsaid(self._finish(answer))

    def close(self) -> StreamChunk:
        """The final chunk."""
        if self._refused and self.finish_reason is None:
            self.finish_reason = "content_filter"
        return super().close()

    def _key(self, event: dict[str, Any], item: dict[str, Any] | None = None) -> Any:
        """What tells an item's events: its place, its id where a server names none, else that it is the latest."""
        key = event.get("output_index")
        if key is None:
            key = name_of((item or {}).get("id")) or name_of(event.get("item_id"))
        if key is None:
            key = self._last if item is None or "done" in event["type"] else ("item", len(self._items))
        self._last = key
        return key

    def _unsaid(self, output: list[Any]) -> StreamChunk | None:
        """What the items say that no event before has brought: all, where nothing was streamed.

        Some servers send the text, the thinking and the calls of a stream only at its end.
        """
        parts = [part for item in output if item["type"] == "message" for part in item.get("content") or ()]
        self._refused = self._refused or any(part.get("refusal") for part in parts)
        texts = [part.get("text") or part.get("refusal") or "" for part in parts]
        # Where what was streamed is the first of several parts, the others are still to be said.
        ends = list(accumulate(map(len, texts), initial=0))
        said = "".join(texts[ends.index(self._said) if self._said in ends else len(texts) :])
        thought = "" if self._thinking_part else "\n\n".join(_thoughts(output))
        before = len(self.calls)
        for position, item in enumerate(filter(_is_call, output)):
            if position >= before:
                self._start(item["call_id"], item)
            elif self.skipped_events:
                # What an event that was lost has left out of it is here once more.
                self.calls.fix(position, item["name"], _handed(item))
        if not said and not thought and len(self.calls) == before:
            return None
        return StreamChunk(said, self.model, thought or None, self.calls.snapshot() if self.calls else None)

    def _item_done(self, index: Any, item: dict[str, Any]) -> StreamChunk | None:
        """An item is complete; a call whose pieces did not come is taken from it whole."""
        self._items[index] = item
        if not _is_call(item):
            return None
        call = self.calls.known(index)
        if call is None:
            self._start(index, item)
            return StreamChunk("", self.model, None, self.calls.snapshot())
        same = self.calls.arguments(call) == _handed(item)
        self.calls.replace(index, _handed(item))
        self.calls.settle(index)
        return None if same else StreamChunk("", self.model, None, self.calls.snapshot())

    def _start(self, key: Any, item: dict[str, Any], *, arriving: bool = False) -> None:
        custom = item["type"] == "custom_tool_call"
        self.calls.start(key, item["name"], item["call_id"], _handed(item), arriving=arriving, custom=custom)

    def _think(self, event: dict[str, Any], delta: str) -> StreamChunk | None:
        if not delta:
            return None
        part = (event["type"], event.get("output_index"), event.get("summary_index", event.get("content_index")))
        if self._thinking_part not in (None, part):
            delta = "\n\n" + text(delta)
        self._thinking_part = part
        return StreamChunk("", self.model, text(delta))

    def _finish(self, response: dict[str, Any]) -> list[Any]:
        """Take what stands beside the items, and give these: those that have come before, where it has none."""
        if response.get("error"):
            raise read_error(response)
        if (status := response.get("status")) in ("failed", "cancelled"):
            raise WireError(f"the response was {status}, and the provider did not say why")
        self.response_model = name_of(response.get("model")) or self.response_model
        self.service_tier = name_of(response.get("service_tier"))
        reason = (response.get("incomplete_details") or {}).get("reason")
        if reason or status == "incomplete":
            self.finish_reason = _INCOMPLETE.get(str(reason), "other")
        usage = table_of(response.get("usage"))
        prompt = table_of(usage.get("input_tokens_details"))
        self.reported_total = usage.get("total_tokens")
        self.usage = usage_of(
            usage.get("input_tokens"),
            usage.get("output_tokens"),
            total=self.reported_total,
            cache_read=prompt.get("cached_tokens"),
            cache_write=prompt.get("cache_write_tokens"),
            reasoning=table_of(usage.get("output_tokens_details")).get("reasoning_tokens"),
        )
        numbered = all(isinstance(key, int) for key in self._items)
        output = response.get("output") or [self._items[k] for k in (sorted(self._items) if numbered else self._items)]
        self._keep(output)
        return output

    def _keep(self, output: list[dict[str, Any]]) -> None:
        """Keep the items that must go back with the turn: reasoning, and whatever stands between."""
        items, at, wanted = list[dict[str, Any]](), 0, False
        for item in output:
            if item["type"] == "message":
                lengths = [len(part.get("text") or part.get("refusal") or "") for part in item.get("content") or ()]
                notes = [part.get("annotations") or [] for part in item.get("content") or ()]
                kept = present(lengths=lengths, annotations=notes if any(notes) else None)
                items.append({k: v for k, v in item.items() if k != "content"} | kept)
                at += sum(lengths)
                if phase := item.get("phase"):
                    wanted = True
                    self.answer_at = at if phase == "commentary" else self.answer_at
            elif _is_call(item):
                items.append({k: v for k, v in item.items() if k not in _OF_A_CALL and v is not None})
                wanted = wanted or item["type"] != "function_call" or bool(items[-1].keys() - {"type", "id", "status"})
            else:
                items.append(item)
                wanted = True
        if wanted:
            self.metadata["openai_responses"] = {"items": items}
        if wanted or any("annotations" in item for item in items):
            self.gather(media.made_of_items(output))


def _is_call(item: dict[str, Any]) -> bool:
    """Whether an item is a call for the caller; the vendor's own tools have other types."""
    return item["type"] in ("function_call", "custom_tool_call")


def _handed(item: dict[str, Any]) -> Any:
    """What a call hands over: arguments, or the text of a custom tool."""
    return item.get("input" if item["type"] == "custom_tool_call" else "arguments")


def _thoughts(items: list[dict[str, Any]]) -> list[str]:
    """The thinking of an answer's items: its summary, and itself where a server shows it."""
    thoughts = [item for item in items if item["type"] == "reasoning"]
    return [part["text"] for it in thoughts for part in (*(it.get("summary") or ()), *(it.get("content") or ()))]
