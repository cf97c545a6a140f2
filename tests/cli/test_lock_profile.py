"""`llmring lock profile`."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from llmring.lockfile import load

from ..program import PROGRAM
from .conftest import LOCKFILE, Command, Run


def test_the_profiles_are_listed_with_what_they_bind(project: Path, run: Run) -> None:
    result = run("lock", "profile", "list")
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["PROFILE", "ALIASES"],
        ["default", "default", "chatbot"],
        ["dev", "chatbot"],
    ]
    assert json.loads(run("lock", "profile", "list", "--json").stdout) == {
        "file": str(project),
        "default_profile": "default",
        "profiles": [{"name": "default", "aliases": ["chatbot"]}, {"name": "dev", "aliases": ["chatbot"]}],
    }


def test_one_is_added_and_everything_else_stays(project: Path, run: Run) -> None:
    result = run("lock", "profile", "add", "staging")
    assert result.exit_code == 0
    assert "llmring bind ALIAS MODEL --profile staging" in result.stderr
    assert list(load(project).profiles) == ["default", "dev", "staging"]
    assert project.read_text().startswith(LOCKFILE)


def test_one_is_copied(project: Path, run: Run) -> None:
    assert run("lock", "profile", "copy", "default", "staging").exit_code == 0
    profiles = load(project).profiles
    assert profiles["staging"].bindings == profiles["default"].bindings
    assert project.read_text().startswith(LOCKFILE)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["add", "dev"], "already"),
        (["add", "two words"], "one word"),
        (["copy", "nope", "new"], 'profile "nope"'),
        (["copy", "dev", "default"], "already"),
        (["remove", "nope"], 'profile "nope"'),
        (["remove", "default"], "default_profile"),
        (["remove", "default", "--yes"], "default_profile"),
        (["remove", "dev"], "llmring lock profile remove dev --yes"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(
    project: Path, command: Command, args: list[str], told: str
) -> None:
    done = command("lock", "profile", *args)
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr
    assert project.read_text() == LOCKFILE


def test_without_a_lockfile(bare: Path, run: Run) -> None:
    for args in (["list"], ["add", "x"], ["copy", "a", "b"], ["remove", "x"]):
        result = run("lock", "profile", *args)
        assert (result.exit_code, "llmring lock init" in result.stderr) == (1, True)


def test_an_empty_one_is_removed_without_asking_and_a_full_one_with_yes(project: Path, run: Run) -> None:
    run("lock", "profile", "add", "staging")
    assert run("lock", "profile", "remove", "staging").exit_code == 0
    assert run("lock", "profile", "remove", "dev", "--yes").exit_code == 0
    assert list(load(project).profiles) == ["default"]


@pytest.mark.parametrize(("answer", "status", "left"), [("y", 0, ["default"]), ("n", 1, ["default", "dev"])])
def test_on_a_terminal_it_asks(project: Path, answer: str, status: int, left: list[str]) -> None:
    ours, theirs = pty.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        done = subprocess.run(
            [PROGRAM, "lock", "profile", "remove", "dev"], stdin=theirs, capture_output=True, text=True, timeout=300
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == status
    assert "which binds chatbot?" in done.stderr
    assert done.stdout.strip() == ""
    assert list(load(project).profiles) == left


def test_what_was_written_as_json(project: Path, run: Run) -> None:
    written = [
        (["add", "staging"], [], ["default", "dev", "staging"]),
        (["copy", "dev", "laptop"], ["chatbot"], ["default", "dev", "staging", "laptop"]),
        (["remove", "dev", "--yes"], None, ["default", "staging", "laptop"]),
    ]
    for args, aliases, profiles in written:
        name = args[2] if args[0] == "copy" else args[1]
        assert json.loads(run("lock", "profile", *args, "--json").stdout) == {
            "file": str(project),
            "profile": name,
            "aliases": aliases,
            "profiles": profiles,
        }
        assert list(load(project).profiles) == profiles
