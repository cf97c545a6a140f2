"""The matrix: each fault, and what it comes to on every wire, streamed and whole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from llmring import LLMResponse, LLMRing
from llmring.exceptions import (
    ContextLengthError,
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderError,
    ProviderRateLimitError,
    ProviderResponseError,
    ProviderTimeoutError,
)
from llmring.testing import Fault, PracticeServer, Reply

from .ground import PROVIDERS, Ground, ask

CHUNKS = ["One", " two", " thrée", " 四"]
TEXT = "".join(CHUNKS)
GRACE = 20.0
"""Seconds within which an error must come after its timeout, and a connection must go after its answer."""

_SHORT = 1.5
"""The timeout where it is to be waited for."""

_LONG = 60.0
"""The timeout where it is not: what comes must come before it, on a busy machine too."""

_AT_ONCE = 20
_TWO = "One two"


@dataclass(frozen=True)
class Text:
    """The answer is good."""

    text: str = TEXT
    skipped: int = 0
    usage: bool = True

    def __str__(self) -> str:
        return "text" + (f", {self.skipped} skipped" if self.skipped else "") + ("" if self.usage else ", no usage")


@dataclass(frozen=True)
class Error:
    """The answer is an error, after some text; or it holds some that was not said before it."""

    kind: type[ProviderError]
    status: int | None = None
    retry_after: float | None = None
    text: str = ""
    partial: str = ""

    def __str__(self) -> str:
        details = [
            *([str(self.status)] if self.status else []),
            *([f"retry after {self.retry_after:g} s"] if self.retry_after is not None else []),
            *([f"partial {(self.text or self.partial)!r}"] if self.text or self.partial else []),
        ]
        return self.kind.__name__ + (f" ({', '.join(details)})" if details else "")


Outcome = Text | Error
Outcomes = Outcome | Mapping[str, Outcome]
"""On all wires alike, or by wire, with `""` for those that are not named."""


@dataclass(frozen=True)
class Row:
    """A fault, and what it comes to.

    Attributes:
        reply: how the server answers; `None` if it refuses the connection.
        streamed: the outcome of `chat_stream`.
        whole: the outcome of `chat`; `None` for the same, but that an error has no text before it.
        waited: it takes the whole timeout, to wait for the rest of an error.
        timeout: seconds; `None` for short where it is to be waited for, and long where it is not.
        max_retries: of the service.
    """

    name: str
    reply: Reply | None
    streamed: Outcomes
    whole: Outcomes | None = None
    waited: bool = False
    timeout: float | None = None
    max_retries: int = 0


@dataclass(eq=False)
class Cell:
    """One row on one wire, and what came of it.

    Attributes:
        seconds: how long it took.
        error: what it ended in.
        faults: what is not as it should be.
    """

    row: Row
    wire: str
    streamed: bool
    seconds: float = 0.0
    error: Exception | None = None
    faults: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        return f"{self.row.name}-{self.wire}-{'streamed' if self.streamed else 'whole'}"

    @property
    def asked(self) -> tuple[str, str]:
        """The provider and the model, which no other cell asks."""
        refused = "refused-" if self.row.reply is None else ""
        return refused + PROVIDERS[self.wire], self.id.replace(" ", "_").replace(",", "")

    @property
    def expected(self) -> Outcome:
        outcomes = self.row.streamed if self.streamed or self.row.whole is None else self.row.whole
        outcome = outcomes.get(self.wire, outcomes[""]) if isinstance(outcomes, Mapping) else outcomes
        return outcome if self.streamed or isinstance(outcome, Text) else replace(outcome, text="")

    @property
    def waited(self) -> bool:
        """Whether it takes the whole timeout."""
        return self.row.waited or (isinstance(self.expected, Error) and self.expected.kind is ProviderTimeoutError)

    @property
    def timeout(self) -> float:
        return self.row.timeout or (_SHORT if self.waited else _LONG)

    def check(self, what: str, found: object, wanted: object) -> None:
        """Take down what is not as it should be."""
        if found != wanted:
            self.faults.append(f"{what}: {found!r:.80}, not {wanted!r:.80}")

    def check_good(self, response: LLMResponse) -> None:
        """A good answer is as expected, and in time."""
        if isinstance(self.expected, Error):
            self.faults.append(f"text, not {self.expected}")
            return
        self.check("text", response.content, self.expected.text)
        self.check("skipped events", response.skipped_events, self.expected.skipped)
        self.check("usage", response.usage is not None, self.expected.usage)
        self.check("finish reason", response.finish_reason, "stop")
        self.check("in time", self.seconds <= 4 * self.timeout, True)

    def check_error(self, error: Exception, said: str) -> None:
        """An error is as expected, holds what had been said, and came in time."""
        if isinstance(self.expected, Text) or not isinstance(error, ProviderError):
            self.faults.append(f"{type(error).__name__}: {error}, not {self.expected}")
            return
        self.check("class", type(error).__name__, self.expected.kind.__name__)
        self.check("status_code", error.status_code, self.expected.status)
        self.check_wait(getattr(error, "retry_after", None), self.expected.retry_after)
        self.check("text", said, self.expected.text)
        self.check("partial", error.partial and error.partial.content, said or self.expected.partial or None)
        self.check("model", (error.provider, error.model), self.asked)
        if self.waited:
            self.check("not before its time", self.seconds >= self.timeout * 0.9, True)
            self.check("in time", self.seconds <= self.timeout + GRACE, True)
        else:
            self.check("in time", self.seconds <= self.timeout, True)

    def check_wait(self, found: float | None, wanted: float | None) -> None:
        """A date stands for a time that passes."""
        if found is not None and wanted is not None:
            self.check("retry_after", wanted / 2 <= found <= wanted, True)
        else:
            self.check("retry_after", found, wanted)

    async def check_connections(self, server: PracticeServer) -> None:
        """What was not answered to the end is closed: the server sees it go."""
        asked = [request for request in server.requests if request.model == self.asked[1]]
        self.check("was asked", bool(asked), self.row.reply is not None)
        until = time.monotonic() + GRACE
        for request in asked:
            while request.finished_at is None and request.connection in server.connection_numbers:
                if time.monotonic() > until:
                    self.faults.append("the connection stays open")
                    return
                await asyncio.sleep(0.01)


def _status(status: int, what: str = "", kind: type[ProviderError] = ProviderResponseError, **reply: Any) -> Row:
    return Row(f"status {status}{what}", Reply(status=status, **reply), Error(kind, status))


def _fault(name: str, outcome: Outcomes, *faults: Fault, whole: Outcomes | None = None, **row: Any) -> Row:
    return Row(name, Reply(chunks=CHUNKS, fault=faults), outcome, whole, **row)


def _in_band(name: str, kind: type[ProviderError], **fault: Any) -> list[Row]:
    """An error inside an answer of status 200: first, and after some text. On a wire with no word for it, unnamed."""
    return [
        _fault(
            f"{name} {place}",
            {"": Error(kind, fault["status"], text=text), "ollama": Error(ProviderResponseError, 500, text=text)},
            Fault.error_event(after, **fault),
        )
        for place, after, text in (("first", 0, ""), ("after 2", 2, _TWO))
    ]


def rows() -> list[Row]:
    """The matrix. Dates in it count from now."""
    soon = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    key, response, limit = ProviderAuthenticationError, ProviderResponseError, ProviderRateLimitError
    good, cut, silent, broken = Text(), Error(ProviderConnectionError), Error(ProviderTimeoutError), Error(response)
    # Of a whole answer that had come, but for its end, the text is in `partial`.
    cut_after, silent_after = replace(cut, partial=TEXT), replace(silent, partial=TEXT)
    fails, waits = Error(response, 500), Error(limit, 429, 7.0)
    odd = Fault.bom(), Fault.comments(), Fault.newlines("\r\n"), Fault.gzip(), Fault.one_byte(), Fault.unknown_events()
    return [
        _status(400),
        _status(401, kind=key),
        _status(403, kind=key),
        _status(404, kind=ModelNotFoundError, problem="unknown_model"),
        _status(404, ", a page", body=b"<html><body>Not here</body></html>"),
        _status(408),
        _status(413),
        _status(422),
        _status(429, kind=limit),
        Row("status 429, in 7 s", Reply(status=429, retry_after=7), waits),
        Row("status 429, a date", Reply(status=429, retry_after=soon), replace(waits, retry_after=3600.0)),
        _status(500),
        _status(502, ", a page", body=b"<html><body><h1>502 Bad Gateway</h1></body></html>"),
        _status(503),
        _status(529),
        Row("bad key", Reply(problem="bad_key"), {"": Error(key, 401), "gemini": Error(key, 400)}),
        Row("too long", Reply(problem="too_long"), Error(ContextLengthError, 400)),
        # The status is known, though its explanation does not come.
        Row("status 500, stalls", Reply(status=500, fault=Fault.stall_after(1)), fails, waited=True),
        Row("status 429, cut", Reply(status=429, headers={"retry-after": "7"}, fault=Fault.cut_after(1)), waits),
        Row("refuses", None, cut),
        _fault("hangs up", cut, Fault.hang_up()),
        _fault("never answers", silent, Fault.never_answer()),
        _fault("headers only", silent, Fault.headers_only()),
        _fault("stalls after 2", replace(silent, text=_TWO), Fault.stall_after(2), whole=silent_after),
        _fault("stalls at the end", replace(silent, text=TEXT), Fault.stall_after(99), whole=silent_after),
        _fault("chatters first", silent, Fault.chatter_after(0)),
        _fault("chatters after 2", replace(silent, text=_TWO), Fault.chatter_after(2)),
        _fault("lingers", good, Fault.linger(), whole=silent_after, timeout=2.0),
        Row("slow, not silent", Reply(chunks=CHUNKS, interval=0.4), good, timeout=1.0),
        _fault("resets first", cut, Fault.reset_before_first()),
        _fault("resets after 2", replace(cut, text=_TWO), Fault.reset_after(2), whole=cut_after),
        # Of a whole answer, half is sent: on one wire, its text is in that.
        _fault("cut first", cut, Fault.cut_after(0), whole={"": cut, "gemini": cut_after}),
        _fault("cut after 2", replace(cut, text=_TWO), Fault.cut_after(2), whole=cut_after),
        _fault("cut after 2, gzip", replace(cut, text=_TWO), Fault.gzip(), Fault.cut_after(2), whole=cut_after),
        _fault("ends first", cut, Fault.end_early(0), whole=cut_after),
        _fault("ends after 2", replace(cut, text=_TWO), Fault.end_early(2), whole=cut_after),
        # Chat Completions that have named their reason are whole.
        _fault(
            "ends without end",
            {"": replace(cut, text=TEXT), "openai-chat": good},
            Fault.end_early(),
            whole=cut_after,
        ),
        _fault(
            "no reason",
            {"": good, "gemini": replace(cut, text=TEXT)},
            Fault.no_finish_reason(),
            whole={"": good, "gemini": cut_after},
        ),
        *_in_band("overload", response, status=529, type="overloaded_error"),
        *_in_band("failure", response, status=500),
        *_in_band("rate limit", limit, status=429),
        _fault("malformed event", Text(skipped=1), Fault.malformed_event(2), whole=cut_after),
        _fault("malformed first", Text(skipped=1), Fault.malformed_event(0), whole=cut_after),
        _fault("invalid UTF-8", Text(skipped=1), Fault.invalid_utf8(2), whole=broken),
        _fault("a page, no stream", broken, Fault.not_a_stream()),
        _fault("JSON, no stream", broken, Fault.not_a_stream("application/json")),
        _fault("nothing at all", cut, Fault.not_a_stream(text="")),
        _fault("unknown events", good, Fault.unknown_events()),
        _fault("one byte at a time", good, Fault.one_byte()),
        _fault("CRLF", good, Fault.newlines("\r\n")),
        _fault("CR", good, Fault.newlines("\r")),
        _fault("LF", good, Fault.newlines("\n")),
        _fault("byte-order mark", good, Fault.bom()),
        _fault("comments", good, Fault.comments()),
        _fault("gzip", good, Fault.gzip()),
        _fault("all oddities", good, *odd),
        _fault("no usage", Text(usage=False), Fault.no_usage()),
        _fault("an event of 3 MB", Text(TEXT + "x" * 3_000_000), Fault.big_event()),
        # What is tried again stays within the timeout, too; a pause that does not fit into it is not waited for.
        Row("status 500, retried", Reply(status=500), fails, timeout=9.0, max_retries=2),
        Row("silent, retried", Reply(fault=Fault.never_answer()), silent, timeout=1.0, max_retries=2),
        Row("refuses, retried", None, cut, timeout=9.0, max_retries=2),
    ]


def cells() -> list[Cell]:
    """Every row on every wire, streamed and whole."""
    return [Cell(row, wire, streamed) for row in rows() for wire in PROVIDERS for streamed in (True, False)]


async def run(ground: Ground, cells: Sequence[Cell]) -> None:
    """Run the cells, some at once, and write into each what came of it."""
    gate = asyncio.Semaphore(_AT_ONCE)
    async with ground.service(max_retries=0) as once, ground.service(max_retries=2) as again:
        for service in (once, again):
            for provider in PROVIDERS.values():  # the SDKs are imported before anything is timed
                await service.chat(ask(f"{provider}:warm-up"))

        async def one(cell: Cell) -> None:
            async with gate:
                await _run(ground, again if cell.row.max_retries else once, cell)

        # Where time counts, nothing that keeps the processor busy goes on beside it.
        for waited in (False, True):
            await asyncio.gather(*(one(cell) for cell in cells if cell.waited is waited))


async def _run(ground: Ground, service: LLMRing, cell: Cell) -> None:
    provider, model = cell.asked
    if cell.row.reply is not None:
        ground.server.reply(cell.row.reply, model=model, times=9)
    request = ask(f"{provider}:{model}", timeout=cell.timeout)
    said, finals, response = "", [], None
    began = time.monotonic()
    try:
        if cell.streamed:
            stream = service.chat_stream(request)
            async for chunk in stream:
                said += chunk.delta
                finals.append(chunk.finish_reason is not None)
            response = stream.response
        else:
            response = await service.chat(request)
    except Exception as raised:
        cell.error = raised
    cell.seconds = time.monotonic() - began
    if response is not None:
        if cell.streamed:
            cell.check("one final chunk, the last", (sum(finals), finals[-1:]), (1, [True]))
            cell.check("what was gathered", response.content, said)
        cell.check_good(response)
    elif cell.error is not None:
        cell.check("final chunks before an error", sum(finals), 0)
        cell.check_error(cell.error, said)
    await cell.check_connections(ground.server)
