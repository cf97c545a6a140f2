"""What the practice server is asked, for assertions, and what it answers: `Reply`, and what a reply may hold."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from .faults import Fault

__all__ = ["Problem", "RecordedRequest", "Reply", "Tokens", "ToolCallScript", "Trouble"]

Trouble = Literal["bad_key", "unknown_model", "too_long", "rate_limit", "overloaded", "no_credit"]


@dataclass(frozen=True)
class Tokens:
    """Token counts in uniform terms; each wire reports them in its own.

    Attributes:
        prompt: all input, cached included.
        completion: all output, reasoning included.
        cache_read, cache_write: how much of the prompt came from, or went into, a cache.
        reasoning: how much of the completion was thinking.
    """

    prompt: int
    completion: int
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no count, where it is written."""
        for name in ("prompt", "completion", "cache_read", "cache_write", "reasoning"):
            _check(name, value := getattr(self, name), "a number of tokens", _is_whole(value))

    @property
    def total(self) -> int:
        """Input and output together."""
        return self.prompt + self.completion


@dataclass(frozen=True)
class ToolCallScript:
    """A call that the model makes.

    Attributes:
        name: the function.
        arguments: a dict; or a string as the model wrote it, valid JSON or not; or a list of strings, the
            exact fragments to stream.
        id: `None` for one of the wire's own kind (Ollama never names one, Gemini only if it is given here).
    """

    name: str
    arguments: Mapping[str, Any] | str | Sequence[str] = field(default_factory=dict)
    id: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is no call, where it is written."""
        _check("name", self.name, "a string", isinstance(self.name, str))
        arguments = isinstance(self.arguments, Mapping | str) or _all(self.arguments, str)
        _check("arguments", self.arguments, "a dict, a string or a list of strings", arguments)
        _check("id", self.id, "a string or None", isinstance(self.id, str | None))

    @property
    def json(self) -> str:
        """The arguments as the model wrote them."""
        if isinstance(self.arguments, Mapping):
            return json.dumps(self.arguments, ensure_ascii=False)
        return "".join(self.arguments)

    @property
    def value(self) -> Any:
        """The arguments as an object, for wires that send one; the string itself if it is not JSON."""
        try:
            return json.loads(self.json)
        except ValueError:
            return self.json

    @property
    def fragments(self) -> list[str]:
        """The arguments in the pieces that are streamed."""
        if isinstance(self.arguments, Sequence) and not isinstance(self.arguments, str):
            return list(self.arguments)
        text = self.json
        return [text[at : at + 6] for at in range(0, len(text), 6)]


_TEXTS = ("text", "content_type")
_TEXTS_OR_NONE = (
    "signature",
    "reasoning_field",
    "searched",
    "finish_reason",
    "continuation",
    "response_model",
    "error",
    "error_type",
    "error_code",
    "request_id",
)
"""Fields of a reply."""


@dataclass(frozen=True)
class Problem:
    """An error answer, before a wire words it; `None` takes the wire's usual word for the status.

    Attributes:
        status: HTTP's, 200 where the vendor refuses so.
        message, param: text.
        type, code: the vendor's words for the kind, as text, a number too.
        request_id: of the request.
        retry_after: seconds, or an HTTP date.
    """

    status: int
    message: str | None = None
    type: str | None = None
    code: str | None = None
    param: str | None = None
    request_id: str | None = None
    retry_after: float | str | None = None


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer of the practice server, in uniform terms. The text may be given by position.

    Attributes:
        text: the answer, streamed word by word.
        chunks: the answer in exactly these pieces, instead of `text`.
        reasoning: thinking text, or its exact pieces, before the answer.
        signature: what the provider wants back with its thinking (base64 for Gemini); `"auto"` gives one
            of its own to each answer with reasoning.
        reasoning_field: the name that a Chat Completions server gives to reasoning: `"reasoning_content"`
            or `"reasoning"`; not given: the vendor's, `"reasoning_content"` where none is played.
        tool_calls: calls that the model makes.
        searched: a web search that the provider ran itself, shown in its own way (Anthropic and the
            Responses API: items of the answer; Gemini: grounding metadata).
        usage: the token counts; `"auto"` counts words, `None` reports nothing.
        finish_reason: `stop`, `length`, `tool_calls`, `content_filter` or `other`, worded as the wire does;
            any other string goes out as it is; `"auto"` is `stop` or `tool_calls`; `None` names none.
        continuation: Gemini's token to go on from (base64); ends the turn with `CONTINUATION`.
        checkpoints: Gemini's tokens to go on from after a cut, each by the index of the chunk it comes with.
        response_model: the model that says it answered, by default the one that was asked for.
        delay: seconds before the headers.
        interval: seconds between chunks.
        status: the HTTP status; 400 and more is an error in the wire's own body.
        error, error_type, error_code: what the error body says instead of the wire's usual words.
        problem: a situation that every wire words, and numbers, in its own way, instead of `status`.
        retry_after: seconds or an HTTP date. A date is always a header; seconds too, but for Gemini, which
            names them in the body.
        headers: more response headers; they win over the server's own.
        request_id: the id in the headers and error bodies of the wires that have one.
        body: these bytes instead of all of the above; a list is sent piece by piece.
        content_type: goes with `body`.
        fault: how the server misbehaves; several are applied together.
        done: for files, batches and listings: what is asked for is done, and its true answer is given with the delay,
            the headers and the faults of this reply. With `Fault.hang_up()` it was done, and nobody hears of it.
    """

    text: str = field(default="", kw_only=False)
    chunks: Sequence[str] | None = None
    reasoning: str | Sequence[str] = ""
    signature: str | None = "auto"
    reasoning_field: str | None = None
    tool_calls: Sequence[ToolCallScript] = ()
    searched: str | None = None
    usage: Tokens | Literal["auto"] | None = "auto"
    finish_reason: str | None = "auto"
    continuation: str | None = None
    checkpoints: Mapping[int, str] = field(default_factory=dict)
    response_model: str | None = None
    delay: float = 0.0
    interval: float = 0.0
    status: int = 200
    error: str | None = None
    error_type: str | None = None
    error_code: str | None = None
    problem: Trouble | None = None
    retry_after: float | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    request_id: str | None = None
    body: bytes | Sequence[bytes] | None = None
    content_type: str = "text/html; charset=utf-8"
    fault: Fault | Sequence[Fault] = ()
    done: bool = False

    def __post_init__(self) -> None:
        """Refuse what no wire can render, where it is written and not where it is asked for.

        Raises:
            TypeError: a field holds the wrong kind of thing.
            ValueError: there is no such problem or status, or an error is given the text of an answer.
        """
        for name in _TEXTS:
            _check(name, value := getattr(self, name), "a string", isinstance(value, str))
        for name in _TEXTS_OR_NONE:
            _check(name, value := getattr(self, name), "a string or None", isinstance(value, str | None))
        for name in ("delay", "interval"):
            _check(name, value := getattr(self, name), "a number of seconds", _is_number(value))
        _check("chunks", self.chunks, "a list of strings", self.chunks is None or _all(self.chunks, str))
        thinking = isinstance(self.reasoning, str) or _all(self.reasoning, str)
        _check("reasoning", self.reasoning, "a string or a list of strings", thinking)
        calls = "a list of ToolCallScript"
        _check("tool_calls", self.tool_calls, calls, _all(self.tool_calls, ToolCallScript))
        usage = 'Tokens(prompt=..., completion=...), "auto" or None'
        _check("usage", self.usage, usage, self.usage in (None, "auto") or isinstance(self.usage, Tokens))
        tokens = "a dict of strings by the number of their chunk"
        _check("checkpoints", self.checkpoints, tokens, _maps(self.checkpoints, int, str))
        wait = isinstance(self.retry_after, str | None) or _is_number(self.retry_after)
        _check("retry_after", self.retry_after, "a number of seconds, an HTTP date or None", wait)
        _check("headers", self.headers, "a dict of strings", _maps(self.headers, str, str))
        body = self.body is None or isinstance(self.body, bytes) or _all(self.body, bytes)
        _check("body", self.body, "bytes, as in json.dumps(...).encode(), or a list of them", body)
        fault = "a Fault, such as Fault.cut_after(2), or a list of them"
        _check("fault", self.fault, fault, isinstance(self.fault, Fault) or _all(self.fault, Fault))
        _check("status", self.status, "an HTTP status", _is_whole(self.status))
        _check("done", self.done, "True or False", isinstance(self.done, bool))
        if not 200 <= self.status <= 599:
            raise ValueError(f"status is {self.status}; an HTTP status of an answer is from 200 to 599")
        if self.problem not in (None, *get_args(Trouble)):
            raise ValueError(f"there is no problem {self.problem!r}; there are: {', '.join(get_args(Trouble))}")
        if self.text and self.body is None and (self.status >= 400 or self.problem):
            raise ValueError("an error says no text; its words are error=")
        if self.done and (self.status != 200 or self.problem or self.text or self.body is not None):
            raise ValueError("with done=True the true answer is given; it takes delay, headers and faults, no more")

    @property
    def faults(self) -> tuple[Fault, ...]:
        """`fault` as a tuple."""
        return (self.fault,) if isinstance(self.fault, Fault) else tuple(self.fault)

    @property
    def text_chunks(self) -> list[str]:
        """The answer in the pieces that are streamed."""
        return words(self.text) if self.chunks is None else list(self.chunks)

    @property
    def reasoning_chunks(self) -> list[str]:
        """The thinking in the pieces that are streamed."""
        return words(self.reasoning) if isinstance(self.reasoning, str) else list(self.reasoning)


