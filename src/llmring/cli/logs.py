"""Whether a command has what it asks logged."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from ..events import Event, Listener
from ..exceptions import ConfigurationError, LLMRingError
from .terminal import logged_from

__all__ = ["VARIABLE", "listener"]

VARIABLE = "LLMRING_CHAT_LOG"
"""The environment variable that has all that is asked logged."""
_ON, _OFF = ("1", "on", "yes", "true"), ("", "0", "off", "no", "false")


def listener(wanted: bool | None) -> list[Listener] | None:
    """What hears of requests: what writes the log, where that is wanted, or the environment says so."""
    if wanted is None:
        said = os.environ.get(VARIABLE, "").strip().lower()
        if said not in (*_ON, *_OFF):
            raise ConfigurationError(f"{VARIABLE} is {said!r}; it takes 1 to log what is asked, or 0.")
        wanted = said in _ON
    found: list[Listener] = []
    if wanted:
        from ..log import Log

        found.append(_telling(Log().write))
    if logged_from() == "debug":
        from ..events import log_event

        found.append(log_event)
    return found or None


def _telling(write: Callable[[Event], None]) -> Listener:
    """What writes the log, and says once why it cannot, in the words of the command."""
    failed = False

    def written(event: Event) -> None:
        nonlocal failed
        try:
            write(event)
        except LLMRingError as error:
            if not failed:
                logging.getLogger(__name__).warning("What is asked is not logged. %s", error)
            failed = True

    return written
