"""`llmring lock chat`: a model proposes bindings, and nothing is written without a yes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmring.testing import PracticeServer, Reply

from .conftest import LOCKFILE, Command, Run
from .terminal import Terminal

HAIKU, LUNA = "anthropic:claude-haiku-5-5", "openai:gpt-6-luna"


def binding(alias: str, *models: str, why: str = "Cheap.") -> dict[str, Any]:
    return {"alias": alias, "models": list(models), "why": why}


def proposal(*bindings: dict[str, Any], remark: str = "") -> str:
    return json.dumps({"bindings": list(bindings), "remark": remark})


FAST = binding("fast", HAIKU, LUNA)


def says(server: PracticeServer, *texts: str) -> None:
    for text in texts:
        server.reply(Reply(text))


def asked(server: PracticeServer) -> list[dict[str, Any]]:
    return [request.body for request in server.requests if request.wire == "anthropic"]


def test_what_the_model_is_told(project: Path, server: PracticeServer, run: Run) -> None:
    server.models["ollama"] = ["llama3.2:latest", "qwen3:30b"]
    says(server, proposal(FAST))
    run("lock", "chat", "cheap, please", "--yes")
    [body] = asked(server)
    told = json.dumps(body)
    assert "cheap, please" in told
    assert "chatbot = anthropic:claude-haiku-4-5, openai:gpt-5-mini" in told
    for model in (HAIKU, LUNA, "google:gemini-3.5-flash", "ollama:qwen3:30b"):
        assert f"{model} " in told, model
    for other in ("openai:gpt-image-1", "groq:", "gemini-2.5-flash-tts"):
        assert other not in told, other


@pytest.mark.parametrize("text", [proposal(FAST), proposal(binding("chatbot")), proposal()])
def test_nothing_is_written_without_a_yes(project: Path, server: PracticeServer, command: Command, text: str) -> None:
    for more in ((), ("--json",)):
        says(server, text)
        done = command("lock", "chat", "cheap", *more)
        assert done.returncode == 1
        assert project.read_text() == LOCKFILE
        if more:
            assert json.loads(done.stdout)["written"] is False
        else:
            assert "Nothing" in done.stderr
    assert not server.pending


def test_a_yes_given_before(project: Path, server: PracticeServer, run: Run) -> None:
    says(server, proposal(FAST, binding("chatbot", LUNA, why="New.\x1b[2J"), remark="Look\x1b]0;x\x07 at it."))
    done = run("lock", "chat", "cheap", "--yes")
    assert done.exit_code == 0, done.stderr
    assert "+ fast" in done.stdout
    assert "~ chatbot" in done.stdout
    assert "fast: Cheap." in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    text = project.read_text()
    assert f'"{HAIKU}"' in text
    assert "# the bot on the front page" in text
    assert "claude-haiku-4-5" not in text
    says(server, proposal(binding("fast")))
    written = json.loads(run("lock", "chat", "no fast", "--yes", "--json").stdout)
    assert (written["written"], written["change"]["profiles"][0]["aliases"][0]["change"]) == (True, "removed")
    says(server, proposal(binding("chatbot", HAIKU)))
    assert run("lock", "chat", "other", "--yes", "--profile", "dev", "--model", HAIKU).exit_code == 0
    assert project.read_text().count(HAIKU) == 1


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (binding("fast", "anthropic:claude-nonsense-9"), "does not know"),
        (binding("fast", "opnai:gpt-6-luna"), "no provider"),
        (binding("fast", "gpt-6-luna"), "names no provider"),
        (binding("fast", "groq:openai/gpt-oss-20b"), "GROQ_API_KEY"),
        (binding("fast", "openai:gpt-image-1"), "for pictures"),
        (binding("fast", "google:gemini-2.0-flash"), "on its way out"),
        (binding("fast", "ollama:not-there"), "such a model"),
        (binding("two words", HAIKU), "white space"),
        (binding("sk-" + "a" * 40, HAIKU), "no secret"),
        (binding("fast", "openai:sk-" + "a" * 40), "secret"),
        (binding("fast", HAIKU, why="x" * 10_000), ""),
        (binding("nope"), "is not bound"),
    ],
)
def test_what_is_no_proposal(
    project: Path, server: PracticeServer, command: Command, bad: dict[str, Any], words: str
) -> None:
    says(server, proposal(bad), proposal(bad))
    done = command("lock", "chat", "cheap", "--yes")
    if not words:
        assert (done.returncode, len(done.stderr) < 1000) == (0, True)
        return
    assert done.returncode == 1
    assert words in " ".join(done.stderr.split())
    assert "a" * 40 not in done.stderr
    assert project.read_text() == LOCKFILE
    assert "That cannot be bound" in json.dumps(asked(server)[1]), "the model was told, and asked again"


def test_a_whole_proposal_is_refused_for_one_model(project: Path, server: PracticeServer, run: Run) -> None:
    says(server, proposal(FAST, binding("deep", "openai:gpt-9000")), proposal(FAST))
    done = run("lock", "chat", "two", "--yes")
    assert done.exit_code == 0, "the second one was good"
    assert '"fast"' in project.read_text()
    says(server, *[proposal(FAST, FAST)] * 2)
    assert "twice" in run("lock", "chat", "two", "--yes").stderr
    many = proposal(*(binding(f"a{number}", HAIKU) for number in range(21)))
    says(server, many, many)
    assert "21 bindings" in run("lock", "chat", "many", "--yes").stderr


@pytest.mark.parametrize("text", ["Sure! Here you go.", '{"bindings": 3, "remark": ""}', "{}", ""])
def test_nonsense(project: Path, server: PracticeServer, command: Command, text: str) -> None:
    says(server, *[text] * 4)
    done = command("lock", "chat", "cheap", "--yes")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert project.read_text() == LOCKFILE


def test_nobody_answers(project: Path, server: PracticeServer, command: Command) -> None:
    server.default = Reply(status=401, error="bad key")
    done = command("lock", "chat", "cheap", "--yes")
    assert (done.returncode, project.read_text()) == (1, LOCKFILE)
    assert "ANTHROPIC_API_KEY" in done.stderr


def test_nothing_was_asked(project: Path, command: Command, server: PracticeServer) -> None:
    for words in ((), ("  ",)):
        done = command("lock", "chat", *words)
        assert done.returncode == 1
        assert 'llmring lock chat "' in done.stderr
    assert not asked(server)


def test_a_stranger_has_no_key_sent(bare: Path, server: PracticeServer, command: Command) -> None:
    """A lockfile of somebody else's may have a key sent where it likes; not before the user agrees."""
    stranger = (
        '[providers.x]\nsdk = "openai"\nbase_url = "https://models.example.com/v1"\napi_key_env = "OPENAI_API_KEY"\n'
    )
    (bare / "llmring.lock").write_text(LOCKFILE.replace("anthropic:claude-haiku-4-5", "x:m") + stranger)
    done = command("lock", "chat", "cheap", "--yes")
    assert done.returncode == 1
    assert "llmring trust" in done.stderr


