"""What the conversation shows: its remarks, an answer while it arrives, and Markdown that is still being written."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Iterable, Sequence
from time import monotonic
from types import TracebackType
from typing import Literal

from rich.console import Console
from rich.live import Live
from rich.padding import Padding
from rich.segment import Segment
from rich.spinner import Spinner
from rich.style import Style
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from ...exceptions import LLMRingError
from ...schemas import StreamChunk
from ..terminal import hear_warnings, printable, unexpected, wrapped
from .flow import Flow, letters
from .markdown import Line, blocks, cut, is_list, is_whole, laid_out, settled, split_code, whole_words

THEME = Theme({"markdown.code": "bold cyan"})
"""Nothing that needs a dark terminal."""
PACE = 0.08
"""Seconds between two drawings."""
_QUIET = 0.5
"""Seconds without a new word before something moves."""
_CODE_AT_ONCE = 200
"""Lines of code that are coloured together."""
_WORD = re.compile(r"[^\W\d_][^\W_]*[.,;:!?]?")
"""What is a word whatever follows."""
_THINKING = Style(dim=True, italic=True)


class Screen:
    """The terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(theme=THEME, highlight=False, markup=False, emoji=False)
        self._flow = Flow(self.console)

    def answer(self, waiting: str) -> Answer:
        """An answer that is about to arrive, and what to say until it does."""
        return Answer(self.console, self._flow, waiting)

    def say(self, text: str = "") -> None:
        """What a command was asked for."""
        self._write(printable(text))

    def note(self, text: str) -> None:
        """A remark beside the conversation."""
        self._write(printable(text), "dim")

    def warn(self, text: str) -> None:
        """Something to look at that stops nothing."""
        self._write(f"Warning: {printable(text)}", first="yellow")

    def fail(self, error: Exception) -> None:
        """What went wrong, and what to do."""
        text = str(error) if isinstance(error, LLMRingError) else unexpected(error)
        self._write(f"Error: {printable(text)}", first="red")

    def _write(self, text: str, style: str = "", *, first: str | None = None) -> None:
        """Write lines that are broken between words; `first` is the style of the first word."""
        self._flow.end()
        shown = Text(wrapped(text, self.console.width), style)
        if first is not None:
            shown.stylize(first, 0, text.index(" "))
        self.console.print(shown, soft_wrap=True)

    def table(self, rows: Iterable[Sequence[str]]) -> None:
        """Rows in columns; what does not fit is wrapped."""
        table = Table.grid(padding=(0, 3, 0, 0))
        for row in rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        self.console.print(Padding(table, (0, 0, 0, 2)))

    def show_warnings(self) -> None:
        """Have what the library warns of shown here, such as moving on to a stand-by."""
        hear_warnings(self.warn)


