from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from ..conftest import Announce

Write = Callable[[str, str], Path]

LOCKFILE = """\
version = "1.0"

[profiles.default]
[[profiles.default.bindings]]
alias = "chatbot"
models = ["anthropic:claude-haiku-5-5", "openai:gpt-6-luna"]

[profiles.dev]
[[profiles.dev.bindings]]
alias = "chatbot"
models = ["ollama:llama3.2"]
"""

PAST = date.today() - timedelta(days=30)
SOON = date.today() + timedelta(days=30)


@pytest.fixture
def write(bare: Path) -> Write:
    """Writes a file below the working directory, with the folders that it needs."""

    def write(name: str, text: str) -> Path:
        path = bare / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def announced(announce: Announce) -> None:
    """An SDK that announces ends: of claude-sonnet-4-5 in the past, of claude-opus-4-1 soon."""
    days = {"claude-sonnet-4-5": PAST, "claude-opus-4-1": SOON}
    announce({name: f"{day:%B} {day.day}, {day.year}" for name, day in days.items()})
