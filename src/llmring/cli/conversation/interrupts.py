"""What Ctrl-C does in a conversation, and what ends it from outside."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator

__all__ = ["Interrupts", "told_to_end"]

_ENDS = [getattr(signal, name) for name in ("SIGHUP", "SIGTERM") if hasattr(signal, name)]  # Windows has but one


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
def told_to_end(action: Callable[[], object]) -> Iterator[None]:
    """When the program is told to end meanwhile, by the closing of its window or by `kill`, do this first.

    It then ends as if nothing had been done. Where a signal for that is ignored, as under nohup, it stays so. One that
    comes in the instant before readline waits for a key is heard with the next key.

    Args:
        action: what is done. It may have no terminal any more.
    """
    heard = [it for it in _ENDS if signal.getsignal(it) is signal.SIG_DFL]

    def end(told: int, _: object) -> None:
        for it in heard:
            signal.signal(it, signal.SIG_IGN)  # the shell and the system may both send one
        try:
            action()
        finally:
            signal.signal(told, signal.SIG_DFL)
            signal.raise_signal(told)

    for it in heard:
        signal.signal(it, end)
    try:
        yield
    finally:
        for it in heard:
            signal.signal(it, signal.SIG_DFL)
