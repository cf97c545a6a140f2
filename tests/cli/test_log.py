"""`llmring chat --log`, `llmring log` and `llmring stats`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from llmring.log import Log
from llmring.testing import PracticeServer, Tokens

from .conftest import Command, Run

NOTHING = "Nothing has been logged. To log what is asked: llmring chat --log"


@pytest.fixture(autouse=True)
def state(project: Path, server: PracticeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder / "llmring"


def test_nothing_is_logged_unless_it_is_asked_for(run: Run, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("chat", "hello").exit_code == 0
    monkeypatch.setenv("LLMRING_CHAT_LOG", "1")
    assert run("chat", "hello", "--no-log").exit_code == 0
    assert not (state / "log.db").exists()
    for command in (["log"], ["log", "list"], ["stats"]):
        result = run(*command)
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr.startswith(NOTHING)
    assert json.loads(run("log", "--json").stdout) == []
    assert json.loads(run("stats", "--json").stdout) == []
    assert run("log", "show").stderr.startswith(NOTHING)
    assert json.loads(run("log", "show", "--json").stdout) == []


@pytest.mark.usefixtures("billed")
def test_what_is_asked_is_listed_and_shown(run: Run, server: PracticeServer) -> None:
    server.reply("It is blue.", usage=Tokens(1_000_000, 100))
    assert run("chat", "Why is the\nsky blue?", "--log", "--system", "Be brief.").stdout == "It is blue.\n"
    heading, line = run("log").stdout.splitlines()
    assert heading.split() == ["ID", "TIME", "ALIAS", "MODEL", "IN", "OUT", "COST", "ASKED"]
    for part in ("chatbot", "anthropic:claude-haiku-4-5", "1000000", "$1.00", "Why is the sky blue?"):
        assert part in line
    shown = run("log", "show").stdout
    assert shown.index("system:\nBe brief.") < shown.index("user:\nWhy is the\nsky blue?")
    assert shown.index("user:") < shown.index("assistant:\nIt is blue.")
    assert run("log", "show", "1").stdout == shown
    (data,) = json.loads(run("log", "--json").stdout)
    assert (data["alias"], data["answer"], data["usage"]["prompt_tokens"]) == ("chatbot", "It is blue.", 1_000_000)
    assert data["cost"] == pytest.approx(1.0005)
    assert json.loads(run("log", "show", "--json").stdout) == [data]


@pytest.mark.usefixtures("billed")
def test_stats(run: Run, server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMRING_CHAT_LOG", "on")
    server.reply("a", usage=Tokens(1000, 10), times=2)
    run("chat", "one")
    run("chat", "two")
    run("chat", "three", "--profile", "dev")
    data = json.loads(run("stats", "--json").stdout)
    assert {it["model"]: it["requests"] for it in data} == {"anthropic:claude-haiku-4-5": 2, "ollama:llama3.2": 1}
    result = run("stats", "--by", "model")
    heading, *rows, last = result.stdout.splitlines()
    assert heading.split() == ["MODEL", "REQUESTS", "FAILED", "IN", "CACHED", "OUT", "COST"]
    assert len(rows) == 2
    assert last.split()[:3] == ["all", "3", "0"]
    assert "Without a price, and not in the cost: 1 answer." in result.stderr
    assert ["$" in row for row in rows] == [True, False]
    (only,) = json.loads(run("stats", "--by", "alias", "--model", "claude", "--json").stdout)
    assert (only["alias"], only["requests"], only["prompt_tokens"]) == ("chatbot", 2, 2000)
    assert "day" not in only
    wrong = run("stats", "--by", "week")
    assert wrong.exit_code == 2
    assert "day, alias and model" in wrong.stderr.replace("\n", " ")


def test_a_failure_is_logged(run: Run, server: PracticeServer) -> None:
    server.reply(status=400, error="No such thing")
    assert run("chat", "hello", "--log").exit_code == 1
    assert "[failed] hello" in run("log").stdout
    assert "No such thing" in run("log", "show").stderr
    assert run("log", "list", "--search", "hello").stdout.count("\n") == 2
    assert run("log", "--search", "nowhere").stderr == "None of what was logged.\n"


def test_a_conversation_is_shown_whole(run: Run) -> None:
    assert run("chat", "First question", "--log").exit_code == 0
    assert run("chat", "-c", "Second question", "--log").exit_code == 0
    alone = run("log", "show")
    assert "First question" not in alone.stdout
    assert "log show 2 --conversation" in alone.stderr
    whole = run("log", "show", "--conversation").stdout
    assert whole.index("First question") < whole.index("Second question")


def test_deleting(run: Run) -> None:
    for text in ("one", "two", "three"):
        run("chat", text, "--log")
    wrong = run("log", "delete", "1", "9")
    assert wrong.exit_code == 1
    assert "The log has no 9. Nothing was deleted." in wrong.stderr
    assert run("log", "delete", "1", "2").stderr == "Deleted: 2.\n"
    assert [it.id for it in Log().entries()] == [3]
    refused = run("log", "clear")
    assert refused.exit_code == 1
    assert "llmring log clear --yes" in refused.stderr
    assert "llmring log clear --before 30d --yes" in run("log", "clear", "--before", "30d").stderr
    assert run("log", "clear", "--yes", "--before", "1d").stderr == "Deleted: 0.\n"
    assert run("log", "clear", "--yes").stderr == "Deleted: 1.\n"
    assert Log().entries() == []


@pytest.mark.parametrize("when", ["2020-01-01", "7d", "12h", "4w"])
def test_since(run: Run, when: str) -> None:
    run("chat", "hello", "--log")
    assert run("log", "--since", when).stdout.count("\n") == 2


@pytest.mark.parametrize("when", ["yesterday", "7", "7y", "99999999d", "2026-13-01", ""])
def test_a_moment_that_is_none(run: Run, when: str) -> None:
    result = run("log", "--since", when)
    assert result.exit_code == 2
    assert "2026-11-30" in result.stderr


@pytest.mark.parametrize(
    "args",
    [
        ("log", "list", "--search", "\udcff"),
        ("log", "list", "--alias", "\udcff"),
        ("stats", "--model", "\udcff"),
        ("log", "list", "--number", str(10**30)),
        ("log", "show", str(10**30)),
        ("log", "delete", str(10**30)),
    ],
)
def test_what_no_log_has(run: Run, args: tuple[str, ...]) -> None:
    run("chat", "hello", "--log")
    assert "not foreseen" not in run(*args).stderr


def test_an_answer_of_more_tokens_than_a_number_holds_is_logged(run: Run, server: PracticeServer) -> None:
    server.reply("Many.", usage=Tokens(10**30, 1))
    run("chat", "hello", "--log")
    (data,) = json.loads(run("log", "--json").stdout)
    assert (data["answer"], data["usage"]["completion_tokens"]) == ("Many.", 1)


def test_what_the_environment_says_must_make_sense(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMRING_CHAT_LOG", "maybe")
    result = run("chat", "hello")
    assert result.exit_code == 1
    assert "LLMRING_CHAT_LOG" in result.stderr


def test_the_librarys_log_is_shown_from_the_level_that_is_named(
    run: Run, server: PracticeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "canary-of-content"
    server.reply(status=503)
    server.reply(secret)
    monkeypatch.setenv("LLMRING_LOG", "debug")
    result = run("chat", secret, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["content"] == secret
    assert "Warning: chatbot: moving on from anthropic:claude-haiku-4-5" in result.stderr
    lines = [line for line in result.stderr.splitlines() if " debug: " in line]
    assert "attempt 1: anthropic:claude-haiku-4-5 at http://127.0.0.1" in " ".join(lines)
    assert "finished: stop" in lines[-1]
    assert secret not in result.stderr
    for level in ("error", "off"):
        server.reply(status=503)
        monkeypatch.setenv("LLMRING_LOG", level)
        assert "moving on" not in run("chat", "hello").stderr


@pytest.mark.parametrize("args", [["chat", "hello"], ["aliases"]])
def test_a_level_that_is_none(command: Command, monkeypatch: pytest.MonkeyPatch, args: list[str]) -> None:
    monkeypatch.setenv("LLMRING_LOG", "loud")
    done = command(*args)
    assert done.returncode == 1
    assert "LLMRING_LOG is 'loud'; it takes debug, info, warning, error or off." in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pseudo-terminal")
def test_a_conversation_in_the_terminal_is_logged(server: PracticeServer, state: Path) -> None:
    from .terminal import Terminal

    with Terminal("chat", "--log") as terminal:
        terminal.expect("chatbot> ")
        terminal.say("First question")
        terminal.expect("You said: First question", "chatbot> ")
        terminal.say("Second question")
        terminal.expect("You said: Second question", "chatbot> ")
        terminal.type("\x04")
        assert terminal.ended() == 0
    second, first = Log(state / "log.db").entries()
    assert (first.asked, second.asked, second.follows) == ("First question", "Second question", first.id)


def test_why_it_cannot_be_logged_is_said_in_the_words_of_the_command(run: Run, state: Path) -> None:
    state.parent.touch()
    result = run("chat", "one", "--log")
    assert result.exit_code == 0
    said = " ".join(result.stderr.split())
    assert "Warning: What is asked is not logged. The log " in said
    assert "listener" not in said


def test_a_conversation_that_was_not_kept_is_said_where_another_would_be_gone_on_with(run: Run, state: Path) -> None:
    assert run("chat", "one").exit_code == 0
    (kept,) = (state / "conversations").iterdir()
    kept.unlink()
    kept.mkdir()  # so it is there, and cannot be replaced
    result = run("chat", "two")
    assert result.exit_code == 0
    assert "This was not kept, and --continue goes on with what was said before: " in " ".join(result.stderr.split())
