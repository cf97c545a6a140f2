"""Google's Gemini format (vendor's reference "Generating content", `v1` and `v1beta`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json

from ..schemas import FinishReason, LLMRequest, Message, StreamChunk, ToolCall, Usage, add_usage
from . import media, schema_dialects
from .base import Decoder
from .errors import CannotCarry, read_error
from .framing import SSEFrames
from .turns import (
    Replay,
    arguments_of,
    budget_of,
    described_schema,
    effort_of,
    in_dialect,
    in_turns,
    kept_of,
    named_results,
    parts,
    parts_of_result,
    plain_text,
    replayed,
    without_custom_tools,
)
from .values import as_list, completed, count, merge_params, name_of, present, text, usage_of

__all__ = ["GenerateDecoder", "render_request"]

_OF_AN_ANSWER = frozenset({"candidates", "usageMetadata", "modelVersion", "responseId"})
"""What tells an answer that says nothing, as the vendor's models give some, from a body that is none."""
_FINISH: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
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


def render_request(request: LLMRequest, model: str, *, issuer: str = "") -> dict[str, Any]:
    """The body of a request; the model and whether to stream are in its URL."""
    request = without_custom_tools(request)
    system = [part for m in request.messages if m.role == "system" for part in _parts(m)]
    body: dict[str, Any] = {"contents": _contents(request.messages, _generation(model), issuer)}
    if system:
        body["systemInstruction"] = {"parts": system}
    config = present(
        temperature=request.temperature,
        topP=request.top_p,
        maxOutputTokens=request.max_tokens,
        stopSequences=as_list(request.stop),
        seed=request.seed,
        thinkingConfig=_thinking(request, _generation(model)),
    )
    if request.response_format:
        config["responseMimeType"] = "application/json"
        if (schema := described_schema(request)) is not None:
            config["responseJsonSchema"] = in_dialect(schema, schema_dialects.GEMINI, "Gemini")
    if config:
        body["generationConfig"] = config
    if request.tools:
        body["tools"] = _tools(request.tools)
    if choice := request.tool_choice:
        body["toolConfig"] = {"functionCallingConfig": _choice(choice)}
    return merge_params(body, request.extra_params)


def _generation(model: str) -> int:
    """3 for `gemini-3-flash`: what a model takes changed with it. `gemini-flash-latest` is of the newest."""
    found = re.match(r"(?:.*/)?gemini-(?:(\d+)|[a-z-]+-latest$)", model)
    return int(found[1] or 99) if found else 0


def _contents(messages: Sequence[Message], generation: int, issuer: str) -> list[dict[str, Any]]:
    names = named_results(messages)
    numbered: set[str] = set()
    contents: list[dict[str, Any]] = []
    for message, results in in_turns(messages):
        if message is None:
            answers = [{"name": next(names), **_result(m), **_numbered(m.tool_call_id, numbered)} for m in results]
            contents.append({"role": "user", "parts": [{"functionResponse": answer} for answer in answers]})
        elif message.role == "assistant":
            said = _replayed(message, numbered, issuer)
            if said is None:
                said = [*_parts(message), *map(_call, message.tool_calls or ())]
                numbered.difference_update(call["id"] for call in message.tool_calls or ())
            if said:
                contents.append({"role": "model", "parts": _signed(said) if generation >= 3 else said})
        elif said := _parts(message):
            contents.append({"role": "user", "parts": said})
    return contents


def _parts(message: Message) -> list[dict[str, Any]]:
    """A message's parts. An empty text is none: "required oneof field 'data' must have one initialized field"."""
    return [rendered for part in parts(message) if (rendered := _part(part)) != {"text": ""}]


def _part(part: dict[str, Any]) -> dict[str, Any]:
    if part.get("type") == "text":
        return {"text": part["text"]}
    found = media.of_part(part)
    if found is None:
        if "type" in part:
            raise CannotCarry(f"Gemini's API has no part of type {part['type']!r}")
        return part
    if found.data is not None:
        if found.kind == "document" and found.mime != "application/pdf" and not found.is_text:
            raise CannotCarry(f"Gemini's API takes no documents of type {found.mime}; convert it to PDF or text")
        return {"inlineData": {"mimeType": found.mime, "data": found.data}}
    address = found.url or found.file_id or ""
    mime = found.mime or media.type_of(address.split("?")[0])
    return {"fileData": {"fileUri": address, **present(mimeType=mime)}}


