"""Requests in OpenAI's Chat Completions format, in the dialect of whom they go to."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from ..schemas import LLMRequest, Message, ToolCall
from .chat_dialects import ChatDialect
from .chat_turns import replay
from .errors import CannotCarry
from .replay import kept_of, unchanged
from .turns import (
    call_ids,
    custom_names,
    custom_text,
    effort_of,
    function_tool,
    json_instruction,
    media,
    openai_schema,
    plain_text,
    schema_instruction,
    schema_of,
    told_apart,
    without_custom_tools,
)
from .values import given, merge_params

__all__ = ["render_request"]

logger = logging.getLogger("llmring")

_ANOTHERS_THOUGHT = " "
"""In the place of thinking that is another's: a server that insists on the field may take none for missing."""
_SILENCE = "…"
"""In the place of what the model has not said, where it must say something."""


def render_request(
    request: LLMRequest, model: str, *, stream: bool, issuer: str = "", dialect: ChatDialect | None = None
) -> dict[str, Any]:
    """The body of a request.

    Args:
        request, model, stream: what to ask whom, and how.
        issuer: who is asked; what another one wants back is not sent to it.
        dialect: what it wants otherwise than OpenAI's format has it.
    """
    dialect = dialect or ChatDialect()
    if not dialect.custom_tools:
        request = without_custom_tools(request)
    customs = custom_names(request)
    turns = told_apart(request.messages, issuer)
    ids = call_ids(turns, dialect.call_id, dialect.id_length, issuer)
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
        **given(
            temperature=request.temperature,
            top_p=request.top_p,
            stop=request.stop,
            reasoning_effort=effort_of(request),
            response_format={"type": "json_object"} if told else _format(request),
            tools=[_tool(t) for t in request.tools] if request.tools else None,
            tool_choice=_choice(request.tool_choice),
        ),
        **given(**{dialect.max_tokens: request.max_tokens, dialect.seed: request.seed}),
    }
    merge_params(body, request.extra_params)
    tier = body.get("service_tier")
    if dialect.service_tiers is not None and tier is not None and tier not in dialect.service_tiers:
        logger.info("%s: left out service_tier %r, which it does not have", model, body.pop("service_tier"))
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
    replay(rendered, kept)
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
