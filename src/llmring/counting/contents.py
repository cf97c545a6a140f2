"""What of a request its model reads."""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from pydantic_core import to_json

from ..schemas import LLMRequest, Message
from ..wire.media import kind_of

__all__ = ["Contents", "contents_of"]

_TEXTS = ("text/", "application/json", "application/xml")


@dataclass(slots=True)
class Contents:
    """What of a request its model reads.

    Attributes:
        texts: all that is said in the conversation, calls and their results included.
        turns: messages.
        calls: calls, and results of some.
        tools: the definitions of functions, as JSON.
        others: tools that the provider runs itself: what it tells its model of them, nobody says.
        form: the schema of the answer, as JSON; empty where any answer will do.
        media: how many pictures (`"image"`), documents and sounds (`"audio"`).
        kept: characters of what goes back to the issuer of a turn, such as thinking.
    """

    texts: list[str] = field(default_factory=list)
    turns: int = 0
    calls: int = 0
    tools: list[str] = field(default_factory=list)
    others: int = 0
    form: str = ""
    media: Counter[str] = field(default_factory=Counter)
    kept: int = 0

    @property
    def characters(self) -> int:
        """Of all texts."""
        return sum(map(len, (*self.texts, *self.tools, self.form)))


def contents_of(request: LLMRequest) -> Contents:
    """What of a request its model reads.

    Args:
        request: its tools defined, its files read in.
    """
    found = Contents(turns=len(request.messages))
    for message in request.messages:
        found.texts += _said(message, found)
        if message.metadata:
            found.kept += len(_json(message.metadata))
    for tool in request.tools or ():
        function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
        if function is None:
            found.others += 1
        found.tools.append(_json(function or tool))
    if isinstance(request.response_format, dict) and (form := request.response_format.get("json_schema")):
        found.form = _json(form)
    return found


def _said(message: Message, found: Contents) -> Iterator[str]:
    if isinstance(message.content, str):
        yield message.content
    elif isinstance(message.content, list):
        for part in message.content:
            yield from _of_part(part, found)
    elif message.content is not None:
        yield _json(message.content)
    found.calls += message.role == "tool"
    for call in message.tool_calls or ():
        found.calls += 1
        yield call["function"]["name"]
        yield call["function"]["arguments"]


def _of_part(part: dict[str, Any], found: Contents) -> Iterator[str]:
    kind = part.get("type")
    if kind == "text":
        yield str(part.get("text", ""))
    elif kind == "image_url":
        found.media["image"] += 1
    elif kind == "input_audio":
        found.media["audio"] += 1
    elif kind == "file":
        file = part.get("file")
        data = file.get("file_data") if isinstance(file, dict) else None
        text = _text_of(data) if isinstance(data, str) else None
        if text is None:
            found.media[kind_of(file.get("media_type")) if isinstance(file, dict) else "document"] += 1
        else:
            yield text
    else:
        yield _json(part)


def _text_of(url: str) -> str | None:
    """What a data URL says, where that is text."""
    head, _, data = url.partition(",")
    if not head.startswith("data:") or not head.removeprefix("data:").startswith(_TEXTS):
        return None
    try:
        content = base64.b64decode(data) if head.endswith(";base64") else unquote_to_bytes(data)
    except (binascii.Error, ValueError):
        return None
    return content.decode(errors="replace")


def _json(value: Any) -> str:
    return to_json(value, fallback=str, inf_nan_mode="constants").decode(errors="replace")