def _all(value: object, kind: type) -> bool:
    """Whether it is a sequence of nothing but that; a string is no list of strings."""
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(item, kind) for item in value)


def _maps(value: object, key: type, item: type) -> bool:
    """Whether it is a dictionary from nothing but the one to nothing but the other."""
    return isinstance(value, Mapping) and all(isinstance(k, key) and isinstance(it, item) for k, it in value.items())


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return _is_whole(value) or isinstance(value, float)


def _check(name: str, value: object, wanted: str, fits: bool) -> None:
    if not fits:
        raise TypeError(f"{name} is {value!r}; it must be {wanted}")


def words(text: str) -> list[str]:
    """Words, each with the space before it; together they are the text."""
    return re.findall(r"\s*\S+|\s+", text)


@dataclass(eq=False)
class RecordedRequest:
    """One request as it came over the wire.

    Attributes:
        wire: `openai-chat`, `openai-responses`, `anthropic`, `gemini` or `ollama`; `models` for a listing,
            `counting` for a count, `files` for giving a file, asking for it or deleting it, `batches` for what is done
            with batches, `None` for a path that nobody serves.
        action: what is done with files or batches: `create`, `retrieve`, `list`, `download` (the results of a batch,
            too), `cancel`, `delete`; `begin` for the first step of giving Gemini a file, whose `create` brings the
            bytes.
        method, path: of the HTTP request.
        query, headers: tables of text (`{"flow": "1"}`); header names in lower case.
        raw, body: the body as bytes, and parsed (`None` if it is not JSON).
        model: the model asked for.
        stream: whether a stream was asked for.
        connection: the number of the connection; the same on requests that share one.
        number: of the request, from 1.
        vendor: whose Chat Completions were asked for (see `PracticeServer`), `None` for any host's.
        refused: what the vendor would have said to it, and the server did; `None` for a request that it took.
        started_at: when the whole request had arrived, on the clock of `time.monotonic()`.
        finished_at: when the whole answer had been handed to the network.
        disconnected_at: when the client closed the connection on which this was the last request.
        closed_by_client: set at that moment. `finished_at` tells whether the answer was whole by then.
        chunks_sent: how many pieces of text, reasoning or arguments have gone out so far.
    """

    wire: str | None
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    raw: bytes
    body: Any = None
    model: str = ""
    stream: bool = False
    connection: int = 0
    number: int = 0
    vendor: str | None = None
    action: str = ""
    refused: str | None = None
    started_at: float = field(default_factory=time.monotonic)
    finished_at: float | None = None
    disconnected_at: float | None = None
    closed_by_client: threading.Event = field(default_factory=threading.Event, repr=False)
    chunks_sent: int = 0

    def __repr__(self) -> str:
        return f"<RecordedRequest {self.number}: {self.method} {self.path} {self.wire} {self.model}>"

    def wait_closed(self, timeout: float | None = 5.0) -> bool:
        """Whether the client closes the connection within that many seconds. Blocks the thread."""
        return self.closed_by_client.wait(timeout)

    async def closed(self, timeout: float = 5.0) -> bool:
        """`wait_closed` for async code: the loop goes on, so that a client in it can close."""
        return await asyncio.to_thread(self.wait_closed, timeout)

    @property
    def id(self) -> str:
        """What the answer names as the id of the request, unless the reply does."""
        return f"req_practice{self.number:06d}"

    @property
    def question(self) -> str:
        """The text of the last turn, whatever the wire."""
        turns = self._turns()
        if isinstance(turns, str):
            return turns
        return "".join(_texts(turns[-1])) if turns and isinstance(turns, list) else ""

    @property
    def words(self) -> int:
        """The words of the conversation, instructions included: the stand-in for prompt tokens."""
        if not isinstance(self.body, dict):
            return 0
        said = (self._asked.get(key) for key in ("system", "systemInstruction", "instructions"))
        return sum(len(text.split()) for part in (self._turns(), *said) for text in _texts(part))

    def _turns(self) -> Any:
        """The conversation under the name that the wire gives it."""
        if not isinstance(self.body, dict):
            return []
        return next((self._asked[key] for key in ("messages", "input", "contents") if self._asked.get(key)), [])

    @property
    def _asked(self) -> dict[str, Any]:
        """The body, or what is in it where Gemini is to count it."""
        inner: Any = self.body.get("generateContentRequest")
        return inner if isinstance(inner, dict) else self.body


def _texts(part: Any) -> Iterator[str]:
    """Every text inside a turn, in order; not its role, type or id."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, list):
        for item in part:
            yield from _texts(item)
    elif isinstance(part, dict):
        for key in ("text", "content", "parts", "output"):
            yield from _texts(part.get(key))
