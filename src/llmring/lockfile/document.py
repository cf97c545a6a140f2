"""Edits of a TOML file's text that leave every other byte alone.

A `Document` is a text and the places of everything in it; each edit splices the text and gives a new `Document`. What
is new in a file of sections (`[header]`s) is rendered and put below the last section that it belongs to; what lies in
brackets (arrays and inline tables) is laid out as what stands beside it.
"""

from __future__ import annotations

import re
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any, NamedTuple

from .places import BLANK, Entry, scan
from .rendering import relisted, toml, toml_key, toml_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .model import Place

    Splice = tuple[int, int, str]

__all__ = ["Document", "named"]

_SPACES = re.compile(r"[ \t]*")
_STEP = "    "
"""What a line in brackets begins with in addition, where nothing shows it."""


class _Section(NamedTuple):
    """A header (`None` for what stands above the first) and the pairs below it."""

    header: Entry | None
    pairs: list[Entry]

    @property
    def end(self) -> int:
        if self.pairs:
            return self.pairs[-1].end
        return self.header.end if self.header else 0

    def touches(self, place: Place) -> bool:
        entries = [*([self.header] if self.header else []), *self.pairs]
        return any(_below(entry.place, place) for entry in entries)


class Document:
    """The text of a valid file, ready to be edited.

    Attributes:
        text: all of it, line endings as they are.
        newline: the line ending that new lines get.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.newline = "\r\n" if re.match(r"[^\n]*\r\n", text) else "\n"

    @cached_property
    def entries(self) -> list[Entry]:
        """What `places.scan` finds in the text."""
        return scan(self.text, is_json=False)

    def holds(self, place: Place) -> bool:
        """Whether anything is written at a place or below it."""
        return any(_below(entry.place, place) for entry in self.entries)

    def spliced(self, *edits: Splice) -> Document:
        """The text with each span (start, end) replaced; spans do not overlap."""
        parts, at = [], 0
        for start, end, new in sorted(edits):
            parts += [self.text[at:start], new]
            at = end
        return Document("".join([*parts, self.text[at:]]))

    def renaming(self, place: Place, key: str, value: Any) -> Splice:
        """The splice that gives the pair at a place another key and value."""
        entry = self.entries[self._known(place)]
        return entry.start, entry.end, _pair(key, value)

    def relisting(self, place: Place, old: Sequence[Any], new: Sequence[Any], renamed: Mapping[str, str]) -> Splice:
        """The splice that gives the array at a place other items; one over several lines keeps its comments.

        Args:
            place: the array's.
            old, new: what it says and shall say: strings, or tables that are known by their `model`.
            renamed: what takes the place of an item and inherits its comments.
        """
        index = self._known(place)
        box = self.entries[index]
        text = self.text[box.value : box.end]
        if "\n" not in text or not old:
            return box.value, box.end, toml_value(list(new))
        spans = [(item.start - box.value, item.end - box.value) for item in self._inside(index)]
        listed = relisted(
            text,
            spans,
            [named(it) for it in old],
            [named(it) for it in new],
            renamed=renamed,
            written={named(it): toml_value(it) for it in new if not isinstance(it, str)},
            indent=self._indent(box.value),
            step=_STEP,
        )
        return box.value, box.end, listed

    def change(self, place: Place, old: Any, new: Any) -> Document:
        """Another value for the key at a place: of a table key by key, so that comments stay with what stays."""
        if isinstance(old, dict) and isinstance(new, dict) and new:
            try:
                return self._updated(place, old, new)
            except LookupError:  # only its own tables are written, or it lies in brackets with dotted keys
                return self.remove(place).put(place, new)
        index = self._index(place)
        if index is None:
            return self.remove(place).put(place, new)
        if isinstance(old, list) and isinstance(new, list) and new and all(isinstance(it, str) for it in old + new):
            return self.spliced(self.relisting(place, old, new, {}))
        return self.spliced((self.entries[index].value, self.entries[index].end, toml_value(new)))

    def put(self, place: Place, value: Any) -> Document:
        """One more pair, the last, for the table above a place, where nothing is yet.

        Raises:
            LookupError: that table is not there, or has no line of its own.
        """
        pair = _pair(str(place[-1]), value)
        if (index := self._index(place[:-1])) is not None:
            return self._add(index, pair)
        for section in self._sections:
            if section.header and section.header.place == place[:-1]:
                return self._put_below(section.pairs[-1] if section.pairs else section.header, pair)
        for section in self._sections:
            dotted = [it for it in section.pairs if it.place[:-1] == place[:-1]]
            if dotted:
                depth = len(section.header.place) if section.header else 0
                keys = ".".join(toml_key(str(key)) for key in place[depth:-1])
                return self._put_below(dotted[-1], f"{keys}.{pair}")
        raise LookupError(place)

    def put_table(self, place: Place, value: Mapping[str, Any]) -> Document:
        """One more table, in sections of its own, below those beside it; in brackets, if they are."""
        if self._index(place[:-1]) is not None:
            return self.put(place, value)
        return self._insert(_nested(place, value), owner=place[:-1])

    def append(self, place: Place, value: Mapping[str, Any]) -> Document:
        """One more table, the last, for the array of them at a place, which may not be there yet."""
        if (index := self._index(place)) is not None:
            return self._add(index, toml_value(value))
        if self._index(place[:-1]) is not None:
            return self.put(place, [value])
        elements = [entry for entry in self.entries if entry.kind == "header" and entry.place[:-1] == place]
        like = elements[-1] if elements else None
        return self._insert(_nested(place, [value]), owner=like.place if like else place[:-1], like=like)

    def remove(self, place: Place, *, comments: bool = False) -> Document:
        """Nothing is left at a place or below it; what follows in the same array moves up.

        Args:
            comments: whether the comments directly above, with no blank line between, go too. Those at the ends of
                the lines that go always do.
        """
        index = self._index(place)
        if index is not None and self.entries[index].parent is not None:
            return self.spliced(*self._cutting(index, comments=comments))
        document = self._without_sections(place, comments=comments)
        while index is None and isinstance(place[-1], str):
            rest = next((at for at, entry in enumerate(document.entries) if _below(entry.place, place)), None)
            if rest is None:
                break
            document = document.spliced(*document._cutting(rest))
        return document

    def remove_pairs(self, *places: Place) -> Document:
        """Without the pairs at these places, of which no two stand in the same table."""
        edits: list[Splice] = []
        for index in map(self._known, places):
            entry = self.entries[index]
            if entry.parent is not None:
                edits += self._cutting(index)
            else:
                edits.append((_line(self.text, entry.start), _next_line(self.text, entry.end), ""))
        return self.spliced(*edits)

    def _updated(self, place: Place, old: Mapping[str, Any], new: Mapping[str, Any]) -> Document:
        document = self
        for key in [key for key in new if key not in old]:
            document = document.put((*place, key), new[key])
        for key, was in old.items():
            if key not in new:
                document = document.remove((*place, key))
            elif (type(was), repr(was)) != (type(new[key]), repr(new[key])):
                document = document.change((*place, key), was, new[key])
        return document

    def _put_below(self, anchor: Entry, line: str) -> Document:
        """One more line, below an entry and as far from the margin."""
        at, line = _next_line(self.text, anchor.end), f"{self._indent(anchor.start)}{line}"
        return self.spliced((at, at, f"{line}{self.newline}" if self.text[at - 1] == "\n" else self.newline + line))

    def _index(self, place: Place) -> int | None:
        """The pair or the item exactly at a place."""
        return self._indices.get(place)

    def _known(self, place: Place) -> int:
        index = self._index(place)
        if index is None:
            raise LookupError(place)
        return index

    @cached_property
    def _indices(self) -> dict[Place, int]:
        entries = list(enumerate(self.entries))
        return {entry.place: index for index, entry in reversed(entries) if entry.kind != "header"}

    def _inside(self, index: int) -> list[Entry]:
        return self._children.get(index, [])

    @cached_property
    def _children(self) -> dict[int, list[Entry]]:
        children: dict[int, list[Entry]] = {}
        for entry in self.entries:
            if entry.parent is not None:
                children.setdefault(entry.parent, []).append(entry)
        return children

    @cached_property
    def _sections(self) -> list[_Section]:
        found = [_Section(None, [])]
        for entry in self.entries:
            if entry.kind == "header":
                found.append(_Section(entry, []))
            elif entry.parent is None:
                found[-1].pairs.append(entry)
        return found

    def _indent(self, at: int) -> str:
        """The white space at the beginning of the line of an offset."""
        line = _line(self.text, at)
        return self.text[line : self._after(_SPACES, line)]

    def _after(self, pattern: re.Pattern[str], at: int) -> int:
        match = pattern.match(self.text, at)
        return match.end() if match else at

    def _comma(self, at: int) -> int | None:
        """The comma after an item that ends at an offset."""
        comma = self._after(BLANK, at)
        return comma if self.text.startswith(",", comma) else None

    def _comments_above(self, at: int) -> int:
        """Where the comment lines begin that touch the line of an offset from above; that line where none do."""
        written = max(
            (entry.end if entry.end <= at else entry.value + 1 for entry in self.entries if entry.start < at), default=0
        )
        line = _line(self.text, at)
        while line:
            before = _line(self.text, line - 1)
            if before < written or not self.text[before:line].lstrip().startswith("#"):
                break
            line = before
        return line

    def _add(self, index: int, new: str) -> Document:
        """One more item or pair between the brackets of an entry, laid out as the one before it."""
        box, inside, text = self.entries[index], self._inside(index), self.text
        if not inside:
            return self._fill(box, new)
        last = inside[-1]
        comma = self._comma(last.end)
        line, stop = _line(text, last.start), text.find("\n", comma or last.end)
        has_own_line = line > box.value and not text[line : last.start].strip() and 0 <= stop < box.end
        if not has_own_line:
            return self.spliced((last.end, last.end, f", {new}"))
        stop -= text[stop - 1] == "\r"
        new = f"{self.newline}{text[line : last.start]}{new}"
        if comma is not None:
            return self.spliced((stop, stop, f"{new},"))
        between = text[last.end : stop]  # a comment that stays on the line of the item before
        return self.spliced((last.end, stop, f",{between}{new}"))

    def _fill(self, box: Entry, new: str) -> Document:
        """The first item or pair between the brackets of an entry."""
        close, indent = box.end - 1, self._indent(box.value)
        if "#" in self.text[box.value : close]:
            line = _line(self.text, close)
            return self.spliced((line, line, f"{indent}{_STEP}{new},{self.newline}"))
        is_array = self.text[box.value] == "["
        filling = f"{self.newline}{indent}{_STEP}{new},{self.newline}{indent}" if is_array else f" {new} "
        return self.spliced((box.value + 1, close, filling))

    def _cutting(self, index: int, *, comments: bool = False) -> list[Splice]:
        """The splices that take an item or a pair, and one comma, from between brackets; its own lines too."""
        text, entry = self.text, self.entries[index]
        parent = entry.parent if entry.parent is not None else index
        box, inside = self.entries[parent], self._inside(parent)
        number = inside.index(entry)
        comma = self._comma(entry.end)
        start, end = entry.start, entry.end if comma is None else comma + 1
        line, stop = _line(text, start), text.find("\n", end)
        rest = text[end:stop].strip()
        edits: list[Splice] = []
        if comma is None and number > 0:
            before = self._comma(inside[number - 1].end) or start
            edits.append((before, before + 1, ""))
        has_own_lines = line > box.value and not text[line:start].strip() and end <= stop < box.end
        if has_own_lines and rest[:1] in ("", "#"):
            start, end = self._comments_above(start) if comments else line, stop + 1
        elif number < len(inside) - 1:
            end = self._after(_SPACES, end)
        else:
            start = len(text[:start].rstrip(" \t"))
        return [(start, end, ""), *edits]

    def _insert(self, data: dict[str, Any], *, owner: Place, like: Entry | None = None) -> Document:
        """New sections below the last that belongs to `owner`, at the end of the file if none does.

        The first of them begins as the header that it is to be `like`, and all are as far from the margin.
        """
        text, newline = self.text, self.newline
        above = next((it for it in reversed(self._sections) if it.touches(owner)), self._sections[-1])
        at = _after_comments(text, _next_line(text, above.end))
        lines, indent = toml(data).split("\n"), ""
        if like:
            lines[0], indent = text[like.start : like.end], self._indent(like.start)
        block = newline.join(f"{indent}{line}" if line else "" for line in lines)
        lead = newline if text[at - 1] == "\n" else newline * 2
        return self.spliced((at, at, f"{lead}{block}" + ("" if _is_blank_line(text, at) else newline)))

    def _without_sections(self, place: Place, *, comments: bool) -> Document:
        """Without the sections whose header is at or below a place, and the lines of other sections that are."""
        text = self.text
        lines: list[tuple[int, int]] = []
        spans: list[tuple[int, int]] = []
        for section in self._sections:
            if section.header and _below(section.header.place, place):
                at, end = section.header.start, _next_line(text, section.end)
                start = self._comments_above(at) if comments else _line(text, at)
                if spans and not text[spans[-1][1] : start].strip():
                    start = spans.pop()[0]
                spans.append((start, end))
            else:
                pairs = [pair for pair in section.pairs if _below(pair.place, place)]
                lines += [(_line(text, pair.start), _next_line(text, pair.end)) for pair in pairs]
        spans = [_with_blank_line(text, start, end) for start, end in spans]
        return self.spliced(*((start, end, "") for start, end in spans + lines))


def named(item: Any) -> str:
    """What an item of a list of models is known by: itself, or the model that its table names."""
    return str(item["model"] if isinstance(item, dict) else item)


def _nested(place: Place, value: Any) -> dict[str, Any]:
    """The tables above a value."""
    return reduce(lambda inner, key: {str(key): inner}, reversed(place), value)


def _pair(key: str, value: Any) -> str:
    return f"{toml_key(key)} = {toml_value(value)}"


def _below(place: Place, above: Place) -> bool:
    return place[: len(above)] == above


def _line(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _next_line(text: str, at: int) -> int:
    return text.find("\n", at) + 1 or len(text)


def _is_blank_line(text: str, at: int) -> bool:
    """Whether the line that begins at an offset is blank; the end of the file is."""
    return not text[at : _next_line(text, at)].strip()


def _after_comments(text: str, at: int) -> int:
    """Past the comment lines that touch a section from below, unless they touch the next one too."""
    end = at
    while text[end : _next_line(text, end)].lstrip().startswith("#"):
        end = _next_line(text, end)
    return end if _is_blank_line(text, end) else at


def _with_blank_line(text: str, start: int, end: int) -> tuple[int, int]:
    """The span with one of the two blank lines that would meet where it is cut out."""
    before = _line(text, start - 1) if start else 0
    if start and not _is_blank_line(text, before):
        return start, end
    if end < len(text) and _is_blank_line(text, end):
        return start, _next_line(text, end)
    return (before, end) if start and end == len(text) else (start, end)