class Answer:
    """The answer of one turn, written as it arrives: what stands is never drawn anew.

    So the end of it waits for what decides how it looks: the end of a word, of an emphasis, the next line of what may
    be a table. Use it as a context manager; when it is left, all that came is written.
    """

    def __init__(self, console: Console, flow: Flow, waiting: str) -> None:
        self._console = console
        self._flow = flow
        self._live: Live | None = Live(console=console, auto_refresh=False, transient=True)
        dots = "dots" if console.encoding.startswith("utf") else "line"
        self._spinner = Spinner(dots, Text(printable(waiting), "dim"), style="dim")
        self._frames = itertools.cycle(self._spinner.frames)
        self._kind: Literal["text", "thinking"] = "text"
        self._open = ""
        self._said = ""  # the letters that stand of what is open
        self._certain = 0  # how much of what is open they are
        self._changed = False
        self._joins = False  # the next block goes on with the one before it
        self._pauses = False
        self._last = monotonic()

    def __enter__(self) -> Answer:
        self._flow.end()
        self._flow.has_begun = False
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._finish()
        self._stop_waiting()
        self._flow.end()

    def add(self, chunk: StreamChunk) -> None:
        """Take a piece of the answer. It is written with the next drawing."""
        if chunk.reasoning:
            self._take("thinking", chunk.reasoning)
        if chunk.delta:
            self._take("text", chunk.delta)

    async def keep_drawing(self) -> None:
        """Write what has come, until cancelled."""
        while True:
            begun = monotonic()
            self.draw()
            # What takes long to lay out is written less often: the answer must not wait for the screen.
            await asyncio.sleep(max(PACE, 4 * (monotonic() - begun)))

    def draw(self) -> None:
        """Write what is certain by now, and have something move where nothing is."""
        if self._pauses:
            return
        if self._changed:
            self._changed = False
            self._draw_text() if self._kind == "text" else self._draw_thinking()
        if self._live is not None:
            self._live.update(self._spinner, refresh=True)
        elif monotonic() - self._last > _QUIET:
            if self._said and _WORD.fullmatch(self._open, self._certain):
                self._grow(len(self._open))  # it may be the last one for long
            self._flow.mark(next(self._frames))

    def _draw_text(self) -> None:
        finished, rest = cut(self._open)
        self._show(finished, rest)
        if (split := split_code(self._open, _CODE_AT_ONCE)) is not None:
            self._show(*split)
            self._joins = True
        self._open, certain = settled(self._open)
        self._grow(certain)

    def _draw_thinking(self) -> None:
        finished, paragraph, rest = self._open.rpartition("\n\n")
        self._show(finished + paragraph, rest)
        self._grow(whole_words(rest))

    def end_part(self) -> None:
        """Write all that has come: what is shown next is none of it."""
        self._finish()
        self._stop_waiting()
        self._flow.end()

    def pause(self, pauses: bool) -> None:
        """Write nothing for as long as somebody is asked something, or go on."""
        if pauses:
            self.end_part()
        self._pauses = pauses

    def _stop_waiting(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _take(self, kind: Literal["text", "thinking"], piece: str) -> None:
        if kind != self._kind:
            self._finish()
            self._kind = kind
        self._open += printable(piece)
        self._changed = True

    def _finish(self) -> None:
        """Write what is still open, as it is."""
        while self._open:
            self._show(self._open, "")
        self._said, self._certain, self._joins = "", 0, False

    def _show(self, finished: str, rest: str) -> None:
        """Write blocks that are finished, as far as they do not stand yet; the rest is what is open then."""
        for block in self._blocks(finished):
            if self._put(block) is None:
                self._go_on_raw()
                return
        self._certain = max(0, self._certain - len(finished))
        self._open = rest

    def _grow(self, certain: int) -> None:
        """Write that much of what is open, as far as it does not stand yet."""
        if certain < self._certain:
            return  # what stands is not taken back
        stands = ""
        for block in self._blocks(self._open[:certain]):
            if (shown := self._put(block)) is None:
                self._go_on_raw()
                return
            stands += shown
        self._said, self._certain = stands, certain

    def _put(self, block: str) -> str | None:
        """Write what does not stand yet of a block, and give its letters; `None` if others stand where it would."""
        if not block.strip():
            return ""
        lines = self._lines(block)
        shown, standing = letters(lines), self._said
        if not (shown.startswith(standing) or standing.startswith(shown)):
            return None
        self._said = standing[len(shown) :]
        if len(shown) > len(standing):
            self._stop_waiting()
            is_text = self._kind == "text"
            hang, fit = is_text and is_list(block), not (is_text and is_whole(block))
            self._flow.write(lines, len(standing), apart=not self._joins, hang=hang, fit=fit)
            self._joins = self._joins and bool(standing)
            self._last = monotonic()
        return shown

    def _go_on_raw(self) -> None:
        """Write the rest as its source has it, where what stands is not how it looks any more."""
        rest = self._open[self._certain :]
        at = rest.rfind("\n") + 1 or len(rest)
        if rest[:at].strip():
            self._flow.write([[Segment(line)] for line in f".{rest[:at]}".split("\n")], 1)
        self._open, self._said, self._certain = rest[at:], "", 0

    def _blocks(self, text: str) -> list[str]:
        return blocks(text) if self._kind == "text" else text.split("\n\n")

    def _lines(self, block: str) -> list[Line]:
        if self._kind == "text":
            return laid_out(self._console, block)
        return [[Segment(line, _THINKING)] for line in block.strip("\n").split("\n")]
