"""What keeps the records, and the store that is this process."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from functools import cache
from threading import Lock
from typing import NamedTuple, Protocol

from .asks import Ask, Record, Told, Verdict
from .rules import step

__all__ = ["ProcessStore", "Stepped", "Store", "Unusable", "microseconds", "of_this_process"]

_STEPS = 4096
"""After how many of them what has had its time is looked for."""


class Stepped(NamedTuple):
    """What came of a step.

    Attributes:
        now: the store's time.
        moved: the buckets in which what was to be held longer is held now.
        verdicts: of what was asked, in order.
    """

    now: int
    moved: list[int]
    verdicts: list[Verdict]


class Unusable(Exception):
    """A store's address that means nothing here; what is wrong with it, without the address."""


class Store(Protocol):
    """Keeps records, and does steps on them, each as one: nobody sees half of it.

    Every record has an end, after which it is as if it had never been. What fails raises whatever it raises: the store
    is away then, and `far.py` knows what to do.

    Attributes:
        kind: what it is.
    """

    kind: str

    async def step(self, told: Sequence[Told], asks: Sequence[Ask]) -> Stepped:
        """Do what is told, and answer what is asked, by `rules.py`, at the store's own time."""

    async def entries(self) -> Mapping[str, Record]:
        """All records, by their keys."""

    async def remove(self, keys: Iterable[str]) -> None:
        """Forget records."""

    async def close(self) -> None:
        """Let go of files and connections."""


def microseconds() -> int:
    """The time of this machine."""
    return time.time_ns() // 1000


class ProcessStore:
    """Records in this process's memory. Threads may share it."""

    kind = "process"

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self._lock = Lock()
        self._steps = 0
        self._at = 0

    def now(self) -> int:
        """The time."""
        return microseconds()

    def at_once(self, told: Sequence[Told], asks: Sequence[Ask]) -> Stepped:
        """A step, without a wait."""
        with self._lock:
            now = self._at = self.now()
            moved: list[int] = []
            verdicts = step(self._record, now, told, asks, moved)
            self._steps += 1
            if self._steps >= _STEPS:
                self._forget(now)
        return Stepped(now, moved, verdicts)

    def _record(self, key: str) -> Record:
        record = self.records.get(key)
        if record is None or record.get("x", 0) < self._at:
            record = self.records[key] = {}
        return record

    def _forget(self, now: int) -> None:
        self._steps = 0
        for key in [key for key, record in self.records.items() if record.get("x", 0) < now]:
            del self.records[key]

    async def step(self, told: Sequence[Told], asks: Sequence[Ask]) -> Stepped:
        """As `Store` has it."""
        return self.at_once(told, asks)

    async def entries(self) -> Mapping[str, Record]:
        """As `Store` has it."""
        with self._lock:
            self._forget(self.now())
            # Other threads go on with theirs.
            return deepcopy(self.records)

    async def remove(self, keys: Iterable[str]) -> None:
        """As `Store` has it."""
        with self._lock:
            for key in keys:
                self.records.pop(key, None)

    async def close(self) -> None:
        """There is nothing to let go of."""


@cache
def of_this_process(project: str) -> ProcessStore:
    """The store of this process for the aliases of one lockfile: all services that read it share it."""
    return ProcessStore()
