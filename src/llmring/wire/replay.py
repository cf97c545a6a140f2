"""A turn put together again from what was kept of it and what the message says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pydantic_core import to_json

from ..schemas import Message, ToolCall

__all__ = ["Replay", "digest_of", "is_of", "kept_of", "replayed", "unchanged"]


def is_of(message: Message, issuer: str) -> bool:
    """Whether an assistant's turn came from this provider at this address."""
    return bool(issuer) and message.metadata.get("issuer") == issuer


def kept_of(message: Message, wire: str, issuer: str) -> dict[str, Any] | None:
    """What a turn's issuer wants back with it, `None` where it came from another, or the turn was changed since.

    Args:
        message: an assistant's turn.
        wire: the name under which the wire keeps it.
        issuer: who is asked now.
    """
    kept = message.metadata.get(wire)
    return kept if isinstance(kept, dict) and is_of(message, issuer) else None


def digest_of(length: int, calls: Sequence[ToolCall]) -> str:
    """What tells whether a turn was changed: the length of its text, and its calls, whatever their ids."""
    said = [length, *([call["function"]["name"], call["function"]["arguments"]] for call in calls)]
    return hashlib.sha256(to_json(said)).hexdigest()[:32]


def unchanged(message: Message, kept: dict[str, Any] | None) -> dict[str, Any] | None:
    """What was kept of a turn with its digest, if the turn still says what it said then."""
    said = message.content or ""
    if kept is None or not isinstance(said, str):
        return None
    return kept if kept.get("digest") == digest_of(len(said), message.tool_calls or ()) else None


class Replay:
    """A turn's text and calls, to be taken one after the other. Text is kept as lengths, not twice."""

    __slots__ = ("_at", "_calls", "_content")

    def __init__(self, message: Message) -> None:
        self._content = message.content if isinstance(message.content, str) else None
        self._calls = list(message.tool_calls or ())
        self._at = 0

    def text(self, length: int) -> str:
        """The next so many characters. Raises `LookupError` where the text was changed."""
        if self._content is None or self._at + length > len(self._content):
            raise LookupError("the text was changed")
        self._at += length
        return self._content[self._at - length : self._at]

    def call(self) -> ToolCall:
        """The next call. Raises `LookupError` where one was taken away."""
        if not self._calls:
            raise LookupError("a call was taken away")
        return self._calls.pop(0)

    @property
    def over(self) -> bool:
        """Whether all of the turn has been taken."""
        return not self._calls and self._content is not None and self._at == len(self._content)


def replayed(
    message: Message, kept: Iterable[Any], render: Callable[[Any, Replay], dict[str, Any] | None]
) -> list[dict[str, Any]] | None:
    """The turn as its server sent it, `None` where the caller has changed it since.

    Args:
        message: an assistant's turn.
        kept: what was kept of it, piece by piece, in order.
        render: makes of one piece what is sent, with the text and the call that belong to it; `None` for nothing.
    """
    replay = Replay(message)
    try:
        said = [rendered for piece in kept if (rendered := render(piece, replay)) is not None]
    except LookupError:
        return None
    return said if replay.over else None
