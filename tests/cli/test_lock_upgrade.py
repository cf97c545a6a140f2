"""`llmring lock upgrade`: off models that end, after a yes."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from llmring import catalog
from llmring.catalog.entries import successor
from llmring.lockfile import load

from ..conftest import Announce
from ..program import PROGRAM
from .conftest import Command, Run

OLD, ENDS_SOON, STUCK, FINE = (
    "anthropic:claude-sonnet-4-5",
    "anthropic:claude-opus-4-1",
    "anthropic:claude-instant-1",
    "openai:gpt-6-luna",
)
TEXT = f"""\
# ours
version = "1.0"

[profiles.default]
[[profiles.default.bindings]]
alias = "chatbot"
models = [
    "{OLD}",  # good with tables
    "{FINE}",
]
params = {{ temperature = 0.3 }}

[profiles.dev]
[[profiles.dev.bindings]]
alias = "chatbot"
models = ["ollama:llama3.2"]

[[profiles.dev.bindings]]
alias = "deep"   # one line
models = ["{ENDS_SOON}", "{OLD}", "{STUCK}"]
"""


@pytest.fixture(autouse=True)
def announced(bare: Path, monkeypatch: pytest.MonkeyPatch, announce: Announce) -> None:
    """An SDK that announces ends, for this process and for those that it starts."""
    days = {OLD: "May 1st, 2026", ENDS_SOON: "May 1st, 2086", STUCK: "May 1st, 2026"}
    folder = announce({model.partition(":")[2]: day for model, day in days.items()})
    monkeypatch.setenv("PYTHONPATH", str(folder))


@pytest.fixture
def old(bare: Path) -> Path:
    path = bare / "llmring.lock"
    path.write_text(TEXT)
    return path


def follower(model: str) -> str:
    new = successor(model)
    assert new is not None
    return new


def upgraded() -> str:
    return TEXT.replace(OLD, follower(OLD)).replace(ENDS_SOON, follower(ENDS_SOON))


def test_it_moves_them_in_every_profile_and_changes_nothing_else(old: Path, command: Command) -> None:
    done = command("lock", "upgrade", "--yes")
    assert done.returncode == 0
    assert old.read_text() == upgraded()
    assert f'-    "{OLD}",  # good with tables' in done.stdout
    assert f'+    "{follower(OLD)}",  # good with tables' in done.stdout
    assert f"{OLD} ended on 2026-05-01; {follower(OLD)} follows ($" in done.stderr
    assert f"{ENDS_SOON} ends on 2086-05-01" in done.stderr
    assert f"Warning: {STUCK} ended on 2026-05-01, and the catalogue names no successor" in done.stderr
    assert "deep (dev)" in done.stderr
    again = command("lock", "upgrade")
    assert (again.returncode, again.stdout) == (0, "")
    assert "Nothing to move" in again.stderr


def test_it_says_what_becomes_of_the_window_and_the_params(old: Path, run: Run) -> None:
    old.write_text(TEXT.replace(OLD, "openai:gpt-4.1-mini"))
    new = follower("openai:gpt-4.1-mini")
    before, after = (catalog.model_info(it).context_window for it in ("openai:gpt-4.1-mini", new))
    assert before
    assert after
    assert before > after
    line = next(it for it in run("lock", "upgrade", "--dry-run").stderr.splitlines() if "gpt-4.1-mini" in it)
    assert f"its window shrinks from {before:,} to {after:,} tokens" in line
    assert "it gets the params temperature too, which were chosen for the old one" in line
    described = json.loads(run("lock", "upgrade", "--dry-run", "--json").stdout)["models"][0]
    assert described["context_window"] == {"before": before, "after": after}


def test_a_program_is_told_of_prices_and_params_too(old: Path, run: Run) -> None:
    before, after = catalog.model_info(OLD), catalog.model_info(follower(OLD))
    models = {it["model"]: it for it in json.loads(run("lock", "upgrade", "--dry-run", "--json").stdout)["models"]}
    assert {name: it["retired"] for name, it in models.items()} == {
        name: catalog.model_info(name).retired for name in models
    }
    assert before.input_price is not None
    assert models[OLD]["input_price"] == {"before": before.input_price, "after": after.input_price}
    assert models[OLD]["output_price"] == {"before": before.output_price, "after": after.output_price}
    assert models[OLD]["bindings"] == [
        {"profile": "default", "alias": "chatbot", "params": {"temperature": 0.3}},
        {"profile": "dev", "alias": "deep", "params": {}},
    ]
    assert models[STUCK]["successor"] is None
    assert models[STUCK]["input_price"]["after"] is None
    old.write_text(TEXT.replace("0.3", "nan"))
    for args in (["--dry-run"], ["--yes"]):
        described = json.loads(run("lock", "upgrade", "--json", *args).stdout, parse_constant=pytest.fail)
        assert described["models"][0]["bindings"][0]["params"] == {"temperature": None}


def test_what_stays_as_it_was_is_not_said(old: Path, run: Run) -> None:
    stderr = run("lock", "upgrade", "--dry-run", "--profile", "dev").stderr
    line = next(it for it in stderr.splitlines() if ENDS_SOON in it)
    assert "params" not in line
    same = catalog.model_info(ENDS_SOON).context_window == catalog.model_info(follower(ENDS_SOON)).context_window
    assert ("window" in line) is not same


def test_without_a_terminal_it_only_shows(old: Path, command: Command) -> None:
    done = command("lock", "upgrade")
    assert done.returncode == 1
    assert follower(OLD) in done.stdout
    assert "llmring lock upgrade --yes" in done.stderr
    assert "llmring lock upgrade --profile dev --yes" in command("lock", "upgrade", "--profile", "dev").stderr
    assert old.read_text() == TEXT


def test_a_dry_run_is_no_failure(old: Path, run: Run) -> None:
    for more in ([], ["--yes"], ["--json"], ["--json", "--yes"]):
        result = run("lock", "upgrade", "--dry-run", *more)
        assert (result.exit_code, follower(OLD) in result.stdout) == (0, True)
    assert old.read_text() == TEXT


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("n", 1), ("", 1)])
def test_on_a_terminal_it_asks(old: Path, answer: str, status: int) -> None:
    ours, theirs = pty.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        done = subprocess.run([PROGRAM, "lock", "upgrade"], stdin=theirs, capture_output=True, text=True, timeout=300)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == status, done.stderr
    assert follower(OLD) in done.stdout
    assert old.read_text() == (upgraded() if answer == "y" else TEXT)


def test_one_profile(old: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("lock", "upgrade", "--profile", "dev", "--yes").exit_code == 0
    assert load(old).profiles["default"].bindings["chatbot"].models == (OLD, FINE)
    assert load(old).profiles["dev"].bindings["deep"].models == (follower(ENDS_SOON), follower(OLD), STUCK)
    assert run("lock", "upgrade", "--profile", "prod", "--yes").exit_code == 1
    monkeypatch.setenv("LLMRING_PROFILE", "dev")
    assert run("lock", "upgrade", "--yes").exit_code == 0
    assert load(old).profiles["default"].bindings["chatbot"].models == (follower(OLD), FINE)


def test_for_programs(old: Path, command: Command) -> None:
    done = command("lock", "upgrade", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    described = json.loads(done.stdout)
    assert described["changed"] is False
    assert old.read_text() == TEXT
    assert [(it["model"], it["successor"], it["retires"], it["retired"]) for it in described["models"]] == [
        (OLD, follower(OLD), "2026-05-01", True),
        (ENDS_SOON, follower(ENDS_SOON), "2086-05-01", False),
        (STUCK, None, "2026-05-01", True),
    ]
    assert [(it["profile"], it["alias"]) for it in described["models"][0]["bindings"]] == [
        ("default", "chatbot"),
        ("dev", "deep"),
    ]
    done = command("lock", "upgrade", "--json", "--yes")
    assert (done.returncode, json.loads(done.stdout)["changed"]) == (0, True)
    assert old.read_text() == upgraded()


def test_a_successor_that_is_bound_already_keeps_its_first_place(old: Path, run: Run) -> None:
    old.write_text(TEXT.replace(f'"{FINE}"', f'"{FINE}",\n    "{follower(OLD)}"'))
    assert run("lock", "upgrade", "--yes").exit_code == 0
    assert load(old).profiles["default"].bindings["chatbot"].models == (follower(OLD), FINE)


def test_a_json_file_and_the_old_form_of_a_binding(old: Path, run: Run) -> None:
    old.write_text(
        '{"version": "1.0", "profiles": {"default": {"bindings": [\n'
        '  {"alias": "a", "provider": "anthropic", "model": "claude-sonnet-4-5", "note": 1}]}}}\n'
    )
    assert run("lock", "upgrade", "--yes").exit_code == 0
    assert json.loads(old.read_text())["profiles"]["default"]["bindings"] == [
        {"alias": "a", "models": [follower(OLD)], "note": 1}
    ]


def test_another_host_keeps_its_models(old: Path, run: Run) -> None:
    old.write_text(TEXT + '\n[providers.anthropic]\nbase_url = "https://gateway.internal"\n')
    result = run("lock", "upgrade", "--yes")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "Nothing to move" in result.stderr


def test_nothing_ends(old: Path, run: Run) -> None:
    old.write_text(TEXT.replace(OLD, FINE).replace(ENDS_SOON, FINE).replace(STUCK, FINE))
    result = run("lock", "upgrade")
    assert (result.exit_code, result.stdout) == (0, "")
    assert json.loads(run("lock", "upgrade", "--json").stdout)["models"] == []
