"""What the practice server says to a request, or to a row of a batch: by queue, default and the vendors' rules."""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

from .batches import Batches
from .batches.work import Answered, BatchRow
from .exchange import Problem, RecordedRequest, Reply
from .script import Queue, Script, script
from .wires import (
    Answer,
    Cabinet,
    Facts,
    Format,
    Given,
    Route,
    listing,
    parsed,
    refusal,
    route,
    said_by,
    vendor_of,
    wrong_form,
)
from .wires.answer import dumps, json_reply

__all__ = ["Deciding", "Decision", "echo"]

Decision = Callable[[RecordedRequest], "Reply | None"]


def echo(request: RecordedRequest) -> Reply:
    """The answer to anyone who has not been told otherwise."""
    return Reply(f"You said: {request.question}")


class Deciding:
    """The part of the server that knows nothing of the network."""

    def __init__(self, record: bool) -> None:
        self._record = record
        self._numbers = itertools.count(1)
        self._queue = Queue()
        self._arrived = threading.Condition()
        self._broken: Exception | None = None
        self._given: dict[tuple[str | None, ...], Given] = defaultdict(Given)
        self._described: dict[str, Facts] = {}
        self.default: Reply | Decision = echo
        self.requests: list[RecordedRequest] = []
        self.models: dict[str, list[str]] = {
            "openai": ["gpt-5-mini", "gpt-5-nano"],
            "anthropic": ["claude-haiku-4-5", "claude-sonnet-4-5"],
            "gemini": ["gemini-2.5-flash", "gemini-2.5-pro"],
            "ollama": ["llama3.2:latest"],
        }
        self.capabilities: dict[str, list[str]] = {}
        self.files = Cabinet()
        self.batches = Batches()
        self.lenient = False

    def answer(self, request: RecordedRequest) -> Script:
        """See what the request is for, keep it, decide what to do about it. For the connections."""
        request.number = next(self._numbers)
        is_form = "x-goog-upload-offset" in request.headers or "multipart/" in request.headers.get("content-type", "")
        request.body, unparsed = parsed(request.raw) if request.raw and not is_form else (None, None)
        to = self._route(request)
        request.model, request.stream = to.model, to.stream
        request.action = to.place.action if to.place is not None else ""
        elsewhere = "models" if to.place is None else to.place.wire
        request.wire = "counting" if to.counts else to.format.NAME if to.chat else elsewhere
        if to.format.NAME == "openai-chat":
            request.vendor = vendor_of(request.path, request.headers)
        if self._record:
            with self._arrived:
                self.requests.append(request)
                self._arrived.notify_all()
        if (unreadable := self._unreadable(request, to, unparsed)) is not None:
            return script(Reply(status=400, error=unreadable), request, to.format)
        given = self._given[request.headers.get("host"), request.vendor, to.format.NAME if to.chat else request.wire]
        reply = self._refused(request, to.format, given) if to.chat else None
        reply = reply or self._queue.take(request)
        if reply is None or (reply.done and not to.chat):
            true = self._decided(request) if to.chat else self._kept(request, to)
            reply = true if reply is None else _bent(true, reply)
        return self._rendered(reply, request, to.format, given if to.chat else None)

    def _route(self, request: RecordedRequest) -> Route:
        """The wire that the request is for, and what it asks for."""
        return route(request.method, request.path, request.query, request.headers, request.body)

    def _unreadable(self, request: RecordedRequest, to: Route, unparsed: str | None) -> str | None:
        """What is wrong with the request's body, before anybody looks at what it asks for."""
        no_object = to.chat and not isinstance(request.body, dict)
        return "The body is not a JSON object." if unparsed is None and no_object else unparsed

    def _kept(self, request: RecordedRequest, to: Route) -> Reply:
        """What there is where files are kept, where batches are run, and where models are listed."""
        said: Reply | Problem | None = None
        vendor = to.format.NAME.partition("-")[0]
        if to.place is not None and to.place.wire == "files":
            said = self.files.answer(request, vendor, to.place)
        elif to.place is not None:
            said = self.batches.answer(vendor, request, to.place, self.files, self._row)
        if isinstance(said, Problem):
            return self._said(said, request, to.format)
        return self._listed(request, to.format) if said is None else said

    def _row(self, row: BatchRow, created: RecordedRequest) -> Answered:
        """Answer a row of a batch as a request of its own; what bends an answer on its way makes it an error."""
        to = route("POST", row.path, {}, {}, row.body)
        host, format = created.headers.get("host"), to.format
        request = RecordedRequest(format.NAME, "POST", row.path, {}, created.headers, dumps(row.body), row.body)
        request.number, request.model, request.vendor = next(self._numbers), to.model, created.vendor
        given = self._given[host, request.vendor, format.NAME]
        reply = self._refused(request, format, given)
        if reply is None and row.body.get("stream"):
            reply = self._said(Problem(400, "Streaming is not supported in a batch.", param="stream"), request, format)
        reply = reply or self._queue.take(request) or self._decided(request)
        made = self._rendered(reply, request, format, given)
        whole = made.opening == "answer" and made.ending == "done"
        return Answered(request, made.status if whole else 0, b"".join(piece.data for piece in made.pieces))

    def _rendered(self, reply: Reply, request: RecordedRequest, format: Format, given: Given | None) -> Script:
        """The reply as pieces to send; what it gives away is kept where that is wanted."""
        try:
            if given is not None:
                self._remember(reply, request, format, given)
            return script(reply, request, format)
        except Exception as exc:
            self._broken = self._broken or exc
            return script(Reply(status=500, error=f"The reply cannot be rendered: {exc!r}"), request, format)

    def _listed(self, request: RecordedRequest, format: Format) -> Reply:
        known = listing(format.NAME, request.path, request.model, self.models, self._described, self.capabilities)
        if known is None:
            request.wire = None
            return Reply(status=404, error=f"Nothing here: {request.method} {request.path}")
        return json_reply(known)

    def _refused(self, request: RecordedRequest, format: Format, given: Given) -> Reply | None:
        """What the vendor says to a request that it does not take."""
        problem = None
        if not self.lenient:
            try:
                problem = refusal(format, request, given) or self.files.refusal(format, request)
            except (AttributeError, LookupError, TypeError, ValueError) as exc:
                # What a rule stumbles over is in the body, for it sees nothing else; and no vendor takes it.
                problem = Problem(400, f"Invalid request: {exc}")
        problem = problem or wrong_form(format.NAME, request.body)
        return None if problem is None else self._said(problem, request, format)

    def _said(self, problem: Problem, request: RecordedRequest, format: Format) -> Reply:
        """A refusal in the vendor's form."""
        request.refused = problem.message
        said = said_by(request.vendor, problem) or format.error(replace(problem, request_id=request.id))
        body, wait = dumps(said), problem.retry_after
        return Reply(status=problem.status, body=body, content_type="application/json", retry_after=wait)

    def _remember(self, reply: Reply, request: RecordedRequest, format: Format, given: Given) -> None:
        """Keep what the answer gives away and the vendor wants back as it was."""
        if reply.body is not None:
            given.learn(reply.body if isinstance(reply.body, bytes) else b"".join(reply.body))
        elif reply.reasoning or reply.tool_calls or reply.searched or reply.signature not in ("auto", None):
            given.learn(format.body(Answer.of(reply, request)))

    def _decided(self, request: RecordedRequest) -> Reply:
        if isinstance(self.default, Reply):
            return self.default
        try:
            return self.default(request) or echo(request)
        except Exception as exc:
            self._broken = self._broken or exc
            return Reply(status=500, error=f"The script failed: {exc!r}")


def _bent(true: Reply, reply: Reply) -> Reply:
    """The true answer, given as the reply says."""
    headers = {**true.headers, **reply.headers}
    return replace(true, fault=reply.fault, delay=reply.delay, interval=reply.interval, headers=headers)
