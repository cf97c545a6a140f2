"""What Ctrl-C does in a conversation, and what closing the window does."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator

__all__ = ["Interrupts", "hung_up"]


class Interrupts:
    """Ctrl-C does one thing at a time, and that once: what is pressed in a hurry, or between two things, does nothing.

    Without that, a second press would end what tidies up after the first.
    """

    def __init__(self) -> None:
        self._action: Callable[[], object] | None = None

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """From here on, Ctrl-C does only what `doing` says."""
        before = signal.signal(signal.SIGINT, self._pressed)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    @contextlib.contextmanager
    def doing(self, action: Callable[[], object] | None) -> Iterator[None]:
        """Ctrl-C does this meanwhile; `None` is nothing."""
        before, self._action = self._action, action
        try:
            yield
        finally:
            self._action = before

    def _pressed(self, *_: object) -> None:
        action, self._action = self._action, None
        if action is not None:
            action()


@contextlib.contextmanager
def hung_up(action: Callable[[], object]) -> Iterator[None]:
    """When the terminal's window is closed meanwhile, do this, and then end as if nothing had been done.

    Where the signal for it is ignored, as under nohup, it stays so.

    Args:
        action: what is done. It has no terminal any more.
    """
    closed = getattr(signal, "SIGHUP", None)  # Windows has none
    if closed is None or signal.getsignal(closed) is not signal.SIG_DFL:
        yield
        return

    def end(*_: object) -> None:
        signal.signal(closed, signal.SIG_IGN)  # the shell and the system may both send it
        try:
            action()
        finally:
            signal.signal(closed, signal.SIG_DFL)
            signal.raise_signal(closed)

    signal.signal(closed, end)
    try:
        yield
    finally:
        signal.signal(closed, signal.SIG_DFL)
