"""Ollama's chat format: one JSON object a line (vendor's reference "Generate a chat message").

A model that has no tools of its own, or that must call one (which the format cannot say), is told of the tools in the
prompt, and its calls are read out of its text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from ..schemas import FinishReason, LLMRequest, Message, StreamChunk
from . import media, told_calls
from .base import Decoder
from .errors import CannotCarry, WireError, read_error
from .framing import LineFrames
from .think_tags import ThinkTags
from .turns import (
    arguments_of,
    described_schema,
    digest_of,
    effort_of,
    function_tool,
    is_forced,
    json_instruction,
    kept_of,
    named_results,
    own_ids,
    parts,
    plain_text,
    schema_instruction,
    unchanged,
    without_custom_tools,
)
from .values import as_list, merge_params, name_of, present, text, usage_of

if TYPE_CHECKING:
    from ..tool_dialects import ToolDialect, ToolReader

__all__ = ["OllamaDecoder", "render_request"]

_FINISH: dict[str, FinishReason] = {"stop": "stop", "length": "length"}
_AT_FAULT = (
    r"does not support|exceeds? (the )?(available )?context|(input|prompt) (is )?too (long|large)|missing data required"
    r"|invalid (format|image|json|message|option|role|think)|failed to (parse|process) (grammar|image|input|schema)"
)
_OF_A_CALL = frozenset({"id", "type", "function"})


def render_request(
    request: LLMRequest, model: str, *, stream: bool, issuer: str = "", prompt: ToolDialect | None = None
) -> dict[str, Any]:
    """The body of a request.

    Args:
        request, model, stream: what to ask whom, and how.
        issuer: who is asked; what another one wants back is not sent to it.
        prompt: how the model is told of tools in the prompt; `None` where the format has them.
    """
    request = asked = without_custom_tools(request)
    if prompt is not None:
        request = told_calls.request_in_words(request, prompt, "ollama", issuer)
    elif is_forced(request):
        raise CannotCarry("Ollama cannot be made to call a tool, unless it is told of it in the prompt")
    own = own_ids(request.messages, issuer)
    names = named_results(request.messages)
    messages = [_message(m, names, issuer, own) for m in request.messages]
    if instruction := schema_instruction(request) or json_instruction(request, unless_said=True):
        messages.insert(0, {"role": "system", "content": instruction})
    barred = request.tool_choice == "none"
    body: dict[str, Any] = {
        "model": model,
        "messages": messages,
        **present(
            tools=[function_tool(t) for t in request.tools] if request.tools and not barred else None,
            format=_format(asked, prompt),
            think=_think(request, model),
        ),
    }
    options = present(
        temperature=request.temperature,
        top_p=request.top_p,
        num_predict=request.max_tokens,
        stop=as_list(request.stop),
        seed=request.seed,
    )
    if options:
        body["options"] = options
    merge_params(body, request.extra_params)
    body["stream"] = stream
    return body


def _message(message: Message, names: Iterator[str], issuer: str, own: Collection[str]) -> dict[str, Any]:
    if message.role == "tool":
        said, id = plain_text(message, "a tool's result for Ollama"), message.tool_call_id or ""
        return {
            "role": "tool",
            "content": said,
            "tool_name": next(names),
            **({"tool_call_id": id} if id in own else {}),
        }
    rendered = {"role": message.role, **_content(message)}
    if message.tool_calls:
        rendered["tool_calls"] = [
            {
                # Newer servers give ids; what knows none has no use for another's.
                **({"id": call["id"]} if call["id"] in own else {}),
                "function": {**call["function"], "arguments": arguments_of(call["function"]["arguments"])},
            }
            for call in message.tool_calls
        ]
    if (kept := unchanged(message, kept_of(message, "ollama", issuer))) is not None:
        for call, extra in zip(rendered.get("tool_calls", ()), kept.get("extras") or (), strict=False):
            call |= extra
        rendered["content"] = kept.get("before", "") + rendered["content"]
        rendered |= present(thinking=kept.get("thinking"))
    return rendered


def _content(message: Message) -> dict[str, Any]:
    pieces, images = [], []
    for part in parts(message):
        if part.get("type") == "text":
            pieces.append(part["text"])
            continue
        found = media.of_part(part)
        if found is None:
            raise CannotCarry(f"Ollama has no part of type {part.get('type')!r}")
        if found.kind == "image" and found.data is not None:
            images.append(found.data)
        elif found.kind == "image":
            raise CannotCarry("Ollama fetches no pictures by address; fetch it and send its bytes")
        elif found.is_text:
            pieces.append(found.quoted)
        else:
            raise CannotCarry(f"Ollama takes text and pictures, no {found.kind} of type {found.mime or 'unknown'}")
    return {"content": "\n".join(pieces), **present(images=images or None)}


def _format(request: LLMRequest, prompt: ToolDialect | None) -> str | dict[str, Any] | None:
    """What the text of the answer is held to: the form that was asked for, calls that are told in JSON, or either."""
    schema = described_schema(request)
    form = schema if schema is not None else "json" if request.response_format else None
    if prompt is None or not request.tools or request.tool_choice == "none":
        return form
    calls = prompt.schema(request.tools, request.tool_choice)
    if calls is None or is_forced(request):
        return calls
    if schema is None:
        return form
    definitions: dict[str, Any] = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    return {"anyOf": [calls, {k: v for k, v in schema.items() if k not in definitions}], **definitions}


def _think(request: LLMRequest, model: str) -> bool | str | None:
    effort = effort_of(request)
    if effort is None:
        return None
    if effort == "none":
        return False
    # Only this family knows degrees; the others refuse them.
    return effort if "gpt-oss" in model and effort in ("low", "medium", "high") else True


def _failure(event: dict[str, Any]) -> WireError:
    """A failure in an answer, which names no status: it is the server's own, unless its words blame the request.

    Where Ollama still can give a status to a failure of no known one, it gives 500 (`streamResponse` in its
    `server/routes.go`).
    """
    # A message beside it, which may be empty, would hide it.
    error = read_error({"error": event["error"]})
    if error.status is None:
        error.status = 400 if re.search(_AT_FAULT, error.message, re.IGNORECASE) else 500
    return error


class OllamaDecoder(Decoder):
    """Chunks of an Ollama answer.

    Args:
        model: the `provider:model`.
        think_tags: whether `<think>` at the beginning of the text begins thinking.
        reader: what reads calls out of the text; `None` where it holds none.
    """

    frames = LineFrames
    openings = (b'{"model"',)
    end_marker = '"done": true'

    def __init__(self, model: str, *, think_tags: bool = True, reader: ToolReader | None = None) -> None:
        super().__init__(model)
        self._length = 0
        self._thoughts: list[str] = []
        self._tags = self._written = ThinkTags() if think_tags else None
        self._told = told_calls.ToldCalls(reader, self.calls) if reader is not None else None

    @property
    def held(self) -> str:
        """Text that may turn out to be a call, or a tag."""
        held = self._told.held if self._told is not None else ""
        return held + (self._tags.undecided if self._tags is not None else "")

    def feed(self, event: Any, *, whole: bool = False) -> StreamChunk | None:
        """Take one line, or the only one."""
        if event.get("error"):
            self.error = _failure(event)
        done = bool(event.get("done"))
        if done:
            # It is the end, however odd the rest of what it says may be.
            self.ended = self.complete = True
        chunk = self._message(event.get("message") or {}, last=done or whole)
        if done:
            if reason := event.get("done_reason"):
                self.finish_reason = _FINISH.get(reason, "other")
            self.usage = usage_of(event.get("prompt_eval_count"), event.get("eval_count"))
        if self.response_model is None:
            self.response_model = name_of(event.get("model"))
        return chunk

    def feed_answer(self, answer: Any) -> StreamChunk | None:
        """Take a whole answer, which is at its end only if it says so."""
        if answer.get("error") and not answer.get("message"):
            raise _failure(answer)
        if "message" not in answer and not answer.get("done"):
            raise KeyError("message")
        chunk = self.feed(answer, whole=True)
        self.complete = bool(answer.get("done")) or self.error is not None
        return chunk

    def close(self) -> StreamChunk:
        """The final chunk."""
        if self.error is not None:
            raise self.error
        before = ""
        if (written := self._written) is not None:
            self.unclosed = written.unclosed
            before = "" if self.unclosed else written.before
        said = ""
        if self._told is not None:
            said = self._told.end("", self.skipped_events, cut=self.finish_reason == "length")
        self._length += len(said) + len(self.unclosed)
        final = super().close()
        final.delta += said
        kept = present(thinking="".join(self._thoughts) or None, before=before or None, extras=self.calls.extras)
        if kept:
            digest = digest_of(self._length, final.tool_calls or [])
            self.metadata |= {"ollama": {**kept, "digest": digest}, "issuer": self.issuer}
        return final

    def _message(self, message: dict[str, Any], *, last: bool) -> StreamChunk | None:
        said = text(message.get("content") or "")
        if len(message) == 2 and self._tags is None and self._told is None and "role" in message:
            self._length += len(said)
            return StreamChunk(said, self.model) if said else None
        thinking = text(message.get("thinking") or "")
        before = len(self.calls)
        for call in message.get("tool_calls") or ():
            function = call["function"]
            # Calls come whole: a list of them is one of calls, not of pieces.
            built = self.calls.start(len(self.calls), function["name"], call.get("id"), function.get("arguments") or {})
            if not _OF_A_CALL.issuperset(call):
                built.extra = {key: value for key, value in call.items() if key not in _OF_A_CALL}
        for image in message.get("images") or ():
            self.parts.append(media.picture(text(image)))
        if thinking:
            self._thoughts.append(thinking)
        if self._tags is not None:
            said, thinking = self._tags.split(said, thinking, last=last)
            self._tags = None if self._tags.over else self._tags
        if self._told is not None:
            said = self._told.take(said, self.skipped_events)
        advanced = len(self.calls) > before
        self._length += len(said)
        if not said and not thinking and not advanced:
            return None
        return StreamChunk(said, self.model, thinking or None, self.calls.snapshot() if advanced else None)
