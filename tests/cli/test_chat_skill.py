"""The console blocks of the chat guide, run by a shell as they stand."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from llmring import LLMRing
from llmring.cli.transcript import Transcript, keep
from llmring.testing import PracticeServer, RecordedRequest, Reply

from ..program import PROGRAM

SKILL = Path(__file__).parents[2] / "skills" / "llmring-chat" / "SKILL.md"
WRITTEN = SKILL.read_text()
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"^```console\n(.*?)^```", WRITTEN, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


def answer(request: RecordedRequest) -> Reply:
    return Reply('{"rivers": ["Rhône"]}') if b'"rivers"' in request.raw else Reply("An answer.")


async def _talk(path: Path) -> None:
    """Has a conversation of one turn, in that file and as the last one of the working directory."""
    async with LLMRing() as service:
        conversation = Transcript(service, "chatbot")
        await conversation.ask("One?")
        conversation.save(path)
        keep(conversation)


@pytest.mark.parametrize("line", COMMANDS)
def test_a_line_of_the_guide(project: Path, server: PracticeServer, line: str) -> None:
    server.script(answer)
    folder = project.parent
    (folder / "cat.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "llmring.templates").mkdir()
    template = 'prompt = "Translate into $language: $input"\ndefaults = { language = "French" }'
    (folder / "llmring.templates" / "translate.toml").write_text(template)
    (folder / "notes.md").write_text("A cat sat.")
    (folder / "weather.py").write_text(
        'def get_weather(city: str) -> str:\n    """The weather."""\n    return "warm"\n'
    )
    (folder / "rivers.json").write_text(re.findall(r"^```json\n(.*?)^```", WRITTEN, re.MULTILINE | re.DOTALL)[0])
    subprocess.run(["git", "init", "-q"], check=True)
    commit = ["git", "-c", "user.name=llmring", "-c", "user.email=llmring@example.com", "commit", "-q"]
    subprocess.run([*commit, "--allow-empty", "-m", "Something"], check=True)
    path = f"{Path(PROGRAM).parent}{os.pathsep}{os.environ['PATH']}"
    asyncio.run(_talk(folder / "talk.json"))
    done = subprocess.run(
        ["sh", "-c", line],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PATH": path},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    if line.startswith("llmring template"):
        assert "translate" in done.stdout
        return
    _, request = server.requests
    assert ("One?" in str(request.body["messages"][0])) == ("--load" in line or "--continue" in line)
    if "--schema" in line:
        assert json.loads(done.stdout) == {"rivers": ["Rhône"]}
    elif "--json" in line:
        assert json.loads(done.stdout)["content"] == "An answer."
    else:
        assert done.stdout == "An answer.\n"
        assert " · tokens: " in done.stderr
    if "git log" in line:
        assert re.fullmatch(r"\w+ Something\n\nWhat changed here\?", request.question)


def test_the_guide_has_lines_to_run() -> None:
    assert len(COMMANDS) >= 8
    assert {option for option in ("--json", "--image", "--file", "--schema") if option in " ".join(COMMANDS)} == {
        "--json",
        "--image",
        "--file",
        "--schema",
    }
