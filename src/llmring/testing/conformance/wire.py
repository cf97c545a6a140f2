"""A wire of an author's own, as its server speaks it: `WireScript`, and what a request asked for, `Asked`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from ..exchange import Problem, RecordedRequest, Reply, Trouble
from ..script import encode
from ..server import PracticeServer, echo
from ..wires import Answer, Event, Format, Given, Route
from ..wires.answer import event

__all__ = [
    "Answer",
    "Asked",
    "Called",
    "Event",
    "Problem",
    "Result",
    "ScriptServer",
    "WireScript",
    "event",
    "key_of",
]


class Called(NamedTuple):
    """A call in a conversation, as the server reads it.

    Attributes:
        name: the function's.
        arguments: as a table.
        id: what ties a result to it: the server's own, or, where that is no id to keep (`lacks` has `call_ids`),
            whatever the wire says instead, such as a number, unique in the conversation that is read; `None` where the
            wire has nothing of the kind.
    """

    name: str
    arguments: Any
    id: str | int | None = None


class Result(NamedTuple):
    """What a function returned, as the server reads it.

    Attributes:
        text: the result.
        id: of the call that it answers, as in `Called`; `None` where the wire has none.
    """

    text: str
    id: str | int | None = None


@dataclass(frozen=True)
class Asked:
    """What a request asks for, as a server of the wire reads it.

    Attributes:
        model: the model's name; `None` where the wire does not say it.
        stream: whether a stream is asked for.
        texts: all text of the conversation, instructions included, oldest first; an item for each turn, or part.
        tools: the names of the functions that are described.
        calls, results: of the conversation, oldest first.
        key: the key that came with it.
    """

    model: str | None
    stream: bool
    texts: Sequence[str] = ()
    tools: Sequence[str] = ()
    calls: Sequence[Called] = ()
    results: Sequence[Result] = ()
    key: str | None = None


def key_of(request: RecordedRequest) -> str | None:
    """The key of a request, in one of the headers that most vendors take it from."""
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    named = (request.headers.get(name) for name in ("x-api-key", "api-key", "x-goog-api-key"))
    return bearer or next(filter(None, named), None) or request.query.get("key")


class WireScript(ABC):
    """A server of a wire of your own, for the tests: how it answers, and how it reads a request.

    Write it from the vendor's description of the API, and not with the code of your provider, so that it can contradict
    it. An answer is put into words by `events` and `body`; how the server misbehaves is none of its business.

        class AcmeWire(WireScript):
            def read(self, request):
                body = request.body  # parsed; request.query is a table of text, header names are in lower case
                texts = [turn["text"] for turn in body["turns"]]
                return Asked(body["model"], body["stream"], texts, key=key_of(request))

            def events(self, answer):
                for piece in answer.chunks:
                    yield event({"say": piece}, carries=piece)
                yield event({"end": answer.finish_reason}, end=True)

            def body(self, answer):
                return {"said": answer.text, "end": answer.finish_reason}

            def error(self, problem):
                return {"oops": problem.message or f"status {problem.status}"}

    Attributes:
        lines: whether events are bare lines of JSON; else they are server-sent events. Others: see `frame`.
        content_type: of a stream.
        path: what follows the server's address in the `base_url` that your provider is given.
        id_header: the header with the request's id, `None` where the vendor sends none.
        retry_in_body: whether the seconds to wait are in the error's body (`problem.retry_after`) and in no header.
            Left out, they are sent in the header, and no test sees whether your provider finds them in the body.
        lacks: what the wire has not, by ability, each with the reason (see `Subject`).
        troubles: how the vendor words what it has a word of its own for, each with the status that it sends, 200 too;
            `{model}` stands for the model. What is left out is worded as here, so that `error` meets these codes, too:
            they are text (`"context_length_exceeded"`), as all of them are.
    """

    lines: ClassVar[bool] = False
    content_type: ClassVar[str] = "text/event-stream"
    path: ClassVar[str] = ""
    id_header: ClassVar[str | None] = "x-request-id"
    retry_in_body: ClassVar[bool] = False
    lacks: ClassVar[Mapping[str, str]] = {}
    troubles: ClassVar[Mapping[Trouble, Problem]] = {
        "bad_key": Problem(401, "Invalid API key."),
        "unknown_model": Problem(404, "The model {model} does not exist."),
        "too_long": Problem(400, "The prompt is too long.", code="context_length_exceeded"),
        "rate_limit": Problem(429, "Too many requests.", retry_after=1),
        "overloaded": Problem(503, "Overloaded, try again later."),
        "no_credit": Problem(402, "The account is empty."),
    }

    @abstractmethod
    def read(self, request: RecordedRequest) -> Asked | None:
        """What the request asks for; `None` for one that is no question, which `other` answers."""

    @abstractmethod
    def events(self, answer: Answer) -> Iterable[Event]:
        """The answer as a stream, made with `event`.

        Each piece of `answer.chunks`, `answer.reasoning` and of the calls' `fragments` is an event of its own where the
        wire streams it, and is named in `carries`. The end marker is `end=True`, and is the last one.
        """

    @abstractmethod
    def body(self, answer: Answer) -> Any:
        """The answer in one piece: a value for JSON, or bytes."""

    @abstractmethod
    def error(self, problem: Problem) -> Any:
        """The body of an error: a value for JSON, or bytes."""

    def error_events(self, problem: Problem, answer: Answer) -> Iterable[Event]:
        """An error in the middle of a stream, which ends with it; not overridden: the error's body as an event."""
        return [event(self.error(problem))]

    def unknown_events(self, answer: Answer) -> Iterable[Event]:
        """Events that nobody knows yet; not overridden: one of a new `type`, with a new name."""
        return [event({"type": "conformance.future", "future": {"value": 1}}, "conformance.future")]

    def refuse(self, request: RecordedRequest) -> Problem | None:
        """What the vendor says to a request that it does not take; not overridden: it takes all."""
        return None

    def other(self, request: RecordedRequest) -> Reply:
        """The answer to a request that is no question."""
        return Reply(status=404, error=f"Nothing here: {request.method} {request.path}")

    def frame(self, event: Event, newline: bytes) -> bytes:
        """An event as it travels, where it is neither a server-sent event nor a line.

        `event.data` may be cut off in its middle: a server that goes wrong sends such.
        """
        return encode(self.lines, event, newline)


