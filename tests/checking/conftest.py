from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from llmring.catalog import sdk_lists

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
def announced(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An SDK that announces ends: of claude-sonnet-4-5 in the past, of claude-opus-4-1 soon."""
    folder = tmp_path_factory.mktemp("sdk")
    file = folder / "anthropic" / "_data" / "deprecated_models.py"
    file.parent.mkdir(parents=True)
    (folder / "anthropic" / "__init__.py").write_text("raise AssertionError('an SDK was imported')")
    days = {"claude-sonnet-4-5": PAST, "claude-opus-4-1": SOON}
    file.write_text(f"DEPRECATED_MODELS = { {name: f'{day:%B} {day.day}, {day.year}' for name, day in days.items()} }")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "anthropic", raising=False)
    sdk_lists.announced_ends.cache_clear()
    yield
    sdk_lists.announced_ends.cache_clear()
