"""Requests in OpenAI's Chat Completions format, in the dialect of whom they go to.

What vendors want otherwise than the format has it is the `chat` of `vendors.json`. What a server wants back with a turn
beside its text and calls is gathered and put back here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from ..dialects import ChatDialect, Dialect
from ..schemas import LLMRequest, Message, ToolCall
from ..vendors import VENDORS, also_called
from . import media
from .calls import ToolCalls
from .errors import CannotCarry
from .turns import (
    call_ids,
    custom_names,
    custom_text,
    digest_of,
    effort_of,
    function_tool,
    json_instruction,
    kept_of,
    openai_schema,
    plain_text,
    schema_instruction,
    schema_of,
    told_apart,
    unchanged,
    without_custom_tools,
)
from .values import completed, merge_params, present

__all__ = ["BLOCKS", "PLAIN", "Kept", "dialect_of", "of_message", "render_request"]

logger = logging.getLogger("llmring")

BLOCKS = ("reasoning_details", "thinking_blocks")
"""Thinking in blocks: OpenRouter's and MiniMax's (openrouter.ai/docs, "Preserving reasoning"), and that of Anthropic's
models behind LiteLLM (docs.litellm.ai, "Reasoning content")."""
_PIECES = ("text", "summary", "thinking")
"""Of a block's fields, those that come in pieces; all others come whole, the signature last."""
_ANOTHERS_THOUGHT = " "
"""In the place of thinking that is another's: a server that insists on the field may take none for missing."""
_SILENCE = "…"
"""In the place of what the model has not said, where it must say something."""

PLAIN = ChatDialect()
"""Of a server of which nothing is known."""


def dialect_of(host: str, name: str, own: Dialect | None = None) -> ChatDialect:
    """The ways of a provider: those of whom its host is, else of its name, which a gateway before the vendor has, too.

    Args:
        host: of its address.
        name: as in `provider:model`.
        own: what is known of it, where that is not built in.
    """
    known = [own, *VENDORS.values()] if own is not None else [*VENDORS.values()]
    for it in known:
        if it.chat is not None and it.has_host(host):
            return it.chat
    vendor = VENDORS.get(also_called().get(name, name))
    for named in (own, vendor):
        if named is not None and named.chat is not None and named.chat.by_name:
            return named.chat
    return PLAIN


def render_request(
    request: LLMRequest, model: str, *, stream: bool, issuer: str = "", dialect: ChatDialect | None = None
) -> dict[str, Any]:
    """The body of a request.

    Args:
        request, model, stream: what to ask whom, and how.
        issuer: who is asked; what another one wants back is not sent to it.
        dialect: what it wants otherwise than OpenAI's format has it.
    """
    dialect = dialect or PLAIN
    if not dialect.custom_tools:
        request = without_custom_tools(request)
    customs = custom_names(request)
    turns = told_apart(request.messages, issuer)
    ids = call_ids(turns, dialect.id_form, dialect.id_length, issuer)
    called = any(m.tool_calls for m in turns)
    messages = [_message(m, ids, issuer, customs, dialect, called=called) for m in turns]
    if not dialect.silent_turns:
        messages = list(_spoken(messages))
    told = None if dialect.schemas else schema_instruction(request)
    if instruction := told or json_instruction(request, unless_said=True):
        # The format's JSON mode is refused where no message speaks of JSON.
        messages.insert(0, {"role": "system", "content": instruction})
    body = {
        "model": model,
        "messages": messages,
        **present(
            temperature=request.temperature,
            top_p=request.top_p,
            stop=request.stop,
            reasoning_effort=effort_of(request),
            response_format={"type": "json_object"} if told else _format(request),
            tools=[_tool(t) for t in request.tools] if request.tools else None,
            tool_choice=_choice(request.tool_choice),
        ),
        **present(**{dialect.max_tokens: request.max_tokens, dialect.seed: request.seed}),
    }
    merge_params(body, request.extra_params)
    tier = body.get("service_tier")
    if dialect.service_tiers is not None and tier is not None and tier not in dialect.service_tiers:
        logger.info("%s: left out service_tier %r, which it does not have", model, body.pop("service_tier"))
    for field in dialect.refuses:
        if body.pop(field, None) is not None:
            logger.info("%s: left out %s, which it does not take", model, field)
    if stream:
        body["stream"] = True
        if dialect.stream_options:
            body.setdefault("stream_options", {"include_usage": True})
    return body


