"""The nouns: what goes in (`Message`, `LLMRequest`) and what comes out (`StreamChunk`, `LLMResponse`).

Requests and messages are pydantic models, checked once when they are made. Chunks and responses are plain
slotted objects: one is made for every few characters of an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, NotRequired, Protocol, cast, overload

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import to_json
from typing_extensions import TypedDict

__all__ = [
    "Answered",
    "FinishReason",
    "FunctionCall",
    "LLMRequest",
    "LLMResponse",
    "Message",
    "Role",
    "Served",
    "StreamChunk",
    "ToolCall",
    "Usage",
    "add_usage",
]

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "other"]


class FunctionCall(TypedDict):
    """What a tool call asks for: the function's name and its arguments as a JSON string."""

    name: str
    arguments: str


class ToolCall(TypedDict):
    """A call that the model asks the caller to make."""

    id: str
    type: Literal["function"]
    function: FunctionCall


class Usage(TypedDict):
    """Tokens of one answer. Counts that the provider did not report are absent, not zero."""

    prompt_tokens: int
    """All input, what was read from or written to a cache included."""
    completion_tokens: int
    """All output, reasoning included."""
    total_tokens: int
    cache_read_tokens: NotRequired[int]
    cache_write_tokens: NotRequired[int]
    reasoning_tokens: NotRequired[int]


def add_usage(one: Usage | None, other: Usage | None) -> Usage | None:
    """The tokens of two answers together; a count that only one reported stands."""
    if one is None or other is None:
        return one or other
    first, second = cast(dict[str, int], one), cast(dict[str, int], other)
    return cast(Usage, {name: first.get(name, 0) + second.get(name, 0) for name in first | second})


class Message(BaseModel):
    """One turn of a conversation.

    Attributes:
        role: who speaks.
        content: the text, or a list of parts in OpenAI's form (`{"type": "text", "text": ...}`, ...; see
            `llmring.parts` for makers of them; a file is named by a `pathlib.Path`, never by text). A tool's result
            may be any value that JSON can say; what is neither text, a table nor a list of parts is kept as its JSON.
        tool_calls: an assistant turn's calls.
        tool_call_id: which call a `tool` turn answers.
        metadata: what a provider wants back with the turn (`response.to_message()` fills it), and
            `cache_control` marks; others ignore it.
    """

    model_config = ConfigDict(extra="forbid")

    if not TYPE_CHECKING:

        def __new__(cls, *args: Any, **fields: Any) -> Any:
            """Say it where fields are given by position."""
            if args:
                raise TypeError('Message takes its fields by name: Message(role="user", content="...")')
            return super().__new__(cls)

    role: Role
    content: str | list[dict[str, Any]] | dict[str, Any] | None = ""
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)

    @field_validator("content", mode="before")
    @classmethod
    def _result(cls, content: Any, info: ValidationInfo) -> Any:
        """What a function returned, as a message can hold it."""
        if info.data.get("role") != "tool" or content is None or isinstance(content, str | bytes | dict):
            return content
        listed = content if isinstance(content, list | tuple) else ()
        parts = all(isinstance(part, dict) and "type" in part for part in listed)
        return content if listed and parts else to_json(content).decode()


class LLMRequest(BaseModel):
    """What to ask. What is not set is not sent.

    Attributes:
        model: an alias of the lockfile, or `provider:model`.
        messages: the conversation, oldest first; at least one.
        temperature, top_p, stop, seed: passed on as they are; a provider that refuses one says so.
        max_tokens: the most tokens to generate, reasoning included. Where a wire demands it and it is not
            set, the model's own limit is sent.
        reasoning_effort: how much to think (`"low"`, `"medium"`, `"high"`, or what the provider knows).
        reasoning_tokens: the most tokens to think with.
        response_format: the form of the answer: `{"type": "json_object"}`, `{"type": "json_schema",
            "json_schema": {"name", "schema", "strict"}}`, or a type such as a pydantic model's class.
        tools: what the model may call: typed Python functions, definitions in OpenAI's form, or the
            provider's own tools as its API wants them.
        tool_choice: `"auto"`, `"none"`, `"required"`, or the one to call: its name, or OpenAI's form; of a tool that
            the provider runs, its type or its name, where its API can be made to use one.
        json_response: short for `response_format={"type": "json_object"}`.
        timeout: seconds for every wait; `None` waits forever. Not set: the service's.
        deadline: seconds for the whole request: all models of the alias, retries and pauses, and the reading of a
            stream; `None` sets no bound. Not set: the service's.
        on_interrupt: what to do when a stream of text breaks off midway: `"error"`, or `"resume"` to go on where the
            provider kept its place, else to have the next stand-by go on. Tool calls and structured answers always
            end in the error.
        retries_on_misfit: how often a structured answer that does not have its form is asked for again, the model told
            what did not fit. Holds for `chat`, and for a stream of which nothing but `final_response()` is read: what
            a reader has seen is not taken back. The usage is that of all answers, and `response.retries` counts them.
        extra_params: merged into the body that is sent, in the provider's own terms.
        metadata: the caller's own; never sent.
    """

    model_config = ConfigDict(extra="forbid")

    model: str
    messages: list[Message]
    temperature: float | None = Field(default=None, allow_inf_nan=False)  # which no JSON can say
    max_tokens: int | None = None
    top_p: float | None = Field(default=None, allow_inf_nan=False)
    stop: str | list[str] | None = None
    seed: int | None = None
    reasoning_effort: str | None = None
    reasoning_tokens: int | None = None
    response_format: Any = None
    tools: list[Any] | None = None
    tool_choice: str | dict[str, Any] | None = None
    json_response: bool | None = None
    timeout: float | None = Field(default=None, strict=True)
    deadline: float | None = Field(default=None, strict=True)
    on_interrupt: Literal["error", "resume"] = "error"
    retries_on_misfit: int = Field(default=0, strict=True, ge=0)
    extra_params: dict[str, Any] = Field(default_factory=dict)
    metadata: dict[str, Any] = Field(default_factory=dict)


