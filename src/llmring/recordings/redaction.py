"""What may not be recorded, blotted out: what has the form of a key, and what a program names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from ..exceptions import ConfigurationError
from ..references import KEY_SHAPE, shown
from .exchanges import Called, Piece

__all__ = ["BLOT", "Redaction", "Redactor", "holds_key"]

Redactor: TypeAlias = Callable[[str], str]
"""Gets a text, and returns it as it may be seen."""
BLOT = "[redacted]"
_ESCAPED = re.compile(r"\\(?:u[0-9a-fA-F]{4}|.)")


class Redaction:
    """Blots out of texts what may not be recorded.

    Args:
        redact: regular expressions, and functions.
    """

    def __init__(self, redact: Iterable[str | re.Pattern[str] | Redactor] | str = ()) -> None:
        self._functions: list[Redactor] = []
        self._patterns: list[re.Pattern[str]] = [KEY_SHAPE]
        for it in [redact] if isinstance(redact, str) else redact:
            self.add(it)

    def add(self, it: str | re.Pattern[str] | Redactor) -> None:
        """Blot out this, too.

        Raises:
            ConfigurationError: it is neither an expression nor a function.
        """
        if isinstance(it, str | re.Pattern):
            try:
                self._patterns.append(re.compile(it))
            except re.error as error:
                raise ConfigurationError(f"{shown(it)} is no regular expression to redact: {error}.") from None
        elif callable(it):
            self._functions.append(it)
        else:
            raise ConfigurationError(f"{shown(it)} redacts nothing: it takes a regular expression, or a function.")

    def concerns(self, key: bytes) -> bool:
        """Whether there may be something in a request to blot out."""
        if self._functions or len(self._patterns) > 1:
            return True
        return holds_key(key)

    def text(self, text: str) -> str:
        """A text as it may be seen."""
        for pattern in self._patterns:
            text = pattern.sub(BLOT, text)
        for function in self._functions:
            text = function(text)
            if not isinstance(text, str):
                raise ConfigurationError(
                    f"{getattr(function, '__qualname__', function)!r} redacts a text to {type(text).__name__}; "
                    "it returns the text."
                )
        return text

    def of(self, value: Any) -> Any:
        """Any value as it may be seen: its texts, those of tables' keys apart."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self.of(it) for key, it in value.items()}
        if isinstance(value, list | tuple):
            return [self.of(it) for it in value]
        return value

    def pieces(self, pieces: Sequence[Piece], more: Redactor) -> list[Piece]:
        """Chunks as they may be seen. What is cut in two by them is seen all the same.

        Args:
            pieces: them.
            more: blots out what only the one who was asked knows, its key.
        """

        def blot(text: str) -> str:
            return more(self.text(text))

        out = [*pieces]
        out = _blotted(out, lambda it: it.text, lambda it, text: it._replace(text=text), blot)
        out = _blotted(out, lambda it: it.reasoning or "", _thinking, blot)
        for at in range(max((call.at + 1 for it in out for call in it.calls or ()), default=0)):
            out = _blotted(out, partial(_said, at=at), partial(_saying, at=at), blot)
        return out


def holds_key(written: bytes) -> bool:
    """Whether there is something in JSON that has the form of a key."""
    text = written.decode(errors="replace")
    # What stands for the end of a line would be a letter before the key, and the key a part of a word.
    return KEY_SHAPE.search(_ESCAPED.sub(" ", text) if "\\" in text else text) is not None


def _blotted(
    pieces: list[Piece], get: Callable[[Piece], str], put: Callable[[Piece, str], Piece], blot: Redactor
) -> list[Piece]:
    texts = [get(it) for it in pieces]
    joined = "".join(texts)
    if not joined or (seen := blot(joined)) == joined:
        return pieces
    alone = [blot(text) if text else text for text in texts]
    if "".join(alone) != seen:
        # The boundaries would tell where it was, or what: all of it comes with the first.
        first = next(place for place, text in enumerate(texts) if text)
        alone = [seen if place == first else "" for place in range(len(texts))]
    return [put(it, text) if text != before else it for it, text, before in zip(pieces, alone, texts, strict=True)]


def _thinking(piece: Piece, text: str) -> Piece:
    return piece._replace(reasoning=text if piece.reasoning is not None else None)


def _said(piece: Piece, at: int) -> str:
    return "".join(it.piece for it in piece.calls or () if it.at == at)


def _saying(piece: Piece, text: str, at: int) -> Piece:
    told: list[Called] = []
    for it in piece.calls or ():
        told.append(it._replace(piece=text) if it.at == at else it)
        text = "" if it.at == at else text
    return piece._replace(calls=tuple(told))
