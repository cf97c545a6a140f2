"""What goes wrong in a conversation and does not end it: paths, bytes, keys pressed at the wrong moment."""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import time
from pathlib import Path

import pytest

from llmring.testing import Fault, PracticeServer

if sys.platform == "win32":
    pytest.skip("there is no pseudo-terminal", allow_module_level=True)

from .terminal import Terminal

READY = "chatbot> "


@pytest.fixture(autouse=True)
def _project(project: Path, server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMRING_HISTORY", "off")
    monkeypatch.setenv("NO_COLOR", "1")


def test_no_path_ends_the_conversation(bare: Path, server: PracticeServer) -> None:
    (bare / "folder.md").mkdir()
    with Terminal("chat") as terminal:
        terminal.expect(READY)
        terminal.say("One?")
        terminal.expect("You said: One?", READY)
        for line in (
            "/save ~nosuchuser/talk.md",
            f"/save {'x' * 300}.md",
            "/save folder.md\ry",
            "/save /proc/nothing/talk.md",
            "/file ~nosuchuser/notes.md",
            "/image ~nosuchuser/cat.png",
            f"/file {'x' * 300}.md",
            f"/image data:image/png;base64,{'A' * 300}=",
        ):
            terminal.say(line)
            shown = terminal.expect("Error: " if "data:" not in line else "It goes", READY)
            assert "not foreseen" not in shown
        terminal.say("Two?")
        terminal.expect("Two?", "in all: 2 requests", READY)
        terminal.type("\x04")
        assert terminal.ended() == 0
    assert os.listdir(bare / "folder.md") == []
    assert sorted(os.listdir(bare)) == ["folder.md", "llmring.lock"], "nothing is left lying"


def test_an_error_that_nobody_foresaw_ends_only_its_command(
    bare: Path, server: PracticeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bare / "gone").mkdir()
    monkeypatch.chdir(bare / "gone")
    with Terminal("chat", "-m", "ollama:llama3.2") as terminal:
        terminal.expect("llama3.2> ")
        monkeypatch.chdir(bare)
        (bare / "gone").rmdir()
        terminal.say("/profile")
        terminal.expect("Error: FileNotFoundError: ", "This was not foreseen. LLMRING_DEBUG=1", "llama3.2> ")
        terminal.say("Still there?")
        terminal.expect("You said: Still there?", "llama3.2> ")


def test_bytes_that_are_no_text(bare: Path, server: PracticeServer) -> None:
    (bare / "talk.md").write_text("mine")
    (bare / "talk.md").chmod(0o640)
    (bare / "link.md").symlink_to("talk.md")
    with Terminal("chat") as terminal:
        terminal.expect(READY)
        terminal.say("caf\udcff?")
        terminal.expect("its character 4 is the byte 0xff. Nothing was asked.", READY)
        terminal.say("caf\xe9?")
        terminal.expect("You said: caf\xe9?", READY)
        terminal.say("/save link.md")
        terminal.expect(f"link.md, a link to {bare / 'talk.md'}, is there already. Replace it? [y/N] ")
        terminal.say("y")
        terminal.expect("Saved 1 turn to link.md", READY)
    assert "## You\n\ncaf\xe9?\n" in (bare / "talk.md").read_text(encoding="utf-8")
    assert [it.question for it in server.requests] == ["caf\xe9?"]
    assert (bare / "link.md").is_symlink()
    assert stat.S_IMODE((bare / "talk.md").stat().st_mode) == 0o640


def test_half_a_character_in_the_history(bare: Path, server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    (bare / "history").write_text('"half \\ud83d"\n"null \\u0000"\n"whole"\n')
    monkeypatch.setenv("LLMRING_HISTORY", str(bare / "history"))
    with Terminal("chat") as terminal:
        terminal.expect(READY)
        terminal.type("\x1b[A")
        terminal.expect("whole")
        terminal.say("")
        terminal.expect("You said: whole", READY)


@pytest.mark.skipif(os.name != "nt" and os.geteuid() == 0, reason="to root every file is open")
def test_a_file_that_is_protected_stays(bare: Path, server: PracticeServer) -> None:
    (bare / "talk.md").write_text("mine")
    (bare / "talk.md").chmod(0o400)
    with Terminal("chat") as terminal:
        terminal.expect(READY)
        terminal.say("/save talk.md\ry")
        terminal.expect("Error: talk.md cannot be written", READY)
    assert (bare / "talk.md").read_text() == "mine"


def test_what_was_said_outlives_the_terminal(
    bare: Path, server: PracticeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bare / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(bare / "temporary"))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup; the program inherits it
    try:
        with Terminal("chat") as terminal:
            terminal.expect(READY)
            terminal.say("One?")
            terminal.expect("You said: One?", READY)
            assert terminal.hang_up() in (1, 120)  # Python's own, where its output cannot be flushed at the end
    finally:
        signal.signal(signal.SIGHUP, before)
    (saved,) = (bare / "temporary").iterdir()
    assert "## You\n\nOne?\n" in saved.read_text()
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600


@pytest.fixture
def rescued(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, in which nothing is yet."""
    (bare / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(bare / "temporary"))
    return bare / "temporary"


def test_closing_the_window_keeps_what_was_said(rescued: Path, server: PracticeServer) -> None:
    with Terminal("chat") as terminal:
        terminal.expect(READY)
        terminal.say("One?")
        terminal.expect("You said: One?", READY)
        terminal.type("half a line")
        assert terminal.hang_up() == -signal.SIGHUP
    (saved,) = rescued.iterdir()
    assert "## You\n\nOne?\n" in saved.read_text()
    assert "You said: One?" in saved.read_text()
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600


def test_closing_the_window_keeps_what_has_arrived(rescued: Path, server: PracticeServer) -> None:
    with Terminal("chat") as terminal:
        terminal.expect(READY)
        server.reply(" ".join(f"w{number}" for number in range(400)), interval=0.02)
        terminal.say("Count")
        terminal.expect("w2")
        assert terminal.hang_up() == -signal.SIGHUP
    (saved,) = rescued.iterdir()
    assert "w0 w1 w2" in saved.read_text()
    assert saved.read_text().endswith("*(stopped here)*\n")


def test_closing_the_window_before_anything_arrived(rescued: Path, server: PracticeServer) -> None:
    with Terminal("chat") as terminal:
        terminal.expect(READY)
        server.reply("Late.", delay=30.0)
        terminal.say("Anybody?")
        terminal.expect("waiting for chatbot")
        assert terminal.hang_up() == -signal.SIGHUP
    (saved,) = rescued.iterdir()
    assert "## You\n\nAnybody?\n" in saved.read_text()


def test_closing_the_window_on_silence_leaves_nothing(rescued: Path, server: PracticeServer) -> None:
    with Terminal("chat") as terminal:
        terminal.expect(READY)
        assert terminal.hang_up() == -signal.SIGHUP
    assert list(rescued.iterdir()) == []


def test_a_program_that_is_told_to_end_keeps_what_was_said(rescued: Path, server: PracticeServer) -> None:
    with Terminal("chat") as terminal:
        terminal.expect(READY)
        terminal.say("One?")
        terminal.expect("You said: One?", READY)
        terminal.settle()
        assert terminal.terminate() == -signal.SIGTERM
    (saved,) = rescued.iterdir()
    assert "You said: One?" in saved.read_text()
    assert f"What was said is in {saved}" in terminal.screen.lines()


def test_a_program_that_is_told_to_end_keeps_what_has_arrived(rescued: Path, server: PracticeServer) -> None:
    with Terminal("chat") as terminal:
        terminal.expect(READY)
        server.reply(" ".join(f"w{number}" for number in range(400)), interval=0.02)
        terminal.say("Count")
        terminal.expect("w2")
        before = terminal.echoes()
        assert terminal.terminate() == -signal.SIGTERM
        assert (before, terminal.echoes()) == (False, True)
        assert terminal.raw.rfind("\x1b[?25h") > terminal.raw.rfind("\x1b[?25l") >= 0
    (saved,) = rescued.iterdir()
    assert "w0 w1 w2" in saved.read_text()
    assert saved.read_text().endswith("*(stopped here)*\n")
    assert saved.read_text().count("Count") == 1


@pytest.mark.parametrize("gap", [0.005, 0.01, 0.02, 0.04])
def test_an_interrupt_that_is_pressed_in_a_hurry_loses_no_turn(bare: Path, server: PracticeServer, gap: float) -> None:
    with Terminal("chat") as terminal:
        terminal.expect(READY)
        server.reply(" ".join(f"w{number}" for number in range(400)), interval=0.02)
        terminal.say("Count")
        terminal.expect("w2")
        for _ in range(6):
            terminal.type("\x03")
            time.sleep(gap)
        terminal.settle()
        terminal.type(" \x7f")  # Python may notice a press only with the next key
        terminal.settle()
        terminal.say("/save talk.json")
        terminal.expect("Saved 1 turn to talk.json", READY)
        terminal.type("\x04")
        assert terminal.ended() == 0
    (turn,) = json.loads((bare / "talk.json").read_text())["turns"]
    assert (turn["outcome"], turn["answer"][0]["content"][:8]) == ("stopped", "w0 w1 w2")


@pytest.mark.parametrize("kind", ["xterm-256color", "dumb"])
def test_a_long_line_and_a_long_paste(server: PracticeServer, kind: str) -> None:
    line = "x" * 5000
    lines = [f"line {number}" for number in range(2000)]
    with Terminal("chat", TERM=kind) as terminal:
        terminal.expect(READY)
        terminal.say(line)
        terminal.expect("tokens: ", READY)
        terminal.say("\r".join(lines) if kind == "dumb" else "\x1b[200~" + "\n".join(lines) + "\x1b[201~")
        terminal.expect("tokens: ", READY)
    assert [request.question for request in server.requests] == [line, "\n".join(lines)]


def test_a_terminal_that_changes_its_size(server: PracticeServer) -> None:
    server.reply("# Title\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nDone.", interval=0.05)
    with Terminal("chat", TERM="dumb") as terminal:
        terminal.expect(READY)
        terminal.type("Show ")
        for height, width in ((10, 40), (3, 5), (1, 1), (60, 200)):
            terminal.resize(height, width)
        terminal.say("me")
        for height, width in ((10, 40), (3, 5), (1, 1), (60, 200)):
            terminal.resize(height, width)
        terminal.expect("Done.", "tokens: ", READY)
    assert [request.question for request in server.requests] == ["Show me"]


def test_a_remark_within_an_answer_has_a_line_of_its_own(project: Path, server: PracticeServer) -> None:
    project.write_text(project.read_text().replace("temperature = 0.3", 'on_interrupt = "resume"'))
    server.reply("one two three", fault=Fault.cut_after(2))
    server.reply("four")
    with Terminal("chat", "hi") as terminal:
        assert terminal.ended() == 0
        lines = terminal.screen.lines()
    at = next(number for number, line in enumerate(lines) if "Warning: " in line)
    assert lines[at].startswith("Warning: "), lines
    assert lines[at - 1].startswith("one two")
    assert "" not in lines[at:], "no line is left empty"
