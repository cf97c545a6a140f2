"""Two ways to run a command: in this process, and as a program of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from llmring.cli.app import app
from llmring.testing import PracticeServer

from ..conftest import Announce
from ..program import PROGRAM

Run = Callable[..., Result]
Command = Callable[..., "subprocess.CompletedProcess[str]"]

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
def billed(server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The practice server, by the name of a gateway and through a proxy: at a host of one's own nobody bills."""
    for name, value in server.environ("http://gateway.invalid").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OLLAMA_HOST", server.url)
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def run(bare: Path) -> Run:
    """Runs a command in this process, with nothing on standard input unless it is given."""

    def run(*args: str, input: str | bytes | None = None) -> Result:
        return CliRunner().invoke(app, args, input=input, catch_exceptions=False, prog_name="llmring")

    return run


@pytest.fixture
def rows(bare: Path) -> str:
    """A file of six."""
    return write(bare / "rows.jsonl", 6)


def write(path: Path, count: int) -> str:
    """Make a file of so many rows; gives its name."""
    path.write_text("".join(json.dumps({"id": n, "text": f"text {n}"}) + "\n" for n in range(count)))
    return path.name


def lines(path: str = "out.jsonl") -> list[dict[str, Any]]:
    """What a file of JSON Lines holds."""
    return [json.loads(it) for it in Path(path).read_text().splitlines()]


@pytest.fixture
def command(bare: Path) -> Command:
    """Runs the program in the working directory and the environment of the test."""

    def command(*args: str, input: str | None = "", program: str = PROGRAM) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([program, *args], capture_output=True, text=True, input=input, timeout=300)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return command


RETIRED, RETIRING = "anthropic:claude-sonnet-4-5", "anthropic:claude-opus-4-1"


@pytest.fixture
def ends(announce: Announce) -> None:
    """An SDK that announces two ends, whatever the installed one says: of `RETIRED` in 2020, of `RETIRING` in 2086."""
    days = {RETIRED: "May 1st, 2020", RETIRING: "May 1st, 2086"}
    announce({model.partition(":")[2]: day for model, day in days.items()})


@pytest.fixture(autouse=True, scope="session")
def _program(program: None) -> None:
    """Nearly every test here runs it."""


@pytest.fixture(autouse=True)
def _state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state folder of the test's own: the last conversation is kept there."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
