"""`llmring demo`: four answers, whatever the person's own environment says."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path

import pytest

from llmring import catalog
from llmring.cli import demo
from llmring.testing import PracticeServer, RecordedRequest, Reply
from llmring.vendors import SDKS

from .conftest import LOCKFILE, Command, Run


@pytest.fixture
def hostile(bare: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment that would lead every request elsewhere, and a lockfile that would too."""
    (bare / "llmring.lock").write_text(LOCKFILE)
    with PracticeServer() as nobody:
        nowhere = nobody.refused_url()
    monkeypatch.setenv("LLMRING_LOCKFILE_PATH", str(bare / "llmring.lock"))
    monkeypatch.setenv("LLMRING_PROFILE", "dev")
    monkeypatch.setenv("LLMRING_PROVIDER_TIMEOUT_S", "0.000001")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    for name in ("GOOGLE_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.setenv(name, "one-of-their-own")
    for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "OLLAMA_BASE_URL", "GOOGLE_GEMINI_BASE_URL"):
        monkeypatch.setenv(name, nowhere)
    return dict(os.environ)


def test_four_answers(hostile: dict[str, str], command: Command) -> None:
    shown = command("demo")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.splitlines()[-1].startswith("Four answers came")
    suggested = catalog.suggested("fast")
    models = [*(f"{name}:{suggested[name]}" for name in SDKS if name in suggested), "ollama:llama3.2"]
    said = f"""\
llmring.lock says:
  [[profiles.default.bindings]]
  alias = "chatbot"
  models = [
      "{models[0]}",
  ]
"""
    assert shown.stdout.count("llmring.lock says:") == 1
    assert f"\n1. {models[0]}\n{said}" in shown.stdout
    for number, model in enumerate(models, start=1):
        assert f"\n{number}. {model}\n" in shown.stdout
        assert f"I am {model.partition(':')[2]} as the practice server plays it" in shown.stdout
        assert f"\n{model} · tokens: " in shown.stdout
    for before, after in pairwise(models):
        assert f'\n-     "{before}",\n+     "{after}",\n' in shown.stdout
    assert shown.stdout.count("\n- ") == shown.stdout.count("\n+ ") == 3
    assert "one-of-their-own" not in shown.stdout + shown.stderr
    assert Path("llmring.lock").read_text() == LOCKFILE
    assert os.listdir() == ["llmring.lock"]


def test_an_answer_that_fails_fails_the_demo(
    hostile: dict[str, str], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reply(request: RecordedRequest) -> Reply:
        return Reply(status=401) if request.wire == "gemini" else Reply("ok")

    monkeypatch.setattr(demo, "_reply", reply)
    result = run("demo")
    assert result.exit_code == 1
    assert "no answer from google:" in result.stderr
    assert result.stderr.endswith("Error: 3 of 4 answers came.\n")
    assert hostile.items() - os.environ.items() <= {("PYTEST_CURRENT_TEST", hostile["PYTEST_CURRENT_TEST"])}


def test_what_is_missing_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "installed_version", lambda package: None if package == "h11" else "1.0")
    result = run("demo")
    assert (result.exit_code, result.stdout) == (1, "")
    assert re.search(r"the demo needs h11: pip install '?h11\b", result.stderr)


@pytest.mark.parametrize(
    ("here", "words"), [(2, "2 answers came: one program, one alias, 2 providers."), (1, "One ans")]
)
def test_a_provider_without_its_sdk_is_left_out(
    run: Run, monkeypatch: pytest.MonkeyPatch, here: int, words: str
) -> None:
    installed = [it.package for it in SDKS.values()][:here]
    monkeypatch.setattr(demo, "installed_version", lambda it: "1.0" if it in (*installed, "h11") else None)
    monkeypatch.setattr(demo, "_reply", lambda request: Reply("ok"))
    result = run("demo")
    assert result.exit_code == 0
    assert words in result.stdout
    assert re.search(r"Left out, since not installed: .*google-genai.*pip install .*'google-genai>=", result.stderr)


def test_all_that_is_missing_is_named_at_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "installed_version", lambda package: None)
    result = run("demo")
    assert (result.exit_code, result.stdout) == (1, "")
    named, _, wanted = result.stderr.partition(": pip install ")
    assert named.endswith("the demo needs openai, anthropic, google-genai, ollama, h11")
    assert re.fullmatch(r"'openai>=\S+' 'anthropic>=\S+' 'google-genai>=\S+' 'ollama>=\S+' '?h11\S*", wanted.strip())