class _Calls:
    """The type of a chunk's calls: a list, or what makes it when somebody looks.

    Most chunks of a call's many fragments are looked at by nobody, and each list would hold all arguments so far.
    """

    @overload
    def __get__(self, chunk: None, owner: type) -> None: ...
    @overload
    def __get__(self, chunk: StreamChunk, owner: type) -> list[ToolCall] | None: ...
    def __get__(self, chunk: StreamChunk | None, owner: type) -> list[ToolCall] | None:
        return None

    def __set__(self, chunk: StreamChunk, calls: list[ToolCall] | Callable[[], list[ToolCall]] | None) -> None: ...


class Served(NamedTuple):
    """What one model served of an answer.

    Attributes:
        model: the `provider:model` that served.
        usage: its tokens; `None` where the provider reported none, as before a stream that broke off.
        response_model: the exact model that the provider says answered.
        service_tier: the tier that the provider says it was served in (`"default"`, `"flex"`, `"priority"`,
            `"batch"`, in the provider's own word); `None` where it does not say. The price depends on it.
    """

    model: str
    usage: Usage | None = None
    response_model: str | None = None
    service_tier: str | None = None


class Answered(Protocol):
    """What an answer says of who served it, and with how many tokens: all that its price depends on."""

    @property
    def model(self) -> str:
        """The `provider:model` that served."""

    @property
    def usage(self) -> Usage | None:
        """The tokens."""

    @property
    def response_model(self) -> str | None:
        """The exact model that the provider says answered."""

    @property
    def service_tier(self) -> str | None:
        """The tier that it was served in."""

    @property
    def served(self) -> tuple[Served, ...]:
        """Each that served, where there were several."""


@dataclass(slots=True)
class StreamChunk:
    """A piece of an answer as it arrives.

    Attributes:
        delta: the new text, `""` if none.
        model: the `provider:model` that serves the request, the same on every chunk.
        reasoning: the new thinking text, `None` if none.
        tool_calls: every call built so far, on each chunk where one advanced; the final chunk repeats all.
        finish_reason, usage, response_model, parsed: only on the final chunk, which is the last one.
            `response_model` is the exact model that the provider says answered.
        skipped_events: on the final chunk, how many wire events could not be decoded and were left out.
        resumed_from: on the chunk with which another answer goes on (`on_interrupt="resume"`): who broke off. `model`
            then names who goes on.
        served: on the final chunk, who served the answer, each with its own share of the usage: one model, or those
            that went on with each other's answer, in order.
    """

    delta: str = ""
    model: str = ""
    reasoning: str | None = None
    tool_calls: _Calls = _Calls()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    response_model: str | None = None
    parsed: Any = None
    skipped_events: int = 0
    resumed_from: str | None = None
    served: tuple[Served, ...] = ()

    unseen_calls: ClassVar[Any]
    """A chunk's calls as they were given, a list or what makes it, to be handed on without a look."""

    @property
    def service_tier(self) -> str | None:
        """The tier that the provider says the answer was served in; of several that served it, the last one's."""
        return self.served[-1].service_tier if self.served else None


_slot: Any = StreamChunk.__dict__["tool_calls"]


def _seen(chunk: StreamChunk) -> list[ToolCall] | None:
    calls = _slot.__get__(chunk)
    if callable(calls):
        calls = calls()
        _slot.__set__(chunk, calls)
    return cast("list[ToolCall] | None", calls)


# A property whose setter is the slot's own costs the many chunks without calls next to nothing.
StreamChunk.tool_calls = property(_seen, _slot.__set__)  # type: ignore[misc, assignment]
StreamChunk.unseen_calls = _slot


class Attempt(Protocol):
    """The failure of a model that was moved on from: a `ProviderError`, which says what each attribute is."""

    provider: str | None
    model: str | None
    status_code: int | None
    request_id: str | None
    retry_after: float | None
    partial: LLMResponse | None
    original: BaseException | None


@dataclass(slots=True)
class LLMResponse:
    """An answer, whole or so far. The attributes are those of `StreamChunk`, gathered.

    `parts` are what the model made that is not text, in the form of a message's parts: pictures, sounds and files as
    `llmring.parts` makes them, and citations as `{"type": "citation", "citation": {...}}` with those of `url`, `title`,
    `cited_text`, `file_id`, and `start_index` and `end_index` in `content`, that the provider names. `attempts` are the
    errors of the models that were moved on from, in order, `retries` is how often one was asked again, after an error
    or for an answer that did not have its form; `metadata` is what the same provider needs back with the turn, and
    `to_message` hands it on.
    """

    model: str
    content: str = ""
    reasoning: str | None = None
    tool_calls: list[ToolCall] | None = None
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    response_model: str | None = None
    parsed: Any = None
    skipped_events: int = 0
    parts: list[dict[str, Any]] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    retries: int = 0
    served: tuple[Served, ...] = ()

    @property
    def service_tier(self) -> str | None:
        """The tier that the provider says the answer was served in; of several that served it, the last one's."""
        return self.served[-1].service_tier if self.served else None

    @property
    def total_tokens(self) -> int | None:
        """All tokens of the exchange, `None` where the provider reported nothing."""
        return self.usage["total_tokens"] if self.usage else None

    def to_message(self) -> Message:
        """The assistant turn to append to the conversation."""
        return Message(
            role="assistant",
            content=self.content,
            tool_calls=[call.copy() for call in self.tool_calls] if self.tool_calls else None,
            metadata=dict(self.metadata),
        )
