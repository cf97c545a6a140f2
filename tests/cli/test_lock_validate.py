"""`llmring lock validate` and `llmring lock schema`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmring.lockfile.rendering import json_schema

from .conftest import Command, Run


def test_a_valid_file(project: Path, run: Run) -> None:
    result = run("lock", "validate")
    assert (result.exit_code, result.stdout) == (0, "")
    assert str(project) in result.stderr
    assert "1 alias in the profile default" in result.stderr
    assert json.loads(run("lock", "validate", "--json").stdout) == {"file": str(project), "valid": True, "error": None}


@pytest.mark.parametrize(
    ("text", "line", "column", "told"),
    [
        ('version = "1.0"\n[profiles', 2, 10, "not valid TOML"),
        ('version = "1.0"\n[[profiles.default.bindings]]\nalias = "a"\nmodels = ["gpt"]\n', 4, 11, "provider:model"),
        ('version = "9.0"\n', 1, 11, "take the newest llmring"),
        ("", 1, 1, "llmring lock init"),
    ],
)
def test_a_file_that_is_not(
    bare: Path, command: Command, text: str, line: int | None, column: int | None, told: str
) -> None:
    path = bare / "some.lock"
    path.write_text(text)
    done = command("lock", "validate", "some.lock")
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr
    assert line is None or f"some.lock:{line}:{column}" in done.stderr
    done = command("lock", "validate", "some.lock", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    described = json.loads(done.stdout)
    assert (described["file"], described["valid"]) == ("some.lock", False)
    assert (described["error"]["line"], described["error"]["column"]) == (line, column)
    assert told in described["error"]["message"]


def test_no_file(bare: Path, run: Run) -> None:
    for args in ([], ["nowhere.lock"]):
        result = run("lock", "validate", *args)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "llmring lock init" in result.stderr


def test_the_schema_is_printed_and_nothing_else(bare: Path, command: Command) -> None:
    done = command("lock", "schema")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == json_schema()


def test_a_file_that_is_not_there_is_no_valid_one_as_json(bare: Path, command: Command) -> None:
    for args, file in ((["nofile.lock"], "nofile.lock"), ([], None)):
        done = command("lock", "validate", *args, "--json")
        said = json.loads(done.stdout)
        assert (done.returncode, said["valid"], said["file"]) == (1, False, file)
        assert "llmring lock init" in said["error"]["message"]
