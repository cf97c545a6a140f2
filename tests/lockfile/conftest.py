from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Write = Callable[..., Path]

PLAIN = """\
version = "1.0"
default_profile = "default"

[profiles.default]
name = "default"

# the bot on the front page
[[profiles.default.bindings]]
alias = "chatbot"
models = ["anthropic:claude-haiku-4-5", "openai:gpt-5-mini"]   # first serves
params = { temperature = 0.3 }

[profiles.dev]
name = "dev"

[[profiles.dev.bindings]]
alias = "chatbot"
models = ["ollama:llama3.2"]
"""


@pytest.fixture
def plain() -> str:
    """A small file, as people write them."""
    return PLAIN


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a lockfile, bytes or text as it is, and gives its path."""

    def write(content: str | bytes, name: str = "llmring.lock") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMRING_LOCKFILE_PATH", raising=False)
    monkeypatch.delenv("LLMRING_PROFILE", raising=False)
