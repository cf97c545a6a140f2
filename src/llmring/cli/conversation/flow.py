"""Text that is written once and never drawn anew: words behind words, lines below lines, as wide as the screen is now.

What stands on a screen belongs to the terminal: it moves it when its window gets another size, each terminal in its own
way, and nothing that is drawn over it would hit it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console
from rich.control import Control
from rich.segment import ControlType, Segment, Segments

from .markdown import Line, is_wide, stands_as_it_is

_WORDS = re.compile(r"\s+|\S+")
_BEFORE = re.compile(r"[ ▌]*(?:(?:•|\d+) (?=\S))?")
"""What stands before the text of a list's or a quotation's line."""


class Flow:
    """Writes to the end of what is on a screen.

    Attributes:
        has_begun: whether something of the answer stands, from which the next block is to stand apart.
    """

    def __init__(self, console: Console) -> None:
        self.has_begun = False
        self._console = console
        self._column = 0
        self._is_open = False
        self._before: Line = []
        self._is_marked = False
        self._out: Line = []

    def write(
        self, lines: list[Line], standing: int, *, apart: bool = True, hang: bool = False, fit: bool = True
    ) -> None:
        """Write a block, all but the letters of it that stand there already.

        Args:
            lines: the block's.
            standing: how many letters, blanks apart, have been written of it.
            apart: whether a blank line is to be above it.
            hang: whether lines that are broken go on behind the marks of a list.
            fit: whether to break lines that are too long.
        """
        self.unmark()
        if not standing and any(lines):
            self._end_line()
            if apart and self.has_begun:
                self._out.append(Segment.line())
            self.has_begun = True
        for line in lines:
            size = len(letters([line]))
            if standing and standing >= size:
                standing -= size
                continue
            if standing:
                line, standing = _behind(line, standing), 0
            else:
                self._end_line()
                self._before = _marks(line) if hang else []
            self._is_open = True
            self._put(line, fit=fit and not stands_as_it_is(line))
        self._flush()

    def end(self) -> None:
        """Whatever comes next begins a line."""
        self.unmark()
        self._end_line()
        self._flush()

    def mark(self, text: str) -> None:
        """Show a character at the end of what stands, until something is written."""
        if self._console.is_terminal and not self._console.is_dumb_terminal and self._column < self._console.width - 1:
            self._console.print(Segments([Segment(text)]), end="")
            self._console.control(Control.move(-1, 0))
            self._is_marked = True

    def unmark(self) -> None:
        """Take that character away."""
        if self._is_marked:
            self._is_marked = False
            self._console.control(Control((ControlType.ERASE_IN_LINE, 0)))

    def _end_line(self) -> None:
        if self._is_open:
            self._out.append(Segment.line())
        self._column, self._is_open = 0, False

    def _flush(self) -> None:
        out, self._out = list(Segment.simplify(self._out)), []
        if out:
            self._console.print(Segments(out), end="", soft_wrap=True)

    def _put(self, line: Line, *, fit: bool, glued: bool = False) -> None:
        """Write a line, or what is left of one, where the beginning of it may be the end of a word that stands."""
        width = self._console.width
        blanks: Line = []
        for word in _words(line):
            if not fit:
                self._add(word)
                continue
            if word[0].text.isspace():
                blanks, glued = word, False
                continue
            size = _cells(word)
            start = _cells(self._before)
            if not glued and self._column > start and self._column + _cells(blanks) + size > width:
                self._out.append(Segment.line())
                self._column = 0
                self._add(self._before)
            else:
                self._add(blanks)
            blanks, glued = [], False
            self._add(word)

    def _add(self, segments: Line) -> None:
        self._out += segments
        self._column += _cells(segments)


def letters(lines: list[Line]) -> str:
    """All that is on some lines but blanks, by which what stands is known again however it is broken."""
    return "".join("".join(segment.text for segment in line if not segment.control) for line in lines).translate(
        _BLANKS
    )


_BLANKS = {ord(it): None for it in (chr(number) for number in range(0x3001)) if it.isspace()}


def _cells(segments: Line) -> int:
    return sum(cell_len(segment.text) for segment in segments)


def _behind(line: Line, standing: int) -> Line:
    """What is left of a line behind so many letters."""
    for number, segment in enumerate(line):
        for at, character in enumerate(segment.text):
            if not standing:
                return [Segment(segment.text[at:], segment.style), *line[number + 1 :]]
            standing -= not character.isspace()
    return []


def _marks(line: Line) -> Line:
    """What broken lines of a list or a quotation begin with."""
    text = "".join(segment.text for segment in line)
    found = _BEFORE.match(text)
    marks = "".join(it if it == "▌" else " " for it in found[0]) if found is not None else ""
    return [Segment(marks, line[0].style)] if marks else []


def _words(line: Line) -> Iterator[Line]:
    """The words of a line and the blanks between them, each of one or more pieces; a wide character is a word."""
    word: Line = []
    for segment in line:
        for piece in _WORDS.findall(segment.text):
            for part in _apart(piece):
                if word and not _belong(word[-1].text, part):
                    yield word
                    word = []
                word.append(Segment(part, segment.style))
    if word:
        yield word


def _apart(piece: str) -> Iterator[str]:
    if piece.isascii():
        yield piece
        return
    begin = 0
    for at, character in enumerate(piece):
        if at > begin and (is_wide(character) or is_wide(piece[at - 1])):
            yield piece[begin:at]
            begin = at
    yield piece[begin:]


def _belong(one: str, other: str) -> bool:
    """Whether no line may end between two pieces."""
    return one[-1].isspace() == other[0].isspace() and not is_wide(one[-1]) and not is_wide(other[0])
