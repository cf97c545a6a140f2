"""What a Chat Completions server wants back with a turn beside its text and calls: gathered, and put back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..schemas import ToolCall
from .calls import ToolCalls
from .replay import digest_of
from .values import completed, given

__all__ = ["BLOCKS", "THOUGHTS", "Kept", "of_message", "replay"]

BLOCKS = ("reasoning_details", "thinking_blocks")
"""Thinking in blocks: OpenRouter's and MiniMax's (openrouter.ai/docs, "Preserving reasoning"), and that of Anthropic's
models behind LiteLLM (docs.litellm.ai, "Reasoning content")."""
THOUGHTS = ("reasoning_content", "reasoning")
"""Thinking as text: DeepSeek's, Kimi's, SGLang's; vLLM's, Groq's, OpenRouter's."""
_PIECES = ("text", "summary", "thinking")
"""Of a block's fields, those that come in pieces; all others come whole, the signature last."""


class _Blocks:
    """Blocks put together from the pieces that were streamed."""

    __slots__ = ("_bare", "_blocks", "_of_key")

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

    __slots__ = ("_blocks", "_fields", "_parts", "before", "thoughts")

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
            **given(fields=fields or None, parts=parts or None, before=self.before or None),
            **given(extras=built.extras, customs=customs),
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


def replay(rendered: dict[str, Any], kept: dict[str, Any]) -> None:
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
