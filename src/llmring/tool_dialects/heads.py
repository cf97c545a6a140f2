"""How a call begins: what stands in front of its body, read from left to right until it is decided."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from .bodies import Brackets, Marked, Parameters, Tags
from .calls import NAME_KEYS, Tools

__all__ = ["FENCE", "Block", "Cursor", "Heads", "Literals", "More", "NoCall", "literals"]

FENCE = "```"
_HEAD = 256
"""Characters within which a call must begin to look like one: up to its tool's name, or the first key of its JSON."""
_FENCED = frozenset({"", "json", "xml", "python", "tool_call", "tool_calls", "tool_code", "text"})
_STACKED = 3
"""Openings that may stand one behind the other: of all calls, of one, of its function."""
_ID = "[CALL_ID]"
_NAMESPACE = "functions."
"""Stands before the name of a tool in Kimi's calls, and in harmony's."""
_NAME = re.compile(r"[\w.\-]*")
_BLANKS = re.compile(r"\s*")
_KEYS = frozenset((*NAME_KEYS, "id", "type", "tool_calls"))
_OBJECT = rf"""\{{\s*(?:\Z|["'](?:[a-z_]*\Z|(?:{"|".join(sorted(_KEYS))})["']\s*(?::|\Z)))"""
"""The beginning of an object that may be a call, as far as it has come."""
_BARE = {"json": rf"(?={_OBJECT}|\[\s*(?:\Z|{_OBJECT}))[\[{{]", "python": r"\[(?=\s*(?:\Z|[\w.\-]))"}
_TYPES = ("function", "function_call", "tool_call", "tool_use")


class More(Exception):
    """What decides has not come yet."""


class NoCall(Exception):
    """It only looked like one."""


class Literals:
    """Texts of which one may stand at a place; one that is how another begins is named behind it.

    Attributes:
        match: the one that stands there.
        beginnings: what may go on to be one.
    """

    def __init__(self, *literals: str) -> None:
        self.match = re.compile("|".join(map(re.escape, literals)) or "(?!)").match
        self.beginnings = frozenset(it[:length] for it in literals for length in range(len(it)))
        self._first = re.compile("|".join({re.escape(it[0]) for it in literals}) or "(?!)")
        self._most = max(map(len, self.beginnings), default=0)

    def certain(self, data: str, at: int) -> int:
        """Where the text from `at` on ends that cannot be the beginning of one."""
        found = self._first.search(data, max(at, len(data) - self._most))
        while found and data[found.start() :] not in self.beginnings:
            found = self._first.search(data, found.end())
        return found.start() if found else len(data)


literals = lru_cache(maxsize=256)(Literals)
_FENCE, _NONE = literals(FENCE), literals()


@lru_cache(maxsize=256)
def _candidate(openings: tuple[str, ...], bare: tuple[str, ...]) -> re.Pattern[str]:
    marks = "|".join((FENCE, *(pattern for kind, pattern in _BARE.items() if kind in bare)))
    marked = "".join(f"{re.escape(opening)}|" for opening in openings)
    return re.compile(rf"{marked}^[ \t]*(?P<bare>{marks})", re.MULTILINE)


