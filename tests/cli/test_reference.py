"""What holds for every command, whichever there are: an example in its help, JSON alone, colours, the reference."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from llmring.cli.app import app, commands
from llmring.testing import PracticeServer, Reply
from llmring.testing.server import echo

from .conftest import LOCKFILE, Command, Run
from .test_command import on_a_terminal

COMMANDS = commands()
ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "cli.md"
SAYS_JSON = [words for words, command in COMMANDS.items() if any("--json" in param.opts for param in command.params)]

# What a command needs before it has anything to say.
ARGUMENTS: dict[tuple[str, ...], list[str]] = {
    ("chat",): ["Hello", "--model", "chatbot"],
    ("template", "show"): ["translate"],
    ("replay", "show"): ["chat.jsonl"],
    ("replay", "check"): ["chat.jsonl"],
    ("replay", "refresh"): ["chat.jsonl"],
    ("info",): ["chatbot"],
    ("bind",): ["fresh", "openai:gpt-6-luna"],
    ("unbind",): ["chatbot"],
    ("keys", "set"): ["openai"],
    ("keys", "remove"): ["openai"],
    ("lock", "init"): ["--file", "new.lock"],
    ("lock", "convert"): ["--output", "new.json"],
    ("lock", "profile", "add"): ["staging"],
    ("lock", "profile", "copy"): ["dev", "staging"],
    ("lock", "profile", "remove"): ["dev", "--yes"],
    ("lock", "diff"): ["other.lock"],
    ("lock", "upgrade"): ["--dry-run"],
    ("lock", "chat"): ["a cheap one", "--yes"],
}

every = pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
with_json = pytest.mark.parametrize("words", SAYS_JSON, ids=" ".join)


def examples(words: tuple[str, ...]) -> list[list[str]]:
    """The examples of a command's help, each as the words that the program would get."""
    lines = COMMANDS[words].help.partition("\b\nExample:\n")[2].splitlines()
    parts = [shlex.split(line, comments=True) for line in lines]
    return [_ours(part) for part in parts if part]


def _ours(words: list[str]) -> list[str]:
    """Of a pipeline, what goes to `llmring`."""
    begin = words.index("llmring") + 1
    ends = [at for at, word in enumerate(words) if at > begin and word in ("|", ">", "&&", ";")]
    return words[begin : ends[0] if ends else None]


@every
def test_every_help_has_an_example(run: Run, words: tuple[str, ...]) -> None:
    for flag in ("--help", "-h"):
        result = run(*words, flag)
        assert (result.exit_code, result.stderr) == (0, "")
        assert re.search(rf"\n  Example:\n    (.* )?llmring {' '.join(words)}\b", result.stdout)
        assert "\b" not in result.stdout


@every
def test_every_example_is_one_that_the_command_takes(bare: Path, words: tuple[str, ...]) -> None:
    found = [args for args in examples(words) if tuple(args[: len(words)]) == words]
    assert found
    root: Any = typer.main.get_command(app)
    with root.make_context("llmring", ["aliases"]) as context:
        for args in found:
            COMMANDS[words].make_context(words[-1], args[len(words) :], parent=context)


@every
def test_every_command_and_option_says_what_it_is_for(words: tuple[str, ...]) -> None:
    first = COMMANDS[words].help.partition("\n")[0]
    assert first[0].isupper()
    assert first.endswith(".")
    for param in COMMANDS[words].params:
        assert param.help, f"{param.name} of {' '.join(words)} says nothing"
        assert param.help.endswith((".", "?")), f"{param.name} of {' '.join(words)} breaks off"


@pytest.mark.parametrize("group", sorted({words[:-1] for words in COMMANDS}), ids=" ".join)
def test_a_group_says_each_of_its_commands_in_a_line(run: Run, group: tuple[str, ...]) -> None:
    listed = run(*group, "--help").stdout.partition("Commands:\n")[2]
    names = [words[len(group)] for words in COMMANDS if words[: len(group)] == group]
    assert [line.split()[0] for line in listed.splitlines() if re.match(r"  \w", line)][: len(set(names))] == list(
        dict.fromkeys(names)
    )
    assert "..." not in listed


@pytest.fixture
def ready(server: PracticeServer, bare: Path) -> None:
    """A project in which every command has something to say, and a model that proposes nothing where it is asked to."""
    server.script(
        lambda request: Reply('{"bindings": [], "remark": ""}') if "output_config" in request.body else echo(request)
    )
    (bare / "llmring.lock").write_text(LOCKFILE)
    (bare / "llmring.templates").mkdir()
    (bare / "llmring.templates" / "translate.toml").write_text('prompt = "Translate: $input"')
    (bare / "chat.jsonl").write_text(
        '{"llmring":1,"model":"openai:gpt-5-mini","request":{"messages":[{"role":"user","content":"Hi"}]},'
        '"answer":{"chunks":[[0,"Hello"]],"finish_reason":"stop"}}'
    )
    (bare / "other.lock").write_text(LOCKFILE.replace("claude-haiku-4-5", "claude-haiku-5-5"))


@with_json
def test_json_is_one_document_and_nothing_else(ready: None, command: Command, words: tuple[str, ...]) -> None:
    done = command(*words, *ARGUMENTS.get(words, []), "--json")
    assert done.returncode in (0, 1), done.stderr
    assert isinstance(json.loads(done.stdout), dict | list)
    assert "\x1b" not in done.stdout + done.stderr


@with_json
def test_no_colour_where_it_is_not_wanted(
    ready: None, command: Command, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    args = [*words, *ARGUMENTS.get(words, [])]
    piped = command(*args)
    assert piped.stdout + piped.stderr
    assert "\x1b" not in piped.stdout + piped.stderr
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[\d;]*m", on_a_terminal(*args))


def test_there_is_json_wherever_there_is_data() -> None:
    assert {("aliases",), ("models",), ("info",), ("lock", "show"), ("lock", "diff")} <= set(SAYS_JSON)
    assert len(SAYS_JSON) >= 6


@every
def test_a_command_is_listed_with_the_first_line_of_its_help(words: tuple[str, ...]) -> None:
    """The help of a group lists its commands without importing them."""
    listed: Any = typer.main.get_command(app)
    for word in words:
        listed = listed.commands[word]
    assert listed.help == COMMANDS[words].help.partition("\n\n")[0].replace("\n", " ")


def test_the_reference_is_what_the_commands_say() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "docs.reference"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert REFERENCE.read_text(encoding="utf-8") == done.stdout, "the help texts have changed since: make docs"


def test_the_reference_has_every_command_option_and_example() -> None:
    written = REFERENCE.read_text(encoding="utf-8")
    for words, command in COMMANDS.items():
        section = re.split(r"^## ", written.partition(f"## `llmring {' '.join(words)}`\n")[2], flags=re.MULTILINE)[0]
        assert section.count("```sh") == 1
        for param in command.params:
            for name in param.opts if param.param_type_name == "option" else [param.metavar.strip("[]")]:
                assert name in section
        anchor = "-".join(("llmring", *words))
        assert f"(#{anchor})" in written
