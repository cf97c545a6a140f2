"""What the server answers to somebody who tries things by hand: what was asked for, made up, whatever the wire."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .exchange import RecordedRequest, Reply, ToolCallScript
from .samples import sample

__all__ = ["stand_in"]

_LONGEST = 100
"""Characters of an address that an answer repeats."""


def stand_in(request: RecordedRequest) -> Reply:
    """An answer of the form that was asked for.

    A tool that must be called, or that the user's text names, is called with sample arguments. A schema is answered
    with a sample that fits it, results of tools with what they say, and anything else with the question, and what was
    attached to it.
    """
    body = request.body if isinstance(request.body, dict) else {}
    last = _last(body)
    results = list(_results(last))
    tools = {tool.name: tool for tool in _tools(body)}
    forced, named = _choice(body, tools)
    if not forced and not results and not _is_off(body):
        named = [name for name in tools if _names(request.question, name)]
    if named:
        return Reply(tool_calls=[ToolCallScript(name, _arguments(tools[name].schema)) for name in named])
    if (schema := _schema(body)) is not None:
        return Reply(json.dumps(sample(schema), ensure_ascii=False))
    if results:
        return Reply(f"{'The tool' if len(results) == 1 else 'The tools'} said: {'; '.join(results)}")
    lines = [f"You said: {request.question}"]
    if attached := ", ".join(_attached(last)):
        lines.append(f"You attached: {attached}")
    if tools and not _is_off(body):
        lines.append(f"You offered tools: {', '.join(tools)}. Name one, and it is called.")
    return Reply("\n".join(lines))


class _Tool(NamedTuple):
    """A function that the model may call."""

    name: str
    schema: Any


def _arguments(schema: Any) -> dict[str, Any]:
    made = sample(schema)
    return made if isinstance(made, dict) else {}


def _names(text: str, tool: str) -> bool:
    """Whether a text names a tool, as a word by itself; it may say spaces for what joins the words of the name."""
    words = r"[\s_-]+".join(re.escape(word) for word in re.split(r"[_-]+", tool) if word) or re.escape(tool)
    return re.search(rf"(?<!\w){words}(?!\w)", text, re.IGNORECASE) is not None


def _at(body: Any, *steps: str) -> Any:
    """What stands at a path of keys, `None` where there is nothing."""
    for step in steps:
        body = body.get(step) if isinstance(body, dict) else None
    return body


def _rows(value: Any) -> list[dict[str, Any]]:
    return [it for it in value if isinstance(it, dict)] if isinstance(value, list) else []


def _last(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The last turn: one message, or the results that several messages bring."""
    turns: Any = next((body[key] for key in ("messages", "input", "contents") if body.get(key)), [])
    rows = _rows(turns)
    last = rows[-1:]
    while last and _is_result(last[0]) and len(last) < len(rows) and _is_result(rows[-len(last) - 1]):
        last = [rows[-len(last) - 1], *last]
    return last


def _is_result(turn: dict[str, Any]) -> bool:
    return turn.get("role") == "tool" or turn.get("type") == "function_call_output"


def _results(turns: list[dict[str, Any]]) -> Iterator[str]:
    """What tools said, as text."""
    for turn in turns:
        if _is_result(turn):
            yield _text(turn.get("content", turn.get("output")))
        for part in [*_rows(turn.get("content")), *_rows(turn.get("parts"))]:
            if part.get("type") == "tool_result":
                yield _text(part.get("content"))
            elif isinstance(response := _at(part, "functionResponse", "response"), dict):
                yield _text(response.get("result", response.get("output", response)))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    parts = [it["text"] for it in _rows(value) if isinstance(it.get("text"), str)]
    return "".join(parts) if parts else json.dumps(value, ensure_ascii=False)


def _tools(body: dict[str, Any]) -> Iterator[_Tool]:
    """The functions that may be called; tools that the vendor runs have no schema, and are none."""
    for tool in _rows(body.get("tools")):
        for told in [tool, tool.get("function"), *_rows(tool.get("functionDeclarations"))]:
            if isinstance(told, dict) and isinstance(name := told.get("name"), str):
                keys = ("parameters", "input_schema", "parametersJsonSchema")
                if tool.get("type", "function") in ("function", "custom") or "input_schema" in told:
                    yield _Tool(name, next((told[key] for key in keys if told.get(key)), {}))


def _choice(body: dict[str, Any], tools: Mapping[str, _Tool]) -> tuple[bool, list[str]]:
    """Whether a tool must be called, and which."""
    choice = body.get("tool_choice")
    name = _at(choice, "name") or _at(choice, "function", "name")
    if name in tools:
        return True, [name]
    gemini = _at(body, "toolConfig", "functionCallingConfig")
    kind = choice if isinstance(choice, str) else _at(choice, "type") or _at(gemini, "mode")
    if kind not in ("required", "any", "ANY"):
        return False, []
    allowed = [it for it in _at(gemini, "allowedFunctionNames") or tools if it in tools]
    return bool(allowed), allowed[:1]


def _is_off(body: dict[str, Any]) -> bool:
    choice = body.get("tool_choice")
    mode = _at(body, "toolConfig", "functionCallingConfig", "mode")
    return "none" in (choice, _at(choice, "type")) or mode == "NONE"


def _schema(body: dict[str, Any]) -> Any:
    """The schema that the answer is to fit; of any JSON, one of an object. `None` where text is asked for."""
    forms = [
        _at(body, "response_format"),
        _at(body, "text", "format"),
        _at(body, "output_config", "format"),
        _at(body, "output_format"),
    ]
    for form in forms:
        if (schema := _at(form, "json_schema", "schema") or _at(form, "schema")) is not None:
            return schema
    made = body.get("generationConfig")
    for schema in (_at(made, "responseJsonSchema"), _at(made, "responseSchema"), body.get("format")):
        if isinstance(schema, dict):
            return schema
    any_json = "json_object" in [_at(form, "type") for form in forms] or body.get("format") == "json"
    if any_json or _at(made, "responseMimeType") == "application/json":
        return {"type": "object", "properties": {"answer": {"type": "string"}}}
    return None


def _attached(value: Any) -> Iterator[str]:
    """What is attached, as `image/png (68 bytes)`."""
    if isinstance(value, list):
        for item in value:
            yield from _attached(item)
    if not isinstance(value, dict):
        return
    media = value.get("media_type") or value.get("mimeType")
    data = value.get("data")
    if isinstance(data, str):
        plain = value.get("type") == "text"
        kind = media or (f"audio/{value['format']}" if value.get("format") else "data")
        yield f"{kind} ({len(data.encode()) if plain else _size(data)} bytes)"
        return
    for name in ("image_url", "url", "file_data", "file_url", "fileUri", "file_id"):
        if isinstance(address := value.get(name), str):
            yield _addressed(address, media)
    for image in value.get("images") or []:
        if isinstance(image, str):
            yield f"image ({_size(image)} bytes)"
    for item in value.values():
        if isinstance(item, list | dict):
            yield from _attached(item)


def _addressed(address: str, media: Any) -> str:
    """What is at an address, or in it."""
    if address.startswith("data:"):
        head, _, data = address.partition(",")
        return f"{head.removeprefix('data:').partition(';')[0]} ({_size(data)} bytes)"
    address = address if len(address) <= _LONGEST else f"{address[:_LONGEST]}..."
    return f"{media} at {address}" if media else address


def _size(data: str) -> int:
    """How many bytes base64 holds."""
    return len(data.rstrip("=")) * 3 // 4
