"""The file of a conversation: JSON, for its owner alone, replaced whole or not at all."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import to_jsonable_python

from ..exceptions import ConfigurationError
from ..lockfile import writing
from ..schemas import LLMResponse, Message, Usage
from .turns import Totals, Turn

__all__ = ["Saved", "dumped", "read", "replace"]

VERSION = 1


Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class SavedTurn(BaseModel):
    """A turn as the file has it; see `Turn`."""

    asked: str
    question: list[Message] = []
    answer: list[Message] = []
    outcome: Literal["whole", "stopped", "failed"] = "whole"
    error: str | None = None
    model: str | None = None
    response_model: str | None = None
    finish_reason: Literal["stop", "length", "tool_calls", "content_filter", "other"] | None = None
    reasoning: str | None = None
    usage: Usage | None = None
    cost: Amount | None = None
    seconds: Amount = 0.0

    @classmethod
    def of(cls, turn: Turn) -> SavedTurn:
        """The turn, for the file."""
        response = turn.response
        return cls.model_construct(
            **{it: getattr(turn, it) for it in ("asked", "question", "answer", "outcome", "error", "usage", "cost")},
            seconds=round(turn.seconds, 3),
            **{
                it: getattr(response, it) if response is not None else None
                for it in ("model", "response_model", "finish_reason", "reasoning")
            },
        )

    def turn(self) -> Turn:
        """The turn that the file tells of."""
        response = None
        if self.model is not None:
            said = next((it.content for it in reversed(self.answer) if it.role == "assistant"), "")
            response = LLMResponse(
                self.model,
                said if isinstance(said, str) else "",
                self.reasoning,
                finish_reason=self.finish_reason,
                usage=self.usage,
                response_model=self.response_model,
            )
        own = {it.name: getattr(self, it.name) for it in fields(Turn) if it.name in SavedTurn.model_fields}
        return Turn(**own, response=response)


class SavedTotals(BaseModel):
    """See `Totals`."""

    requests: int = 0
    usage: Usage | None = None
    cost: Amount | None = None
    is_whole: bool = True

    def totals(self) -> Totals:
        """The totals that the file tells of."""
        return Totals(self.requests, self.usage, self.cost, self.is_whole)


class Saved(BaseModel):
    """A conversation as its file has it.

    Attributes:
        llmring: that it is one.
        version: of this form.
        request: fields of each request that JSON can say.
        turns, totals, model, profile, system: see `Conversation`.
    """

    llmring: Literal["conversation"] = "conversation"
    version: int = VERSION
    model: str
    profile: str | None = None
    system: str | None = None
    request: dict[str, Any] = Field(default_factory=dict)
    turns: list[SavedTurn] = []
    totals: SavedTotals = SavedTotals()


def dumped(
    model: str, profile: str | None, system: str | None, request: dict[str, Any], turns: list[Turn], totals: Totals
) -> str:
    """The file's text."""
    data: dict[str, Any] = {
        "llmring": "conversation",
        "version": VERSION,
        "model": model,
        "profile": profile,
        "system": system,
        "request": {name: value for name, value in request.items() if _is_plain(value)},
        "turns": [_turn(SavedTurn.of(turn)) for turn in turns],
        "totals": asdict(totals),
    }
    return json.dumps(data, indent=2, ensure_ascii=False, default=to_jsonable_python) + "\n"


def _turn(turn: SavedTurn) -> dict[str, Any]:
    said = {
        name: [message.model_dump(exclude_defaults=True) for message in getattr(turn, name)]
        for name in ("question", "answer")
    }
    return {**dict(turn), **said}


def _is_plain(value: Any) -> bool:
    """Whether JSON has it as it is: functions and types it has not."""
    try:
        return bool(json.loads(json.dumps(value)) == value)
    except (TypeError, ValueError, RecursionError):
        return False


def replace(path: str | os.PathLike[str], text: str) -> None:
    """Write a file that only its owner may read, at once. Where the path is a link, the file that it leads to."""
    target = Path(os.path.realpath(os.path.expanduser(path)))
    # Half a character, which models send, and files' names have, goes as its escape.
    with writing.written(target, text.encode(errors="backslashreplace"), mode=0o600) as beside:
        os.replace(beside, target)


def read(path: str | os.PathLike[str]) -> Saved:
    """What a file says.

    Raises:
        ConfigurationError: it is no conversation, or of a later version.
        OSError: it cannot be read.
    """
    content = Path(os.path.expanduser(path)).read_bytes()
    try:
        # It takes the halves of characters that `replace` wrote.
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path} is no conversation: it is not JSON ({error}).") from None
    if not isinstance(data, dict) or data.get("llmring") != "conversation":
        raise ConfigurationError(f'{path} is no conversation: it lacks "llmring": "conversation".')
    if data.get("version") != VERSION:
        raise ConfigurationError(
            f"{path} is a conversation of version {data.get('version')!r}, and this release of llmring reads version "
            f"{VERSION}. Read it with the release that wrote it, or a later one."
        )
    try:
        return Saved.model_validate(data)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, it['loc']))}: {it['msg']}" for it in error.errors()[:3])
        raise ConfigurationError(f"{path} is a broken conversation: {wrong}.") from None
