"""A turn put together again from what was kept of it and what the message says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..schemas import Message, ToolCall

__all__ = ["Replay", "replayed"]


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
