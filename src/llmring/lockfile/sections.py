"""Edits of TOML's sections: what begins with a `[header]` and goes on to the next.

New sections go below the last one that they belong to, and comments that touch a section from below stay with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .places import Entry, Place
from .rendering import toml_key, toml_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .document import Document

__all__ = ["add", "append_elements", "put", "remove"]


class Section(NamedTuple):
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


def append_elements(document: Document, place: Place, values: Sequence[dict[str, Any]]) -> Document:
    """More `[[elements]]` of the array of tables at a place, below those there are."""
    elements = [entry for entry in document.entries if entry.kind == "header" and entry.place[:-1] == place]
    if not elements:
        return _insert(document, f"[[{_dotted(place)}]]", *values, owner=place[:-1])
    last = elements[-1]
    return _insert(document, document.text[last.start : last.end], *values, owner=last.place, like=last)


def add(document: Document, place: Place, value: dict[str, Any]) -> Document:
    """One more `[table]`, below those beside it."""
    return _insert(document, f"[{_dotted(place)}]", value, owner=place[:-1])


def put(document: Document, place: Place, value: Any) -> Document:
    """One more pair, the last of the section whose header is the table above a place."""
    owners = [section for section in _sections(document) if section.header and section.header.place == place[:-1]]
    if not owners:
        raise LookupError(place)
    owner = owners[0]
    anchor = owner.pairs[-1] if owner.pairs else owner.header
    at = _next_line(document.text, owner.end)
    line = f"{document.indent(anchor.start if anchor else 0)}{toml_key(str(place[-1]))} = {toml_value(value)}"
    newline = document.newline
    return document.spliced((at, at, f"{line}{newline}" if _ends_line(document.text, at) else f"{newline}{line}"))


def remove(document: Document, place: Place, *, comments: bool = False) -> Document:
    """Without the sections whose header is at or below a place, and the lines of other sections that are.

    Args:
        comments: whether the comments that touch those sections from above go with them.
    """
    text = document.text
    lines: list[tuple[int, int]] = []
    spans: list[tuple[int, int]] = []
    for section in _sections(document):
        if section.header and _below(section.header.place, place):
            at, end = section.header.start, _next_line(text, section.end)
            start = document.comments_above(at) if comments else _line(text, at)
            if spans and not text[spans[-1][1] : start].strip():
                start = spans.pop()[0]
            spans.append((start, end))
        else:
            pairs = [pair for pair in section.pairs if _below(pair.place, place)]
            lines += [(_line(text, pair.start), _next_line(text, pair.end)) for pair in pairs]
    spans = [_with_blank_line(text, start, end) for start, end in spans]
    return document.spliced(*((start, end, "") for start, end in spans + lines))


def _insert(
    document: Document, title: str, *values: dict[str, Any], owner: Place, like: Entry | None = None
) -> Document:
    """New sections below the last that belongs to `owner`, at the end of the file if none does."""
    text, newline = document.text, document.newline
    sections = _sections(document)
    above = next((section for section in reversed(sections) if section.touches(owner)), sections[-1])
    at = _after_comments(text, _next_line(text, above.end))
    indent = document.indent(like.start) if like else ""
    blocks = [[title, *(f"{toml_key(key)} = {toml_value(it)}" for key, it in value.items())] for value in values]
    block = newline.join("".join(f"{indent}{line}{newline}" for line in lines) for lines in blocks)
    lead = newline if _ends_line(text, at) else newline * 2
    return document.spliced((at, at, f"{lead}{block}" + ("" if _is_blank_line(text, at) else newline)))


def _sections(document: Document) -> list[Section]:
    found = [Section(None, [])]
    for entry in document.entries:
        if entry.kind == "header":
            found.append(Section(entry, []))
        elif entry.parent is None:
            found[-1].pairs.append(entry)
    return found


def _below(place: Place, above: Place) -> bool:
    return place[: len(above)] == above


def _dotted(place: Place) -> str:
    return ".".join(toml_key(str(key)) for key in place)


def _line(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _next_line(text: str, at: int) -> int:
    return text.find("\n", at) + 1 or len(text)


def _ends_line(text: str, at: int) -> bool:
    return at == 0 or text[at - 1] == "\n"


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
