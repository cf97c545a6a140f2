"""Whether a command has what it asks logged."""

from __future__ import annotations

import os

from ..events import Listener
from ..exceptions import ConfigurationError

__all__ = ["VARIABLE", "listener"]

VARIABLE = "LLMRING_CHAT_LOG"
"""The environment variable that has all that is asked logged."""
_ON, _OFF = ("1", "on", "yes", "true"), ("", "0", "off", "no", "false")


def listener(wanted: bool | None) -> Listener | None:
    """What writes the log, where that is wanted; not said: where the environment says so."""
    if wanted is None:
        said = os.environ.get(VARIABLE, "").strip().lower()
        if said not in (*_ON, *_OFF):
            raise ConfigurationError(f"{VARIABLE} is {said!r}; it takes 1 to log what is asked, or 0.")
        wanted = said in _ON
    if not wanted:
        return None
    from ..log import Log

    return Log().write
