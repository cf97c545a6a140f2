"""`llmring lock check`: what it prints, and its status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import LOCKFILE, Command, Run
from .test_command import on_a_terminal

CURRENT = LOCKFILE.replace("claude-haiku-4-5", "claude-haiku-5-5").replace("gpt-5-mini", "gpt-6-luna")
CURRENT = CURRENT.replace("temperature = 0.3", "max_tokens = 300")


@pytest.fixture
def fitting(bare: Path) -> Path:
    """A lockfile and code that fits it."""
    (bare / "app.py").write_text("from llmring import LLMRequest\nLLMRequest(model='chatbot')\n")
    path = bare / "llmring.lock"
    path.write_text(CURRENT)
    return path


def test_nothing_found(fitting: Path, command: Command) -> None:
    for args in ([], ["--strict"], ["app.py"]):
        done = command("lock", "check", *args)
        assert (done.returncode, done.stdout, done.stderr) == (
            0,
            "",
            "Nothing found in llmring.lock and 1 source file.\n",
        )
    done = command("lock", "check", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "file": str(fitting),
        "passed": True,
        "errors": 0,
        "warnings": 0,
        "source_files": 1,
        "findings": [],
    }


def test_an_error_fails_it(fitting: Path, command: Command) -> None:
    (fitting.parent / "app.py").write_text("from llmring import LLMRequest\nLLMRequest(model='chatbott')\n")
    done = command("lock", "check", "--ignore", "alias-unused")
    assert done.returncode == 1
    first, second = done.stdout.splitlines()
    assert first.startswith('app.py:2:18: error: The alias "chatbott" is not bound')
    assert first.endswith("[alias-unbound]")
    assert second.startswith("    To bind it: llmring bind chatbott provider:model")
    assert done.stderr == "1 error and 0 warnings in llmring.lock and 1 source file.\n"
    described = json.loads(command("lock", "check", "--json", "--ignore", "alias-unused").stdout)
    assert (described["passed"], described["errors"], described["warnings"]) == (False, 1, 0)
    (finding,) = described["findings"]
    assert finding.pop("message")
    assert finding.pop("advice")
    place = {"file": "app.py", "line": 2, "column": 18, "cell": None}
    assert finding == {"code": "alias-unbound", "severity": "error", **place}


def test_an_error_is_red_and_a_warning_yellow(fitting: Path) -> None:
    (fitting.parent / "app.py").write_text("from llmring import LLMRequest\nLLMRequest(model='chatbott')\n")
    said = on_a_terminal("lock", "check")
    assert "\x1b[31merror\x1b[0m: " in said
    assert "\x1b[33mwarning\x1b[0m: " in said


def test_a_warning_fails_it_only_if_strict(fitting: Path, run: Run) -> None:
    fitting.write_text(CURRENT + '\n[[profiles.dev.bindings]]\nalias = "odd"\nmodels = ["ollama:llama3.2"]\n')
    for args, status in (([], 0), (["--strict"], 1), (["--strict", "--ignore", "alias-unused"], 0)):
        assert run("lock", "check", *args).exit_code == status
        described = json.loads(run("lock", "check", "--json", *args).stdout)
        assert described["passed"] is (status == 0)
    assert "llmring.lock:21:9: warning:" in run("lock", "check").stdout


def test_the_lockfile_elsewhere(fitting: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (fitting.parent / "inner").mkdir()
    monkeypatch.chdir(fitting.parent / "inner")
    result = run("lock", "check")
    assert (result.exit_code, result.stderr) == (0, f"Nothing found in {fitting} and 1 source file.\n")


def test_a_broken_lockfile_is_a_finding(fitting: Path, command: Command) -> None:
    fitting.write_text("version = ")
    done = command("lock", "check")
    assert done.returncode == 1
    assert done.stdout.startswith("llmring.lock:1:11: error: This is not valid TOML")
    assert json.loads(command("lock", "check", "--json").stdout)["findings"][0]["code"] == "lockfile-invalid"
    fitting.write_text('version = "2.0"')
    said = " ".join(command("lock", "check").stdout.split())
    assert said.startswith('llmring.lock:1:11: error: The file has version "2.0"; ')
    assert said.count("llmring.lock") == 1


def test_wrong_usage(fitting: Path, command: Command) -> None:
    wrong = command("lock", "check", "--ignore", "everything")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "alias-unbound" in wrong.stderr
    nowhere = command("lock", "check", "nowhere")
    assert (nowhere.returncode, nowhere.stdout) == (1, "")
    assert "nowhere" in nowhere.stderr


def test_no_lockfile(bare: Path, command: Command) -> None:
    done = command("lock", "check", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "llmring lock init" in done.stderr


def test_a_new_lockfile_passes(bare: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "practice")
    assert command("lock", "init").returncode == 0
    assert "fast" in command("aliases").stdout
    (bare / "other.py").write_text("SPEED = 'fast'\n")
    done = command("lock", "check", "--strict")
    assert (done.returncode, done.stdout) == (0, "")
