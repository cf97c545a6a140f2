"""A sign of life on the terminal, for what takes longer than a second."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .terminal import cells, hear_warnings, printable

__all__ = ["working"]

_PATIENCE = 1.0
"""Seconds before anything is said."""


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show on standard error what is being done, from the second second on. Shows nothing where that is no terminal.

    Args:
        what: as in `"Asking openai and ollama"`; short enough for a line.
    """
    hear_warnings()
    if sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    shown = threading.Thread(target=_show, args=(printable(what), done), daemon=True)
    shown.start()
    try:
        yield
    finally:
        done.set()
        shown.join()


def _show(what: str, done: threading.Event) -> None:
    """In a thread, so that it moves while an SDK is imported. A remark is written over it."""
    if done.wait(_PATIENCE):
        return
    for dots in itertools.cycle((".  ", ".. ", "...")):
        print(f"\r{what} {dots}\r", end="", file=sys.stderr, flush=True)  # noqa: T201
        if done.wait(0.4):
            break
    print(f"\r{' ' * (cells(what) + 4)}\r", end="", file=sys.stderr, flush=True)  # noqa: T201
