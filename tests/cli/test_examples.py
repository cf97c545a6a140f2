"""Every example of every help, and every command of the README, run by a shell as it stands."""

from __future__ import annotations

import base64
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from llmring.cli.app import commands
from llmring.testing import PracticeServer, RecordedRequest, Reply
from llmring.testing.server import echo

from ..program import PROGRAM
from .conftest import LOCKFILE
from .terminal import Terminal
from .test_keys import BACKEND

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.platform == "win32" or not shutil.which("bash"), reason="the shell of the pages"),
]

ROOT = Path(__file__).parents[2]
COMMANDS = commands()
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="
MORE = """
[[profiles.default.bindings]]
alias = "fast"
models = ["anthropic:claude-haiku-5-5"]

[[profiles.default.bindings]]
alias = "balanced"
models = ["openai:gpt-6-luna"]

[[profiles.default.bindings]]
alias = "old"
models = ["openai:gpt-5-mini"]

[[profiles.default.bindings]]
alias = "labeller"
models = ["anthropic:claude-haiku-5-5"]

[[profiles.default.bindings]]
alias = "recorded"
models = ["replay:tests/recordings/chat.jsonl"]
"""
RECORDING = (
    '{"llmring":1,"model":"anthropic:claude-haiku-5-5","request":{"messages":[{"role":"user","content":"Hello"}]},'
    '"answer":{"chunks":[[0,"Hi"]],"finish_reason":"stop"}}\n'
) * 3
RECORDED = """
from llmring import LLMRequest, Message
from llmring.sync import LLMRing


def test_it(llmring_replay):
    with LLMRing() as service:
        hello = Message(role="user", content="Hello")
        assert service.chat(LLMRequest(model="recorded", messages=[hello])).content == "Hi"
"""
OTHERWISE = {
    "llmring batch": "none was made",
    "llmring keys set anthropic": "a key is typed on a terminal",
    "llmring lock init": "there is a lockfile already",
    "llmring lock chat": "nobody says yes",
    "llmring lock diff ../other/llmring.lock --exit-code": "they differ",
    "llmring lock upgrade": "nobody says yes",
    "llmring lock profile add staging --json": "there is that profile",
    "llmring lock profile copy default staging --json": "there is that profile",
    "llmring lock profile remove staging": "nobody says yes",
    "llmring log show": "nothing, or no such entry, is kept",
    "llmring log delete": "nothing, or no such entry, is kept",
    "llmring log clear": "nobody says yes",
    "llmring map 's3://": "there is no such bucket",
    "llmring replay refresh": "answers have changed",
    "llmring state reset": "nobody says yes",
    "llmring trust --revoke": "it was not trusted",
    "LLMRING_PROFILE=dev llmring doctor": "something may be amiss",
    "llmring doctor": "something may be amiss",
    "llmring providers --check": "not everybody answers",
    "llmring lock check": "something may be amiss",
}
"""Beginnings of the examples whose status may be 1 here, and why."""
GUIDES = [
    "docs/start.md",
    "docs/observability.md",
    "docs/logging.md",
    "docs/from/llm.md",
    "skills/llmring-observability/SKILL.md",
    "skills/llmring-routing/SKILL.md",
]
"""Pages whose commands are run here. Those of the others have tests of their own."""


def answer(request: RecordedRequest) -> Reply:
    """A model that keeps to what form it is asked for."""
    body = request.body if isinstance(request.body, dict) else {}
    asked = str(body.get("output_config") or body.get("text") or "")
    if "bindings" in asked:
        return Reply('{"bindings": [{"alias": "old", "models": [], "why": "It is old."}], "remark": ""}')
    return Reply('{"total": 3}') if "total" in asked else echo(request)


