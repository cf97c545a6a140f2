"""Where the body of a call ends, found while it arrives in pieces: each character is looked at once."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable

__all__ = ["Brackets", "Marked", "Parameters", "Tags"]

_OUTSIDE = re.compile(r"""["'()\[\]{}<`]""")
_INSIDE = {quote: re.compile(rf"[\\{quote}]") for quote in "\"'"}
_KEY = "KEY"
_TEXT = ' string="true">'
"""How a tag ends that says that its value is text."""
_TAG_LENGTH = 256
"""Longer than any tag of an argument, its key of 128 characters at most included."""


class Brackets:
    """A JSON value, a Python literal, or the arguments of a call as Python writes them."""

    __slots__ = ("_depth", "_escaped", "_quote")

    def __init__(self) -> None:
        self._depth = 0
        self._escaped = False
        self._quote = ""

    def end(self, data: str, at: int) -> int:
        """The place behind the body's last character, -1 where it has not come."""
        if self._escaped and at < len(data):
            self._escaped, at = False, at + 1
        while found := (_INSIDE[self._quote] if self._quote else _OUTSIDE).search(data, at):
            mark, at = found[0], found.end()
            if mark == "\\":
                if at == len(data):
                    self._escaped = True
                at += 1
            elif self._quote:
                self._quote = ""
            elif mark in "\"'":
                self._quote = mark
            elif mark in "([{":
                self._depth += 1
            elif mark in "<`":
                return at - 1  # No value has them outside of its texts: a broken one ends before its closing tag.
            else:
                self._depth -= 1
                if self._depth <= 0:
                    return at
        return -1


class Marked:
    """A value whose texts stand between marks, and whose keys stand as they are: `{city:<escape>Oslo<escape>}`."""

    __slots__ = ("_any", "_carry", "_depth", "_in_text", "_mark")

    def __init__(self, mark: str) -> None:
        self._mark, self._any = mark, re.compile(re.escape(mark) + r"|[\[\]{}]")
        self._carry = ""
        self._depth = 0
        self._in_text = False

    def end(self, data: str, at: int) -> int:
        """The place behind the body's last character, -1 where it has not come."""
        before, mark = len(self._carry), self._mark
        if before:
            data, at = self._carry + data[at:], 0
        for found in self._any.finditer(data, at):
            if found[0] == mark:
                self._in_text = not self._in_text
            elif not self._in_text:
                self._depth += 1 if found[0] in "[{" else -1
                if self._depth <= 0:
                    return found.end() - before
            at = found.end()
        begun = (size for size in range(min(len(mark) - 1, len(data) - at), 0, -1) if mark.startswith(data[-size:]))
        self._carry = data[len(data) - next(begun, 0) :]
        return -1


class Tags:
    """How arguments stand between tags.

    Args:
        begins: what an argument begins with, `KEY` for its name, a line break for blanks or none.
        ends: what it ends with.
        closers: what may stand behind a call; those that are tags may end it.
        breaks: one line break on either side is of the form, not of the value.

    Attributes:
        named: what may follow a call's name, where that stands in no tag: then none of the arguments' keys does.
    """

    def __init__(self, begins: Iterable[str], ends: Iterable[str], closers: Iterable[str], *, breaks: bool) -> None:
        begins, self.ends, self.breaks = [*begins], tuple(ends), breaks
        self.closers = tuple(it for it in closers if it[0] == "<")
        tags = [re.escape(it).replace(_KEY, r'([^<>"]{1,128})').replace("\\\n", r"\s{0,16}") for it in begins]
        self.any = re.compile("|".join([*tags, *map(re.escape, (*self.ends, *self.closers))]))
        self.firsts = [it.partition(_KEY)[0] for it in begins]
        self.split = [it for it in self.firsts if it.endswith(">")]
        self.named = (*self.split, *self.closers) if self.split else ()

    def cut(self, data: str, at: int) -> int:
        """Where the text ends that cannot be the beginning of a tag."""
        start = max(at, len(data) - _TAG_LENGTH)
        found = [place for it in self.split if (place := data.rfind(it, start)) >= 0]
        last = data.rfind("<", start)
        if last >= 0 and ">" not in data[last:]:
            found.append(last)
        return min(found, default=len(data))


