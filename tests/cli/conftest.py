"""Two ways to run a command: in this process, and as the installed program that people run."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from llmring.cli.app import app

Run = Callable[..., Result]
Command = Callable[..., "subprocess.CompletedProcess[str]"]

PROGRAM = str(Path(sys.executable).with_name("llmring"))

LOCKFILE = """\
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
def project(bare: Path) -> Path:
    """The lockfile of the working directory."""
    path = bare / "llmring.lock"
    path.write_text(LOCKFILE)
    return path


@pytest.fixture
def run(bare: Path) -> Run:
    """Runs a command in this process, with nothing on standard input unless it is given."""

    def run(*args: str, input: str | bytes | None = None) -> Result:
        return CliRunner().invoke(app, args, input=input, catch_exceptions=False, prog_name="llmring")

    return run


@pytest.fixture
def command(bare: Path) -> Command:
    """Runs the installed program in the working directory and the environment of the test."""

    def command(*args: str, input: str | None = "") -> subprocess.CompletedProcess[str]:
        done = subprocess.run([PROGRAM, *args], capture_output=True, text=True, input=input, timeout=60)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return command


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """`llmring chat` writes warnings its own way, for the process that it usually has to itself."""
    logger = logging.getLogger("llmring")
    before = logger.handlers[:], logger.propagate
    yield
    logger.handlers[:], logger.propagate = before
