"""`llmring lock convert`: the same data in the other format, and nothing written over unasked."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from llmring.lockfile import load

from .conftest import LOCKFILE, Command, Run

RICH: dict[str, Any] = {
    "$schema": "./llmring.schema.json",
    "version": "1.0",
    "default_profile": "default",
    "registry_versions": {},
    "metadata": {"by": 'é "x" \\ \n 😀', "nested": {"a": [{"b": [1, 2.5, True]}, {}], "empty": []}},
    "profiles": {
        "default": {
            "name": "default",
            "bindings": [
                {"alias": "a:b", "models": ["x:y", "x:z"], "params": {"stop": ["\t"], "odd key": {"deep": 1}}},
                {"alias": "c", "model": "y", "provider": "x", "note": [[1], []]},
            ],
        },
        "dev.1": {"bindings": []},
        "empty": {},
    },
    "providers": {"groq": {"sdk": "openai", "headers": {"x-a": "1"}}},
}


def test_to_json_and_back_says_the_same(project: Path, run: Run) -> None:
    printed = run("lock", "convert")
    assert printed.exit_code == 0
    assert json.loads(printed.stdout) == tomllib.loads(LOCKFILE)
    assert "JSON has no comments" in printed.stderr
    written = run("lock", "convert", "--output", "other.json")
    assert written.exit_code == 0
    assert Path("other.json").read_text() == printed.stdout
    back = run("lock", "convert", "other.json")
    assert (back.exit_code, back.stderr) == (0, "")
    assert tomllib.loads(back.stdout) == tomllib.loads(LOCKFILE)
    assert back.stdout.count("[[profiles.") == 2
    assert project.read_text() == LOCKFILE


def test_every_key_is_kept(bare: Path, run: Run) -> None:
    (bare / "rich.json").write_text(json.dumps(RICH))
    result = run("lock", "convert", "rich.json", "-o", "rich.lock")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "Wrote rich.lock as TOML\n")
    text = (bare / "rich.lock").read_text(encoding="utf-8")
    assert tomllib.loads(text) == RICH
    assert text.startswith('"$schema" = "./llmring.schema.json"\nversion = "1.0"\n')
    assert load("rich.lock").profiles == load("rich.json").profiles
    assert json.loads(run("lock", "convert", "rich.lock").stdout) == RICH
    assert "comments" not in run("lock", "convert", "rich.lock").stderr


def test_what_the_other_format_lacks_is_said(bare: Path, run: Run) -> None:
    (bare / "a.json").write_text('{"version": "1.0", "extends": null, "x": {"y": null, "z": 1}}')
    result = run("lock", "convert", "a.json")
    assert tomllib.loads(result.stdout) == {"version": "1.0", "x": {"z": 1}}
    assert result.stderr.splitlines() == ["extends is null and is left out.", "x.y is null and is left out."]
    (bare / "b.lock").write_text('version = "1.0"\nx.day = 2026-01-02\nx.sign = "#"\n')
    result = run("lock", "convert", "b.lock")
    assert "comments" not in result.stderr
    assert json.loads(result.stdout)["x"]["day"] == "2026-01-02"
    assert "x.day is a date" in result.stderr


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.json", '{"version": "1.0", "x": [1, null]}', "x.1 is null"),
        ("a.json", '{"version": "1.0", "x": "\\ud800"}', "surrogate"),
        ("a.lock", 'version = "1.0"\nx = [nan]\n', "x.0 is nan"),
        ("a.lock", 'version = "1.0"\n[profiles', "a.lock:2:10"),
        ("b.lock", "", "no lockfile a.lock"),
    ],
)
def test_what_cannot_be_converted_is_an_error(bare: Path, command: Command, name: str, text: str, told: str) -> None:
    (bare / name).write_text(text)
    done = command("lock", "convert", name.replace("b.lock", "a.lock"))
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr


def test_nothing_is_written_over_without_force(project: Path, run: Run) -> None:
    Path("there.json").write_text("mine")
    for output in ("there.json", "llmring.lock"):
        result = run("lock", "convert", "--output", output)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "--force" in result.stderr
    assert Path("there.json").read_text() == "mine"
    assert project.read_text() == LOCKFILE
    assert run("lock", "convert", "--output", "there.json", "--force").exit_code == 0
    assert json.loads(Path("there.json").read_text()) == tomllib.loads(LOCKFILE)


def test_what_is_replaced_is_kept(project: Path, run: Run) -> None:
    Path("there.json").write_text("mine")
    result = run("lock", "convert", "-o", "there.json", "--force")
    assert result.stderr.splitlines()[-1] == "Kept what was there as there.json.bak"
    assert Path("there.json.bak").read_text() == "mine"
    again = run("lock", "convert", "-o", "there.json", "--force")
    assert "Kept" not in again.stderr, "what is written again needs no copy"
    for number, suffix in enumerate((".bak", ".bak1")):
        before = project.read_text()
        run("lock", "convert", "--to", "json" if number == 0 else "toml", "-o", "llmring.lock", "--force")
        assert project.with_name(f"llmring.lock{suffix}").read_text() == before
    assert "# the bot on the front page" in project.with_name("llmring.lock.bak").read_text()


def test_in_place(project: Path, run: Run) -> None:
    before = load(project)
    project.chmod(0o640)
    assert run("lock", "convert", "--output", "llmring.lock", "--force").exit_code == 0
    assert project.read_text().startswith("{\n")
    assert load(project) == before
    assert project.stat().st_mode & 0o777 == 0o640
    assert run("lock", "convert", "--to", "json", "-o", str(project), "--force").exit_code == 0
    assert run("lock", "convert", "--to", "toml", "-o", str(project), "--force").exit_code == 0
    assert project.read_text().startswith('version = "1.0"\n')
    assert load(project) == before


def test_the_format_that_it_has_is_left_as_it_is(project: Path, run: Run) -> None:
    result = run("lock", "convert", "--to", "toml")
    assert (result.exit_code, result.stdout, result.stderr) == (0, LOCKFILE, "")
    run("lock", "convert", "-o", "copy.toml")
    assert Path("copy.toml").read_text() == LOCKFILE


def test_a_name_for_json_is_not_given_to_toml(project: Path, command: Command) -> None:
    done = command("lock", "convert", "--to", "toml", "--output", "x.json")
    assert done.returncode == 2
    assert not Path("x.json").exists()
    assert command("lock", "convert", "--to", "yaml").returncode == 2


def test_what_was_written_as_json(project: Path, run: Run, command: Command) -> None:
    fresh = json.loads(run("lock", "convert", "-o", "new.json", "--json").stdout)
    assert fresh == {"file": "new.json", "format": "json", "kept_as": None}
    args = ("lock", "convert", "--to", "json", "-o", "llmring.lock", "--force", "--json")
    assert json.loads(run(*args).stdout) == {"file": "llmring.lock", "format": "json", "kept_as": "llmring.lock.bak"}
    refused = command("lock", "convert", "--json")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--to json" in refused.stderr


@pytest.mark.parametrize("more", [[], ["--force"]])
def test_a_name_that_no_file_can_have(project: Path, command: Command, more: list[str]) -> None:
    for name in ("n" * 300, f"{'n' * 300}/llmring.lock"):
        done = command("lock", "convert", "--output", name, *more)
        assert (done.returncode, done.stdout) == (1, "")
        assert "\nError: " in done.stderr, "after the warning of the comments"
        assert "not foreseen" not in done.stderr
