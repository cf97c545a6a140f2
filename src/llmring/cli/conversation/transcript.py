"""What has been said so far, what the next request makes of it, and its file: Markdown to read, JSON for programs."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ...catalog import Cost
from ...exceptions import ConfigurationError
from ...lockfile import writing
from ...schemas import LLMRequest, LLMResponse, Message
from ..attachments import content_of
from ..facts import usage_line

_MARKDOWN = (".md", ".markdown", ".txt")
_MARKS = {"stopped": "stopped here", "failed": "broke off here"}


@dataclass(slots=True)
class Turn:
    """A question with what was attached, the alias that was asked, and what came of it, if anything did."""

    question: Message
    model: str
    answer: LLMResponse | None = None
    outcome: Literal["whole", "stopped", "failed"] = "whole"
    error: Exception | None = None
    seconds: float = 0.0
    cost: Cost | None = None

    @property
    def text(self) -> str:
        """The answer's text, as far as it came."""
        return self.answer.content if self.answer is not None else ""

    @property
    def asked(self) -> str:
        """The question's text, without what was attached."""
        content = self.question.content
        if isinstance(content, list):
            return "".join(part.get("text", "") for part in content)
        return str(content)

    @property
    def attached(self) -> list[str]:
        """What went with the question, by name."""
        return list(self.question.metadata.get("attached", ()))

    def messages(self) -> list[Message]:
        """The turn as the next request tells it; none where nothing was answered."""
        if self.answer is None or not self.text:
            return []
        # What a provider wants back with a turn holds only for a whole one.
        whole = self.outcome == "whole"
        return [self.question, self.answer.to_message() if whole else Message(role="assistant", content=self.text)]


@dataclass(slots=True)
class Totals:
    """What several requests took together; whole if tokens and cost are known of all of them."""

    requests: int = 0
    tokens: int = 0
    cost: float | None = None
    is_whole: bool = True

    def add(self, turn: Turn) -> None:
        """Count the request of a turn."""
        usage = turn.answer.usage if turn.answer is not None else None
        cost = turn.cost.total if turn.cost is not None else None
        if turn.outcome != "whole" or usage is None or (self.requests and (cost is None) != (self.cost is None)):
            self.is_whole = False
        self.requests += 1
        self.tokens += usage["total_tokens"] if usage is not None else 0
        if cost is not None:
            self.cost = (self.cost or 0.0) + cost


@dataclass(slots=True)
class Conversation:
    """Who is asked next, and all that was said. The totals have what was asked again or is forgotten, too."""

    model: str
    profile: str | None = None
    system: str | None = None
    attached: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    totals: Totals = field(default_factory=Totals)

    def question(self, text: str) -> Message:
        """A question with all that is attached, which is then no longer waiting."""
        names, parts = [name for name, _ in self.attached], [part for _, part in self.attached]
        self.attached = []
        return Message(role="user", content=content_of(text, parts), metadata={"attached": names} if names else {})

    def request(self, question: Message, *, instead_of: Turn | None = None) -> LLMRequest:
        """The request that asks this after all that was said before, but for the turn that it repeats."""
        system = [Message(role="system", content=self.system)] if self.system else []
        said = [message for turn in self.turns if turn is not instead_of for message in turn.messages()]
        return LLMRequest(model=self.model, messages=[*system, *said, question])

    def keep(self, turn: Turn, *, instead_of: Turn | None = None) -> bool:
        """Keep a turn, and say whether it was kept. One that is repeated stays if nothing came of the new one, or less
        than the whole where it has a whole answer."""
        if instead_of is None:
            self.turns.append(turn)
            return True
        better = turn.text and (turn.outcome == "whole" or instead_of.outcome != "whole")
        if better or not instead_of.text:
            self.turns[-1] = turn
            return True
        return False


def check_name(path: Path) -> None:
    """Refuse a file that would be neither Markdown nor JSON."""
    if path.suffix.lower() not in (*_MARKDOWN, ".json"):
        raise ConfigurationError(
            f"{path.name} ends in none of .md, .markdown, .txt and .json: /save talk.md, or /save talk.json"
        )


def save(conversation: Conversation, path: Path) -> None:
    """Write the file: JSON if its suffix says so, else Markdown. One that is there is replaced whole or not at all."""
    content = _render(conversation, path).encode(errors="backslashreplace")
    target = path.resolve()
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    with writing.written(target, content, os.stat(target) if target.exists() else None) as beside:
        os.replace(beside, target)


def save_somewhere(conversation: Conversation) -> Path:
    """Write it to a new Markdown file among the temporary ones, for its owner alone."""
    handle, name = tempfile.mkstemp(prefix="llmring-chat-", suffix=".md")
    with open(handle, "wb") as file:
        file.write(_render(conversation, Path(name)).encode(errors="backslashreplace"))
    return Path(name)


def _render(conversation: Conversation, path: Path) -> str:
    if path.suffix.lower() == ".json":
        return json.dumps(_described(conversation), indent=2, ensure_ascii=False) + "\n"
    return "\n\n".join(_sections(conversation)) + "\n"


def _sections(conversation: Conversation) -> Iterator[str]:
    yield "# A conversation"
    if conversation.system:
        yield f"**System:** {conversation.system}"
    for turn in conversation.turns:
        yield f"## You\n\n{turn.asked}"
        yield from (f"*Attached: {name}*" for name in turn.attached)
        yield f"## {turn.answer.model if turn.answer is not None else turn.model}"
        if turn.answer is not None and turn.answer.reasoning:
            yield "\n".join(f"> {line}".rstrip() for line in turn.answer.reasoning.strip().splitlines())
        if turn.text:
            yield turn.text.strip("\n")
        if turn.outcome != "whole":
            yield f"*({_MARKS[turn.outcome]}{f': {turn.error}' if turn.error else ''})*"
        if turn.answer is not None and turn.cost is not None:
            yield f"*{usage_line(turn.answer, turn.cost, turn.seconds)}*"


def _described(conversation: Conversation) -> dict[str, Any]:
    return {
        "model": conversation.model,
        "profile": conversation.profile,
        "system": conversation.system,
        "turns": [_described_turn(turn) for turn in conversation.turns],
        "tokens": conversation.totals.tokens,
        "cost": conversation.totals.cost,
    }


def _described_turn(turn: Turn) -> dict[str, Any]:
    answer = turn.answer
    return {
        "asked": turn.model,
        "question": turn.asked,
        "attached": turn.attached,
        "outcome": turn.outcome,
        "error": str(turn.error) if turn.error else None,
        "model": answer.model if answer else None,
        "response_model": answer.response_model if answer else None,
        "answer": turn.text,
        "reasoning": answer.reasoning if answer else None,
        "finish_reason": answer.finish_reason if answer else None,
        "usage": answer.usage if answer else None,
        "cost": turn.cost.total if turn.cost else None,
        "seconds": round(turn.seconds, 3),
    }
