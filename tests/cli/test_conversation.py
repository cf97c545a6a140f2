"""`llmring chat` without a prompt: the installed program on a pseudo-terminal, talking with the practice server."""

from __future__ import annotations

import json
import stat
import sys
import time
from pathlib import Path

import pytest

from llmring.lockfile import bind
from llmring.testing import Fault, PracticeServer, Reply, Tokens

if sys.platform == "win32":
    pytest.skip("there is no pseudo-terminal", allow_module_level=True)

from .terminal import Terminal

READY = "chatbot> "
FIRST, SECOND = "anthropic:claude-haiku-4-5", "openai:gpt-5-mini"


@pytest.fixture(autouse=True)
def _project(project: Path, server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMRING_HISTORY", "off")
    monkeypatch.delenv("NO_COLOR", raising=False)


def said(server: PracticeServer, number: int) -> list[tuple[str, str]]:
    """Who said what, in the request of that number."""
    found = []
    for message in server.requests[number - 1].body["messages"]:
        content = message["content"]
        text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
        found.append((message["role"], text))
    return found


@pytest.mark.usefixtures("billed")
def test_a_conversation(server: PracticeServer) -> None:
    server.reply("The *first* answer.", reasoning="Let me think.", usage=Tokens(prompt=100_000, completion=10_000))
    server.reply("The second.", usage=Tokens(prompt=100_000, completion=10_000))
    with Terminal("chat", "--system", "Be brief.") as terminal:
        terminal.expect(f"chatbot is served by {FIRST}", READY)
        terminal.say("One?")
        terminal.expect(
            "Let me think.", "The first answer.", f"{FIRST} · tokens: 100000 in, 10000 out · $0.15 · ", READY
        )
        terminal.say("Two?")
        terminal.expect("The second.", "in all: 2 requests · tokens: 220000 · $0.30", READY)
        terminal.type("\x04")
        assert terminal.ended() == 0
    assert said(server, 1) == [("user", "One?")]
    assert said(server, 2) == [
        ("user", "One?"),
        ("assistant", "The *first* answer."),
        ("user", "Two?"),
    ]
    assert b"Be brief." in server.requests[1].raw
    shown = terminal.screen.lines()
    assert shown.count("Let me think.") == shown.count("The first answer.") == 1, "what was drawn anew is gone"
    assert "\x1b[2;3mLet me think." in terminal.raw, "thinking is dim"


def test_it_streams_and_an_interrupt_stops_the_answer(server: PracticeServer) -> None:
    server.reply("one two three", fault=Fault.stall_after(2))
    with Terminal("chat") as terminal:
        terminal.expect(READY)
        terminal.say("Count")
        terminal.expect("one two")
        pressed = terminal.type("\x03")
        terminal.expect("Stopped; what had arrived stays", READY)
        asked = server.requests[0]
        assert asked.wait_closed()
        assert asked.disconnected_at is not None
        assert asked.disconnected_at - pressed < 1.0, "the provider is told to stop"
        terminal.say("Go on")
        terminal.expect("You said: Go on", "in all, at least: 2 requests", READY)
        terminal.say("/quit")
        assert terminal.ended() == 0
    assert said(server, 2) == [("user", "Count"), ("assistant", "one two"), ("user", "Go on")]
    assert "one two" in terminal.screen.lines()


def test_an_answer_that_never_began_is_stopped_too(server: PracticeServer) -> None:
    server.reply(fault=Fault.never_answer())
    with Terminal("chat") as terminal:
        terminal.expect(READY)
        terminal.say("Hello?")
        terminal.expect("waiting for chatbot")
        server.wait_request(timeout=300)
        terminal.type("\x03\x03")
        terminal.expect("Stopped. /retry asks again.", READY)
        assert server.requests[0].wait_closed()
        terminal.say("/retry")
        terminal.expect("You said: Hello?", READY)
    assert said(server, 2) == [("user", "Hello?")], "what was not answered is not told again"


@pytest.mark.parametrize("reply", [Reply(status=401), Reply("one two three four", fault=Fault.cut_after(2))])
def test_a_turn_that_fails_is_shown_and_can_be_asked_again(server: PracticeServer, reply: Reply) -> None:
    server.reply(reply)
    with Terminal("chat") as terminal:
        terminal.expect(READY)
        terminal.say("First?")
        shown = terminal.expect("Error: ", "/retry asks again", READY)
        assert ("one two" in shown) == bool(reply.faults), "what had arrived is shown"
        assert "anthropic" in shown
        terminal.say("/retry")
        terminal.expect("You said: First?", READY)
        terminal.say("Second?")
        terminal.expect("You said: Second?", READY)
    assert said(server, 2) == [("user", "First?")]
    assert said(server, 3) == [("user", "First?"), ("assistant", "You said: First?"), ("user", "Second?")]


def test_a_retry_that_fails_leaves_the_answer_there_was(server: PracticeServer) -> None:
    server.reply("Good.")
    server.reply(status=401)
    with Terminal("chat") as terminal:
        terminal.expect(READY)
        terminal.say("First?")
        terminal.expect("Good.", READY)
        terminal.say("/retry")
        terminal.expect("Error: ", READY)
        terminal.say("Second?")
        terminal.expect("You said: Second?", READY)
    assert said(server, 3) == [("user", "First?"), ("assistant", "Good."), ("user", "Second?")]


def test_a_retry_that_breaks_off_leaves_the_whole_answer_there_was(bare: Path, server: PracticeServer) -> None:
    server.reply("one two three four", fault=Fault.cut_after(3))
    server.reply("Good.")
    server.reply("one two three four", fault=Fault.cut_after(1))
    server.reply("one two three four", fault=Fault.stall_after(2))
    with Terminal("chat") as terminal:
        terminal.expect(READY)
        terminal.say("First?")
        terminal.expect("Error: ", "/retry asks again; what had arrived stays", READY)
        terminal.say("/retry")
        terminal.expect("Good.", READY)
        terminal.say("/retry")
        terminal.expect("Error: ", "/retry asks again; the answer before it stays.", READY)
        terminal.say("/retry")
        terminal.expect("one two")
        terminal.type("\x03")
        terminal.expect("Stopped; the answer before it stays. /retry asks again.", READY)
        terminal.say("/save talk.json")
        terminal.expect("Saved 1 turn to talk.json", READY)
        terminal.say("/retry")
        terminal.expect("You said: First?", READY)
        terminal.say("/save talk2.json")
        terminal.expect("Saved 1 turn to talk2.json", READY)
    (turn,) = json.loads((bare / "talk.json").read_text())["turns"]
    assert (turn["outcome"], turn["answer"][0]["content"]) == ("whole", "Good.")
    (turn,) = json.loads((bare / "talk2.json").read_text())["turns"]
    assert turn["answer"][0]["content"] == "You said: First?", "a whole one takes its place"


def test_a_stand_by_is_named(server: PracticeServer) -> None:
    server.reply(status=503)
    with Terminal("chat") as terminal:
        terminal.expect(READY)
        terminal.say("Who?")
        terminal.expect(f"Warning: chatbot: moving on from {FIRST} to {SECOND}", "You said: Who?", f"{SECOND} · ")
        terminal.expect("stood in for", FIRST, READY)


def test_another_model_and_another_profile(project: Path, server: PracticeServer) -> None:
    bind(project, "deep", ["openai:gpt-5-nano"])
    bind(project, "local", ["ollama:llama3.2"], profile="dev")
    with Terminal("chat") as terminal:
        terminal.expect(READY)
        terminal.say("/model")
        terminal.expect("* chatbot", FIRST, "deep", "openai:gpt-5-nano", READY)
        terminal.say("/model depe")
        terminal.expect("Error: ", '"deep"', READY)
        terminal.say("/model deep")
        terminal.expect("deep is served by openai:gpt-5-nano", "deep> ")
        terminal.say("Who?")
        terminal.expect("openai:gpt-5-nano · ", "deep> ")
        terminal.say("/profile nope")
        terminal.expect("Error: ", "dev", "deep> ")
        terminal.say("/profile dev")
        terminal.expect('chatbot is served by ollama:llama3.2 (profile "dev")', READY)
        terminal.say("/profile")
        terminal.expect("dev, of default, dev", READY)
        terminal.say("/retry")
        terminal.expect("ollama:llama3.2 · ", READY)
        terminal.say("/model ollama:gemma3")
        terminal.expect("Asking ollama:gemma3", "ollama:gemma3> ")
    assert [request.model for request in server.requests] == ["gpt-5-nano", "llama3.2"]


def test_an_edit_of_the_lockfile_is_in_force_for_the_next_turn(project: Path, server: PracticeServer) -> None:
    with Terminal("chat") as terminal:
        terminal.expect(READY)
        terminal.say("Who?")
        terminal.expect(f"{FIRST} · ", READY)
        bind(project, "chatbot", ["ollama:llama3.2"])
        terminal.say("And now?")
        terminal.expect("ollama:llama3.2 · ", READY)
        project.write_text("broken = ")
        for turn in ("And now?", "And then?"):  # an edit may be under way at first: it is reported when it stays broken
            terminal.say(turn)
            terminal.expect(f"You said: {turn}", "ollama:llama3.2 · ", READY)
            time.sleep(0.2)
    assert "llmring.lock:1:10" in terminal.raw.partition("Warning:")[2]


def test_the_system_prompt(server: PracticeServer) -> None:
    with Terminal("chat", "-p", "dev") as terminal:
        terminal.expect(READY)
        for line, shown in [("/system", "none"), ("/system Be kind.", "Be kind."), ("/system", "Be kind.")]:
            terminal.say(line)
            terminal.expect(f"System prompt: {shown}", READY)
        terminal.say("Hi")
        terminal.expect("You said: Hi", READY)
        terminal.say("/system off")
        terminal.expect("System prompt: none", READY)
        terminal.say("/new")
        terminal.expect("A new conversation.", READY)
        terminal.say("Hi")
        terminal.expect("You said: Hi", "in all: 2 requests", READY)
        terminal.say("/system Be kind.\\")
        terminal.expect("... ")
        terminal.say("And brief.")
        terminal.expect("System prompt: Be kind.", "And brief.", READY)
        terminal.say("/nothing of this\\")
        terminal.expect("... ")
        terminal.say("is a command")
        terminal.expect("You said: /nothing of this", READY)
    assert said(server, 1) == [("system", "Be kind."), ("user", "Hi")]
    assert said(server, 2) == [("user", "Hi")]
    assert said(server, 3)[0] == ("system", "Be kind.\nAnd brief.")


def test_commands_explain_themselves(server: PracticeServer) -> None:
    with Terminal("chat") as terminal:
        terminal.expect(READY)
        terminal.say("/help")
        terminal.expect("/model [ALIAS]", "/profile", "/system", "/image", "/file", "/retry", "/save", "/quit", READY)
        terminal.say("/modle deep")
        terminal.expect("Error: There is no command /modle. Did you mean /model?", READY)
        terminal.say("/cost")
        terminal.expect("There is no command /cost. Tokens and cost stand below each answer.", "llmring stats", READY)
        terminal.say("/clear")
        terminal.expect("To begin anew: /new.", READY)
        for line in ("/retry", "/save", "/image"):
            terminal.say(line)
            terminal.expect("Error: Nothing was ", READY)
        terminal.say(" /etc/hosts?")
        terminal.expect("You said: /etc/hosts?", READY)
        terminal.say("   ")
        terminal.expect(READY)
    assert len(server.requests) == 1


def test_several_lines_are_one_question(server: PracticeServer) -> None:
    with Terminal("chat", "-p", "dev") as terminal:
        terminal.expect(READY)
        terminal.say("one\\")
        terminal.expect("... ")
        terminal.say("two")
        terminal.expect("You said: one", READY)
        terminal.say('"""three')
        terminal.expect("... ")
        terminal.say("")
        terminal.expect("... ")
        terminal.say('four"""')
        terminal.expect("You said: three", READY)
        terminal.say("```python")
        terminal.expect("... ")
        terminal.say("five()")
        terminal.expect("... ")
        terminal.say("```")
        terminal.expect("You said:", READY)
        terminal.say("six\\")
        terminal.expect("... ")
        terminal.type("not this")
        terminal.expect("not this")
        terminal.interrupt(READY)
        terminal.type("\x1b[200~seven\n\teight\nnine\x1b[201~")
        terminal.expect("nine")
        terminal.say("")
        terminal.expect("You said: seven", READY)
        terminal.say("ten\\")
        terminal.expect("... ")
        terminal.type("\x04")
        terminal.expect("You said: ten", READY)
    questions = [request.question for request in server.requests]
    assert questions == ["one\ntwo", "three\n\nfour", "```python\nfive()\n```", "seven\n\teight\nnine", "ten\\"]


def test_a_paste_that_the_terminal_does_not_mark_is_one_question(server: PracticeServer) -> None:
    with Terminal("chat", "-p", "dev", TERM="dumb") as terminal:
        terminal.expect(READY)
        terminal.say("one\rtwo\rthree")
        terminal.expect("You said: one", READY)
        terminal.say("four")
        terminal.expect("You said: four", READY)
    assert [request.question for request in server.requests] == ["one\ntwo\nthree", "four"]


def test_an_interrupt_at_the_prompt_clears_the_line(server: PracticeServer) -> None:
    with Terminal("chat") as terminal:
        terminal.expect(READY)
        terminal.type("not this")
        terminal.expect("not this")
        terminal.interrupt(READY)
        terminal.say("but this")
        terminal.expect("You said: but this", READY)
        terminal.type("\x04")
        assert terminal.ended() == 0
    assert [request.question for request in server.requests] == ["but this"]


def test_keys_pressed_during_an_answer_wait_for_the_prompt(server: PracticeServer) -> None:
    server.reply("one two three four", interval=0.5)
    with Terminal("chat") as terminal:
        terminal.expect(READY)
        terminal.say("Count")
        terminal.expect("one")
        terminal.say("typed early")
        assert "typed early" not in terminal.expect(f"{FIRST} · "), "it would stand amid the answer"
        terminal.expect(READY, "You said: typed early", READY)
    assert "one two three four" in terminal.screen.lines()


def test_the_history_is_kept_for_its_owner(bare: Path, server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMRING_HISTORY")
    monkeypatch.setenv("XDG_STATE_HOME", str(bare / "state"))
    file = bare / "state" / "llmring" / "history"
    with Terminal("chat", "-p", "dev") as terminal:
        terminal.expect(READY)
        terminal.say("one\\")
        terminal.expect("... ")
        terminal.say("two")
        terminal.expect("You said: one", READY)
        terminal.say("/system")
        terminal.expect("none", READY)
        terminal.say(" ")
        terminal.expect(READY)
    assert [json.loads(line) for line in file.read_text().splitlines()] == ["one\ntwo", "/system"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    with Terminal("chat", "-p", "dev") as terminal:
        terminal.expect(READY)
        terminal.type("\x1b[A\x1b[A")
        terminal.expect("two")
        terminal.say("!")
        terminal.expect("You said: one", READY)
    assert server.requests[1].question == "one\ntwo!"


@pytest.mark.parametrize(("args", "variable"), [(["--no-history"], ""), ([], "off")])
def test_the_history_can_be_switched_off(
    bare: Path, server: PracticeServer, monkeypatch: pytest.MonkeyPatch, args: list[str], variable: str
) -> None:
    monkeypatch.setenv("LLMRING_HISTORY", variable)
    monkeypatch.setenv("XDG_STATE_HOME", str(bare / "state"))
    with Terminal("chat", "-p", "dev", *args) as terminal:
        terminal.expect(READY)
        terminal.say("hi")
        terminal.expect("You said: hi", READY)
        terminal.type("\x1b[A")
        terminal.expect("hi")
    assert not (bare / "state").exists()


def test_a_history_that_cannot_be_kept_stops_nothing(
    bare: Path, server: PracticeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bare / "file").touch()
    monkeypatch.setenv("LLMRING_HISTORY", str(bare / "file" / "history"))
    with Terminal("chat", "-p", "dev") as terminal:
        terminal.expect("Warning: No history is kept", READY)
        terminal.say("hi")
        terminal.expect("You said: hi", READY)


@pytest.mark.usefixtures("billed")
def test_saving(bare: Path, server: PracticeServer) -> None:
    server.reply("The *answer*.", reasoning="Let me\nthink.", usage=Tokens(prompt=10, completion=5))
    server.reply("one two three", fault=Fault.cut_after(2))
    with Terminal("chat", "--system", "Be brief.") as terminal:
        terminal.expect(READY)
        terminal.say("/save talk.txt")
        terminal.expect("Error: Nothing was said yet, so there is nothing to save.", READY)
        assert not (bare / "talk.txt").exists()
        terminal.say("What?")
        terminal.expect("The answer.", READY)
        terminal.say("Count")
        terminal.expect("Error: ", READY)
        for name in ("cut.md", "talk.json"):
            terminal.say(f"/save {name}")
            terminal.expect(f"Saved 2 turns to {name}", READY)
        (bare / "app.py").write_text("mine")
        terminal.say("/save app.py")
        shown = terminal.expect("Error: app.py ends in none of .md, .markdown, .txt and .json", READY)
        assert "Replace it?" not in shown
        terminal.say("/retry")
        terminal.expect("You said: Count", "in all, at least: 3 requests", READY)
        terminal.say("/save talk.txt")
        terminal.expect("Saved 2 turns to talk.txt", READY)
        (bare / "talk.md").write_text("mine")
        terminal.say("/save talk.md")
        terminal.expect("talk.md is there already. Replace it? [y/N] ")
        terminal.say("")
        terminal.expect("Nothing was saved.", READY)
        assert (bare / "talk.md").read_text() == "mine"
        terminal.say("/save talk.md")
        terminal.expect("[y/N] ")
        terminal.say("y")
        terminal.expect("Saved 2 turns", READY)
        terminal.say("/save talk.pdf")
        terminal.expect("Error: talk.pdf ends in none of .md, .markdown, .txt and .json", READY)
        terminal.say("/save nowhere/talk.md")
        terminal.expect("Error: nowhere/talk.md cannot be written", READY)
    assert (bare / "talk.md").read_text() == (bare / "talk.txt").read_text()
    written = (bare / "cut.md").read_text()
    for text in ("**System:** Be brief.", "## You\n\nWhat?", f"## {FIRST}", "> Let me\n> think.", "\nThe *answer*.\n"):
        assert text in written
    assert "\none two\n\n*(broke off here: " in written
    whole = json.loads((bare / "talk.json").read_text())
    assert (whole["model"], whole["system"]) == ("chatbot", "Be brief.")
    assert whole["totals"]["usage"]["total_tokens"] >= 15
    first, second = whole["turns"]
    assert first["question"] == [{"role": "user", "content": "What?"}]
    assert (first["answer"][0]["content"], first["reasoning"]) == ("The *answer*.", "Let me\nthink.")
    assert (first["model"], first["outcome"], first["usage"]["total_tokens"]) == (FIRST, "whole", 15)
    assert (second["answer"], second["outcome"]) == ([{"role": "assistant", "content": "one two"}], "failed")
    assert first["cost"] > 0


def test_pictures_and_files(bare: Path, server: PracticeServer) -> None:
    (bare / "cat.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (bare / "notes.md").write_text("A cat sat.")
    with Terminal("chat", "--file", "notes.md") as terminal:
        terminal.expect(READY)
        terminal.say("/image nope.png")
        terminal.expect("Error: ", "nope.png cannot be read", READY)
        terminal.say("/image cat.png")
        terminal.expect("All 2 go with your next question.", READY)
        (bare / "notes.md").unlink()
        terminal.say("Who sat?")
        terminal.expect("You said: ", "Who sat?", READY)
        terminal.say("Sure?")
        terminal.expect("You said: Sure?", READY)
        terminal.say("/save talk.md")
        terminal.expect("Saved 2 turns", READY)
    for request in server.requests:
        first = request.body["messages"][0]["content"]
        assert [part["type"] for part in first] == ["document", "image", "text"], "they stay part of the conversation"
    assert "*Attached: notes.md*\n\n*Attached: cat.png*" in (bare / "talk.md").read_text()


@pytest.mark.parametrize("name", ["my cat.png", "my\\ cat.png", "'my cat.png'"])
def test_a_file_that_was_dropped_on_the_terminal(bare: Path, server: PracticeServer, name: str) -> None:
    (bare / "my cat.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with Terminal("chat") as terminal:
        terminal.expect(READY)
        terminal.say(f"/image {name}")
        terminal.expect("It goes with your next question.", READY)


def test_a_file_to_begin_with_that_is_not_there(server: PracticeServer) -> None:
    with Terminal("chat", "--file", "nope.md") as terminal:
        terminal.expect("Error: ", "nope.md cannot be read")
        assert terminal.ended() == 1


def test_an_answer_taller_than_the_screen_is_shown_once(server: PracticeServer) -> None:
    code = [f"number_{number} = {number}" for number in range(60)]
    items = [f"{number}. item {number}" for number in range(1, 40)]
    server.reply(
        "\n".join(["Look:", "", "```python", *code, "```", "", "And:", "", *items, "", "Done."]), interval=0.005
    )
    with Terminal("chat", height=12) as terminal:
        terminal.expect(READY)
        terminal.say("Show me")
        terminal.expect("Done.", f"{FIRST} · tokens", READY)
    shown = [line.strip() for line in terminal.screen.lines()]
    assert [line for line in shown if line.startswith("number_")] == code
    assert [line for line in shown if " item " in line] == [it.replace(".", "", 1) for it in items]
    drawn = [terminal.raw.count(f"number_{number}") for number in range(10, 60)]
    assert set(drawn) == {1}, "what stands is not drawn anew"


def test_what_a_model_says_does_not_steer_the_terminal(server: PracticeServer) -> None:
    server.reply("safe \x1b]0;owned\x07\x1b[2J\x9b31m and <T>sound</T>")
    with Terminal("chat") as terminal:
        terminal.expect(READY)
        terminal.say("Attack")
        terminal.expect("and <T>sound</T>", READY)
    assert "\x1b[2J" not in terminal.raw
    assert "\x1b]" not in terminal.raw
    assert "\x9b" not in terminal.raw


def test_no_colour_where_none_is_wanted(server: PracticeServer) -> None:
    server.reply("Some `code` and\n\n```python\nif True: pass\n```\n")
    with Terminal("chat", NO_COLOR="1") as terminal:
        terminal.expect(READY)
        terminal.say("Show me")
        terminal.expect("if True: pass", READY)
        terminal.say("/nope")
        terminal.expect("Error: ", READY)
    colours = [code for code in terminal.raw.split("\x1b[")[1:] if code[:1] in "34" and "m" in code[:3]]
    assert [code for code in colours if code[1:2].isdigit()] == []


def test_tab_completes(project: Path, server: PracticeServer) -> None:
    bind(project, "deep", ["openai:gpt-5-nano"])
    (project.parent / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with Terminal("chat") as terminal:
        terminal.expect(READY)
        terminal.say("/mo\tde\t")
        terminal.expect("deep is served by", "deep> ")
        terminal.say("/profile d\t")
        terminal.expect("d", "> ")
        terminal.say("/image pic\t")
        terminal.expect("goes with your next question", "> ")


@pytest.mark.parametrize("option", [["--json"], ["--no-stream"], ["--schema", "it.json"]])
def test_what_needs_a_prompt_says_so(server: PracticeServer, option: list[str]) -> None:
    with Terminal("chat", *option) as terminal:
        terminal.expect("nothing was asked", option[0])
        assert terminal.ended() == 2


def test_nothing_is_left_open(server: PracticeServer) -> None:
    server.reply("one two three", fault=Fault.stall_after(2))
    with Terminal("chat", PYTHONDEVMODE="1") as terminal:
        terminal.expect(READY)
        terminal.say("Count")
        terminal.expect("one two")
        terminal.type("\x03")
        terminal.expect("Stopped", READY)
        terminal.say("Go on")
        terminal.expect("You said: Go on", READY)
        terminal.say("/quit")
        assert terminal.ended() == 0
    for word in ("ResourceWarning", "RuntimeWarning", "Traceback", "never"):
        assert word not in terminal.raw


def test_an_alias_that_is_none_opens_nothing(server: PracticeServer) -> None:
    with Terminal("chat", "--model", "chatbto") as terminal:
        terminal.expect("Error: ", '"chatbot"')
        assert terminal.ended() == 1


def test_a_turn_without_a_question_is_not_asked_again(bare: Path, server: PracticeServer) -> None:
    turn = {"asked": "chatbot", "answer": [{"role": "assistant", "content": "Hello! What is it?"}]}
    saved = {"llmring": "conversation", "version": 1, "model": "chatbot", "turns": [turn]}
    (bare / "talk.json").write_text(json.dumps(saved))
    with Terminal("chat", "--load", "talk.json") as terminal:
        terminal.expect(READY)
        terminal.say("/retry")
        terminal.expect("Error: The last turn has no question, so there is nothing to ask again", READY)
        terminal.say("Two?")
        terminal.expect("You said: Two?", READY)
    assert len(server.requests) == 1