class Cursor:
    """The beginning of what may be a call, read from left to right.

    Attributes:
        at: how far it was read.
        marked: it has what begins a call and nothing else.
        passed: so much of it is text, where it is no call: what follows may begin one.
    """

    __slots__ = ("_text", "at", "marked", "passed")

    def __init__(self, data: str, start: int) -> None:
        self._text = data[start : start + _HEAD]
        self.at = 0
        self.marked = False
        self.passed = 1

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
        found = _BLANKS.match(self._text, self.at)
        assert found is not None
        self.at = found.end()
        self.peek()

    def take(self, literals: Literals) -> str:
        """The literal that stands here, `""` if none does."""
        if self._text[self.at :] in literals.beginnings:
            raise self.out()
        if found := literals.match(self._text, self.at):
            self.at = found.end()
            return found[0]
        return ""

    def passes(self, mark: str) -> bool:
        """Whether this character stands here; it is passed over then."""
        found = self.peek() == mark
        self.at += found
        return found

    def word(self, odd: Literals = _NONE) -> str:
        """The name that stands here, `""` if none does, up to where it is over.

        Args:
            odd: names that have other characters than most.
        """
        if odd is not _NONE and (name := self.take(odd)):
            self.peek()
            return name
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
        kind: what the body is: `"json"` with the name in it, a call as `"python"` writes it, the `"arguments"` alone in
            JSON, or `"parameters"`, each between tags.
        name: the tool's, of several the first one's; `None` where a mark alone says that it is a call.
    """

    __slots__ = ("body", "fenced", "id", "kind", "marked", "name", "pieces", "scanner", "size")

    def __init__(self, kind: str, body: int, name: str | None, *, marked: bool, fenced: bool, id: str | None = None):
        self.kind, self.body, self.name, self.id = kind, body, name, id
        self.marked, self.fenced = marked, fenced
        self.scanner: Brackets | Marked | Parameters = Brackets()
        self.pieces: list[str] = []
        self.size = body


class Heads:
    """The ways in which a call of a request's tools may begin.

    Attributes:
        candidate: finds what may begin one, in its group `bare` what does only at the start of a line.
        certain: where text ends that cannot go on to be an opening, or a fence.

    Args:
        tools: the request's.
        openings: what begins a call wherever it stands.
        bare: what begins one at the start of a line: `"json"`, `"python"`.
        joints: what may stand between a name and its arguments.
        tags: how arguments stand between tags.
        mark: what texts stand between, in the place of quotes.
    """

    def __init__(
        self, tools: Tools, openings: Sequence[str], bare: Sequence[str], joints: Iterable[str], tags: Tags, mark: str
    ) -> None:
        self._tools = tools
        odd = sorted((it for it in tools if not _NAME.fullmatch(it)), key=len, reverse=True)
        self._odd = literals(*odd, *(_NAMESPACE + it for it in odd)) if odd else _NONE
        self._tags, self._mark = tags, mark
        self._openings, self._joints = literals(*openings), literals(_ID, *joints)
        self._after_name, self._after_joint = literals(*tags.named), literals(*tags.named, *tags.closers)
        self._bare = bare
        self.candidate = _candidate(tuple(openings), tuple(bare))
        self.certain = literals(*openings, FENCE).certain

    def begin(self, cursor: Cursor) -> Block:
        """The block that begins here, its head read up to where the body begins.

        In front of the body may stand the fence of a code block, openings, and the tool's name with what joins it to
        its arguments: `[CALL_ID]id[ARGS]` of Mistral's, a joint and a fence of DeepSeek's. What ends in `=` or a quote
        is followed by the name, and closed behind it.
        """
        fenced = bool(cursor.take(_FENCE))
        if fenced:
            cursor.passed = cursor.at
            if cursor.word() not in _FENCED:
                raise NoCall
            cursor.blank()
        for _ in range(_STACKED):
            if not (opening := cursor.take(self._openings)):
                break
            cursor.marked = True
            if not fenced:
                cursor.passed = cursor.at
            if opening[-1] in '="':
                return self._function(cursor, opening, fenced)
            cursor.blank()
        start, mark = cursor.at, cursor.peek()
        if mark not in "[{":
            if not cursor.marked:
                raise NoCall
            return self._named(cursor, start, fenced)
        cursor.at += 1
        if mark == "[":
            cursor.blank()
        kind = "json" if "{" in (mark, cursor.peek()) else "python"
        if not cursor.marked and kind not in self._bare:
            raise NoCall
        name = None
        if kind == "python":
            name = self._known(cursor.word(self._odd))
            if cursor.peek() != "(":
                raise NoCall
        elif not cursor.marked:
            cursor.at += mark == "["
            name = self._first_name(cursor)
        return Block(kind, start, name, marked=cursor.marked, fenced=fenced)

    def _named(self, cursor: Cursor, start: int, fenced: bool) -> Block:
        name, id = cursor.word(self._odd), None
        if not name:
            raise NoCall
        if cursor.passes(":"):
            id = f"{name}:{cursor.word()}"
        cursor.blank()
        bodies = self._after_name
        while joint := cursor.take(self._joints):
            bodies = self._after_joint  # Nothing between a joint and the end is no arguments.
            if joint == _ID:
                id = cursor.word()
            else:
                name = cursor.word(self._odd) or name  # DeepSeek's says first what kind of call it is.
            cursor.blank()
        if cursor.take(_FENCE):
            fenced = True
            cursor.word()
            cursor.blank()
        mark = cursor.peek()
        if mark == "(":
            return Block("python", start, self._known(name), marked=True, fenced=fenced)
        if mark == "{":
            block = Block("arguments", cursor.at, self._known(name), marked=True, fenced=fenced, id=id)
            if self._mark:
                block.kind, block.scanner = "marked", Marked(self._mark)
            return block
        at = cursor.at
        if mark == "<" and cursor.take(bodies):
            return self._between_tags(at, self._known(name), fenced, id)
        raise NoCall

    def _function(self, cursor: Cursor, opening: str, fenced: bool) -> Block:
        name = self._known(cursor.word(self._odd))
        if not all(map(cursor.passes, ">" if opening.endswith("=") else '">')):
            raise NoCall
        cursor.blank()
        if cursor.peek() == "{":
            return Block("arguments", cursor.at, name, marked=True, fenced=fenced)
        return self._between_tags(cursor.at, name, fenced)

    def _between_tags(self, at: int, name: str, fenced: bool, id: str | None = None) -> Block:
        block = Block("parameters", at, name, marked=True, fenced=fenced, id=id)
        block.scanner = Parameters(self._tools.keys(name), self._tags)
        return block

    def _known(self, name: str) -> str:
        """The tool of that name; Llama writes `name.call(`."""
        for known in (name, name.removesuffix(".call"), name.removeprefix(_NAMESPACE)):
            if known in self._tools:
                return known
        raise NoCall

    def _first_name(self, cursor: Cursor) -> str:
        """The name that an object begins with, but for an id and a type; `NoCall` if it is no tool's.

        So JSON that is no call, as many answers are, is shown from its first key on.
        """
        while True:
            cursor.blank()
            key = cursor.quoted()
            cursor.blank()
            if key not in _KEYS or not cursor.passes(":"):
                raise NoCall
            cursor.blank()
            if listed := key == "tool_calls" and cursor.passes("["):
                cursor.blank()
            if (listed or key == "function") and cursor.passes("{"):
                continue
            if key in NAME_KEYS:
                return self._known(cursor.quoted())
            value = cursor.quoted()
            cursor.blank()
            if (key == "type" and value not in _TYPES) or not cursor.passes(","):
                raise NoCall
