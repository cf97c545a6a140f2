"""The event loop behind the synchronous face: one for each process, in a thread of its own."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar, cast

__all__ = ["BACKGROUND", "Background"]

T = TypeVar("T")

_AT_EXIT = 5.0
"""Seconds that the end of the program waits for connections to be closed."""


class Background:
    """An event loop that runs in a thread for as long as the program; a forked process begins one of its own."""

    def __init__(self) -> None:
        # By process: a fork while another thread holds the lock would leave the child one that nobody lets go.
        self._locks: dict[int, threading.Lock] = {}
        self._loops: dict[int, tuple[asyncio.AbstractEventLoop, threading.Thread]] = {}
        self._over = False

    def run(self, make: Callable[[], Awaitable[T]]) -> T:
        """Await something in the loop, and give what it gives. Ctrl-C cancels it there.

        Raises:
            RuntimeError: this is the loop's own thread, which would wait for itself.
        """
        loop, thread = self._running()
        if threading.current_thread() is thread:
            raise RuntimeError(
                "A method of llmring.sync was called by code that llmring itself runs in its event loop, which would "
                "wait for itself for ever. Call it in a thread (asyncio.to_thread), or use llmring.LLMRing there."
            )
        future = asyncio.run_coroutine_threadsafe(_awaited(make), loop)
        try:
            value, end = future.result()
            if end is not None:
                raise end
            return cast("T", value)
        except BaseException:
            if self._over:
                # The program ends, and this is a thread that it does not wait for: it stands still till then.
                threading.Event().wait()
            future.cancel()
            raise
        finally:
            # An error holds this frame, and this frame would hold the error.
            del future
            end = None

    def soon(self, work: Callable[[], object]) -> None:
        """Have something called in the loop, and wait for nothing."""
        self._running()[0].call_soon_threadsafe(work)

    def _running(self) -> tuple[asyncio.AbstractEventLoop, threading.Thread]:
        process = os.getpid()
        if (running := self._loops.get(process)) is None:
            with self._locks.setdefault(process, threading.Lock()):
                if (running := self._loops.get(process)) is None:
                    running = self._loops[process] = self._start(process)
        return running

    def _start(self, process: int) -> tuple[asyncio.AbstractEventLoop, threading.Thread]:
        loops: list[asyncio.AbstractEventLoop] = []
        begun = threading.Event()

        def live() -> None:
            # Who leaves a runner has all tasks cancelled and generators closed, so that nothing is heard at exit.
            with asyncio.Runner() as runner:
                loops.append(runner.get_loop())
                begun.set()
                while True:
                    try:
                        loops[0].run_forever()
                        break  # it was stopped
                    except (SystemExit, KeyboardInterrupt):
                        pass  # of one task, which has told who waits for it; the loop is everybody's

        thread = threading.Thread(target=live, name="llmring-sync", daemon=True)
        thread.start()
        begun.wait()
        (loop,) = loops

        def end() -> None:
            if os.getpid() == process:
                self._over = True
                loop.call_soon_threadsafe(loop.stop)
                thread.join(_AT_EXIT)

        atexit.register(end)
        return loop, thread


async def _awaited(make: Callable[[], Awaitable[T]]) -> tuple[T | None, BaseException | None]:
    """What it gives; what would end the program ends not this loop, which is everybody's, but goes to who waits."""
    try:
        return await make(), None
    except (SystemExit, KeyboardInterrupt) as error:
        return None, error


BACKGROUND: Final = Background()