@pytest.mark.parametrize("width", [40, 80, 200])
def test_on_a_terminal_until_a_yes(project: Path, server: PracticeServer, width: int) -> None:
    says(server, proposal(FAST), proposal(binding("fast", LUNA)))
    with Terminal("lock", "chat", width=width) as terminal:
        terminal.expect("What do you need?")
        terminal.say("a cheap one")
        terminal.expect("+ fast", "Write it?")
        assert project.read_text() == LOCKFILE
        terminal.say("of OpenAI alone")
        terminal.expect("+ fast", "Write it?")
        assert project.read_text() == LOCKFILE
        terminal.say("yes")
        terminal.expect("Changed")
        assert terminal.ended() == 0
    text = project.read_text()
    assert LUNA in text
    assert HAIKU not in text
    first, second = asked(server)
    assert "of OpenAI alone" in json.dumps(second)
    assert "a cheap one" in json.dumps(first)


@pytest.mark.parametrize("end", ["no", "q", "", "\x04", "\x03"])
def test_on_a_terminal_a_no_writes_nothing(project: Path, server: PracticeServer, end: str) -> None:
    says(server, proposal(FAST))
    with Terminal("lock", "chat", "cheap") as terminal:
        terminal.expect("Write it?", "what to change:")
        terminal.settle()  # a key that is pressed before the prompt reads is lost
        terminal.type(end if end in ("\x04", "\x03") else f"{end}\r")
        assert terminal.ended() != 0
    assert project.read_text() == LOCKFILE


def test_a_yes_to_nothing(project: Path, server: PracticeServer) -> None:
    """What was refused cannot be agreed to."""
    bad = proposal(binding("fast", "openai:gpt-9000"))
    says(server, bad, bad)
    with Terminal("lock", "chat", "cheap") as terminal:
        terminal.expect("refused", "Say it otherwise")
        terminal.say("yes")
        terminal.expect("Nothing was changed")
        assert terminal.ended() == 1
    assert project.read_text() == LOCKFILE


def test_a_file_that_changes_meanwhile(project: Path, server: PracticeServer) -> None:
    says(server, proposal(FAST))
    with Terminal("lock", "chat", "cheap") as terminal:
        terminal.expect("Write it?")
        project.write_text(LOCKFILE.replace("0.3", "0.4"))
        terminal.say("yes")
        terminal.expect("has changed since")
        assert terminal.ended() == 1
    assert project.read_text() == LOCKFILE.replace("0.3", "0.4")
