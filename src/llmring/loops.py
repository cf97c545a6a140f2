"""One service in several event loops: what belongs to a loop is done in it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

__all__ = ["run_in"]

_OTHER_LOOP = 5.0
"""Seconds to wait for another event loop."""

_LOOK = 0.05
"""Seconds after which to see whether it is still there."""

_at_work: set[asyncio.Task[None]] = set()
"""Loops hold their tasks weakly."""


async def run_in(loop: asyncio.AbstractEventLoop | None, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Have something done in the loop that it belongs to, if that runs: in another thread, then; else here."""
    if loop is None or loop is asyncio.get_running_loop() or not loop.is_running():
        await work()
        return
    done: concurrent.futures.Future[None] = concurrent.futures.Future()
    begun: list[asyncio.Task[None]] = []

    def begin() -> None:
        begun.append(task := loop.create_task(work()))
        _at_work.add(task)
        task.add_done_callback(end)

    def end(task: asyncio.Task[None]) -> None:
        _at_work.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            done.set_exception(error)
        else:
            done.set_result(None)

    with suppress(RuntimeError):
        loop.call_soon_threadsafe(begin)
        waiting = asyncio.wrap_future(done)
        until = time.monotonic() + _OTHER_LOOP
        while not waiting.done() and not loop.is_closed() and time.monotonic() < until:
            await asyncio.wait([waiting], timeout=_LOOK)
        if waiting.done():
            waiting.result()
    if loop.is_closed() and not done.done():
        # It ended before it came to it, or before it was done.
        for task in begun:
            _abandon(task)
        await work()


def _abandon(task: asyncio.Task[None]) -> None:
    """Leave a task whose loop is closed; asyncio would complain of it."""
    _at_work.discard(task)
    with suppress(Exception):
        if (coroutine := task.get_coro()) is not None:
            coroutine.close()
    task._log_destroy_pending = False  # type: ignore[attr-defined]
