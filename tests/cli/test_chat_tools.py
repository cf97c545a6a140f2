"""`llmring chat --tools`: functions that are found, asked about and called."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from llmring.testing import PracticeServer, Tokens
from llmring.testing import ToolCallScript as Call

from ..program import INSTALLED
from .conftest import Command

MODULE = '''
import asyncio, time
calls = []

def get_weather(city: str, days: int = 1) -> str:
    """The weather of a city."""
    open("called", "a").write(f"{city} {days}\\n")
    return f"{city}: warm \\x1b[2J for {days}"

async def slow(city: str) -> str:
    """Takes its time."""
    print("slow has begun")
    await asyncio.sleep(60)
    return "done"

def fails(city: str) -> str:
    """Fails."""
    raise ValueError("no \\x1b[31m such city")

NUMBER = 7
'''


@pytest.fixture(autouse=True)
def _project(project: Path, server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMRING_HISTORY", "off")
    (project.parent / "weather.py").write_text(MODULE)


def calls(server: PracticeServer, name: str = "get_weather", **arguments: object) -> None:
    server.reply(tool_calls=[Call(name, arguments)], usage=Tokens(prompt=10, completion=5))
    server.reply("It is warm.", usage=Tokens(prompt=20, completion=6))


@pytest.mark.parametrize("how", [[], ["--no-stream"], ["--json"]])
def test_a_function_is_called_without_asking_where_that_was_said(
    command: Command, server: PracticeServer, bare: Path, how: list[str]
) -> None:
    calls(server, city="Oslo\x1b[2J", days=3)
    done = command("chat", "Weather?", "--tools", "weather:get_weather", "--yes", *how)
    assert done.returncode == 0, done.stderr
    if how == ["--json"]:
        answer = json.loads(done.stdout)
        assert (answer["content"], answer["usage"]["total_tokens"]) == ("It is warm.", 41)
    else:
        assert done.stdout == "It is warm.\n"
        assert "tokens: 30 in, 11 out" in done.stderr, "of both rounds"
    assert 'Calling get_weather(city="Oslo\\u001b[2J", days=3)' in done.stderr
    assert "get_weather gave Oslo\\x1b[2J: warm \\x1b[2J for 3" in done.stderr
    assert "\x1b" not in done.stderr
    assert (bare / "called").read_text() == "Oslo\x1b[2J 3\n"
    assert b"warm" in server.requests[1].raw


def test_what_lies_beside_a_function_is_no_sdk_of_ours(command: Command, server: PracticeServer, bare: Path) -> None:
    (bare / "anthropic.py").write_text("open('taken', 'w').close()")
    (bare / "beside.py").write_text("from weather import get_weather")
    calls(server, city="Oslo")
    tools = ("--tools", "os:getcwd", "--tools", "beside:get_weather")
    done = command("chat", "Weather?", *tools, "--yes", program=INSTALLED)  # which has imported no SDK yet
    assert (done.returncode, done.stdout) == (0, "It is warm.\n"), done.stderr
    assert not (bare / "taken").exists()


def test_what_fails_is_told_to_the_model_and_shown(command: Command, server: PracticeServer) -> None:
    calls(server, "fails", city="Oslo")
    done = command("chat", "Weather?", "--tools", "weather:fails", "-y")
    assert done.returncode == 0, done.stderr
    assert "fails failed: ValueError: no \\x1b[31m such city" in done.stderr
    assert b"no " in server.requests[1].raw


def test_a_call_that_does_not_fit_is_shown(command: Command, server: PracticeServer, bare: Path) -> None:
    calls(server, town="Oslo")
    done = command("chat", "Weather?", "--tools", "weather:get_weather", "-y")
    assert done.returncode == 0, done.stderr
    assert 'get_weather(town="Oslo") was not called: ' in done.stderr
    assert not (bare / "called").exists()


@pytest.mark.parametrize(
    ("args", "status", "words"),
    [
        (["--tools", "weather:get_weather"], 2, ["no terminal to ask on", "--yes"]),
        (["--yes"], 2, ["--tools"]),
        (["--yes", "--tools", "get_weather"], 2, ["module:function", "weather:get_weather"]),
        (["--yes", "--tools", "wether:get_weather"], 1, ["there is no module", '"wether"']),
        (["--yes", "--tools", "weather:get_wether"], 1, ["Did you mean get_weather?"]),
        (["--yes", "--tools", "weather:zzzz"], 1, ["It has get_weather, slow, fails"]),
        (["--yes", "--tools", "weather:NUMBER"], 1, ["is no function but of type int"]),
        (["--yes", "--tools", "broken:it"], 1, ["broken cannot be imported: SyntaxError"]),
        (["--yes", "--tools", "leaves:it"], 1, ["leaves cannot be imported: SystemExit: 3"]),
        (["--yes", "--tools", "needs:it"], 1, ["needs cannot be imported", "nothing_of_that_name"]),
    ],
)
def test_what_cannot_be_called_is_said_before_anything_is_asked(
    command: Command, server: PracticeServer, bare: Path, args: list[str], status: int, words: list[str]
) -> None:
    (bare / "broken.py").write_text("def it(:\n")
    (bare / "leaves.py").write_text("raise SystemExit(3)\n")
    (bare / "needs.py").write_text("import nothing_of_that_name\n")
    done = command("chat", "Weather?", *args)
    assert done.returncode == status
    said = " ".join(done.stderr.split())
    for word in words:
        assert word in said
    assert server.requests == []


if sys.platform != "win32":
    from .terminal import Terminal

    TOOLS = ["--tools", "weather:get_weather", "--tools", "weather:slow"]

    @pytest.mark.parametrize("width", [40, 80, 200])
    @pytest.mark.parametrize("answer", ["y", "n", ""])
    def test_each_call_is_asked_about(server: PracticeServer, bare: Path, width: int, answer: str) -> None:
        calls(server, city="Oslo")
        with Terminal("chat", *TOOLS, width=width) as terminal:
            terminal.expect("chatbot> ")
            terminal.say("Weather?")
            terminal.expect("The model calls", "Allow this call? [y/N] ")
            assert not (bare / "called").exists()
            terminal.say(answer)
            terminal.expect("get_weather gave" if answer == "y" else "get_weather was not", "It is warm.", "chatbot> ")
            assert not terminal.screen.lines()[-1].endswith("y")
            terminal.say("Thanks")
            terminal.expect("You said: Thanks", "chatbot> ")
        assert (bare / "called").exists() == (answer == "y")
        told = "warm" if answer == "y" else "did not allow"
        assert told in server.requests[1].raw.decode()

    def test_what_was_typed_before_the_question_is_no_answer(server: PracticeServer, bare: Path) -> None:
        server.reply("Wait a moment, I look it up", tool_calls=[Call("get_weather", {"city": "Oslo"})], interval=0.2)
        with Terminal("chat", *TOOLS) as terminal:
            terminal.expect("chatbot> ")
            terminal.say("Weather?")
            terminal.expect("Wait")
            terminal.say("y")
            terminal.expect("Allow this call? [y/N] ")
            terminal.settle()
            assert not (bare / "called").exists()
            terminal.say("n")
            terminal.expect("was not called", "chatbot> ")

    def test_ctrl_c_at_the_question_stops_the_turn(server: PracticeServer, bare: Path) -> None:
        calls(server, city="Oslo")
        with Terminal("chat", *TOOLS) as terminal:
            terminal.expect("chatbot> ")
            terminal.say("Weather?")
            terminal.expect("[y/N] ")
            terminal.type("\x03")
            terminal.expect("Stopped", "chatbot> ")
            terminal.say("Hello")
            terminal.expect("It is warm.", "chatbot> ")
        assert not (bare / "called").exists()

    def test_ctrl_c_during_a_call_stops_it(server: PracticeServer, bare: Path) -> None:
        calls(server, "slow", city="Oslo")
        with Terminal("chat", *TOOLS, "--yes") as terminal:
            terminal.expect("chatbot> ")
            terminal.say("Weather?")
            terminal.expect("Calling slow(")
            terminal.expect("slow has begun")
            terminal.type("\x03")
            terminal.expect("Stopped", "chatbot> ")
            terminal.say("/quit")
            assert terminal.ended() == 0

    def test_two_calls_are_asked_about_one_after_the_other(server: PracticeServer, bare: Path) -> None:
        server.reply(tool_calls=[Call("get_weather", {"city": "Oslo"}), Call("get_weather", {"city": "Rome"})])
        server.reply("Both.")
        with Terminal("chat", "Weather?", *TOOLS) as terminal:
            terminal.expect("Oslo", "[y/N] ")
            terminal.say("y")
            terminal.expect("Rome", "[y/N] ")
            terminal.say("n")
            terminal.expect("was not called", "Both.")
            assert terminal.ended() == 0
        assert (bare / "called").read_text() == "Oslo 1\n"

    def test_a_call_of_no_function_takes_the_turn_back(server: PracticeServer, bare: Path) -> None:
        definition = {
            "type": "function",
            "function": {"name": "far", "parameters": {"type": "object", "properties": {}}},
        }
        server.reply(tool_calls=[Call("far", {})])
        with Terminal("chat", "-o", "tools", json.dumps([definition])) as terminal:
            terminal.expect("chatbot> ")
            terminal.say("Weather?")
            terminal.expect("Warning: The model calls far", "chatbot> ")
            terminal.say("Hello")
            terminal.expect("You said: Hello", "chatbot> ")

    def test_ctrl_c_at_the_question_of_one_question_ends_it(server: PracticeServer, bare: Path) -> None:
        calls(server, city="Oslo")
        with Terminal("chat", "Weather?", *TOOLS) as terminal:
            terminal.expect("[y/N] ")
            terminal.type("\x03")
            assert terminal.ended() == 130
            assert terminal.echoes()
        assert not (bare / "called").exists()

    def test_the_end_of_input_is_a_no(server: PracticeServer, bare: Path) -> None:
        calls(server, city="Oslo")
        with Terminal("chat", "Weather?", *TOOLS) as terminal:
            terminal.expect("[y/N] ")
            terminal.type("\x04")
            terminal.expect("was not called", "It is warm.")
            assert terminal.ended() == 0
        assert not (bare / "called").exists()