class _Format:
    """A `WireScript` as the practice server's wire formats are."""

    NAME = "own"
    NEWLINE = b"\n"

    def __init__(self, wire: WireScript) -> None:
        self._wire = wire
        self.STREAM_TYPE = wire.content_type
        self.LINES = wire.lines
        self.ID_HEADER = wire.id_header
        self.RETRY_IN_BODY = wire.retry_in_body
        self.TROUBLES: Mapping[Trouble, Problem] = {**WireScript.troubles, **wire.troubles}
        self.body, self.error, self.frame = wire.body, wire.error, wire.frame

    def check(self, body: Any, given: Given, request: RecordedRequest) -> Iterator[Problem]:
        if (problem := self._wire.refuse(request)) is not None:
            yield problem

    def events(self, answer: Answer) -> list[Event]:
        events = list(self._wire.events(answer))
        carried = {made.carries for made in events}
        for piece in answer.chunks:
            if piece not in carried:
                raise TypeError(
                    f"{type(self._wire).__name__}.events: no event carries the piece of text {piece!r}. Make an event "
                    "of each piece of answer.chunks: event({...}, carries=piece)"
                )
        return events

    def error_events(self, problem: Problem, answer: Answer) -> list[Event]:
        return list(self._wire.error_events(problem, answer))

    def unknown_events(self, answer: Answer) -> list[Event]:
        return list(self._wire.unknown_events(answer))


class ScriptServer(PracticeServer):
    """A practice server of one wire, an author's own, at every path."""

    def __init__(self, wire: WireScript) -> None:
        super().__init__()
        self._wire = wire
        self._format = _Format(wire)
        self.default = self._echo

    def clear(self) -> None:
        """Forget the queue, the default and the requests."""
        super().clear()
        self.default = self._echo

    def _echo(self, request: RecordedRequest) -> Reply:
        asked = self._wire.read(request)
        return Reply(f"You said: {asked.texts[-1]}") if asked is not None and asked.texts else echo(request)

    def _route(self, request: RecordedRequest) -> Route:
        try:
            asked = self._wire.read(request)
        except Exception as exc:
            self._broken = self._broken or exc
            asked = None
        return Route(self._format, asked is not None, (asked and asked.model) or "", bool(asked and asked.stream))

    def _unreadable(self, request: RecordedRequest, to: Route, unparsed: str | None) -> str | None:
        return None  # what the body is, is the wire's to say

    def _refused(self, request: RecordedRequest, format: Format, given: Given) -> Reply | None:
        problem = None if self.lenient else self._wire.refuse(request)
        return None if problem is None else self._said(problem, request, format)

    def _listed(self, request: RecordedRequest, format: Format) -> Reply:
        if self._broken is not None:
            return Reply(status=500, error=f"{type(self._wire).__name__} failed: {self._broken!r}")
        return self._wire.other(request)

    def _remember(self, reply: Reply, request: RecordedRequest, format: Format, given: Given) -> None:
        pass  # whether what it gave comes back, nobody knows but the wire
