"""The events of requests, for whoever watches them: `LLMRing(on_event=...)`.

Each request tells `RequestStarted` first and one of `Finished`, `Failed` and `Left` last, all with the same
`request_id`. In between, each candidate that is tried has an `AttemptStarted` and an `AttemptEnded`, and what was done
about a failure is a `MovedOn`, a `Retried` or a `Resumed`.
"""

from __future__ import annotations

from .kinds import (
    AttemptEnded,
    AttemptStarted,
    Event,
    Failed,
    Finished,
    FirstChunk,
    Left,
    MovedOn,
    RequestStarted,
    Resumed,
    Retried,
)
from .listeners import Listener, Listeners
from .telling import telling

__all__ = [
    "AttemptEnded",
    "AttemptStarted",
    "Event",
    "Failed",
    "Finished",
    "FirstChunk",
    "Left",
    "Listener",
    "Listeners",
    "MovedOn",
    "RequestStarted",
    "Resumed",
    "Retried",
    "telling",
]