class Parameters:
    """Arguments between tags, any number of them, up to the end of the call.

    The end of a value may be missing before the next known parameter, or before two ends of a call, one within the
    other: models forget it. An end of a call alone is of the value. So is the value's own end, where
    more than blanks follow up to another one: models have no way to say that it is text.

    Attributes:
        values: what is between the tags, by key.
        texts: the keys of those that their tag says to be text.
        stray: there is something else than blanks between the arguments.
    """

    __slots__ = ("_behind", "_carry", "_ended", "_keys", "_open", "_tags", "_written", "stray", "texts", "values")

    def __init__(self, keys: Container[str], tags: Tags) -> None:
        self._keys, self._tags = keys, tags
        self._carry = self._open = self._ended = ""
        self._written: list[str] = []
        self._behind: list[str] = []
        self.stray = False
        self.values: dict[str, str] = {}
        self.texts: set[str] = set()

    def end(self, data: str, at: int) -> int:
        """The place behind the body's last character, -1 where it has not come."""
        before = len(self._carry)
        if before:
            data, at = self._carry + data[at:], 0
        last = at
        for tag in self._tags.any.finditer(data, at):
            self._take(data[last : tag.start()])
            last = tag.end()
            if self._ends(tag):
                return last - before
        cut = self._tags.cut(data, last)
        self._take(data[last:cut])
        self._carry = data[cut:]
        return -1

    def _take(self, text: str) -> None:
        if self._open:
            self._written.append(text)
        elif self._ended:
            self._behind.append(text)
        elif text.strip():
            self.stray = True

    def _ends(self, tag: re.Match[str]) -> bool:
        key, closes = tag[tag.lastindex or 0], tag[0] in self._tags.closers
        begins = tag.lastindex is not None
        if self._ended and self._goes_on(tag[0]):
            return False
        if not self._open:
            if begins:
                self._begin(key, tag[0])
            self.stray = self.stray or not (begins or closes)
            return closes
        if closes and (before := self._last(None)) in self._tags.closers and before != tag[0]:
            while self._written.pop() != before:
                pass
            self._close()
            return True
        if tag[0] in self._tags.ends:
            self._open, self._ended, self._behind = "", self._open, [tag[0]]
        elif (
            begins
            and key in self._keys
            and key != self._open
            and key not in self.values
            and self._last(" \t").endswith("\n")
        ):
            self._close(implied=True)
            self._begin(key, tag[0])
        else:
            self._written.append(tag[0])
        return False

    def _goes_on(self, tag: str) -> bool:
        """Whether the argument that has ended had not, as its text goes on up to this end; else it is settled."""
        behind = "".join(self._behind[1:])
        more = bool(behind.strip())
        if more and tag in self._tags.ends and not any(it in behind for it in self._tags.firsts):
            self._written += self._behind
            self._behind = [tag]
            return True
        self.stray = self.stray or more
        self._open = self._ended
        self._close()
        return False

    def _last(self, blanks: str | None) -> str:
        """What was written last that is not blank, up to where it is."""
        return next((text.rstrip(blanks) for text in reversed(self._written) if text.strip(blanks)), "")

    def _begin(self, key: str, tag: str) -> None:
        self._open = key
        if tag.endswith(_TEXT):
            self.texts.add(key)

    def _close(self, *, implied: bool = False) -> None:
        value = "".join(self._written)
        if self._tags.breaks:
            value = value.removeprefix("\n")
        self.values[self._open] = value.removesuffix("\n") if self._tags.breaks or implied else value
        self._written.clear()
        self._open = self._ended = ""
