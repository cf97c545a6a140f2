"""The events of requests, for whoever watches them: `LLMRing(on_event=...)`.

Each request tells `RequestStarted` first and one of `Finished`, `Failed` and `Left` last, all with the same
`request_id`. In between, each candidate that is tried has an `AttemptStarted` and an `AttemptEnded`, and what was done
about a failure, or a long silence, is a `MovedOn`, a `Retried`, a `Resumed` or a `Hedged`.
"""

from __future__ import annotations

from .kinds import (
    AttemptEnded,
    AttemptStarted,
    Event,
    Failed,
    Finished,
    FirstChunk,
    Hedged,
    Left,
    MovedOn,
    RequestStarted,
    Resumed,
    Retried,
)
from .lines import log_event
from .listeners import Listener, Listeners
from .telling import telling

__all__ = [
    "AttemptEnded",
    "AttemptStarted",
    "Event",
    "Failed",
    "Finished",
    "FirstChunk",
    "Hedged",
    "Left",
    "Listener",
    "Listeners",
    "MovedOn",
    "RequestStarted",
    "Resumed",
    "Retried",
    "log_event",
    "telling",
]
