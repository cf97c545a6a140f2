"""A conversation as a file: Markdown to read, JSON for programs."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...exceptions import ConfigurationError
from ..usage import usage_line

if TYPE_CHECKING:
    from .dialogue import Dialogue, Turn

__all__ = ["check_name", "save", "save_somewhere"]

_MARKDOWN = (".md", ".markdown", ".txt")
_MARKS = {"stopped": "stopped here", "failed": "broke off here"}


def check_name(path: Path) -> None:
    """Refuse a file that would be neither Markdown nor JSON.

    Raises:
        ConfigurationError: its suffix says something else.
    """
    if path.suffix.lower() not in (*_MARKDOWN, ".json"):
        raise ConfigurationError(
            f"{path.name} ends in none of .md, .markdown, .txt and .json: /save talk.md, or /save talk.json"
        )


def save(dialogue: Dialogue, path: Path) -> None:
    """Write the file: JSON if its suffix says so, else Markdown. One that is there is replaced at once, or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    content = _render(dialogue, path).encode(errors="backslashreplace")
    target = path.resolve()
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    beside = target.with_name(f".{os.urandom(6).hex()}.llmring-tmp")
    try:
        beside.touch(exist_ok=False)
        if target.exists():
            shutil.copymode(target, beside)
        beside.write_bytes(content)
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)


def save_somewhere(dialogue: Dialogue) -> Path:
    """Write it to a new Markdown file among the temporary ones, for its owner alone.

    Raises:
        OSError: it cannot be written.
    """
    handle, name = tempfile.mkstemp(prefix="llmring-chat-", suffix=".md")
    with open(handle, "wb") as file:
        file.write(_render(dialogue, Path(name)).encode(errors="backslashreplace"))
    return Path(name)


def _render(dialogue: Dialogue, path: Path) -> str:
    if path.suffix.lower() == ".json":
        return json.dumps(_described(dialogue), indent=2, ensure_ascii=False) + "\n"
    return "\n\n".join(_sections(dialogue)) + "\n"


def _sections(dialogue: Dialogue) -> Iterator[str]:
    yield "# A conversation"
    if dialogue.system:
        yield f"**System:** {dialogue.system}"
    for turn in dialogue.turns:
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


def _described(dialogue: Dialogue) -> dict[str, Any]:
    return {
        "model": dialogue.model,
        "profile": dialogue.profile,
        "system": dialogue.system,
        "turns": [_described_turn(turn) for turn in dialogue.turns],
        "tokens": dialogue.tally.tokens,
        "cost": dialogue.tally.cost,
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