def _signed(said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A turn's parts, its first call with a signature.

    One without the signature that another provider, or an older model, could not give is refused; the word is
    Google's own for that case (vendor's guide "Thought signatures", section "FAQs").
    """
    for part in said:
        if "functionCall" in part:
            part.setdefault("thoughtSignature", "skip_thought_signature_validator")
            break
    return said


def _call(call: ToolCall) -> dict[str, Any]:
    function = call["function"]
    return {"functionCall": {"name": function["name"], "args": arguments_of(function["arguments"])}}


def _result(message: Message) -> dict[str, Any]:
    """What a function returned: a table, and beside it pictures and documents."""
    if (found := parts_of_result(message)) is not None:
        rendered = [_part(part) for part in found]
        said = "\n".join(part["text"] for part in rendered if "text" in part)
        files = [part for part in rendered if "text" not in part]
        return {"response": {"result": said}, **present(parts=files or None)}
    said = plain_text(message, "a tool's result")
    try:
        value = from_json(said)
    except ValueError:
        value = said
    return {"response": value if isinstance(value, dict) else {"result": value}}


def _numbered(id: str | None, numbered: set[str]) -> dict[str, Any]:
    return {"id": id} if id in numbered else {}


def _replayed(message: Message, numbered: set[str], issuer: str) -> list[dict[str, Any]] | None:
    """The turn's parts as Gemini sent them, signatures and all, unless the caller has changed it since."""
    ids: set[str] = set()

    def part(kept: dict[str, Any], turn: Replay) -> dict[str, Any]:
        signature = present(thoughtSignature=kept.get("signature"))
        if "length" in kept:
            return {"text": turn.text(kept["length"]), **signature}
        if "call" not in kept:
            said: dict[str, Any] = kept["part"]
            return said
        call = turn.call()
        rendered = _call(call)
        if kept["call"]:
            rendered["functionCall"]["id"] = call["id"]
            ids.add(call["id"])
        return {**rendered, **signature}

    kept = kept_of(message, "google", issuer)
    said = None if kept is None else replayed(message, kept["parts"], part)
    if said is not None:
        numbered |= ids
    return said


def _tools(tools: list[Any]) -> list[dict[str, Any]]:
    functions, others = [], []
    for tool in tools:
        if tool.get("type") == "function":
            function = tool["function"]
            declared = {"name": function["name"], **present(description=function.get("description"))}
            if function["parameters"].get("properties"):
                declared["parametersJsonSchema"] = function["parameters"]
            functions.append(declared)
        else:
            others.append(tool)
    return [*([{"functionDeclarations": functions}] if functions else []), *others]


def _choice(choice: str | dict[str, Any]) -> dict[str, Any]:
    if isinstance(choice, dict) and "function" not in choice:
        raise CannotCarry(f"Gemini's API cannot be made to use {choice['type']}; leave tool_choice out")
    if isinstance(choice, dict):
        return {"mode": "ANY", "allowedFunctionNames": [choice["function"]["name"]]}
    return {"mode": {"auto": "AUTO", "none": "NONE", "required": "ANY"}[choice]}


def _thinking(request: LLMRequest, generation: int) -> dict[str, Any] | None:
    effort, budget = effort_of(request), budget_of(request)
    if effort is None:
        return None
    if effort == "none":
        return {"thinkingBudget": 0}
    if generation >= 3:
        return {"includeThoughts": True, "thinkingLevel": effort.upper()}
    return {"includeThoughts": True, "thinkingBudget": budget}


