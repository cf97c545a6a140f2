"""What the way of one request tells whoever listens. Here nobody does; `events` has those who do.

It is the seam between a request and all that hangs on its events: `stream.py` says how it begins and ends, `routing.py`
what it tries. Nothing is said of a chunk but the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Final, Literal, Protocol

from .record import Record
from .schemas import LLMRequest, LLMResponse, Served

__all__ = ["NOBODY", "Attempt", "Stream", "Told"]


class Stream(Protocol):
    """A `ChatStream`, to be asked for what had come by then. It is not kept."""

    @property
    def response(self) -> LLMResponse:
        """The answer so far."""


class Attempt:
    """One candidate that is tried, as a context: an error that leaves it ends it, unless it was cancelled."""

    def __enter__(self) -> Attempt:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def retried(self, retry: int, pause: float, error: BaseException) -> None:
        """The same model is asked once more, after a pause."""

    def serves(self) -> None:
        """Its answer is the one that is handed over. Said by itself where no other attempt is under way."""

    def ended(self, error: BaseException | None = None, served: Served | None = None) -> None:
        """It is over: with the error that ended it, if one did, and what it served, if that is known."""


class Told:
    """What a request tells, in order. Whatever follows the first ending is not told any more."""

    def begin(self, record: Record) -> None:
        """Its first chunk is asked for, in the loop of this record."""

    def started(self, request: LLMRequest, alias: str, profile: str | None, models: Sequence[str]) -> None:
        """It was checked, and its alias resolved."""

    def attempt(self, model: str) -> Attempt:
        """A candidate is tried."""
        return _ATTEMPT

    def moved_on(self, model: str, to: str, error: BaseException) -> None:
        """Another candidate is tried after one that could not serve."""

    def gave_up(self, model: str, error: BaseException) -> None:
        """A candidate's time is over, for another one that was asked beside it has begun to answer."""

    def resumed(self, model: str, to: str, error: BaseException | None) -> None:
        """An answer that broke off is gone on with, by the same model or another."""

    def broke(self, served: Served, error: BaseException | None) -> None:
        """The answer under way is given up: another is asked for in its place, or goes on with it."""

    def asked_again(self, served: Served, retry: int, error: BaseException) -> None:
        """An answer did not have its form, and is asked for again."""

    def arrived(self) -> None:
        """Something more of the answer under way has been read."""

    def first_chunk(self) -> None:
        """The first chunks have come."""

    def finished(self, stream: Stream) -> None:
        """It has its answer."""

    def failed(self, stream: Stream, error: BaseException) -> None:
        """It ended in an error."""

    def left(self, stream: Stream, reason: Literal["closed", "cancelled"], *, soon: bool = False) -> None:
        """Its reader had enough; `soon`: said from where nothing may be called, such as `__del__`."""


_ATTEMPT: Final = Attempt()
NOBODY: Final = Told()
