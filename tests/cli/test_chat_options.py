"""`llmring chat -o`, `--reasoning` and their like; and going on with what was said before."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from pathlib import Path

import pytest

from llmring import LLMRing
from llmring.testing import PracticeServer

from .conftest import LOCKFILE, Run

OPENAI, ANTHROPIC = "openai:gpt-5-mini", "anthropic:claude-haiku-4-5"


@pytest.fixture(autouse=True)
def _project(project: Path, server: PracticeServer) -> None:
    pass


def kept() -> list[Path]:
    return list((Path(os.environ["XDG_STATE_HOME"]) / "llmring").glob("conversations/*"))


def test_parameters_have_options(run: Run, server: PracticeServer) -> None:
    args = ["--reasoning", "low", "--max-tokens", "2000", "--temperature", "0.5", "-o", "top_p", "0.9"]
    result = run("chat", "hi", "--model", "ollama:llama3.2", *args, "-o", "stop", "END", "-o", "seed", "7")
    assert result.exit_code == 0, result.stderr
    body = server.requests[0].body
    assert body["think"]
    options = body["options"]
    assert (options["num_predict"], options["temperature"], options["top_p"], options["seed"]) == (2000, 0.5, 0.9, 7)
    assert options["stop"] in ("END", ["END"])


def test_what_is_no_field_goes_to_the_provider_as_it_is(run: Run, server: PracticeServer) -> None:
    said = ["-o", "top_k", "40", "-o", "service_tier", "standard_only"]
    assert run("chat", "hi", "--model", ANTHROPIC, *said).exit_code == 0
    body = server.requests[0].body
    assert (body["top_k"], body["service_tier"]) == (40, "standard_only")
    assert run("chat", "hi", "--model", OPENAI, "-o", "text", '{"verbosity": "low"}').exit_code == 0
    assert server.requests[1].body["text"] == {"verbosity": "low"}


def test_text_that_reads_as_a_number_is_text_where_text_is_wanted(run: Run, server: PracticeServer) -> None:
    assert run("chat", "hi", "--model", ANTHROPIC, "-o", "stop", "7").exit_code == 0
    assert server.requests[0].body["stop_sequences"] == ["7"]
    assert run("chat", "hi", "--model", ANTHROPIC, "-o", "stop", '["a", "b"]').exit_code == 0
    assert server.requests[1].body["stop_sequences"] == ["a", "b"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["-o", "temprature", "0.2"], ['"temprature" is no parameter', "Did you mean temperature?"]),
        (["-o", "max-tokens", "2"], ["Did you mean max_tokens?"]),
        (["-o", "seed", "soon"], ["-o seed", '"soon"', "integer"]),
        (["-o", "model", "x"], ["--model"]),
        (["-o", "system", "x"], ["--system"]),
        (["-o", "messages", "[]"], ["the prompt itself"]),
        (["-o", "", "x"], ["-o top_k 40"]),
        (["-o", "seed"], ["2 arguments"]),
        (["-o", "seed=7"], ["2 arguments"]),
        (["-o", "seed=7", "x"], ["two words: -o seed 7"]),
        (["--temperature", "warm"], ["--temperature", "number"]),
        (["--temperature", "nan"], ["--temperature", "nan"]),
        (["-o", "temperature", "1e999"], ["--temperature", "1e999"]),
        (["--max-tokens", "many"], ["--max-tokens", "integer"]),
        (["--continue", "--load", "x.json"], ["--continue", "--load", "take one"]),
    ],
)
def test_what_is_wrong_is_refused_unsent(run: Run, server: PracticeServer, args: list[str], words: list[str]) -> None:
    result = run("chat", "hi", *args)
    assert result.exit_code == 2
    said = " ".join(result.stderr.split())
    for word in words:
        assert word in said
    assert server.requests == []


@pytest.mark.parametrize("field", ["tools", "extra_params"])
def test_a_file_has_no_vendor_reach_out(run: Run, server: PracticeServer, bare: Path, field: str) -> None:
    mcp = {"type": "mcp", "server_url": "https://tools.example"}
    request = {"tools": [mcp]} if field == "tools" else {"extra_params": {"mcp_servers": [mcp]}}
    said = {"llmring": "conversation", "version": 1, "model": OPENAI, "request": request}
    (bare / "talk.json").write_text(json.dumps(said))
    given = ["-o", "seed", "7", "-o", "tools", json.dumps([{"type": "own"}])]
    result = run("chat", "hi", "--load", "talk.json", *given)
    assert f"brings {field} of its own" in result.stderr
    (sent,) = server.requests
    assert "tools.example" not in json.dumps(sent.body)
    assert (sent.body["seed"], sent.body["tools"]) == (7, [{"type": "own"}])


RUNS = "__import__('os').system('touch ran')"


def test_text_is_not_run_as_the_name_of_a_form(
    run: Run, server: PracticeServer, bare: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("chat", "hi", "-o", "response_format", RUNS).exit_code == 1
    (bare / "llmring.templates").mkdir()
    (bare / "llmring.templates" / "it.toml").write_text(f'prompt = "x"\nparams = {{ response_format = "{RUNS}" }}')
    assert run("chat", "hi", "-t", "it").exit_code == 1
    said = {"llmring": "conversation", "version": 1, "model": "chatbot", "request": {"response_format": RUNS}}
    (bare / "talk.json").write_text(json.dumps(said))
    assert run("chat", "hi", "--load", "talk.json").exit_code == 1
    project.write_text(project.read_text().replace("temperature = 0.3", f'response_format = "{RUNS}"'))
    assert run("lock", "check").exit_code == 1
    assert run("chat", "hi").exit_code == 1
    assert not (bare / "ran").exists()
    assert server.requests == []


def test_going_on_with_the_last_conversation(run: Run, server: PracticeServer) -> None:
    assert run("chat", "One?", "--model", "ollama:llama3.2", "--system", "Be brief.", "-o", "seed", "7").exit_code == 0
    assert run("chat", "Two?", "--continue").exit_code == 0
    refused = run("chat", "Three?", "-c", "--model", ANTHROPIC)
    assert "seed" in refused.stderr, "which that vendor does not take"
    args = ["-o", "seed", "null", "--no-stream"]
    assert run("chat", "Three?", "-c", "--model", ANTHROPIC, "--system", "Be kind.", *args).exit_code == 0
    first, second, third = (server.requests[it] for it in (0, 1, 3))
    assert (first.body["options"]["seed"], second.body["options"]["seed"]) == (7, 7)
    assert [it.model for it in server.requests] == ["llama3.2", "llama3.2", *["claude-haiku-4-5"] * 2]
    assert b"Be brief." in second.raw
    assert b"One?" in second.raw
    assert b"You said: One?" in second.raw
    assert b"Be brief." not in third.raw
    assert b"Be kind." in third.raw
    assert [it["content"] for it in third.body["messages"]][0::2] == ["One?", "Two?", "Three?"]
    (file,) = kept()
    assert [len(json.loads(file.read_text())["turns"])] == [3]
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_each_lockfile_has_its_own_last_conversation(
    run: Run, server: PracticeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("chat", "One?").exit_code == 0
    other = tmp_path / "other"
    other.mkdir()
    (other / "llmring.lock").write_text(LOCKFILE)
    monkeypatch.chdir(other)
    refused = run("chat", "Two?", "--continue")
    assert refused.exit_code == 1
    assert str(other / "llmring.lock") in refused.stderr
    assert "--load talk.json" in refused.stderr
    monkeypatch.chdir(tmp_path)
    assert run("chat", "Two?", "--continue").exit_code == 0
    assert b"One?" in server.requests[-1].raw


@pytest.mark.parametrize("how", ["--no-history", "LLMRING_HISTORY"])
def test_nothing_is_kept_where_that_is_not_wanted(run: Run, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "LLMRING_HISTORY":
        monkeypatch.setenv(how, "off")
    assert run("chat", "One?", *[how][: how != "LLMRING_HISTORY"]).exit_code == 0
    assert kept() == []
    refused = run("chat", "Two?", "-c")
    assert refused.exit_code == 1
    assert ("LLMRING_HISTORY=off" in refused.stderr) == (how == "LLMRING_HISTORY")


def test_a_folder_that_cannot_be_written_costs_no_answer(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert run("chat", "One?").stdout == "You said: One?\n"


def test_a_failed_question_leaves_what_was_kept(run: Run, server: PracticeServer) -> None:
    assert run("chat", "One?").exit_code == 0
    server.reply(status=401)
    assert run("chat", "Two?", "-c").exit_code == 1
    assert run("chat", "Three?", "-c").exit_code == 0
    assert [it["content"] for it in server.requests[-1].body["messages"]][0::2] == ["One?", "Three?"]


async def _saved(path: Path) -> None:
    async with LLMRing() as service:
        conversation = service.conversation("chatbot", system="Be brief.")
        await conversation.ask("One?")
        conversation.save(path)


def test_going_on_with_a_file_leaves_it_as_it_is(run: Run, server: PracticeServer, bare: Path) -> None:
    path = bare / "talk.json"
    asyncio.run(_saved(path))
    before = path.read_bytes()
    result = run("chat", "Two?", "--load", "talk.json")
    assert result.exit_code == 0, result.stderr
    assert [it["content"] for it in server.requests[-1].body["messages"]][0::2] == ["One?", "Two?"]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "There is no"),
        (b"", "it is not JSON"),
        (b"\x00\xff\xfe", "it is not JSON"),
        (b"[]", "is no conversation"),
        (b'{"messages": []}', "is no conversation"),
        (b'{"llmring": "conversation", "version": 99}', "version 99"),
        (b'{"llmring": "conversation", "version": 1, "model": 7}', "broken conversation"),
        (b'{"llmring": "conversation", "version": 1, "model": "chatbot", "request": {"nope": 1}}', "nope"),
        (b'{"llmring": "conversation", "version": 1, "model": "chatbot", "turns": [1]}', "broken conversation"),
        (b"[" * 100_000, "it is not JSON"),
    ],
)
def test_a_file_that_is_no_conversation_is_refused(
    run: Run, server: PracticeServer, bare: Path, content: bytes | None, words: str
) -> None:
    if content is not None:
        (bare / "talk.json").write_bytes(content)
    result = run("chat", "hi", "--load", "talk.json")
    assert result.exit_code == 1
    assert words in result.stderr
    assert "talk.json" in result.stderr
    assert server.requests == []


def test_a_folder_is_no_conversation(run: Run, bare: Path) -> None:
    (bare / "talk.json").mkdir()
    result = run("chat", "hi", "--load", "talk.json")
    assert result.exit_code == 1
    assert "cannot be read" in result.stderr


def test_one_that_was_kept_and_is_broken_says_how_to_begin_anew(run: Run) -> None:
    assert run("chat", "One?").exit_code == 0
    (file,) = kept()
    file.write_text("{")
    result = run("chat", "Two?", "-c")
    assert result.exit_code == 1
    assert "leave --continue out" in result.stderr


if sys.platform != "win32":
    from .terminal import Terminal

    @pytest.mark.parametrize("width", [40, 80, 200])
    def test_a_conversation_goes_on_in_another_one(server: PracticeServer, width: int) -> None:
        with Terminal("chat", "--temperature", "0.5", width=width) as terminal:
            terminal.expect("chatbot> ")
            terminal.say("One?")
            terminal.expect("You said: One?", "chatbot> ")
            terminal.say("/quit")
            assert terminal.ended() == 0
        with Terminal("chat", "-c", width=width) as terminal:
            terminal.expect("Going on after 1 turn, the last: One?", "chatbot> ")
            terminal.say("Two?")
            terminal.expect("You said: Two?", "chatbot> ")
            terminal.say("/new")
            terminal.expect("A new conversation.", "chatbot> ")
            terminal.say("/quit")
            assert terminal.ended() == 0
        request = server.requests[1]
        assert [it["content"] for it in request.body["messages"]][0::2] == ["One?", "Two?"]
        assert request.body["temperature"] == 0.5
        (file,) = kept()
        assert len(json.loads(file.read_text())["turns"]) == 2, "a new one that has said nothing is none"