@pytest.fixture
def world(server: PracticeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which every example has something to work on."""
    server.script(answer)
    here, bin = tmp_path / "project", tmp_path / "bin"
    for folder in ("config", "src", "llmring.templates", "tests/recordings", "../other", "../bin"):
        (here / folder).mkdir(parents=True, exist_ok=True)
    lockfile = LOCKFILE.replace("\n[profiles.dev]", f"{MORE}\n[profiles.dev]")
    for file in ("llmring.lock", "config/llmring.lock", "config/models.lock"):
        (here / file).write_text(lockfile)
    (here / "../other/llmring.lock").write_text(LOCKFILE)
    (here / "src/bot.py").write_text('from llmring import LLMRequest\nLLMRequest(model="chatbot", messages=[])\n')
    (here / "weather.py").write_text('def get_weather(city: str) -> str:\n    """The weather."""\n    return "warm"\n')
    (here / "llmring.templates/translate.toml").write_text(
        'prompt = """\nTranslate into $language:\n\n$input\n"""\n\n[defaults]\nlanguage = "French"\n'
    )
    (here / "receipt.png").write_bytes(base64.b64decode(PIXEL))
    (here / "receipt.schema.json").write_text('{"type": "object", "properties": {"total": {"type": "number"}}}')
    (here / "reviews.jsonl").write_text('{"text": "It broke."}\n{"text": "It works."}\n')
    (here / "reviews.csv").write_text("text\nIt broke.\n")
    (here / "llmring.templates/label.toml").write_text('prompt = "Label: $text"\n')
    (here / "scans").mkdir()
    parquet.write_table(pyarrow.table({"path": [str(here / "receipt.png")]}), here / "scans/one.parquet")
    (here / "label.json").write_text('{"type": "object", "properties": {"total": {"type": "number"}}}')
    (here / "tests/recordings/chat.jsonl").write_text(RECORDING)
    (here / "tests/test_it.py").write_text(RECORDED)
    (bin / "llmring").symlink_to(PROGRAM)
    (bin / "pytest").symlink_to(Path(sys.executable).with_name("pytest"))
    (bin / "pass").write_text("#!/bin/sh\necho practice\n")
    (bin / "pass").chmod(0o755)
    if not shutil.which("jq"):
        (bin / "jq").write_text("#!/bin/sh\nexec cat\n")
        (bin / "jq").chmod(0o755)
    person = {f"GIT_{who}_{what}": "a@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    settings = {
        "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}",
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "HOME": str(tmp_path),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "AWS_ENDPOINT_URL": server.url,
        "AWS_EC2_METADATA_DISABLED": "true",
        **person,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(here)
    subprocess.run(["git", "init", "-q", "-b", "main"], check=True)
    for number in range(4):
        (here / "note").write_text(f"{number}")
        subprocess.run(["git", "add", "."], check=True)
        subprocess.run(["git", "commit", "-qm", f"{number}"], check=True)
    return here


def run(line: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, input="", timeout=300)
    assert "Traceback" not in done.stderr, (line, done.stderr)
    assert "not foreseen" not in done.stderr, (line, done.stderr)
    may_fail = any(line.startswith(it) for it in OTHERWISE)
    assert done.returncode in ((0, 1) if may_fail else (0,)), (line, done.stdout, done.stderr)
    return done


def examples(words: tuple[str, ...]) -> list[str]:
    """Those of a command's help, as they stand."""
    lines = COMMANDS[words].help.partition("\b\nExample:\n")[2].splitlines()
    return [line.strip() for line in lines if line.strip()]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_examples_of_a_help(
    world: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    if words[0] == "keys":
        folder = tmp_path_factory.mktemp("backend")
        (folder / "filed_keyring.py").write_text(BACKEND)
        monkeypatch.setenv("PYTHONPATH", str(folder))
        monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "filed_keyring.Keyring")
        monkeypatch.setenv("FILED_KEYRING", str(folder / "keys.json"))
    if words == ("keys", "remove"):
        run("pass show anthropic | llmring keys set anthropic")
    if words == ("lock", "profile", "remove"):
        run("llmring lock profile add staging")
    for line in examples(words):
        if line == "llmring chat":  # which opens a conversation
            with Terminal("chat") as terminal:
                terminal.expect("chatbot> ")
                terminal.say("/quit")
                assert terminal.ended() == 0
            continue
        if "--tools" in line:  # which asks before each call
            with Terminal(*shlex.split(line)[1:]) as terminal:
                terminal.expect("You said")
                assert terminal.ended() == 0
            continue
        if "--watch" in line:  # until Ctrl-C
            with subprocess.Popen(shlex.split(line), stdout=-1, stderr=subprocess.STDOUT, text=True) as watching:
                assert watching.stdout is not None
                assert watching.stdout.readline()
                watching.send_signal(signal.SIGINT)
                assert watching.wait(60) in (0, 130)
            continue
        done = run(line)
        if line.startswith("llmring lock profile remove staging") and done.returncode == 0:
            run("llmring lock profile add staging")


@pytest.mark.parametrize("page", GUIDES)
@pytest.mark.usefixtures("world")
def test_the_commands_of_a_guide(page: str) -> None:
    blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    command = re.compile(r"^(?:\$ )?((?:LLMRING_\w+=\w+ )?llmring .*)$", re.MULTILINE)
    shown = [found for block in blocks for found in command.findall(block)]
    assert shown
    for line in shown:
        run(line)


def test_the_commands_of_the_readme(world: Path) -> None:
    shown = re.findall(r"^\$ (llmring .*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert shown
    (world / "llmring.lock").unlink()
    for line in shown:
        run(line.removesuffix(" && llmring chat"))
        assert "chatbot" in run("llmring aliases").stdout
