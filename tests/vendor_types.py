"""Request bodies against the vendors' own types, in which no key may be unknown."""

from __future__ import annotations

from collections.abc import Callable, Set
from functools import cache
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic_core import SchemaValidator

__all__ = ["check"]


def check(wire: str, body: dict[str, Any], *, besides: frozenset[str] = frozenset()) -> None:
    """Raise if the body is not what the vendor's SDK would let a program send.

    Args:
        wire: as the practice server calls it.
        body: as it was sent.
        besides: keys at the top that the SDK has no word for and that are sent all the same.
    """
    _CHECKS[wire]({key: value for key, value in body.items() if key not in besides})


@cache
def _closed(module: str, name: str) -> SchemaValidator:
    """A validator of a `TypedDict` that forbids the keys that it, and those in it, do not have."""
    kind = getattr(__import__(module, fromlist=[name]), name)
    return SchemaValidator(_strict(TypeAdapter(kind).core_schema))


def _strict(node: Any) -> Any:
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if isinstance(node, tuple):
        return tuple(_strict(item) for item in node)
    if not isinstance(node, dict):
        return node
    if node.get("type") == "model":
        # Where an answer's own object will do, too, a table must not pass for one.
        return {"type": "is-instance", "cls": node["cls"], **({"ref": node["ref"]} if "ref" in node else {})}
    node = {key: value if key == "metadata" else _strict(value) for key, value in node.items()}
    if node.get("type") == "typed-dict" and (node.get("config") or {}).get("extra_fields_behavior") != "allow":
        node["extra_behavior"] = "forbid"
    if node.get("type") == "generator":
        # A generator would be checked when it is used, which is never.
        node["type"] = "list"
    return node


def _typed(module: str, stem: str) -> Callable[[dict[str, Any]], None]:
    def check(body: dict[str, Any]) -> None:
        name = f"{stem}Streaming" if body.get("stream") else f"{stem}NonStreaming"
        _closed(module, name).validate_python(body, strict=True)

    return check


def _gemini(body: dict[str, Any]) -> None:
    from google.genai import types

    known: dict[str, Any] = {
        "contents": list[types.Content],
        "systemInstruction": types.Content,
        "generationConfig": types.GenerationConfig,
        "tools": list[types.Tool],
        "toolConfig": types.ToolConfig,
    }
    assert body.keys() <= known.keys(), body.keys() - known.keys()
    for key, value in body.items():
        adapter: TypeAdapter[Any] = TypeAdapter(known[key])
        again = adapter.dump_python(adapter.validate_python(value), mode="json", by_alias=True, exclude_unset=True)
        assert again == value, f"{again} for {value}"
    for content in body["contents"]:
        assert content["role"] in ("user", "model")
        assert content["parts"]


def _ollama(body: dict[str, Any]) -> None:
    from ollama import _types as types

    types.ChatRequest.model_validate(body)
    _only(body, types.ChatRequest)
    _only(body.get("options", {}), types.Options)
    for message in body["messages"]:
        # The server has ids (`api/types.go`), of which the SDK does not know yet.
        _only(message, types.Message, besides={"tool_call_id"})
        for call in message.get("tool_calls", ()):
            _only(call, types.Message.ToolCall, besides={"id"})
            _only(call["function"], types.Message.ToolCall.Function)
    for tool in body.get("tools", ()):
        _only(tool, types.Tool)
        _only(tool["function"], types.Tool.Function)


def _only(table: dict[str, Any], kind: type[BaseModel], besides: Set[str] = frozenset()) -> None:
    assert table.keys() <= kind.model_fields.keys() | besides, table.keys() - kind.model_fields.keys()


_CHECKS: dict[str, Callable[[dict[str, Any]], None]] = {
    "openai-chat": _typed("openai.types.chat.completion_create_params", "CompletionCreateParams"),
    "openai-responses": _typed("openai.types.responses.response_create_params", "ResponseCreateParams"),
    "anthropic": _typed("anthropic.types.message_create_params", "MessageCreateParams"),
    "gemini": _gemini,
    "ollama": _ollama,
}
