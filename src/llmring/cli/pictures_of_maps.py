"""How a map stands: a steady picture on a terminal, a line a minute elsewhere."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from time import monotonic

from rich.console import Console
from rich.progress_bar import ProgressBar

from ..bulk import LIMITS, Job, Survey
from .amounts import dollars
from .terminal import cells, is_utf8, note, printable

__all__ = ["Standing", "lasting", "picture"]

_EACH = 60.0
_DRAWN = 0.25
_MEMORY = 30.0
"""Seconds between two lines, between two drawings, and those that the speed is of."""
_BAR = 60
"""Cells of the bar, at most."""


class Standing:
    """How a job stands, by looking at it again and again.

    Args:
        job, found: which, and what there was to do.
        clock: seconds.
    """

    def __init__(self, job: Job, found: Survey, clock: Callable[[], float] = monotonic) -> None:
        self._job = job
        self._found = found
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque([(clock(), 0)])

    @property
    def over(self) -> int:
        """Rows that are done, or have failed."""
        return self._job.summary.answered + self._job.summary.failed

    @property
    def to_ask(self) -> int:
        """Rows that there were."""
        return self._found.to_ask

    def parts(self) -> list[list[str]]:
        """It in words: of each line, parts that stay together."""
        summary, over, left = self._job.summary, self.over, self.to_ask - self.over
        rows = [f"{over:,} of {self.to_ask:,} done"]
        rows += [f"{summary.failed:,} failed"] if summary.failed else []
        speed = self._speed(over)
        rows += [f"{speed:.1f} rows/s", f"{lasting(left / speed) if speed else '?'} left"]
        spent = [f"{summary.prompt_tokens:,} tokens in", f"{summary.completion_tokens:,} out"]
        if summary.usd and summary.answered:
            spent += [f"{dollars(summary.usd)} spent", f"{dollars(summary.usd / summary.answered * left)} to come"]
        said = [rows, spent, self._pace(), self._job.says()]
        return [it for it in said if it]

    def _pace(self) -> list[str]:
        progress = self._job.map.progress if self._job.map is not None else None
        if progress is None or not (progress.running or progress.waiting or self.over):
            return []  # nothing was sent yet
        rate = f" ({progress.rate * 60:.0f} a minute)" if progress.rate and progress.limited_by == "rate" else ""
        pace = [f"{progress.running} at once of {progress.concurrency}"]
        pace += [f"held by {LIMITS[progress.limited_by]}{rate}"]
        pace += [f"{progress.waiting} to be asked again"] if progress.waiting else []
        return pace + ([f"{progress.refused} refused (429)"] if progress.refused else [])

    def _speed(self, over: int) -> float:
        now = self._clock()
        self._seen.append((now, over))
        while now - self._seen[0][0] > _MEMORY and len(self._seen) > 2:
            self._seen.popleft()
        gone = now - self._seen[0][0]
        return (over - self._seen[0][1]) / gone if gone > 0 else 0.0


def lasting(seconds: float) -> str:
    """A time, as one says it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


class _Drawing:
    """Lines at the end of a terminal, drawn anew again and again.

    The cursor is left where they begin: so a terminal that has got another size, and has broken them anew, has it there
    still, and all from there on is theirs.
    """

    def __init__(self, standing: Standing) -> None:
        self._standing = standing
        self._console = Console(stderr=True)
        self._is_drawn = False
        self._dot = " · " if is_utf8(sys.stderr.encoding) else " - "

    async def keep(self) -> None:
        """Draw, until cancelled."""
        while True:
            self.draw()
            await asyncio.sleep(_DRAWN)

    def draw(self, *, is_last: bool = False) -> None:
        """Draw what is now."""
        width, height = self._size()
        lines = [self._bar(min(_BAR, width - 1))]
        for parts in self._standing.parts():
            lines += _broken(parts, self._dot, width - 1)
        lines = lines if is_last else lines[: max(1, height - 1)]
        end = "\n" if is_last else f"\r\x1b[{len(lines) - 1}A" if len(lines) > 1 else "\r"
        self._write("\r\x1b[J" + "\n".join(lines) + end)
        self._is_drawn = not is_last

    def make_way(self) -> None:
        """Take it away, as something else is written; it is drawn again below."""
        if self._is_drawn:
            self._write("\r\x1b[J")
        self._is_drawn = False

    def _bar(self, width: int) -> str:
        bar = ProgressBar(total=max(1, self._standing.to_ask), completed=self._standing.over, width=width)
        with self._console.capture() as drawn:
            self._console.print(bar, end="")
        return drawn.get().rstrip("\n")

    @staticmethod
    def _size() -> tuple[int, int]:
        with suppress(OSError, ValueError, AttributeError):
            size = os.get_terminal_size(sys.stderr.fileno())
            return size.columns or 80, size.lines or 24
        return 80, 24

    @staticmethod
    def _write(text: str) -> None:
        with suppress(OSError, ValueError):  # whoever looked at it has gone
            sys.stderr.write(text)
            sys.stderr.flush()


def _broken(parts: Sequence[str], dot: str, width: int) -> list[str]:
    """Parts in as few lines as they fit in; what is longer than a line is cut."""
    lines: list[str] = []
    for part in map(printable, parts):
        if lines and cells(lines[-1]) + len(dot) + cells(part) <= width:
            lines[-1] += f"{dot}{part}"
        else:
            lines.append(part[:width])
    return lines


@contextmanager
def picture(job: Job, found: Survey, each: float = _EACH) -> Iterator[Callable[[], None]]:
    """Show how a job stands on standard error, while it runs. Gives what is called before anything else is written.

    Args:
        job, found: which, and what there is to do.
        each: seconds between two lines, where that is no terminal.
    """
    standing = Standing(job, found)
    console = Console(stderr=True)
    if sys.stderr is None or not sys.stderr.isatty() or console.is_dumb_terminal or console.legacy_windows:
        task = asyncio.ensure_future(_say(standing, each))
        try:
            yield lambda: None
        finally:
            task.cancel()
        return
    drawing = _Drawing(standing)
    task = asyncio.ensure_future(drawing.keep())
    try:
        yield drawing.make_way
    finally:
        task.cancel()
        drawing.draw(is_last=True)


async def _say(standing: Standing, each: float) -> None:
    while True:
        await asyncio.sleep(each)
        note(" · ".join(part for parts in standing.parts() for part in parts))