class GenerateDecoder(Decoder):
    """Chunks of a `generateContent` answer.

    The format has no end marker but a finish reason, and some models repeat it on several events: what follows
    it still counts, and the end of the bytes is the end.
    """

    frames = SSEFrames
    end_marker = "finishReason"

    def __init__(self, model: str) -> None:
        self._counts: dict[str, Any] = {}
        super().__init__(model)
        self._kept: list[dict[str, Any]] = []
        self._grounding: dict[str, Any] = {}
        self._cited: list[dict[str, Any]] = []
        self._hop_began_at: str | None = None
        # Whether this hop has said anything: a server that only says that more will come is not asked for ever.
        self._brought = False

    def feed(self, event: Any) -> StreamChunk | None:
        """Take one `GenerateContentResponse`."""
        if "error" in event:
            raise read_error(event)
        if usage := event.get("usageMetadata"):
            self._report(usage)
        if version := name_of(event.get("modelVersion")):
            self.response_model = version
        if (event.get("promptFeedback") or {}).get("blockReason"):
            self.finish_reason = "content_filter"
            self.complete = True
        candidates = event.get("candidates")
        if not candidates:
            return None
        candidate = candidates[0]
        # Each event that has them has all of them by then.
        self._grounding = candidate.get("groundingMetadata") or self._grounding
        sources = candidate.get("citationMetadata") or {}
        self._cited = sources.get("citationSources") or sources.get("citations") or self._cited
        parts = (candidate.get("content") or {}).get("parts") or []
        token = candidate.get("continuationToken")
        if token or parts:
            self.checkpoint = token
        self._brought = self._brought or any(part.get("text") or "text" not in part for part in parts)
        if reason := candidate.get("finishReason"):
            goes_on = reason == "CONTINUATION" and self.checkpoint not in (None, self._hop_began_at)
            self.hop_ended = goes_on and self._brought
            self.finish_reason = _FINISH.get(reason, "other")
            self.complete = not goes_on
        return self._parts(parts)

    def begin_hop(self) -> None:
        """Make ready for the rest; each hop's usage is its own."""
        super().begin_hop()
        self._hop_began_at = self.checkpoint
        self._brought = False
        self._earlier = self.usage
        self._counts = {}
        self.finish_reason = None

    def feed_answer(self, answer: Any) -> StreamChunk | None:
        """Take a whole `GenerateContentResponse`. Without a finish reason, the vendor says, it is not at its end."""
        self.complete = False
        chunk = self.feed(answer)
        if not self.complete and _OF_AN_ANSWER.isdisjoint(answer):
            raise KeyError("candidates")
        return chunk

    def close(self) -> StreamChunk:
        """The final chunk."""
        if any("signature" in part or "part" in part or part.get("call") for part in self._kept):
            self.metadata["google"] = {"parts": self._kept}
        made = [part["part"] for part in self._kept if "part" in part]
        if made or self._grounding or self._cited:
            self.gather(media.made_of_candidate(made, self._grounding, self._cited))
        return super().close()

    def _parts(self, parts: list[dict[str, Any]]) -> StreamChunk | None:
        said, reasoning, advanced = "", "", False
        for part in parts:
            signature = part.get("thoughtSignature")
            if part.get("thought") and "inlineData" not in part:
                reasoning += part.get("text") or ""
            elif call := part.get("functionCall"):
                self.calls.start(len(self.calls), call["name"], call.get("id"), call.get("args") or {})
                self._kept.append({"call": bool(call.get("id")), **present(signature=signature)})
                advanced = True
            elif "text" in part:
                said += text(part["text"])
                self._keep_text(len(part["text"]), signature)
            else:
                # Traces of tools that Google runs itself: no calls for the caller, but wanted back.
                self._kept.append({"part": part})
        if not said and not reasoning and not advanced:
            return None
        return StreamChunk(said, self.model, reasoning or None, self.calls.snapshot() if advanced else None)

    def _keep_text(self, length: int, signature: str | None) -> None:
        last = self._kept[-1] if self._kept else {}
        if signature is None and "length" in last and "signature" not in last:
            last["length"] += length
        elif length or signature:
            self._kept.append({"length": length, **present(signature=signature)})

    def _report(self, counts: dict[str, Any]) -> None:
        """Keep the counts. Every event repeats them, as they are by then: they are read when they are asked for."""
        if "candidatesTokenCount" in counts or "promptTokenCount" in counts or "thoughtsTokenCount" in counts:
            # A snapshot that leaves out what an earlier one had does not take it back.
            self._counts = counts if self._counts.keys() <= counts.keys() else completed(self._counts, counts)
            if self.service_tier is None:
                self.service_tier = name_of(counts.get("serviceTier") or counts.get("trafficType"))

    @property
    def usage(self) -> Usage | None:
        """Of all hops, as far as it is known."""
        counts = self._counts
        output, thoughts = count(counts.get("candidatesTokenCount")), count(counts.get("thoughtsTokenCount"))
        prompt, tools = count(counts.get("promptTokenCount")), count(counts.get("toolUsePromptTokenCount"))
        if prompt is None and output is None and thoughts is None:
            return self._earlier
        now = usage_of(
            (prompt or 0) + (tools or 0),
            (output or 0) + (thoughts or 0),
            total=counts.get("totalTokenCount"),
            cache_read=counts.get("cachedContentTokenCount"),
            reasoning=thoughts,
        )
        return add_usage(self._earlier, now)

    @usage.setter
    def usage(self, earlier: Usage | None) -> None:
        self._earlier, self._counts = earlier, {}