def _spoken(messages: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The messages, with something said wherever the model's turn would be silent."""
    before = None
    for message in messages:
        if message["role"] == "assistant" and not message["content"] and not message.get("tool_calls"):
            message = {**message, "content": _SILENCE}
        elif message["role"] == "user" and before == "tool":
            yield {"role": "assistant", "content": _SILENCE}
        before = message["role"]
        yield message


def _message(
    message: Message,
    ids: dict[str, str],
    issuer: str,
    customs: frozenset[str],
    dialect: ChatDialect,
    *,
    called: bool,
) -> dict[str, Any]:
    if message.role == "tool":
        content = plain_text(message, "a tool's result in Chat Completions")
        return {"role": "tool", "tool_call_id": ids[message.tool_call_id or ""], "content": content}
    rendered: dict[str, Any] = {"role": message.role}
    if isinstance(message.content, list):
        rendered["content"] = [_part(part) for part in message.content]
    else:
        rendered["content"] = plain_text(message, "a message") or (None if message.tool_calls else "")
    if message.role != "assistant":
        return rendered
    kept = unchanged(message, kept_of(message, "openai_chat", issuer)) or {}
    if message.tool_calls:
        of_custom = kept.get("customs") or [call["function"]["name"] in customs for call in message.tool_calls]
        pairs = zip(message.tool_calls, of_custom, strict=True)
        rendered["tool_calls"] = [_call(call, ids[call["id"]], custom=custom) for call, custom in pairs]
    _replay(rendered, kept)
    if message.tool_calls and dialect.foreign_call:
        first = rendered["tool_calls"][0]
        rendered["tool_calls"][0] = {**dialect.foreign_call, **first}
    if dialect.reasoning and called:
        rendered.setdefault(dialect.reasoning, _ANOTHERS_THOUGHT)
    return rendered


def _call(call: ToolCall, id: str, *, custom: bool) -> dict[str, Any]:
    if custom and (handed := custom_text(call)) is not None:
        return {"id": id, "type": "custom", "custom": {"name": call["function"]["name"], "input": handed}}
    return {**call, "id": id}


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    if tool.get("type") != "custom" or "input_schema" in tool:
        return function_tool(tool)
    custom = {key: value for key, value in tool.items() if key != "type"}
    if (form := tool.get("format")) and form.get("type") == "grammar":
        custom["format"] = {"type": "grammar", "grammar": {k: v for k, v in form.items() if k != "type"}}
    return {"type": "custom", "custom": custom}


def _choice(choice: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
    if isinstance(choice, dict) and choice.get("type") == "custom":
        return {"type": "custom", "custom": {"name": choice["name"]}}
    return choice


def _part(part: dict[str, Any]) -> dict[str, Any]:
    if part.get("type") == "text":
        return {"type": "text", "text": part["text"]}
    found = media.of_part(part)
    if found is None:
        return part
    if found.file_id and found.kind != "document":
        raise CannotCarry("Chat Completions takes no pictures and no sound by a file's id; send the bytes")
    if found.kind == "image":
        return {"type": "image_url", "image_url": {"url": found.url or found.data_url, **present(detail=found.detail)}}
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


class _Blocks:
    """Blocks put together from the pieces that were streamed."""

    def __init__(self) -> None:
        self._blocks: list[tuple[dict[str, Any], dict[str, list[str]]]] = []
        self._of_key: dict[Any, tuple[dict[str, Any], dict[str, list[str]]]] = {}
        # The last block, if it has no index.
        self._bare: Any = None

    def add(self, piece: dict[str, Any], *, whole: bool) -> None:
        """A piece of the block of its index and type; without an index, of the last one, if it is of its type."""
        index = piece.get("index")
        key = (index, piece.get("type"))
        block = self._of_key.get(key)
        if whole or block is None or _is_over(block[0], piece, index):
            self._of_key.pop(self._bare, None)
            self._bare = key if index is None else None
            block = self._of_key[key] = ({}, {})
            self._blocks.append(block)
        fields, pieces = block
        for name, value in piece.items():
            if name in _PIECES and value.__class__ is str:
                fields.setdefault(name, "")
                pieces.setdefault(name, []).append(value)
            elif value is not None or name not in fields:
                fields[name] = value

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for fields, pieces in self._blocks:
            yield {name: "".join(pieces[name]) if name in pieces else value for name, value in fields.items()}


def _is_over(block: dict[str, Any], piece: dict[str, Any], index: Any) -> bool:
    """Whether a piece belongs to another block: encrypted thinking comes whole, and a signature ends a block."""
    if index is None and block.get("signature") and any(piece.get(name) for name in _PIECES):
        return True
    return piece.get("data") is not None and block.get("data") is not None


class Kept:
    """Gathers what the server wants back with the turn.

    Attributes:
        before: what stood before the text, as the model wrote it.
        thoughts: pieces of thinking, by the server's own name for it; empty ones are some, too.
    """

    def __init__(self) -> None:
        self.before = ""
        self.thoughts: dict[str, list[str]] = {}
        self._blocks: dict[str, _Blocks] = {}
        self._fields: dict[str, Any] = {}
        # Parts of the content that are no text, with where in the text they stood.
        self._parts: list[tuple[int, _Blocks]] = []

    def block(self, name: str, piece: dict[str, Any], *, whole: bool) -> None:
        """A block of thinking, or a piece of one."""
        self._blocks.setdefault(name, _Blocks()).add(piece, whole=whole)

    def field(self, name: str, value: Any) -> None:
        """A field of the message."""
        before = self._fields.get(name)
        self._fields[name] = completed(before, value) if isinstance(before, dict) and isinstance(value, dict) else value

    def part(self, at: int, part: dict[str, Any], *, whole: bool) -> None:
        """A part of the content, or a piece of one, and where in the text it stood."""
        if not self._parts or self._parts[-1][0] != at:
            self._parts.append((at, _Blocks()))
        self._parts[-1][1].add(part, whole=whole)

    def all(self, length: int, built: ToolCalls, calls: list[ToolCall]) -> dict[str, Any] | None:
        """What is to be kept of the whole answer, `None` if nothing is.

        Args:
            length: of its text.
            built, calls: its calls.
        """
        fields = dict(self._fields)
        for name, blocks in self._blocks.items():
            fields[name] = list(blocks)
        for name, pieces in self.thoughts.items():
            # OpenRouter says its blocks once more as text, and wants one of the two.
            if name != "reasoning" or "reasoning_details" not in fields:
                fields[name] = "".join(pieces)
        parts = [[at, part] for at, blocks in self._parts for part in _whole_parts(blocks)]
        customs = [call.custom for call in built] if any(call.custom for call in built) else None
        kept = {
            **present(fields=fields or None, parts=parts or None, before=self.before or None),
            **present(extras=built.extras, customs=customs),
        }
        return {**kept, "digest": digest_of(length, calls)} if kept else None


def _whole_parts(blocks: _Blocks) -> Iterator[dict[str, Any]]:
    """Parts of a content that were put together: what Mistral's thinking says is a list of texts in itself."""
    for part in blocks:
        yield {**part, "thinking": [{"type": "text", "text": part["thinking"]}]} if "thinking" in part else part


def of_message(extra: Any) -> Any:
    """What of `extra_content` is of the whole message: Gemini marks with it, too, which pieces of it are thinking."""
    google = extra.get("google") if extra.__class__ is dict else None
    if google.__class__ is not dict or "thought" not in google:
        return extra
    rest = {key: value for key, value in google.items() if key != "thought"}
    return {**extra, "google": rest} if rest else None


def _replay(rendered: dict[str, Any], kept: dict[str, Any]) -> None:
    """Put what was kept of a turn back into its message.

    Args:
        rendered: the message as text and calls, to be changed.
        kept: what `Kept.all` gave.
    """
    content = rendered["content"] or ""
    if before := kept.get("before"):
        rendered["content"] = before + content
    elif parts := kept.get("parts"):
        pieces, last = [], 0
        for at, part in [*parts, [len(content), None]]:
            if content[last:at]:
                pieces.append({"type": "text", "text": content[last:at]})
            pieces += [part] if part else []
            last = at
        rendered["content"] = pieces
    for call, extra in zip(rendered.get("tool_calls") or (), kept.get("extras") or (), strict=False):
        call |= extra
    rendered |= kept.get("fields") or {}
