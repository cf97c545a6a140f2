"""Thinking that open models write into their text, told apart from it.

DeepSeek R1, Qwen3, QwQ, MiniMax M2 and their kin begin with `<think>…</think>`; a server that knows the model hands on
what stands there as reasoning, another one as text. Gemini's compatible endpoint says `<thought>…</thought>`.
"""

from __future__ import annotations

__all__ = ["ThinkTags"]

_TAGS = {"<think>": "</think>", "<thought>": "</thought>"}
_BLANKS = 256
"""So many blanks are held back at most: what goes on longer is said, whatever follows."""


class ThinkTags:
    """Splits text that arrives in pieces, cut anywhere. Only tags at its very beginning are tags.

    Attributes:
        held: what may still turn out to be a tag, or blanks around one.
        thinking: it is in the middle of thinking; `None` before, `False` after.
        over: the text proper has begun, all of what comes is text.
    """

    def __init__(self) -> None:
        self.held = ""
        self.over = False
        self.thinking: bool | None = None  # not yet, in it, past it
        self._said = False
        self._close = ""
        self._before: list[str] = []

    @property
    def before(self) -> str:
        """All that stood before the text, tags and blanks included, as the model wrote it."""
        return "".join(self._before)

    @property
    def unclosed(self) -> str:
        """All of the text, where it has ended in the middle of thinking: nobody can tell whether it was any."""
        return self.before if self.thinking else ""

    @property
    def undecided(self) -> str:
        """What is held back and may be text."""
        return "" if self.thinking is not None else self.held

    def feed(self, piece: str) -> tuple[str, str]:
        """The text and the thinking that the piece makes certain."""
        if self.thinking is None:
            return self._begin(self.held + piece)
        self._before.append(piece)
        return self._think(self.held + piece) if self.thinking else self._past(piece)

    def split(self, said: str, thought: str, *, last: bool) -> tuple[str, str]:
        """The text and the thinking of a piece of an answer.

        Args:
            said: its text.
            thought: thinking that the server itself has told apart: unless a tag has been seen, the text has none then.
            last: no more text comes.
        """
        if thought and not self.thinking:
            self.over = True
            return self.held + said, thought
        if said:
            said, within = self.feed(said)
            thought = within or thought
        if last and self.held:
            more, rest = self.close()
            said, thought = said + more, thought + rest
        return said, thought

    def close(self) -> tuple[str, str]:
        """The end has come: what was held back."""
        held, self.held = self.held, ""
        if self.thinking is None:
            self.over = bool(held)
            return held, ""
        return "", self._thought(held.rstrip())

    def _begin(self, piece: str) -> tuple[str, str]:
        begun = piece.lstrip()
        for opening, close in _TAGS.items():
            if begun.startswith(opening):
                self.thinking, self.held, self._close = True, "", close
                self._before.append(piece)
                return self._think(begun.removeprefix(opening))
        if any(opening.startswith(begun) for opening in _TAGS) and len(piece) < _BLANKS:
            self.held = piece
            return "", ""
        self.held, self.over = "", True
        return piece, ""

    def _think(self, piece: str) -> tuple[str, str]:
        thought, closed, rest = piece.partition(self._close)
        if closed:
            self.thinking, self.held = False, ""
            said, _ = self._past(rest)
            return said, self._thought(thought.rstrip())
        # Half of the closing tag, and the blanks before it, wait for what follows.
        at = piece.rfind("<", -len(self._close))
        tail = at if at >= 0 and self._close.startswith(piece[at:]) else len(piece)
        certain = piece[:tail].rstrip()
        if tail - len(certain) > _BLANKS:
            certain = piece[:tail]
        self.held = piece[len(certain) :]
        return "", self._thought(certain)

    def _thought(self, thought: str) -> str:
        if not self._said:
            thought = thought.lstrip()
            self._said = bool(thought)
        return thought

    def _past(self, piece: str) -> tuple[str, str]:
        said = piece.lstrip()
        if said:
            self.over = True
            self._before[-1] = self._before[-1][: -len(said)]
        return said, ""
