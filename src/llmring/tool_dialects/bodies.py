"""Where the body of a call ends, found while it arrives in pieces: each character is looked at once."""

from __future__ import annotations

import re
from collections.abc import Container

__all__ = ["Brackets", "Parameters"]

_OUTSIDE = re.compile(r"""["'()\[\]{}<`]""")
_INSIDE = {quote: re.compile(rf"[\\{quote}]") for quote in "\"'"}
_TAG = re.compile(r'<parameter(?:=| name=")([^<>"]{1,128})"?>|</(parameter|function|tool_call)>')
_END = "</function>"
_TAG_LENGTH = 160
"""Longer than any tag that `_TAG` takes."""


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


class Parameters:
    """`<parameter=KEY>VALUE</parameter>`, any number of them, up to the end of the function.

    The end of a value may be missing before the next known parameter, or before the ends of both function and call:
    models forget it. An end of a function alone is of the value.

    Attributes:
        values: what is between the tags, by key.
        stray: there is something else than blanks between the parameters.
    """

    __slots__ = ("_carry", "_keys", "_open", "_written", "stray", "values")

    def __init__(self, keys: Container[str]) -> None:
        self._keys = keys
        self._carry = self._open = ""
        self._written: list[str] = []
        self.stray = False
        self.values: dict[str, str] = {}

    def end(self, data: str, at: int) -> int:
        """The place behind the body's last character, -1 where it has not come."""
        before = len(self._carry)
        if before:
            data, at = self._carry + data[at:], 0
        last = at
        for tag in _TAG.finditer(data, at):
            self._take(data[last : tag.start()])
            last = tag.end()
            if self._ends(tag):
                return last - before
        cut = data.rfind("<", max(last, len(data) - _TAG_LENGTH))
        if cut < 0 or ">" in data[cut:]:
            cut = len(data)
        self._take(data[last:cut])
        self._carry = data[cut:]
        return -1

    def _take(self, text: str) -> None:
        if self._open:
            self._written.append(text)
        elif text.strip():
            self.stray = True

    def _ends(self, tag: re.Match[str]) -> bool:
        key, closed = tag.groups()
        if not self._open:
            self._open = key or ""
            self.stray = self.stray or closed == "parameter"
            return closed in ("function", "tool_call")
        if closed == "tool_call" and self._last(None) == _END:
            while self._written.pop() != _END:
                pass
            self._close()
            return True
        if closed == "parameter":
            self._close()
        elif key in self._keys and key not in (*self.values, self._open) and self._last(" \t").endswith("\n"):
            self._close()
            self._open = key
        else:
            self._written.append(tag[0])
        return False

    def _last(self, blanks: str | None) -> str:
        """What was written last that is not blank, up to where it is."""
        return next((text.rstrip(blanks) for text in reversed(self._written) if text.strip(blanks)), "")

    def _close(self) -> None:
        # One line break on either side is of the form, not of the value.
        self.values[self._open] = "".join(self._written).removeprefix("\n").removesuffix("\n")
        self._written.clear()
        self._open = ""
