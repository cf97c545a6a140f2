"""How a call begins: what stands in front of its body, read from left to right until it is decided."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .bodies import Brackets, Parameters
from .calls import NAME_KEYS, Tools

__all__ = ["FENCE", "Block", "Cursor", "Heads", "More", "NoCall"]

FENCE = "```"
_HEAD = 256
"""Characters within which a call must begin to look like one: up to its tool's name, or the first key of its JSON."""
_FENCED = frozenset({"", "json", "xml", "python", "tool_call", "tool_calls", "tool_code", "text"})
_FUNCTION = ("<function=", '<function name="')
_SEP = "<\uff5ctool\u2581sep\uff5c>"
"""DeepSeek's, between what kind of call it is, its name and its arguments."""
_NAME = re.compile(r"[\w.\-]*")
_KEYS = frozenset((*NAME_KEYS, "arguments", "parameters", "args", "id", "type", "tool_calls"))
_TYPES = ("function", "function_call", "tool_call", "tool_use")


class More(Exception):
    """What decides has not come yet."""


class NoCall(Exception):
    """It only looked like one."""


class Cursor:
    """The beginning of what may be a call, read from left to right.

    Attributes:
        at: how far it was read.
        marked: it has what begins a call and nothing else.
    """

    __slots__ = ("_text", "at", "marked")

    def __init__(self, data: str, start: int) -> None:
        self._text = data[start : start + _HEAD]
        self.at = 0
        self.marked = False

    def out(self) -> Exception:
        """Why there is nothing more to read."""
        return NoCall() if len(self._text) == _HEAD else More()

    def peek(self) -> str:
        """The next character."""
        if self.at == len(self._text):
            raise self.out()
        return self._text[self.at]

    def blank(self) -> None:
        """Pass over blanks, up to what is none."""
        while self.peek().isspace():
            self.at += 1

    def take(self, *literals: str) -> str:
        """The literal that stands here, `""` if none does."""
        rest = self._text[self.at :]
        for literal in literals:
            if rest.startswith(literal):
                self.at += len(literal)
                return literal
        if any(literal.startswith(rest) for literal in literals):
            raise self.out()
        return ""

    def word(self) -> str:
        """The name that stands here, `""` if none does, up to where it is over."""
        found = _NAME.match(self._text, self.at)
        assert found is not None
        self.at = found.end()
        self.peek()
        return found[0]

    def quoted(self) -> str:
        """A text in quotes; `NoCall` for anything else."""
        if (quote := self.peek()) not in "\"'":
            raise NoCall
        end = self._text.find(quote, self.at + 1)
        if end < 0:
            raise self.out()
        found, self.at = self._text[self.at + 1 : end], end + 1
        return found


class Block:
    """A call, or several, under way.

    Attributes:
        name: the tool's, where its name stands before the body; else the first one's, if it is known already.
        sure: whatever comes, it was meant for a call.
    """

    __slots__ = ("body", "fenced", "id", "kind", "marked", "name", "passed", "pieces", "scanner", "size", "sure")

    def __init__(self, kind: str, body: int, name: str | None, *, marked: bool, fenced: bool, id: str | None = None):
        self.kind, self.body, self.name, self.id = kind, body, name, id
        self.marked, self.fenced, self.sure = marked, fenced, marked or name is not None
        self.scanner: Brackets | Parameters = Brackets()
        self.pieces: list[str] = []
        self.size = 0
        self.passed = False
        """It is too long to be known for a call: it goes on as text."""


class Heads:
    """The ways in which a call of a request's tools may begin.

    Args:
        tools: the request's.
        openings: what begins a call wherever it stands.
        bare: what begins one at the start of a line: `"json"`, `"python"`.
    """

    def __init__(self, tools: Tools, openings: Iterable[str], bare: Iterable[str]) -> None:
        self._tools = tools
        self._openings = tuple(sorted(openings, key=len, reverse=True))
        self._bare = frozenset(bare)

    def begin(self, cursor: Cursor, bare: bool) -> Block:
        """The block that begins here, its head read up to where the body begins.

        In front of the body may stand the fence of a code block, openings, and the tool's name with what joins it to
        its arguments: `[CALL_ID]id[ARGS]` of Mistral's, `_SEP` and a fence of DeepSeek's.
        """
        fenced = bool(cursor.take(FENCE))
        if fenced:
            if cursor.word() not in _FENCED:
                raise NoCall
            cursor.blank()
        while opening := cursor.take(*self._openings):
            cursor.marked = True
            if opening in _FUNCTION:
                return self._function(cursor, opening, fenced)
            cursor.blank()
        start, mark = cursor.at, cursor.peek()
        if mark in "[{":
            cursor.at += 1
            first = None
            if mark == "[":
                cursor.blank()
            if mark == "{" or cursor.peek() == "{":
                if not cursor.marked:
                    if not bare or "json" not in self._bare:
                        raise NoCall
                    cursor.at += mark == "["
                    first = self._first_name(cursor)
                return Block("json", start, first, marked=cursor.marked, fenced=fenced)
            if not cursor.marked and (not bare or "python" not in self._bare):
                raise NoCall
            first = cursor.word()
            if cursor.peek() != "(":
                raise NoCall
            return Block("python", start, self._known(first), marked=cursor.marked, fenced=fenced)
        if not cursor.marked:
            raise NoCall
        return self._named(cursor, start, fenced)

    def _named(self, cursor: Cursor, start: int, fenced: bool) -> Block:
        name, id = cursor.word(), None
        if not name:
            raise NoCall
        if cursor.take(_SEP) and cursor.peek() != "{":
            name = cursor.word()
        if cursor.take("[CALL_ID]"):
            id = cursor.word()
        cursor.take("[ARGS]")
        cursor.blank()
        if cursor.take(FENCE):
            fenced = True
            cursor.word()
            cursor.blank()
        mark = cursor.peek()
        if mark == "(":
            return Block("python", start, self._known(name), marked=True, fenced=fenced)
        if mark == "{":
            return Block("arguments", cursor.at, self._known(name), marked=True, fenced=fenced, id=id)
        raise NoCall

    def _function(self, cursor: Cursor, opening: str, fenced: bool) -> Block:
        name = self._known(cursor.word())
        if not cursor.take(">" if opening.endswith("=") else '">'):
            raise NoCall
        cursor.blank()
        kind = "arguments" if cursor.peek() == "{" else "parameters"
        block = Block(kind, cursor.at, name, marked=True, fenced=fenced)
        if kind == "parameters":
            block.scanner = Parameters(self._tools.keys(name))
        return block

    def _known(self, name: str) -> str:
        """The tool of that name; Llama writes `name.call(`."""
        for known in (name, name.removesuffix(".call")):
            if known in self._tools:
                return known
        raise NoCall

    def _first_name(self, cursor: Cursor) -> str | None:
        """The name that an object begins with, `None` if that comes later; `NoCall` if it is no call's."""
        while True:
            cursor.blank()
            key = cursor.quoted()
            cursor.blank()
            if key not in _KEYS or not cursor.take(":"):
                raise NoCall
            cursor.blank()
            if key in NAME_KEYS and (key != "function" or cursor.peek() != "{"):
                return self._known(cursor.quoted())
            if key not in ("id", "type"):
                return None
            # They may stand first in a call, and in much else that is JSON.
            value = cursor.quoted()
            cursor.blank()
            if (key == "type" and value not in _TYPES) or not cursor.take(","):
                raise NoCall
