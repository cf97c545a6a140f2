"""Shell completion, asked as the shells ask it: by the environment, and in a real bash by the script installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ..program import PROGRAM
from .conftest import LOCKFILE

MORE = """
[[profiles.dev.bindings]]
alias = "careful"
models = ["gateway:large", "openai:gpt-6-luna"]

[[profiles.dev.bindings]]
alias = "$(touch${IFS}pwned)"
models = ["ollama:llama3.2"]

[providers.gateway]
sdk = "openai"
base_url = "https://gateway.invalid/v1"
"""


@pytest.fixture
def full(bare: Path) -> Path:
    path = bare / "llmring.lock"
    path.write_text(LOCKFILE + MORE)
    return path


def ask(*words: str, shell: str = "bash") -> list[str]:
    """What is offered for the last of the words."""
    line = " ".join(["llmring", *words])
    variables = {"_LLMRING_COMPLETE": f"complete_{shell}"}
    if shell == "bash":
        variables |= {"COMP_WORDS": line, "COMP_CWORD": str(len(words))}
    else:
        variables |= {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = subprocess.run([PROGRAM], capture_output=True, text=True, env={**os.environ, **variables}, timeout=300)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_aliases(full: Path, shell: str) -> None:
    assert ask("unbind", "ch", shell=shell) == ["chatbot"]
    assert ask("unbind", "x", shell=shell) == []
    assert ask("bind", "ch", shell=shell) == ["chatbot"]


def test_the_profile_on_the_line_counts(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask("unbind", "") == ["chatbot"]
    assert ask("unbind", "--profile", "dev", "") == ["chatbot", "careful"]
    monkeypatch.setenv("LLMRING_PROFILE", "dev")
    assert ask("unbind", "ca") == ["careful"]
    assert ask("unbind", "--profile", "nope", "") == []


@pytest.mark.parametrize("command", [["aliases", "--profile"], ["chat", "-p"], ["lock", "profile", "remove"]])
def test_profiles(full: Path, command: list[str]) -> None:
    assert ask(*command, "") == ["default", "dev"]
    assert ask(*command, "de") == ["default", "dev"]
    assert ask(*command, "def") == ["default"]


def test_providers(full: Path) -> None:
    assert ask("models", "--provider", "g") == ["google", "groq", "gateway"]


def test_models(full: Path) -> None:
    bound = ["anthropic:claude-haiku-4-5", "openai:gpt-5-mini", "ollama:llama3.2", "gateway:large", "openai:gpt-6-luna"]
    offered = ask("bind", "chatbot", "")
    assert offered[:5] == bound
    assert "google:gemini-3.8-flash" in offered, "suggested"
    offered = ask("bind", "chatbot", "anthropic:claude-haiku-5")
    assert offered == ["anthropic:claude-haiku-5-5"]
    assert ask("bind", "chatbot", "gateway:l") == ["gateway:large"]
    assert "groq:openai/gpt-oss-20b" in ask("bind", "chatbot", "gro")
    assert ask("bind", "chatbot", "nobody:") == []
    assert "openai:gpt-6-luna" in ask("bind", "chatbot", "openai:gpt-6")
    assert "openai:gpt-4" not in ask("bind", "chatbot", "openai:gpt-4"), "it has ended"


def test_the_last_of_several_models(full: Path) -> None:
    offered = ask("bind", "chatbot", "ollama:llama3.2,anthropic:claude-haiku-5")
    assert offered == ["ollama:llama3.2,anthropic:claude-haiku-5-5"]


@pytest.mark.parametrize("command", [["chat", "--model"], ["info"]])
def test_aliases_and_models(full: Path, command: list[str]) -> None:
    offered = ask(*command, "")
    assert offered[0] == "chatbot"
    assert "gateway:large" in offered
    assert ask(*command, "cha") == ["chatbot"]
    assert ask(*command, "gateway:") == ["gateway:large"]


def test_a_name_that_a_shell_would_run_is_not_offered(full: Path) -> None:
    assert "pwned" not in "".join(ask("unbind", "--profile", "dev", ""))


@pytest.mark.parametrize("content", [None, "version = ", "profiles = 5", b"\xff\xfe"])
def test_without_a_lockfile_that_can_be_read(bare: Path, content: str | bytes | None) -> None:
    if content is not None:
        (bare / "llmring.lock").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert ask("unbind", "") == []
    assert ask("chat", "--profile", "") == []
    assert ask("models", "--provider", "olla") == (["ollama"] if content is None else [])
    assert ask("chat", "--model", "cha") == []


def test_aliases_come_without_the_catalogue(full: Path) -> None:
    code = (
        "import sys\n"
        "from llmring.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = ['genai_prices', 'pydantic', 'asyncio', 'openai', 'anthropic', 'llmring.service', 'llmring.schemas']\n"
        "print([name for name in heavy if name in sys.modules], file=sys.stderr)"
    )
    variables = {"_LLMRING_COMPLETE": "complete_bash", "COMP_WORDS": "llmring unbind ch", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **variables}, check=True
    )
    assert (done.stdout.strip(), done.stderr) == ("chatbot", "[]\n")


# In a real bash


BASH = """
source completion.sh
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
{function} llmring
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def script(full: Path) -> str:
    """The script that is installed, beside the lockfile; the name of its function."""
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    shown = subprocess.run(
        [PROGRAM, "--show-completion", "bash"], capture_output=True, text=True, env=environment, check=True
    )
    Path("completion.sh").write_text(shown.stdout)
    return shown.stdout.strip().partition("()")[0]


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("llmring unbind ch", ["chatbot"]),
        ("llmring info anthropic : claude-haiku-5", ["claude-haiku-5-5"]),
        ("llmring info gateway :", ["large"]),
        ("llmring bind chatbot anthropic : claude-haiku-5", ["claude-haiku-5-5"]),
        ("llmring bind chatbot ollama : llama3.2,anthropic : claude-haiku-5", ["claude-haiku-5-5"]),
        ("llmring info anthropic : claude-haiku-5-5 --pro", ["--profile"]),
        ("llmring info anthropic : claude-haiku-5-5 --profile d", ["default", "dev"]),
        ("""llmring chat "'two words'" --model ga""", ["gateway:large"]),
        ("llmring chat --model anthropic : claude-haiku-5-5 --model cha", ["chatbot"]),
    ],
)
def test_bash_ends_words_at_colons(script: str, words: str, offered: list[str]) -> None:
    """As its line editor has them: colons apart, quotes still there."""
    path = f"{Path(PROGRAM).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", BASH.format(words=words, function=script)],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path},
        timeout=300,
    )
    assert (done.stdout.split(), done.stderr) == (offered, "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_it_can_be_installed(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(bare))
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = subprocess.run(
        [PROGRAM, "--install-completion", "bash"], capture_output=True, text=True, env=environment, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "bash completion installed" in done.stdout
    installed = [path for path in bare.rglob("*") if path.is_file() and "complete_bash" in path.read_text()]
    assert len(installed) == 1
    assert str(installed[0]) in (bare / ".bashrc").read_text()
