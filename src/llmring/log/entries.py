"""One request as the log has it, and how it is made of the event that ends it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Literal

from ..events import Failed, Finished, Left
from ..schemas import LLMRequest, LLMResponse, Message, ToolCall, Usage

__all__ = ["Entry", "Share", "digest", "entry_of", "plain", "sayable", "unanswered"]

Ending = Finished | Failed | Left
Outcome = Literal["finished", "failed", "left"]

_MOST = 2**63 - 1
"""The greatest number that SQLite holds."""

_PARAMS = (
    "temperature",
    "max_tokens",
    "top_p",
    "stop",
    "seed",
    "reasoning_effort",
    "reasoning_tokens",
    "json_response",
)
"""What of a request is kept besides its messages. What a program sends in a provider's own terms may be a secret."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one model served of an answer.

    Attributes:
        model: the `provider:model`.
        response_model: the exact model that the provider says answered.
        service_tier: the tier that it was served in, in the provider's word.
        usage: its tokens; `None` where the provider reported none.
        cost: US dollars; `None` where it is not priced.
        unpriced: why not.
    """

    model: str
    response_model: str | None
    service_tier: str | None
    usage: Usage | None
    cost: float | None
    unpriced: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A request and its answer.

    Attributes:
        id: its number in the log; 0 before it is there.
        request_id: that of its events.
        time: when it began, in seconds since 1970.
        alias: what it named.
        profile: where the alias was looked up; `None` without a lockfile.
        model: the `provider:model` that served last, or was tried last.
        outcome: `"finished"`, `"failed"`, or `"left"` before the answer was whole.
        finish_reason: why the model stopped.
        error: what failed, as `Class: message`.
        streamed: whether the answer came in pieces.
        seconds: from its first to its last moment.
        first_chunk: seconds until something came of a streamed answer.
        retries, attempts: how often a model was asked again, and how many were tried.
        params: what was said of the answer to come: `temperature`, `max_tokens` and so on.
        messages: the turns that were new, in the form of `Message`; all of them where the log does not have the rest.
            Of pictures and files only the kind is kept.
        answer, reasoning, tool_calls: what came.
        follows: the `id` of the entry that the conversation goes on from; `None` where it begins.
        served: each model that served, with tokens and cost.
    """

    id: int = 0
    request_id: str
    time: float
    alias: str
    profile: str | None
    model: str
    outcome: Outcome
    finish_reason: str | None
    error: str | None
    streamed: bool
    seconds: float
    first_chunk: float | None
    retries: int
    attempts: int
    params: Mapping[str, Any]
    messages: Sequence[Mapping[str, Any]]
    answer: str
    reasoning: str | None
    tool_calls: Sequence[ToolCall] | None
    follows: int | None = None
    served: Sequence[Share] = field(default_factory=list)

    @property
    def asked(self) -> str:
        """The text of the last turn that is no instruction."""
        turns = [it for it in self.messages if it["role"] != "system"]
        return _text(turns[-1]["content"]) if turns else ""

    @property
    def cost(self) -> float | None:
        """US dollars for all that served; `None` where one of them is not priced."""
        costs = [it.cost for it in self.served]
        return sum(it for it in costs if it is not None) if costs and None not in costs else None

    def tokens(self, kind: str) -> int | None:
        """How many tokens of a kind, a key of `Usage`, all that served have used; `None` where none reported any."""
        counts = [it.usage.get(kind) for it in self.served if it.usage is not None]
        known = [it for it in counts if isinstance(it, int)]
        return sum(known) if known else None


def entry_of(event: Ending) -> Entry:
    """The entry for the event that ended a request, with all of its messages."""
    request, response = event.request, event.response
    error = event.error if isinstance(event, Failed) else None
    shares = [
        Share(it.model, it.response_model, it.service_tier, it.usage, cost.total, cost.reason)
        for it, cost in zip(event.served, event.costs, strict=True)
    ]
    return Entry(
        request_id=event.request_id,
        time=event.time - event.elapsed,
        alias=event.alias,
        profile=event.profile,
        model=event.model,
        outcome="finished" if isinstance(event, Finished) else "left" if isinstance(event, Left) else "failed",
        finish_reason=event.finish_reason,
        error=f"{type(error).__name__}: {error}" if error is not None else None,
        streamed=event.streamed,
        seconds=event.elapsed,
        first_chunk=event.first_chunk,
        retries=event.retries,
        attempts=event.attempt,
        params=_params(request),
        messages=[plain(it) for it in _messages(request)],
        answer=response.content,
        reasoning=response.reasoning,
        tool_calls=response.tool_calls,
        served=shares,
    )


def plain(message: Message) -> dict[str, Any]:
    """A turn as the log keeps it: its text, its calls, and of all else what it was."""
    kept: dict[str, Any] = {"role": message.role, "content": _content(message.content)}
    if message.tool_calls:
        kept["tool_calls"] = message.tool_calls
    if message.tool_call_id is not None:
        kept["tool_call_id"] = message.tool_call_id
    return kept


def unanswered(messages: Sequence[Mapping[str, Any]]) -> int:
    """Where the turns begin that no answer has been given to."""
    last = next((n for n in range(len(messages) - 1, -1, -1) if messages[n]["role"] == "assistant"), -1)
    return last + 1


def digest(messages: Sequence[Mapping[str, Any]], answer: LLMResponse | Entry | None = None) -> str:
    """What tells a conversation from others: its turns so far, and the answer that they were given."""
    turns = [[it["role"], it["content"], it.get("tool_calls")] for it in messages if it["role"] != "system"]
    if answer is not None:
        said = answer.answer if isinstance(answer, Entry) else answer.content
        turns.append(["assistant", said, answer.tool_calls or None])
    return hashlib.sha256(json.dumps(turns, sort_keys=True, default=str).encode()).hexdigest()


def sayable(values: Iterable[Any]) -> list[Any]:
    """Values as SQLite takes them: half a pair of surrogates is no text there, and a number has 64 bits."""
    return [_said(it) for it in values]


def _said(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    return max(-_MOST, min(value, _MOST)) if isinstance(value, int) else value


def _messages(request: object) -> Sequence[Message]:
    return request.messages if isinstance(request, LLMRequest) else ()


def _params(request: object) -> dict[str, Any]:
    if not isinstance(request, LLMRequest):
        return {}
    return {name: value for name in _PARAMS if (value := getattr(request, name)) is not None}


def _content(content: Any) -> Any:
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, list):
        return [_part(it) for it in content]
    return json.dumps(content, ensure_ascii=False, default=str)


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    """A part that is text; of another, what it is, and the name of its file."""
    if isinstance(part.get("text"), str):
        return {"type": "text", "text": part["text"]}
    named = next((it.name for it in _values(part) if isinstance(it, PurePath)), None)
    return {"type": str(part.get("type"))} | ({"name": named} if named is not None else {})


def _values(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [inner for it in value.values() for inner in _values(it)]
    return [value]


def _text(content: Any) -> str:
    if isinstance(content, list):
        return " ".join(it["text"] if "text" in it else f"[{it.get('name') or it['type']}]" for it in content)
    return str(content)
