"""Recordings: what a model was asked and what it said, kept in a file, and served from there in its place.

In a lockfile, `record:tests/recordings/chat.jsonl+anthropic:claude-haiku-5-5` asks that model and writes what it was
asked and what it answered; `replay:tests/recordings/chat.jsonl` answers from the file, and asks nobody. What is
recorded is the call and its answer as every provider's are here, not bytes: it serves any wire, and holds no key and no
header.

A program's tests say more by a `Session`, or by the fixtures of the pytest plugin that comes with llmring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .errors import RecordingError, RecordingMissError
    from .exchanges import Exchange
    from .resilience import FAULTS, assert_resilient
    from .serving import answering
    from .session import Mode, Session

__all__ = [
    "FAULTS",
    "Exchange",
    "Mode",
    "RecordingError",
    "RecordingMissError",
    "Session",
    "answering",
    "assert_resilient",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "errors": ("RecordingError", "RecordingMissError"),
        "exchanges": ("Exchange",),
        "resilience": ("FAULTS", "assert_resilient"),
        "serving": ("answering",),
        "session": ("Mode", "Session"),
    },
)
