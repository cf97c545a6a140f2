"""What the wire formats have in common: the answer they render, and the events they render it to."""

from __future__ import annotations

import json
import re
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol, runtime_checkable

from ..exchange import Problem, RecordedRequest, Reply, Tokens, ToolCallScript, Trouble
from .shapes import Given

__all__ = ["Answer", "Event", "Format", "Framed", "dumps", "event", "json_reply", "phrase", "template"]


class Event(NamedTuple):
    """One event of a stream: JSON, and for some wires a name.

    Attributes:
        data: the JSON, encoded.
        name: the SSE event name.
        carries: the piece of text, reasoning or arguments in it; `None` if it carries none.
        end: whether it is the wire's end marker.
    """

    data: bytes
    name: str | None = None
    carries: str | None = None
    end: bool = False


@dataclass
class Answer:
    """A reply to one request, with nothing left open.

    Attributes:
        request: what it answers.
        model: that answers.
        chunks, reasoning: the text and the thinking, in the pieces that are streamed; whole in `text` and `thought`.
        calls: each has `name`, `id` (`None` where the wire is to make one), `fragments`, the pieces of its arguments,
            and `json`, all of them.
        usage: `prompt`, `completion`, `cache_read`, `cache_write` and `reasoning` tokens; `None` to report none.
        finish_reason: `stop`, `length`, `tool_calls`, `content_filter`, or another word, to go out as it is; `None` to
            name none.
        signature, reasoning_field, searched, continuation, checkpoints: what single vendors have; see `Reply`.
        created: seconds since 1970.
    """

    request: RecordedRequest
    model: str
    chunks: list[str]
    reasoning: list[str]
    signature: str | None
    reasoning_field: str | None
    calls: list[ToolCallScript]
    searched: str | None
    usage: Tokens | None
    finish_reason: str | None
    continuation: str | None
    checkpoints: Mapping[int, str]
    created: int = field(default_factory=lambda: int(time.time()))

    @classmethod
    def of(cls, reply: Reply, request: RecordedRequest) -> Answer:
        """The answer that the reply stands for."""
        chunks, reasoning, calls = reply.text_chunks, reply.reasoning_chunks, list(reply.tool_calls)
        signature = reply.signature
        if signature == "auto":
            signature = _signature(request) if reasoning else None
        usage = reply.usage
        if usage == "auto":
            thought = len("".join(reasoning).split())
            said = len("".join([*chunks, *(call.json for call in calls)]).split())
            usage = Tokens(max(request.words, 1), max(thought + said, 1), reasoning=thought)
        finish = reply.finish_reason
        if finish == "auto":
            finish = "tool_calls" if calls else "stop"
        return cls(
            request=request,
            model=reply.response_model or request.model,
            chunks=chunks,
            reasoning=reasoning,
            signature=signature,
            reasoning_field=reply.reasoning_field,
            calls=calls,
            searched=reply.searched,
            usage=usage,
            finish_reason=finish,
            continuation=reply.continuation,
            checkpoints=reply.checkpoints,
        )

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.chunks)

    @property
    def thought(self) -> str:
        """The whole reasoning."""
        return "".join(self.reasoning)

    def id(self, prefix: str, index: int = 0) -> str:
        """An id of the wire's kind, the same in every run."""
        return f"{prefix}practice{self.request.number:06d}{index:02d}"


class Format(Protocol):
    """A wire format. Each module beside this one is one."""

    NAME: str
    STREAM_TYPE: str
    NEWLINE: bytes
    LINES: bool
    """Whether events are bare lines of JSON, not server-sent events."""
    ID_HEADER: str | None
    """Where the request's id is."""
    RETRY_IN_BODY: bool
    """Whether the seconds to wait are in the error's body and not in a header."""
    TROUBLES: Mapping[Trouble, Problem]

    def check(self, body: dict[str, Any], given: Given, request: RecordedRequest) -> Iterator[Problem]:
        """What is wrong with a request."""
        ...

    def events(self, answer: Answer) -> list[Event]:
        """The answer as a stream."""
        ...

    def body(self, answer: Answer) -> dict[str, Any]:
        """The answer in one piece."""
        ...

    def error(self, problem: Problem) -> dict[str, Any]:
        """The body of an error."""
        ...

    def error_events(self, problem: Problem, answer: Answer) -> list[Event]:
        """The error in the middle of a stream."""
        ...

    def unknown_events(self, answer: Answer) -> list[Event]:
        """Events that a client of today does not know."""
        ...


@runtime_checkable
class Framed(Protocol):
    """A wire format that says itself how its events travel."""

    def frame(self, event: Event, newline: bytes) -> bytes:
        """The event as it travels."""
        ...


def _signature(request: RecordedRequest) -> str:
    """One that no other server, and no other answer, has given."""
    return b64encode(f"practice {request.headers.get('host')} {request.number}".encode()).decode()


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def dumps(value: Any) -> bytes:
    """Compact JSON; a lone surrogate becomes the raw byte it stands for. Bytes are what they are."""
    if isinstance(value, bytes):
        return value
    return _encode(value).encode("utf-8", "surrogateescape")


def json_reply(value: Any, headers: dict[str, str] | None = None) -> Reply:
    """A reply whose body is that, as JSON."""
    return Reply(body=json.dumps(value).encode(), content_type="application/json", headers=headers or {})


def event(data: dict[str, Any], name: str | None = None, carries: str | None = None, end: bool = False) -> Event:
    """An event of that table, as JSON. For other data: `Event(b"tick", "beat")`.

    Args:
        data: the table.
        name: the event's, of server-sent events.
        carries: the piece of text, thinking or arguments in it.
        end: whether it is the last of a stream: the end marker, or the error that a stream ends in.
    """
    return Event(dumps(data), name, carries, end)


def template(data: dict[str, Any], name: str | None = None) -> Callable[..., Event]:
    """A maker of events that differ only where `data` holds `"\\x00"`, `"\\x01"`, ...: encoded once.

    The maker takes what goes there; the first is the piece of content that the event carries.
    """
    parts = re.split(rb'"\\u000(\d)"', dumps(data))
    slots = [int(slot) for slot in parts[1::2]]

    def make(carries: str, *values: Any) -> Event:
        encoded = [dumps(value) for value in (carries, *values)]
        parts[1::2] = [encoded[slot] for slot in slots]
        return Event(b"".join(parts), name, carries)

    return make


def phrase(problem: Problem) -> str:
    """The message of the problem, or what HTTP calls its status."""
    if problem.message is not None:
        return problem.message
    if problem.status == 529:
        return "Overloaded"
    try:
        return HTTPStatus(problem.status).phrase
    except ValueError:
        return f"Status {problem.status}"
