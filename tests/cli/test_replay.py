"""`llmring replay`: recordings looked at, checked, asked again, and rid of what nothing asks for."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from llmring.recordings import files
from llmring.recordings.exchanges import calls_of
from llmring.testing import PracticeServer, Tokens, ToolCallScript

from .conftest import LOCKFILE, Run

TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}]


def exchange(text: str, answer: dict[str, Any], **request: Any) -> str:
    asked = {"messages": [{"role": "user", "content": text}], **request}
    return json.dumps({"llmring": 1, "model": "openai:gpt-5-mini", "request": asked, "answer": answer})


def said(*pieces: Any, **more: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    ends = {} if {"error", "left"} & more.keys() else {"finish_reason": "stop"}
    return {"chunks": [[7, it] for it in pieces], **ends, "usage": usage, **more}


CALL = {"calls": [[0, {"id": "c1", "name": "add", "arguments": '{"a": 1}'}]]}


@pytest.fixture
def file(project: Path) -> Path:
    path = project.parent / "chat.jsonl"
    path.write_text(
        "\n".join(
            [
                exchange("Hi", said("Hel", "lo")),
                exchange("Add", said(CALL, finish_reason="tool_calls"), tools=TOOLS),
                exchange("Busy", said(error={"type": "ProviderRateLimitError", "message": "Slow down"})),
            ]
        )
    )
    return path


def test_what_a_recording_holds_is_shown(run: Run, file: Path) -> None:
    listed = run("replay", "show", str(file)).stdout
    for words in ("Hi", "Hello", 'add({"a": 1})', "[ProviderRateLimitError]", "openai:gpt-5-mini"):
        assert words in listed
    whole = run("replay", "show", str(file), "--line", "1").stdout
    assert "user: Hi" in whole
    assert "answer: Hello" in whole
    assert "2 chunks in 0.0 s, stop" in whole
    data = json.loads(run("replay", "show", str(file), "--json").stdout)
    assert [it["line"] for it in data] == [1, 2, 3]
    assert "no exchange in line 9" in run("replay", "show", str(file), "--line", "9").stderr
    assert "There is no recording" in run("replay", "show", "none.jsonl").stderr


def test_a_recording_is_checked(run: Run, file: Path) -> None:
    result = run("replay", "check", str(file))
    assert (result.exit_code, "1 recording can be replayed" in result.stderr) == (0, True)
    odd = file.parent / "odd.jsonl"
    odd.write_text(
        exchange("Hi", said("sk-ant-" + "a1b2c3d4" * 4))
        + "\n"
        + exchange("Hi", said("Hel", left=True))
        + "\n"
        + exchange("Hi", said("Hi", finish_reason="done"))
    )
    result = run("replay", "check", str(file), str(odd))
    assert result.exit_code == 1
    assert [line.partition(": ")[0] for line in result.stdout.splitlines()] == [f"{odd}:{n}" for n in (1, 2, 3)]
    assert "sk-ant" not in result.output
    found = json.loads(run("replay", "check", str(odd), "--json").stdout)
    assert [it["finding"] for it in found] == [True, False, True]


def test_models_are_asked_again(run: Run, file: Path, server: PracticeServer) -> None:
    server.reply("Hello!", usage=Tokens(1, 2))
    server.reply("I cannot add", finish_reason="stop", usage=Tokens(5, 90))
    server.reply("Fine now", usage=Tokens(1, 2))
    before = file.read_text()
    result = run("replay", "refresh", str(file))
    assert result.exit_code == 1, result.output
    assert result.stdout.splitlines() == [
        "line 2, openai:gpt-5-mini: ends: tool_calls -> stop",
        "line 2, openai:gpt-5-mini: calls: add -> none",
        "line 2, openai:gpt-5-mini: made of: nothing -> text",
        "line 2, openai:gpt-5-mini: tokens of the prompt: 1 -> 5",
        "line 2, openai:gpt-5-mini: tokens of the answer: 2 -> 90",
        "line 3, openai:gpt-5-mini: ends: ProviderRateLimitError -> stop",
    ]
    assert "2 of 3 answers have changed, 3 are worded otherwise" in result.stderr
    assert file.read_text() == before


def test_what_is_asked_again_is_recorded_on_request(run: Run, file: Path, server: PracticeServer) -> None:
    server.reply(tool_calls=[ToolCallScript("add", {"a": 2})], usage=Tokens(1, 2))
    result = run("replay", "refresh", str(file), "--line", "2", "--write", "--json")
    (drift,) = json.loads(result.stdout)
    assert drift["changed"] == ['arguments of add: {"a": 1} -> {"a": 2}']
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [it["request"]["messages"][0]["content"] for it in lines] == ["Hi", "Add", "Busy"]
    (call,) = calls_of(files.read(file)[1].answered)
    assert json.loads("".join(call[2])) == {"a": 2}
    assert lines[0]["answer"]["chunks"][0] == [7, "Hel"]


def test_nothing_is_sent_where_there_is_no_key(run: Run, file: Path) -> None:
    before = file.read_text()
    result = run("replay", "refresh", str(file), "--write")
    assert result.exit_code == 1
    assert "no key for openai" in result.stderr
    assert file.read_text() == before


PROGRAM = """
from llmring import LLMRequest, Message
from llmring.sync import LLMRing
with LLMRing(aliases={"chatbot": "replay:chat.jsonl"}) as service:
    service.chat(LLMRequest(model="chatbot", messages=[Message(role="user", content="Hi")]))
"""


def test_what_nothing_asks_for_is_taken_out(run: Run, file: Path) -> None:
    program = file.parent / "program.py"
    program.write_text(PROGRAM)
    before = file.read_text()
    command = [sys.executable, str(program)]
    dry = run("replay", "prune", str(file), "--dry-run", "--", *command)
    assert dry.stdout.splitlines() == [f"{file}:2: Add", f"{file}:3: Busy"]
    assert (dry.exit_code, file.read_text()) == (0, before)
    failed = run("replay", "prune", str(file), "--", sys.executable, "-c", "raise SystemExit(3)")
    assert (failed.exit_code, "ended with status 3" in failed.stderr) == (1, True)
    assert "cannot be run" in run("replay", "prune", str(file), "--", "./no-such-program").stderr
    assert file.read_text() == before
    assert "2 of 3 exchanges taken out" in run("replay", "prune", str(file), "--", *command).stderr
    assert file.read_text() == before.splitlines()[0] + "\n"


def test_a_recording_is_bound_as_any_model_is(run: Run, file: Path) -> None:
    result = run("bind", "chatbot", "replay:chat.jsonl", "--profile", "dev")
    assert result.exit_code == 0, result.stderr
    assert "replay" in run("providers").stdout
    assert "no provider" not in run("lock", "check").output


def test_a_strangers_lockfile_sends_no_key_by_way_of_a_recording(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_KEY", "canary-0123456789")
    project.write_text(
        LOCKFILE.replace('"ollama:llama3.2"', '"record:chat.jsonl+acme:one"').replace(
            'default_profile = "default"', 'default_profile = "dev"'
        )
        + '\n[providers.acme]\nsdk = "openai"\nbase_url = "https://acme.invalid/v1"\napi_key_env = "ACME_KEY"\n'
    )
    result = run("chat", "Hello")
    assert result.exit_code == 1
    assert "llmring trust" in result.stderr
    assert not (project.parent / "chat.jsonl").exists()
