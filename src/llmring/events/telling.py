"""One request, as it is told: its events are made here, of what its way says."""

from __future__ import annotations

import os
import threading
from array import array
from collections.abc import Callable, Sequence
from contextvars import copy_context
from time import monotonic, time
from types import TracebackType
from typing import Any, Literal
from uuid import uuid4

from .. import concealment
from ..addresses import shown
from ..exceptions import ProviderError
from ..record import Record
from ..schemas import FinishReason, LLMRequest, Served
from ..told import Attempt, Stream, Told
from . import kinds
from .listeners import INSIDE, Line, Listeners

__all__ = ["Telling", "telling"]

Places = Callable[[str], tuple[str | None, str | None] | None]


def telling(
    listeners: Listeners, request: LLMRequest, profile: str | None, streamed: bool, places: Places
) -> Telling | None:
    """What tells of a request; `None` where one of these listeners asks it, who would be told of it for ever."""
    return None if listeners in INSIDE.get() else Telling(listeners, request, profile, streamed, places)


class Telling(Told):
    """What one request tells its service's listeners.

    Args:
        listeners: the service's.
        request: what the program asks.
        profile: the profile that it asked for, if it did.
        streamed: whether the answer comes in pieces.
        places: of a `provider:model`, says where it is asked, and which address its price depends on.
    """

    def __init__(
        self, listeners: Listeners, request: LLMRequest, profile: str | None, streamed: bool, places: Places
    ) -> None:
        self._listeners = listeners
        self._context = copy_context()
        self._context.run(INSIDE.set, INSIDE.get() | {listeners})
        self._request = request
        self._profile = profile
        self._alias: str = getattr(request, "model", "")
        self._streamed = streamed
        self._places = places
        self._addresses: dict[str, str | None] = {}
        self._lines: dict[int, Line] = {}
        self._id = uuid4().hex
        self._record: Record | None = None
        self._process = 0
        self._began = self._began_at = 0.0
        self._is_told = False
        self._first_chunk: float | None = None
        self._tried = self._alias
        self._models: tuple[str, ...] = ()
        self._keeps_gaps = listeners.keep_gaps()
        self._gaps = array("d")
        self._last = 0.0
        self._retries = 0
        self._over = threading.Lock()
        self._attempts = 0
        self._open: list[_Attempt] = []
        self._serving: _Attempt | None = None
        self._served: list[Served] = []

    def begin(self, record: Record) -> None:
        """Its first chunk is asked for."""
        self._record, self._process = record, os.getpid()
        self._began, self._began_at = monotonic(), time()

    def started(self, request: LLMRequest, alias: str, profile: str | None, models: Sequence[str]) -> None:
        """It was checked, and its alias resolved."""
        self._request, self._alias, self._profile, self._models = request, alias, profile, tuple(models)
        self._start()

    def _start(self) -> None:
        if not self._is_told:
            self._is_told = True
            self.tell(kinds.RequestStarted, request=self._request, models=self._models)

    def attempt(self, model: str) -> Attempt:
        """A candidate is tried."""
        if self._open:
            first = self._open[-1]
            self.tell(kinds.Hedged, attempt=first.number, model=first.model, to=model)
        self._attempts += 1
        self._tried = model
        made = _Attempt(self, self._attempts, model)
        self._open.append(made)
        self.tell(kinds.AttemptStarted, attempt=made.number, model=model, address=self._place(model))
        return made

    def _place(self, model: str) -> str | None:
        if (places := self._places(model)) is None:
            return None
        address, priced = places
        self._addresses[model] = shown(priced) or None
        return shown(address) or None

    def moved_on(self, model: str, to: str, error: BaseException) -> None:
        """Another candidate is tried."""
        self.tell(kinds.MovedOn, attempt=self._attempts, model=model, to=to, error=error)

    def gave_up(self, model: str, error: BaseException) -> None:
        """A candidate's time is over."""
        for attempt in [it for it in self._open if it.model == model]:
            attempt.ended(error)

    def resumed(self, model: str, to: str, error: BaseException | None) -> None:
        """An answer that broke off is gone on with."""
        self.tell(kinds.Resumed, attempt=self._attempts, model=model, to=to, error=error)

    def broke(self, served: Served, error: BaseException | None) -> None:
        """The answer under way is given up."""
        if self._serving is not None:
            self._serving.ended(error, served)

    def asked_again(self, served: Served, retry: int, error: BaseException) -> None:
        """An answer did not have its form."""
        concealment.bare(error)
        self.broke(served, error)
        self.tell(kinds.Retried, attempt=self._attempts, model=served.model, retry=retry, pause=0.0, error=error)

    def first_chunk(self) -> None:
        """The first chunks have come."""
        if self._streamed and self._first_chunk is None and (serving := self._serving) is not None:
            self._last = monotonic()
            self._first_chunk = self._last - self._began
            self.tell(kinds.FirstChunk, attempt=serving.number, model=serving.model)

    def arrived(self) -> None:
        """Something more has been read."""
        if self._keeps_gaps:
            now = monotonic()
            self._gaps.append(now - self._last)
            self._last = now

    def finished(self, stream: Stream) -> None:
        """It has its answer."""
        self._end(kinds.Finished, stream)

    def failed(self, stream: Stream, error: BaseException) -> None:
        """It ended in an error."""
        self._end(kinds.Failed, stream, of=concealment.bare(error), error=error)

    def left(self, stream: Stream, reason: Literal["closed", "cancelled"], *, soon: bool = False) -> None:
        """Its reader had enough."""
        self._end(kinds.Left, stream, soon, reason=reason)

    def _end(
        self,
        kind: type[kinds.Event],
        stream: Stream,
        soon: bool = False,
        of: BaseException | None = None,
        **fields: Any,
    ) -> None:
        if self._record is None or not self._over.acquire(blocking=False):
            return
        self._start()
        response = stream.response
        serving = self._serving
        for attempt in [*self._open]:
            served = response.served[-1] if attempt is serving and response.served else None
            attempt.ended(of, served, soon=soon, finish=response.finish_reason if served is not None else None)
        self.tell(
            kind,
            soon,
            attempt=self._attempts,
            model=response.model if response.served else self._tried,
            request=self._request,
            response=response,
            served=tuple(self._served),
            first_chunk=self._first_chunk,
            retries=self._retries,
            _addresses=self._addresses,
            **fields,
        )

    def serves(self, attempt: _Attempt) -> None:
        """Whose answer is handed over."""
        if attempt in self._open:  # not one that was given up
            self._serving = attempt

    def over(
        self,
        attempt: _Attempt,
        error: BaseException | None,
        served: Served | None,
        soon: bool,
        finish: FinishReason | None,
    ) -> None:
        """An attempt is over, once."""
        if attempt not in self._open:
            return
        self._open.remove(attempt)
        gaps: array[float] | None = None
        if attempt is self._serving:
            self._serving = None
            gaps, self._gaps = self._gaps, array("d")
        if served is not None:
            self._served.append(served)
            if attempt.model not in self._addresses:  # it may have come to life by now
                self._place(attempt.model)
        if error is not None:
            concealment.bare(error)
        self.tell(
            kinds.AttemptEnded,
            soon,
            attempt=attempt.number,
            model=attempt.model,
            error=error,
            served=served,
            finish_reason=finish,
            gaps=tuple(gaps) if gaps else (),
            _addresses=self._addresses,
        )

    def tell(self, kind: type[kinds.Event], soon: bool = False, /, **fields: Any) -> None:
        """Make an event, and have it told."""
        self._retries += kind is kinds.Retried
        if self._record is None or self._process != os.getpid():
            return
        now = monotonic()
        event = kind(
            request_id=self._id,
            alias=self._alias,
            profile=self._profile,
            streamed=self._streamed,
            time=self._began_at + (now - self._began),
            monotonic=now,
            elapsed=now - self._began,
            **fields,
        )
        tell = self._listeners.tell_soon if soon else self._listeners.tell
        tell(event, self._lines, self._record, self._context)


class _Attempt(Attempt):
    def __init__(self, telling: Telling, number: int, model: str) -> None:
        self._telling = telling
        self.number = number
        self.model = model

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.serves()
        elif isinstance(error, Exception):
            partial = error.partial if isinstance(error, ProviderError) else None
            self.ended(error, partial.served[-1] if partial is not None and partial.served else None)

    def retried(self, retry: int, pause: float, error: BaseException) -> None:
        """The same model is asked once more."""
        self._telling.tell(
            kinds.Retried,
            attempt=self.number,
            model=self.model,
            retry=retry,
            pause=pause,
            error=concealment.bare(error),
        )

    def serves(self) -> None:
        """Its answer is the one that is handed over."""
        self._telling.serves(self)

    def ended(
        self,
        error: BaseException | None = None,
        served: Served | None = None,
        *,
        soon: bool = False,
        finish: FinishReason | None = None,
    ) -> None:
        """It is over."""
        self._telling.over(self, error, served, soon, finish)
