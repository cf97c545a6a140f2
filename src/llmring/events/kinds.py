"""The events of a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Literal, NamedTuple

from .. import catalog
from ..schemas import FinishReason, LLMRequest, LLMResponse, Served, Usage, add_usage

__all__ = [
    "AttemptEnded",
    "AttemptStarted",
    "Event",
    "Failed",
    "Finished",
    "FirstChunk",
    "Hedged",
    "Left",
    "MovedOn",
    "RequestStarted",
    "Resumed",
    "Retried",
]


class _Bill(NamedTuple):
    """What is to be paid, as `catalog.cost_of` reads it."""

    served: tuple[Served, ...]
    model: str = ""
    usage: Usage | None = None
    response_model: str | None = None
    service_tier: str | None = None


def _cost(served: tuple[Served, ...], model: str, addresses: Mapping[str, str | None]) -> catalog.Cost:
    if not served:
        return catalog.Cost(None, None, None, model, "no model is known to have served anything")
    one = served[0] if len(served) == 1 else Served(model)
    return catalog.cost_of(_Bill(served, *one), base_url=addresses.get)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a request.

    Attributes:
        request_id: the same for all events of one request, and for no other.
        alias: what the request named: an alias, or `provider:model`.
        profile: the profile that the alias was looked up in; `None` without a lockfile.
        streamed: whether the answer comes in pieces.
        time: when, in seconds since 1970.
        monotonic: when, in seconds of `time.monotonic()`.
        elapsed: seconds since the first chunk of the request was asked for.
    """

    request_id: str
    alias: str
    profile: str | None
    streamed: bool
    time: float
    monotonic: float
    elapsed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestStarted(Event):
    """A request begins: nobody has been asked yet. It is the first event of each.

    Attributes:
        request: what is asked, with the params of its alias merged in. It is the program's own: do not change it.
        models: who may serve, `provider:model`; none where it failed before that was known.
    """

    request: LLMRequest = field(repr=False)
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStarted(Event):
    """A candidate is tried.

    Attributes:
        attempt: which one of the request's, counted from 1.
        model: its `provider:model`.
        address: where it is asked, without login and query; `None` where that is not known.
    """

    attempt: int
    model: str
    address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnded(Event):
    """A candidate's part is over. Each that started ends once, before the request does.

    Attributes:
        attempt, model: as it started.
        error: what ended it; `None` where it gave its answer, or was left.
        served: what it served, with its tokens; `None` where nothing is known to have been billed. Each is said once,
            so that their sum is what the request used.
        finish_reason: why the model stopped, where its answer is whole, and was handed over.
        gaps: of a streamed answer, the seconds between its pieces as they came, where a listener keeps them (its
            attribute `keeps_gaps` is true); else none.
    """

    attempt: int
    model: str
    error: BaseException | None = None
    served: Served | None = None
    finish_reason: FinishReason | None = None
    gaps: Sequence[float] = field(default=(), repr=False)
    _addresses: Mapping[str, str | None] = field(default_factory=dict, repr=False, compare=False)

    @property
    def usage(self) -> Usage | None:
        """Its tokens."""
        return self.served.usage if self.served is not None else None

    @property
    def cost(self) -> catalog.Cost:
        """What it cost, in US dollars, calculated when it is asked for."""
        return _cost((self.served or Served(self.model),), self.model, self._addresses)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstChunk(Event):
    """The first piece of a streamed answer has come.

    Attributes:
        attempt, model: whose it is.
    """

    attempt: int
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedOn(Event):
    """A candidate could not serve, and the next one is tried.

    Attributes:
        attempt, model: who could not.
        to: the next one.
        error: why.
    """

    attempt: int
    model: str
    to: str
    error: BaseException


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried(Event):
    """The same model is asked once more: after what may pass, or for an answer that did not have its form.

    Attributes:
        attempt, model: who is asked. For an answer without its form, that attempt is over, and another follows.
        retry: which retry of the request it is, counted from 1.
        pause: seconds until then.
        error: why.
    """

    attempt: int
    model: str
    retry: int
    pause: float
    error: BaseException


@dataclass(frozen=True, slots=True, kw_only=True)
class Hedged(Event):
    """A candidate has said nothing for a while, and another one is asked beside it.

    Attributes:
        attempt, model: who has said nothing.
        to: who is asked, too.
    """

    attempt: int
    model: str
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed(Event):
    """An answer broke off, and is gone on with.

    Attributes:
        attempt, model: who broke off.
        to: who goes on: the same model, from where it kept its place, or the next candidate.
        error: what broke it off.
    """

    attempt: int
    model: str
    to: str
    error: BaseException | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended(Event):
    attempt: int
    model: str
    request: LLMRequest = field(repr=False)
    response: LLMResponse = field(repr=False)
    served: tuple[Served, ...] = ()
    first_chunk: float | None = None
    retries: int = 0
    _addresses: Mapping[str, str | None] = field(default_factory=dict, repr=False, compare=False)

    @property
    def usage(self) -> Usage | None:
        """The tokens of all attempts; `None` where no provider reported any."""
        return reduce(add_usage, (it.usage for it in self.served), None)

    @property
    def cost(self) -> catalog.Cost:
        """What all attempts cost, in US dollars, calculated when it is asked for."""
        return _cost(self.served, self.model, self._addresses)

    @property
    def costs(self) -> list[catalog.Cost]:
        """What each of `served` cost."""
        return [_cost((it,), it.model, self._addresses) for it in self.served]

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the model stopped; `None` where the answer is not whole."""
        return self.response.finish_reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished(_Ended):
    """The answer is whole. Every request ends in one of `Finished`, `Failed` and `Left`.

    Attributes:
        attempt: the last one; 0 where nobody was tried.
        model: the `provider:model` that served last, else that was tried last; else what the request named.
        request: as in `RequestStarted`.
        response: the answer.
        served: who served, in order, each with its tokens. Answers that were not handed over are among them, as far as
            their providers had reported tokens: `response.usage` is what was handed over.
        first_chunk: the seconds until then; `None` where the answer was not streamed, or nothing of it came.
        retries: how often a model was asked again.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(_Ended):
    """The request ended in an error.

    Attributes:
        attempt, model, request, served, first_chunk, retries: as in `Finished`.
        response: what had come of the answer.
        error: what the program is told.
    """

    error: BaseException


@dataclass(frozen=True, slots=True, kw_only=True)
class Left(_Ended):
    """The program had enough before the answer was whole: it closed or dropped the stream, or was cancelled.

    Attributes:
        attempt, model, request, first_chunk, retries: as in `Finished`.
        response: what had come of the answer.
        served: as in `Finished`, as far as the provider had reported by then.
        reason: `"closed"`, or `"cancelled"`: by `stream.cancel()`, or with the task that read.
    """

    reason: Literal["closed", "cancelled"]
