"""The replies that wait to be asked for, and whom each is for."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from .formats import FORMATS
from .replies import Reply
from .requests import RecordedRequest

__all__ = ["Queue"]

_WIRES = (*FORMATS, "models")
_PROVIDERS = ("openai:", "anthropic:", "google:", "ollama:")
"""What an alias's models begin with; the names that the providers give to theirs do not."""


@dataclass
class _Queued:
    reply: Reply
    wire: str | None
    model: str | None
    times: int

    def fits(self, request: RecordedRequest) -> bool:
        if self.wire is None and request.wire == "models":
            return False
        return self.wire in (None, request.wire) and self.model in (None, request.model)


class Queue:
    """Replies in order. Filled by the test, emptied by the server's thread."""

    def __init__(self) -> None:
        self._waiting: list[_Queued] = []
        self._lock = threading.Lock()

    def add(self, reply: Reply, wire: str | None, model: str | None, times: int) -> None:
        """Put a reply at the end, for requests on that wire, for that model; `None` for any.

        Raises:
            ValueError: no request could be meant.
        """
        if wire not in (None, *_WIRES):
            raise ValueError(f"there is no wire {wire!r}; there are: {', '.join(_WIRES)}")
        if model is not None and model.startswith(_PROVIDERS):
            raise ValueError(f"name the model as its provider sees it: {model.partition(':')[2]!r}")
        if times < 1:
            raise ValueError(f"times is {times}; a reply answers at least one request")
        with self._lock:
            self._waiting.append(_Queued(reply, wire, model, times))

    def take(self, request: RecordedRequest) -> Reply | None:
        """The first reply that fits the request."""
        with self._lock:
            for queued in self._waiting:
                if queued.fits(request):
                    queued.times -= 1
                    if not queued.times:
                        self._waiting.remove(queued)
                    return queued.reply
        return None

    def replies(self) -> list[Reply]:
        """What waits, once for each request that it would answer."""
        with self._lock:
            return [queued.reply for queued in self._waiting for _ in range(queued.times)]

    def clear(self) -> None:
        """Forget all of it."""
        with self._lock:
            self._waiting.clear()
