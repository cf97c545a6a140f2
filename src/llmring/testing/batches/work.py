"""What a batch is, and how it goes on: by looks, never by a clock alone, so that a test knows where it stands."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from ..exchange import RecordedRequest
from .script import BatchProblem, BatchScript

__all__ = ["Answered", "Batch", "BatchRow", "State"]

State = Literal["validating", "in_progress", "finalizing", "cancelling", "completed", "failed", "expired", "cancelled"]
Outcome = Literal["succeeded", "errored", "expired", "canceled"]
_ROUNDING = 1e-9
_ENDS = ("completed", "failed", "expired", "cancelled")


@dataclass
class Answered:
    """What the server says to one row, as it would to a request of its own.

    Attributes:
        request: the row as a request; it is not among the server's.
        status: HTTP's, 0 where the answer never came whole.
        body: the answer, an error too.
    """

    request: RecordedRequest
    status: int
    body: bytes


@dataclass(eq=False)
class BatchRow:
    """One request of a batch.

    Attributes:
        index: from 0, as it was given.
        key: what the client calls it: OpenAI's and Anthropic's `custom_id`, Gemini's `key`.
        body: the request itself.
        path: where it would have gone by itself.
        metadata: Gemini's of inlined requests.
        outcome: `succeeded`, `errored`, `expired` or `canceled`; `None` while it waits.
        request: what the server was asked for it, as `server.requests` has single ones; `None` if it never was.
        status, answer: what it was answered.
    """

    index: int
    key: str
    body: dict[str, Any]
    path: str
    metadata: Any = None
    outcome: Outcome | None = None
    request: RecordedRequest | None = None
    status: int = 0
    answer: Any = None

    @property
    def billed(self) -> bool:
        """Whether it was paid for: it was answered, and not by an error."""
        return self.outcome == "succeeded"

    def __repr__(self) -> str:
        return f"<BatchRow {self.key!r}: {self.outcome or 'waits'}>"

    def take(self, answered: Answered) -> None:
        """Keep what it was answered; an answer that never came whole, or cannot be read, is an error of the server."""
        self.request = answered.request
        try:
            self.status, self.answer = answered.status, json.loads(answered.body)
        except ValueError:
            self.status, self.answer = 0, None
        self.outcome = "succeeded" if 200 <= self.status < 400 else "errored"


@dataclass(eq=False)
class Batch:
    """A batch that was created.

    Attributes:
        vendor: `openai`, `anthropic` or `gemini`.
        id: as the vendor names it.
        request: which created it.
        rows: its requests.
        script: how it goes.
        state: where it stands, in OpenAI's words, whoever the vendor is.
        metadata: OpenAI's.
        display_name: Gemini's.
        endpoint, input_file, output_file, error_file: paths and ids where the vendor has them.
        looks: how often it was looked at.
        problems: why it failed.
        moments: when it came to each state, in seconds since 1970.
    """

    vendor: str
    id: str
    account: str = field(repr=False)
    request: RecordedRequest = field(repr=False)
    rows: list[BatchRow] = field(repr=False)
    script: BatchScript = field(repr=False)
    state: State = "validating"
    metadata: dict[str, str] | None = None
    display_name: str = ""
    model: str = ""
    endpoint: str = ""
    input_file: str | None = None
    output_file: str | None = None
    error_file: str | None = None
    looks: int = 0
    problems: list[BatchProblem] = field(default_factory=list)
    created_at: float = field(default_factory=time.time)
    moments: dict[State, float] = field(default_factory=dict)
    _born: float = field(default_factory=time.monotonic, repr=False)
    _told: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def idempotency_key(self) -> str | None:
        """The header of that name with which it was created. No vendor says that it makes one batch of two."""
        return self.request.headers.get("idempotency-key")

    @property
    def ended(self) -> bool:
        """Whether it goes on no more."""
        return self.state in _ENDS

    @property
    def billed(self) -> list[BatchRow]:
        """The rows that were paid for."""
        return [row for row in self.rows if row.billed]

    def finish(self) -> None:
        """Let it end with the next look, whatever its script says of polls, events and seconds."""
        self._told.set()

    def cancel(self) -> None:
        """Ask it to stop; it has with the next look."""
        self.enter("cancelling")

    def enter(self, state: State) -> None:
        """Come to a state."""
        self.state = state
        self.moments[state] = time.time()

    def look(self, answer: Callable[[BatchRow], Answered], counts: bool) -> None:
        """Go on as far as it is due.

        Args:
            answer: answers one row.
            counts: whether this is one of the looks that the script counts.
        """
        if self.ended:
            return
        self.looks += counts
        if self.state == "cancelling":
            if counts:
                self._end("cancelled", self.script.done or 0, answer)
        elif self._due():
            ends = "failed" if self.problems else self.script.ends
            due = len(self.rows) if ends == "completed" else 0 if ends == "failed" else self._half()
            self._end(ends, due, answer)
        elif counts and not (self.problems or self.script.ends == "failed"):
            most = len(self.rows) if self.script.ends == "completed" else self._half()
            self._do(min(self._share(), most), answer)
            self.enter("finalizing" if 1 < self.script.polls <= self.looks else "in_progress")

    def _share(self) -> int:
        """How many rows are done by now."""
        done = min(self.looks / (self.script.polls + 1), 1.0)
        if self.script.seconds:
            done = min(done, (time.monotonic() - self._born) / self.script.seconds)
        return int(len(self.rows) * done + _ROUNDING)

    def _due(self) -> bool:
        if self._told.is_set():
            return True
        script = self.script
        held = script.until is not None and not script.until.is_set()
        late = time.monotonic() - self._born >= script.seconds
        return self.looks > script.polls and not held and late

    def _half(self) -> int:
        return len(self.rows) // 2 if self.script.done is None else self.script.done

    def _do(self, most: int, answer: Callable[[BatchRow], Answered]) -> None:
        """Do the rows up to that many."""
        for row in self.rows[:most]:
            if row.outcome is None:
                row.take(answer(row))

    def _end(self, state: State, due: int, answer: Callable[[BatchRow], Answered]) -> None:
        self._do(due, answer)
        for row in self.rows if state in ("expired", "cancelled") else ():
            row.outcome = row.outcome or ("expired" if state == "expired" else "canceled")
        self.enter(state)
