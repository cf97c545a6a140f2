"""How a map stands: a steady picture on a terminal, a line a minute elsewhere."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from ..bulk import LIMITS, Job, Survey
from .facts import dollars
from .terminal import note

__all__ = ["picture"]

_EACH = 60.0
_MEMORY = 30.0
"""Seconds that the speed is of."""


class _Picture:
    """What is known of a job's way, by looking at it again and again."""

    def __init__(self, job: Job, found: Survey) -> None:
        self._job = job
        self._found = found
        self._seen: deque[tuple[float, int]] = deque([(monotonic(), 0)])

    def lines(self) -> list[str]:
        """It in words."""
        summary, found = self._job.summary, self._found
        progress = self._job.map.progress if self._job.map is not None else None
        now, over = monotonic(), summary.answered + summary.failed
        self._seen.append((now, over))
        while now - self._seen[0][0] > _MEMORY and len(self._seen) > 2:
            self._seen.popleft()
        gone = now - self._seen[0][0]
        speed = (over - self._seen[0][1]) / gone if gone > 0 else 0.0
        left = found.to_ask - over
        took = (
            f"{left / speed:.0f} s"
            if speed and left / speed < 120
            else f"{left / speed / 60:.0f} min"
            if speed
            else "?"
        )
        first = f"{over:,} of {found.to_ask:,} done"
        first += f" ({summary.failed:,} failed)" if summary.failed else ""
        first += f" · {speed:.1f} rows/s · {took} left"
        tokens = f"{summary.prompt_tokens:,} tokens in, {summary.completion_tokens:,} out"
        if summary.usd and over:
            tokens += f" · {dollars(summary.usd)} spent, {dollars(summary.usd / over * left)} to come"
        if progress is None:
            return [first, tokens, *self._job.says()]
        third = f"{progress.running} at once of {progress.concurrency} · held by {LIMITS[progress.limited_by]}"
        third += f" ({progress.rate * 60:.0f} a minute)" if progress.rate and progress.limited_by == "rate" else ""
        third += f" · {progress.waiting} to be asked again" if progress.waiting else ""
        third += f" · {progress.refused} refused (429)" if progress.refused else ""
        return [first, tokens, third]

    def drawn(self) -> Group:
        """It with a bar."""
        summary = self._job.summary
        bar = ProgressBar(total=max(1, self._found.to_ask), completed=summary.answered + summary.failed, width=60)
        return Group(bar, *(Text(it, overflow="ellipsis", no_wrap=True) for it in self.lines()))


@contextmanager
def picture(job: Job, found: Survey) -> Iterator[None]:
    """Show how a job stands on standard error, while it runs."""
    seen = _Picture(job, found)
    if sys.stderr is None or not sys.stderr.isatty():
        task = asyncio.ensure_future(_say(seen))
        try:
            yield
        finally:
            task.cancel()
        return
    with Live(console=Console(stderr=True), get_renderable=seen.drawn, refresh_per_second=4):
        yield


async def _say(seen: _Picture) -> None:
    while True:
        await asyncio.sleep(_EACH)
        note(" · ".join(seen.lines()))
