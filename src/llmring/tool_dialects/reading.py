"""Calls told apart from the text around them while an answer arrives, in whatever pieces it is cut.

A reader is in one of three places: in text, where it looks for what may begin a call; in a call's body, of which each
character is looked at once; or in the gap behind a call, where closing tags, blanks and separators are of the form.
What may be the beginning of a call is decided from left to right by the fewest characters that decide it, never by
where a piece ends: so every cut gives the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby, islice
from typing import Any

from .bodies import Parameters, Tags
from .calls import MOST_CALLS, BrokenCall, Event, Text, Tools, Unreadable, json_calls, marked_value, python_calls
from .heads import FENCE, Block, Cursor, Heads, Literals, More, NoCall, literals

__all__ = ["MAX_CALL", "ToolReader"]

MAX_CALL = 1 << 20
"""Characters of one block of calls at most: what is longer is broken, and told with as many of them."""
_SEPARATORS = (";", ",")
_BLANKS = re.compile(r"\s+")
_NO_TAGS = Tags((), (), ("</function>",), breaks=True)


class ToolReader:
    """Reads the calls out of one answer's text.

    Args:
        tools: the definitions of the request's tools, `{"type": "function", "function": {"name", "parameters"}}`;
            what is of another type is no function, and not read.
        openings: what begins a call wherever it stands.
        bare: what begins one at the start of a line: `"json"`, `"python"`.
        closers: what may stand behind a call, and is of its form.
        joints: what may stand between a call's name and its arguments.
        tags: how arguments stand between tags.
        mark: what texts stand between, in the place of quotes.
    """

    def __init__(
        self,
        tools: Sequence[Mapping[str, Any]],
        openings: Sequence[str] = (),
        bare: Sequence[str] = (),
        closers: Sequence[str] = (),
        joints: Sequence[str] = (),
        tags: Tags = _NO_TAGS,
        mark: str = "",
    ) -> None:
        self._tools = Tools(tools)
        self._mark = mark
        self._heads = Heads(self._tools, openings, bare, joints, tags, mark)
        self._behind = literals(*closers, *_SEPARATORS)
        self._behind_fenced = literals(*closers, *_SEPARATORS, FENCE)
        self._held = ""
        self._block: Block | None = None
        self._gap: list[str] | None = None  # What is shown of the gap if text follows, `None` in text.
        self._fenced = self._in_code = False
        self._lead: list[str] | None = []  # Blanks that the answer begins with.
        self._on_new_line, self._after_blank = True, True
        self._events: list[Event] = []
        self._left, self._called = MOST_CALLS, False

    def feed(self, text: str) -> list[Event]:
        """What the piece makes certain: text, and calls that are whole."""
        if self._left < 0 or not self._tools:
            return [Text(text)] if text and not self._called else []
        data, self._held = self._held + text, ""
        at, size = 0, len(data)
        while at < size:
            if self._block is not None:
                at = self._go_on(self._block, data, at)
            elif self._gap is not None:
                at = self._cross(self._gap, data, at)
            else:
                at = self._look(data, at)
        return self._told()

    def close(self) -> list[Event]:
        """The answer has ended: what was held back, a call that was cut among it."""
        held, self._held = self._held, ""
        block, self._block = self._block, None
        name, sure = None, False
        if block is not None:
            held, sure = "".join(block.pieces), True
            name = block.name or self._tools.named(held)
        elif self._gap is not None and held in self._closers.beginnings:
            held = ""
        elif held:
            cursor = Cursor(held, 0)
            with suppress(More, NoCall):
                self._heads.begin(cursor)
            sure = cursor.marked and not held.strip().isalnum()
        if sure:
            self._lead = None
            self._events.append(BrokenCall(name, held, "the answer ended before the call did", cut=True))
        elif held:
            self._leave_gap()
            self._say(held)
        elif self._lead:
            self._events.append(Text("".join(self._lead)))
            self._lead = None
        return self._told()

    @property
    def held(self) -> str:
        """What is held back, and may turn out to be text."""
        inner = self._block.pieces if self._block is not None else [self._held]
        return "".join((*(self._lead or ()), *(self._gap or ()), *inner))

    def _told(self) -> list[Event]:
        if len(self._events) < 2:
            events, self._events = self._events, []
            return events
        told: list[Event] = []
        for is_text, group in groupby(self._events, lambda event: isinstance(event, Text)):
            events = list(group)
            told += [Text("".join(event.text for event in events if isinstance(event, Text)))] if is_text else events
        self._events.clear()
        return told

    def _say(self, text: str) -> None:
        if not text:
            return
        line = text.rpartition("\n")[2]
        self._on_new_line = (self._on_new_line or len(line) < len(text)) and not line.strip(" \t")
        self._after_blank = text[-1].isspace()
        if self._lead is not None:
            self._lead.append(text)
            if text.isspace():
                return
            text, self._lead = "".join(self._lead), None
        self._events.append(Text(text))

    def _leave_gap(self) -> None:
        before = "".join(self._gap or ())
        self._gap = None
        self._say(before.lstrip() if self._after_blank else before)

    def _look(self, data: str, at: int) -> int:
        """In text: look for what begins a call."""
        place = looked = at
        while found := self._heads.candidate.search(data, place):
            start, place = found.start(), found.start() + 1
            if bare := found["bare"]:
                if (start == 0 and not self._on_new_line) or (self._in_code and bare != FENCE):
                    continue
                start = found.end() - len(bare)
                if self._in_code:
                    self._in_code, place, looked = False, found.end(), found.end()
                    continue
            cursor = Cursor(data, start)
            try:
                return self._start(cursor, data, at, start)
            except NoCall:
                self._in_code = self._in_code or bare == FENCE
                place = looked = start + cursor.passed
        end = self._heads.certain(data, looked)
        self._held = data[end:]
        self._say(data[at:end])
        return len(data)

    def _start(self, cursor: Cursor, data: str, at: int, start: int) -> int:
        """Begin a block behind the text from `at` on, or hold back what is not decided; `NoCall` where it is none."""
        try:
            block = self._heads.begin(cursor)
        except More:
            body, self._held = len(data), data[start:]
        else:
            body = start + block.body
            block.pieces.append(data[start:body])
            self._block = block
        self._say(data[at:start])
        return body

    def _go_on(self, block: Block, data: str, at: int) -> int:
        """In a body."""
        end = block.scanner.end(data, at)
        piece = data[at : end if end >= 0 else len(data)]
        block.size += len(piece)
        if block.size - len(piece) <= MAX_CALL:
            block.pieces.append(piece)
        if end < 0:
            return len(data)
        self._block = None
        written = "".join(block.pieces)
        events = list(islice(self._finish(block, written), self._left + 1))
        self._left -= len(events)
        if self._left < 0 and (self._called or None not in events):
            reason = f"the answer has more than {MOST_CALLS:,} calls, or what looks like some"
            events[-1], end = BrokenCall(block.name, written, reason), len(data)
        if None in events:
            self._leave_gap()
            self._say(written)
            self._in_code = self._in_code or block.fenced
            if self._left < 0:
                self._say(data[end:])
                return len(data)
        else:
            self._called = True
            self._gap, self._fenced, self._lead = [], block.fenced or self._fenced, None
            for event in events:
                if isinstance(event, Text):
                    self._say(event.text)
                elif event is not None:
                    self._events.append(event)
        return end

    def _finish(self, block: Block, written: str) -> Iterator[Event | None]:
        name, body, tools = block.name or "", written[block.body :], self._tools
        if block.size > MAX_CALL:
            yield BrokenCall(block.name, written[:MAX_CALL], f"the call is longer than {MAX_CALL:,} characters")
        elif block.kind == "json":
            yield from json_calls(tools, written, body, marked=block.marked)
        elif block.kind == "python":
            yield from python_calls(tools, name, written, body)
        elif isinstance(scanner := block.scanner, Parameters):
            if scanner.stray:
                yield BrokenCall(name, written, "there is more than parameters in the call")
            else:
                arguments = {
                    key: tools.typed(name, key, value, is_text=key in scanner.texts)
                    for key, value in scanner.values.items()
                }
                yield tools.call(name, arguments, written, block.id)
        else:
            try:
                value = marked_value(tools, name, body, self._mark) if block.kind == "marked" else tools.value_of(body)
                yield tools.call(name, value, written, block.id)
            except Unreadable as error:
                yield BrokenCall(name, written, f"the arguments are no JSON: {error}")

    def _cross(self, gap: list[str], data: str, at: int) -> int:
        """Behind a call: pass over what is of the form, up to text or another call."""
        if blanks := _BLANKS.match(data, at):
            gap.append(blanks[0])
            return blanks.end()
        cursor = Cursor(data, at)
        try:
            if token := cursor.take(self._closers):
                if token == FENCE:
                    self._fenced = False
                elif token in _SEPARATORS:
                    gap.append(token)
                return at + len(token)
            return self._start(cursor, data, at, at)
        except More:
            self._held = data[at:]
            return len(data)
        except NoCall:
            self._in_code, self._fenced = data.startswith(FENCE, at) or self._fenced, False
            self._leave_gap()
            self._say(data[at : at + cursor.passed])
            return at + cursor.passed

    @property
    def _closers(self) -> Literals:
        return self._behind_fenced if self._fenced else self._behind
