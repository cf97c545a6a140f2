"""What Ctrl-C does in a conversation."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator

__all__ = ["Interrupts"]


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
