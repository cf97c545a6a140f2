"""Where each thing lies in the text of a lockfile, TOML or JSON alike.

The scan takes text that a real parser has accepted, so it checks nothing: it only finds the spans. It serves
the line and column of an error, and edits that leave every other byte alone. Reading a good file needs none of it.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import Literal, NamedTuple

from .model import Place

__all__ = ["BLANK", "Entry", "Place", "holds_comments", "line_and_column", "locate", "scan"]


class Entry(NamedTuple):
    """One written thing: a `[header]`, a `key = value` pair, or an item of an array.

    `start` is its first character, `value` that of its value, `end` just past its last. `parent` is the index
    of the entry in whose brackets it lies; `None` for what lies in no brackets.
    """

    place: Place
    kind: Literal["header", "pair", "item"]
    start: int
    value: int
    end: int
    parent: int | None


BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r"""[ \t]*([\w-]+|"(?:\\.|[^"\\])*"|'[^']*')[ \t]*""")
_STRING = re.compile(r'''"""(?:\\.|[^\\])*?""""{0,2}|\'\'\'.*?\'\'\'\'{0,2}|"(?:\\.|[^"\\])*"|'[^']*\'''', re.DOTALL)
_SCALAR = re.compile(r"[^,\]}#\r\n]+")


def scan(text: str, *, is_json: bool) -> list[Entry]:
    """Every entry of the text, in the order in which they begin."""
    return _Scan(text, is_json=is_json).found


def locate(entries: list[Entry], place: Place, *, key: bool = False) -> int:
    """The offset of what is written at a place, else of what lies below it, else of what is nearest above.

    Args:
        entries: what `scan` found.
        place: the keys and indices that lead there.
        key: where its key begins, instead of its value.
    """
    best, rank = 0, (0, 0)
    for entry in entries:
        shared = min(len(entry.place), len(place))
        if entry.place[:shared] != place[:shared]:
            continue
        found = (2 if entry.place == place else int(len(entry.place) > len(place)), shared)
        if found > rank:
            best, rank = entry.start if key else entry.value, found
    return best


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """The line and column of an offset, counted from 1; a byte order mark does not count."""
    begin = text.rfind("\n", 0, offset) + 1
    mark = 1 if begin == 0 and text.startswith("\ufeff") and offset else 0
    return text.count("\n", 0, offset) + 1, offset - begin + 1 - mark


def holds_comments(text: str) -> bool:
    """Whether there is a comment in valid TOML."""
    return "#" in _STRING.sub("", text)  # what a comment itself quotes comes after its own sign


class _Scan:
    def __init__(self, text: str, *, is_json: bool) -> None:
        self.text = text
        self.is_json = is_json
        self.found: list[Entry] = []
        start = 1 if text.startswith("\ufeff") else 0
        if is_json:
            begin = self._blank(start)
            self._entry("item", (), begin, begin, None)
        else:
            self._sections(start)

    def _sections(self, at: int) -> None:
        section: Place = ()
        counts: dict[Place, int] = {}
        while (at := self._blank(at)) < len(self.text):
            start = at
            if self.text[at] != "[":
                at = self._pair(at, section, None)
                continue
            width = 2 if self.text.startswith("[[", at) else 1
            keys, at = self._keys(at + width)
            at += width
            section = _resolve(keys, counts, is_array=width == 2)
            self.found.append(Entry(section, "header", start, start, at, None))

    def _entry(self, kind: Literal["pair", "item"], place: Place, start: int, value: int, parent: int | None) -> int:
        index = len(self.found)
        self.found.append(Entry(place, kind, start, value, value, parent))
        end = self._value(value, place, index)
        self.found[index] = Entry(place, kind, start, value, end, parent)
        return end

    def _pair(self, at: int, section: Place, parent: int | None) -> int:
        keys, colon = self._keys(at)
        return self._entry("pair", section + keys, at, self._blank(self._blank(colon) + 1), parent)

    def _value(self, at: int, place: Place, index: int) -> int:
        match self.text[at]:
            case '"' | "'":
                return _end(_STRING, self.text, at)
            case "[":
                return self._inside(at, "]", place, index)
            case "{":
                return self._inside(at, "}", place, index)
            case _:
                stop = _end(_SCALAR, self.text, at)
                return at + len(self.text[at:stop].rstrip())

    def _inside(self, at: int, close: str, place: Place, parent: int) -> int:
        at, count = self._blank(at + 1), 0
        while self.text[at] != close:
            at = self._entry("item", (*place, count), at, at, parent) if close == "]" else self._pair(at, place, parent)
            count += 1
            at = self._blank(at)
            if self.text[at] == ",":
                at = self._blank(at + 1)
        return at + 1

    def _keys(self, at: int) -> tuple[tuple[str, ...], int]:
        keys: list[str] = []
        while match := _KEY.match(self.text, at):
            keys.append(self._key(match[1]))
            at = match.end()
            if not self.text.startswith(".", at):
                break
            at += 1
        return tuple(keys), at

    def _key(self, written: str) -> str:
        if written[0] not in "\"'":
            return written
        key = json.loads(written) if self.is_json else tomllib.loads(f"key = {written}")["key"]
        return str(key)

    def _blank(self, at: int) -> int:
        return _end(BLANK, self.text, at)


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _resolve(keys: tuple[str, ...], counts: dict[Place, int], *, is_array: bool) -> Place:
    """Where a header leads: through an array of tables, it is the array's last element that is meant."""
    place: Place = ()
    for depth, key in enumerate(keys, start=1):
        place = (*place, key)
        if is_array and depth == len(keys):
            counts[place] = counts.get(place, 0) + 1
        if place in counts:
            place = (*place, counts[place] - 1)
    return place
