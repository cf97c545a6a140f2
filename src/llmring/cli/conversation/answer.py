"""An answer on the screen while it arrives."""

from __future__ import annotations

import asyncio
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from rich.console import Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from ..terminal import printable
from .markdown import Lines, blocks, cut, ending, rendered

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from ...schemas import StreamChunk

__all__ = ["Answer"]

PACE = 0.08
"""Seconds between two drawings."""
_SPARE = 3
"""Lines of the screen that the unfinished block leaves free."""


class Answer:
    """The answer of one turn: finished blocks are printed for good, and only the one under way is drawn anew.

    Use it as a context manager; when it is left, all that came is printed for good.

    Args:
        console: the screen.
        waiting: what to say until something comes.
    """

    def __init__(self, console: Console, waiting: str) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        dots = "dots" if console.encoding.startswith("utf") else "line"
        self._spinner: Spinner | None = Spinner(dots, Text(printable(waiting), "dim"), style="dim")
        self._kind: Literal["text", "thinking"] = "text"
        self._open = ""
        self._changed = False
        self._printed = False

    def __enter__(self) -> Answer:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._finish()
        self._live.stop()

    def add(self, chunk: StreamChunk) -> None:
        """Take a piece of the answer. It is drawn with the next drawing."""
        if chunk.reasoning:
            self._take("thinking", chunk.reasoning)
        if chunk.delta:
            self._take("text", chunk.delta)

    async def keep_drawing(self) -> None:
        """Draw what has changed, until cancelled."""
        while True:
            begun = monotonic()
            self.draw()
            # What takes long to draw is drawn less often: the answer must not wait for the screen.
            await asyncio.sleep(max(PACE, 4 * (monotonic() - begun)))

    def draw(self) -> None:
        """Print what is finished, and draw what is not."""
        if self._spinner is not None:
            self._live.update(self._spinner, refresh=True)
        elif self._changed:
            self._changed = False
            finished, self._open = self._cut()
            self._show(finished, self._unfinished(finished))

    def _take(self, kind: Literal["text", "thinking"], piece: str) -> None:
        if kind != self._kind:
            self._finish()
            self._kind = kind
        self._open += printable(piece)
        self._changed = True
        self._spinner = None

    def _finish(self) -> None:
        """Print what is still open, as it is."""
        self._show(self._open, "")
        self._open = ""

    def _cut(self) -> tuple[str, str]:
        if self._kind == "text":
            return cut(self._open)
        finished, paragraph, rest = self._open.rpartition("\n\n")
        return finished + paragraph, rest

    def _show(self, finished: str, unfinished: RenderableType) -> None:
        """Print the one and draw the other below it, in one go."""
        with self._console:
            self._live.update(unfinished, refresh=True)
            self._print(finished)

    def _print(self, text: str) -> None:
        found = blocks(text) if self._kind == "text" else text.split("\n\n")
        shown = [part for block in found if block.strip() for part in ("", Lines(self._look(block)))]
        if not shown:
            return
        self._console.print(Group(*(shown if self._printed else shown[1:])))
        self._printed = True

    def _unfinished(self, before: str) -> RenderableType:
        """As much of the end of what is open as the screen has room for, below what was printed."""
        if not self._open.strip():
            return ""
        apart = [""] if self._printed or before.strip() else []
        room = max(1, self._console.height - _SPARE)
        return Group(*apart, Lines(self._look(ending(self._open, room)), room))

    def _look(self, text: str) -> RenderableType:
        return rendered(text) if self._kind == "text" else Text(text.strip("\n"), "dim italic")
