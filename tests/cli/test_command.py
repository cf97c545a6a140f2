"""The command as a whole: help, errors, colours, and how quickly it starts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from llmring.cli import aliases
from llmring.cli.app import app
from llmring.cli.app import commands as app_commands
from llmring.cli.synonyms import SYNONYMS

from ..program import INSTALLED, PROGRAM
from .conftest import Command, Run


def commands(group: Any, *names: str) -> Iterator[list[str]]:
    """Every command and every group of them, by what is typed for it."""
    yield [*names]
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, *names, name)


COMMANDS = list(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("args", COMMANDS, ids=" ".join)
def test_every_help_has_an_example(run: Run, args: list[str]) -> None:
    for flag in ("--help", "-h"):
        result = run(*args, flag)
        assert result.exit_code == 0
        assert re.search(rf"\n  Example:\n    {' '.join(['llmring', *args])}\b", result.stdout)
        assert "\b" not in result.stdout


def test_the_help_lists_every_command(run: Run) -> None:
    listed = run("--help").stdout.partition("Commands:")[2]
    assert {line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2] != " "} >= {
        args[0] for args in COMMANDS if args
    }
    assert "..." not in listed, "each says itself in a line"


def test_the_version(command: Command) -> None:
    assert re.fullmatch(r"llmring \d+\.\d+\S*\n", command("--version").stdout)


@pytest.mark.parametrize(
    "args", [["nope"], ["aliases", "--nope"], ["bind", "chatbot"], ["unbind"], ["chat", "a", "b"], ["lock", "nope"]]
)
def test_wrong_usage_is_status_2(command: Command, args: list[str]) -> None:
    done = command(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: llmring")


def test_what_nobody_foresaw_is_short_unless_asked(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from llmring.cli import main

    def explode() -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(aliases, "open_lockfile", explode)
    monkeypatch.setattr(sys, "argv", ["llmring", "aliases"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "RuntimeError: boom" in capsys.readouterr().err
    monkeypatch.setenv("LLMRING_DEBUG", "1")
    with pytest.raises(SystemExit):
        main()
    traced = capsys.readouterr().err
    assert "Traceback (most recent call last)" in traced
    assert "in explode" in traced


def test_it_is_a_module_too(project: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "llmring", "aliases"], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].split() == ["chatbot", "anthropic:claude-haiku-4-5"]
    done = subprocess.run([sys.executable, "-m", "llmring", "lock", "nothing"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: llmring lock")


def on_a_terminal(*args: str) -> str:
    """What the program writes when it writes to a terminal."""
    ours, theirs = pytest.importorskip("pty").openpty()
    with subprocess.Popen([PROGRAM, *args], stdin=theirs, stdout=theirs, stderr=theirs):
        os.close(theirs)
        said = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:
                break
            if not piece:
                break
            said += piece
    os.close(ours)
    return said.decode()


def test_colours_are_for_terminals(project: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" in on_a_terminal("aliases")
    assert "\x1b[" in on_a_terminal("aliases", "-p", "nope")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in on_a_terminal("aliases")
    assert "\x1b[" not in on_a_terminal("aliases", "-p", "nope")
    monkeypatch.delenv("NO_COLOR")
    assert "\x1b[" not in command("aliases").stdout


def test_asking_for_the_aliases_imports_little(project: Path) -> None:
    code = (
        "import sys; sys.argv = ['llmring', 'aliases', '-p', 'dev', '--verbose']\n"
        "from llmring.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = ['asyncio', 'pydantic', 'rich', 'genai_prices', 'tomlkit', 'logging', 'http',\n"
        "         'llmring.service', 'llmring.schemas', 'llmring.catalog', 'llmring.providers', 'llmring.testing',\n"
        "         'openai', 'anthropic', 'google.genai', 'ollama', 'httpx']\n"
        "print([name for name in heavy if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "ollama:llama3.2" in done.stdout
    assert done.stderr == "[]\n"


def test_asking_for_the_aliases_is_quick(project: Path) -> None:
    """At most twice the time of importing Typer; the best of several runs of each, one after the other."""

    def seconds(*command: str) -> float:
        begun = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        return time.perf_counter() - begun

    best = [float("inf"), float("inf")]
    for _ in range(40):
        best[0] = min(best[0], seconds(sys.executable, "-c", "import typer"))
        best[1] = min(best[1], seconds(INSTALLED, "aliases"))
        if best[1] < 1.8 * best[0]:
            break
    assert best[1] < 2 * best[0]


def test_a_module_in_the_working_directory_is_not_run(bare: Path) -> None:
    """Python puts the working directory first for `python -m`, and it may hold a stranger's files."""
    for name in ("keyring", "genai_prices", "pydantic", "typer"):
        (bare / f"{name}.py").write_text(f"open({str(bare / 'ran')!r}, 'a').write({name!r})\n")
    done = subprocess.run([sys.executable, "-m", "llmring", "doctor"], capture_output=True, text=True, timeout=60)
    assert "genai-prices" in done.stdout, done.stderr
    assert not (bare / "ran").exists()


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("validate", "Did you mean llmring lock validate?"),
        ("init", "Did you mean llmring lock init?"),
        ("schema", "Did you mean llmring lock schema?"),
        ("diff", "Did you mean llmring lock diff?"),
        ("validte", "Did you mean llmring lock validate?"),
        ("profile", "Did you mean llmring lock profile?"),
        ("list", "Did you mean llmring models? It lists the catalogue; with --live, what the providers serve now."),
        ("aliass", "Did you mean llmring aliases?"),
        ("remove", "Did you mean llmring keys remove or llmring lock profile remove?"),
        ("help", "Did you mean llmring --help?"),
        ("lock bind", "Did you mean llmring bind?"),
        ("lock ad", "Did you mean llmring bind?"),
        ("lock ask", "Did you mean llmring lock chat?"),
        ("lock bump-registry", "Did you mean llmring lock upgrade? Versions of a registry are no longer pinned."),
        ("lock profile list2", "Did you mean llmring lock profile list or llmring batch list or llmring keys list?"),
        ("register --email a@b.c", "There is no server to register with any more: "),
        ("regsiter", "There is no server to register with any more: "),
        ("export", "Did you mean llmring log list --json? /save "),
        ("server key create", "There is no server any more: "),
        ("nope", ""),
        ("qqqq\x1b[31m", ""),
    ],
)
def test_a_command_that_there_is_none_of_is_answered_with_what_serves(run: Run, typed: str, answer: str) -> None:
    result = run(*typed.split(" "))
    assert (result.exit_code, result.stdout) == (2, "")
    said = " ".join(result.stderr.partition("Error: ")[2].split())
    assert said.startswith("No such command ")
    assert answer in said
    assert answer or "Did you mean" not in said
    assert "\x1b" not in said


def test_every_synonym_is_none_of_a_command_and_names_some_that_there_are() -> None:
    there = {" ".join(it) for it in COMMANDS}
    options = {"--help"}
    options |= {option for command in app_commands().values() for param in command.params for option in param.opts}
    options |= {option for param in typer.main.get_command(app).params for option in param.opts}
    for name, meaning in SYNONYMS.items():
        assert name not in there
        assert name.rpartition(" ")[0] in there
        assert meaning.commands or meaning.says
        for command in meaning.commands:
            words = [it for it in command.split() if not it.startswith("-")]
            assert " ".join(words) in there, command
            assert options.issuperset(it for it in command.split() if it.startswith("-")), command
