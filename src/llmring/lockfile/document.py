"""Edits of a lockfile's text that leave every other byte alone.

A `Document` is a text and the places of everything in it; each edit splices the text and gives a new `Document`.
What lies in brackets (all of JSON; arrays and inline tables of TOML) is edited here, TOML's sections in `sections`.
"""

from __future__ import annotations

import json
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

from . import sections
from .arrays import relisted
from .places import BLANK, Entry, Place, scan
from .rendering import toml_key, toml_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Document"]

_SPACES = re.compile(r"[ \t]*")


class Document:
    """The text of a valid lockfile, ready to be edited.

    Attributes:
        text: all of it, line endings as they are.
        newline: the line ending that new lines get.
    """

    def __init__(self, text: str, *, is_json: bool) -> None:
        self.text = text
        self.is_json = is_json
        self.newline = "\r\n" if re.match(r"[^\n]*\r\n", text) else "\n"

    @cached_property
    def entries(self) -> list[Entry]:
        """What `places.scan` finds in the text."""
        return scan(self.text, is_json=self.is_json)

    def holds(self, place: Place) -> bool:
        """Whether anything is written at a place or below it."""
        return any(entry.place[: len(place)] == place for entry in self.entries)

    def renaming(self, place: Place, key: str, value: Any) -> tuple[int, int, str]:
        """The splice that gives the pair at a place another key and value."""
        entry = self.entries[self._known(place)]
        return entry.start, entry.end, self._pair(key, value, entry.start, spread=False)

    def relisting(
        self, place: Place, old: Sequence[str], new: Sequence[str], renamed: Mapping[str, str]
    ) -> tuple[int, int, str]:
        """The splice that gives the array at a place other strings; one over several lines keeps its comments.

        Args:
            place: the array's.
            old, new: what it says and shall say.
            renamed: what takes the place of an item and inherits its comments.
        """
        index = self._known(place)
        box = self.entries[index]
        text = self.text[box.value : box.end]
        if "\n" not in text or not old:
            return box.value, box.end, self._rendered(list(new), box.value, spread=False)
        listed = relisted(
            text,
            [(item.start - box.value, item.end - box.value) for item in self._inside(index)],
            old,
            new,
            render=lambda value: self._rendered(value, box.value, spread=False),
            renamed=renamed,
            indent=self.indent(box.value),
            step=self._unit(),
        )
        return box.value, box.end, listed

    def append(self, place: Place, *values: Any) -> Document:
        """More items, the last ones, for the array at a place, which may not be there yet."""
        index = self._index(place)
        if index is not None:
            (value,) = values
            return self._add(index, lambda at, spread: self._rendered(value, at, spread=spread))
        if self._in_brackets(place[:-1]):
            return self.put(place, list(values))
        return sections.append_elements(self, place, values)

    def put(self, place: Place, value: Any) -> Document:
        """One more pair for the table above a place, where nothing is yet."""
        key = str(place[-1])
        index = self._index(place[:-1])
        if index is not None:
            return self._add(index, lambda at, spread: self._pair(key, value, at, spread=spread))
        return sections.put(self, place, value)

    def put_table(self, place: Place, value: dict[str, Any]) -> Document:
        """One more table, in a section of its own where the file has sections; tables above it are made."""
        if self._in_brackets(place[:-1]):
            return self.put(place, value)
        return self.put_table(place[:-1], {str(place[-1]): value}) if self.is_json else sections.add(self, place, value)

    def remove(self, place: Place, *, comments: bool = False) -> Document:
        """Nothing is left at a place or below it; what follows in the same array moves up.

        Args:
            comments: whether the comments directly above, with no blank line between, go too. Those at the ends of
                the lines that go always do.
        """
        index = self._index(place)
        if index is not None and self.entries[index].parent is not None:
            return self._cut(index, comments=comments)
        document = sections.remove(self, place, comments=comments)
        while index is None and isinstance(place[-1], str) and (rest := document._first_below(place)) is not None:
            document = document._cut(rest)
        return document

    def remove_pairs(self, *places: Place) -> Document:
        """Without the pairs at these places, of which no two stand in the same table."""
        edits: list[tuple[int, int, str]] = []
        for index in map(self._known, places):
            entry = self.entries[index]
            if entry.parent is not None:
                edits += self._cutting(index)
            else:
                line = self.text.rfind("\n", 0, entry.start) + 1
                edits.append((line, self.text.find("\n", entry.end) + 1 or len(self.text), ""))
        return self.spliced(*edits)

    def spliced(self, *edits: tuple[int, int, str]) -> Document:
        """The text with each span (start, end) replaced; spans do not overlap."""
        parts, at = [], 0
        for start, end, new in sorted(edits):
            parts += [self.text[at:start], new]
            at = end
        return Document("".join([*parts, self.text[at:]]), is_json=self.is_json)

    def comments_above(self, at: int) -> int:
        """Where the comment lines begin that touch the line of an offset from above; that line where none do."""
        written = max(
            (entry.end if entry.end <= at else entry.value + 1 for entry in self.entries if entry.start < at), default=0
        )
        line = self.text.rfind("\n", 0, at) + 1
        while line:
            before = self.text.rfind("\n", 0, line - 1) + 1
            if before < written or not self.text[before:line].lstrip().startswith("#"):
                break
            line = before
        return line

    def indent(self, at: int) -> str:
        """The white space at the beginning of the line of an offset."""
        line = self.text.rfind("\n", 0, at) + 1
        return self.text[line : self._after(_SPACES, line)]

    def _in_brackets(self, place: Place) -> bool:
        return self._index(place) is not None

    def _index(self, place: Place) -> int | None:
        """The pair or the item exactly at a place."""
        return self._indices.get(place)

    @cached_property
    def _indices(self) -> dict[Place, int]:
        entries = list(enumerate(self.entries))
        return {entry.place: index for index, entry in reversed(entries) if entry.kind != "header"}

    def _known(self, place: Place) -> int:
        index = self._index(place)
        if index is None:
            raise LookupError(place)
        return index

    def _first_below(self, place: Place) -> int | None:
        for index, entry in enumerate(self.entries):
            if entry.place[: len(place)] == place:
                return index
        return None

    def _inside(self, index: int) -> list[Entry]:
        return self._children.get(index, [])

    @cached_property
    def _children(self) -> dict[int, list[Entry]]:
        children: dict[int, list[Entry]] = {}
        for entry in self.entries:
            if entry.parent is not None:
                children.setdefault(entry.parent, []).append(entry)
        return children

    def _comma(self, at: int) -> int | None:
        """The comma after an item that ends at an offset."""
        comma = self._after(BLANK, at)
        return comma if self.text.startswith(",", comma) else None

    def _after(self, pattern: re.Pattern[str], at: int) -> int:
        match = pattern.match(self.text, at)
        return match.end() if match else at

    def _add(self, index: int, render: Callable[[int, bool], str]) -> Document:
        """One more item or pair between the brackets of an entry, laid out as the one before it."""
        inside = self._inside(index)
        if not inside:
            return self._fill(index, render)
        box, last, text = self.entries[index], inside[-1], self.text
        like = last if last.kind == "item" else box
        new = render(last.start, "\n" in text[like.value : like.end])
        comma = self._comma(last.end)
        line, stop = text.rfind("\n", 0, last.start) + 1, text.find("\n", comma or last.end)
        has_own_line = line > box.value and not text[line : last.start].strip() and 0 <= stop < box.end
        if not has_own_line:
            return self.spliced((last.end, last.end, f", {new}"))
        stop -= text[stop - 1] == "\r"
        new = f"{self.newline}{text[line : last.start]}{new}"
        if comma is not None:
            return self.spliced((stop, stop, f"{new},"))
        between = text[last.end : stop]  # a comment that stays on the line of the item before
        return self.spliced((last.end, stop, f",{between}{new}"))

    def _fill(self, index: int, render: Callable[[int, bool], str]) -> Document:
        """The first item or pair between the brackets of an entry."""
        box, text = self.entries[index], self.text
        close, unit = box.end - 1, self._unit()
        begin, end = f"{self.newline}{self.indent(box.value)}{unit}", f"{self.newline}{self.indent(box.value)}"
        item = render(box.value, bool(unit))
        if "#" in text[box.value : close]:
            line = text.rfind("\n", 0, close) + 1
            return self.spliced((line, line, f"{begin.lstrip(self.newline)}{item},{self.newline}"))
        if self.is_json:
            item = item.replace("\n", f"\n{unit}")
            filling = f"{begin}{item}{end}" if unit else item
        else:
            filling = f"{begin}{item},{end}" if text[box.value] == "[" else f" {item} "
        return self.spliced((box.value + 1, close, filling))

    def _cut(self, index: int, *, comments: bool = False) -> Document:
        return self.spliced(*self._cutting(index, comments=comments))

    def _cutting(self, index: int, *, comments: bool = False) -> list[tuple[int, int, str]]:
        """The splices that take an item or a pair, and one comma, from between brackets; its own lines too."""
        text, entry = self.text, self.entries[index]
        parent = entry.parent if entry.parent is not None else index
        box, inside = self.entries[parent], self._inside(parent)
        number = inside.index(entry)
        comma = self._comma(entry.end)
        start, end = entry.start, entry.end if comma is None else comma + 1
        line, stop = text.rfind("\n", 0, start) + 1, text.find("\n", end)
        rest = text[end:stop].strip()
        edits: list[tuple[int, int, str]] = []
        if comma is None and number > 0:
            before = self._comma(inside[number - 1].end) or start
            edits.append((before, before + 1, ""))
        has_own_lines = line > box.value and not text[line:start].strip() and end <= stop < box.end
        if has_own_lines and rest[:1] in ("", "#"):
            start, end = self.comments_above(start) if comments else line, stop + 1
        elif number < len(inside) - 1:
            end = self._after(_SPACES, end)
        else:
            start = len(text[:start].rstrip(" \t"))
        return [(start, end, ""), *edits]

    def _rendered(self, value: Any, at: int, *, spread: bool) -> str:
        """A value as it is written at an offset; JSON may spread it over lines."""
        if not self.is_json:
            return toml_value(value)
        indent = (self._unit() or None) if spread else None
        written = json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)
        return written.replace("\n", f"{self.newline}{self.indent(at)}")

    def _pair(self, key: str, value: Any, at: int, *, spread: bool) -> str:
        written = self._rendered(value, at, spread=spread)
        return f"{json.dumps(key, ensure_ascii=False)}: {written}" if self.is_json else f"{toml_key(key)} = {written}"

    def _unit(self) -> str:
        """One step of indentation; JSON on a single line has none."""
        if not self.is_json:
            return "    "
        match = re.search(r"\n([ \t]+)\S", self.text)
        return match[1] if match else ""
