"""What the commands write, wherever it goes: to a terminal, a pipe, a full disk, or nowhere."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from llmring.cli.terminal import dollars
from llmring.testing import PracticeServer, RecordedRequest, Reply

from ..program import PROGRAM
from .conftest import LOCKFILE

if sys.platform == "win32":
    pytest.skip("there is no pseudo-terminal", allow_module_level=True)

from .terminal import Terminal
from .test_command import on_a_terminal

STEERING = "\x1b]0;owned\x07\x1b[2J\x9b31m\r"


def steers(written: str) -> bool:
    """Whether there is anything in it but text and our own colours."""
    return any(it in written for it in ("\x1b]", "\x1b[2J", "\x07", "\x9b"))


@pytest.mark.parametrize("how", [[], ["--no-stream"], ["--json"]])
def test_what_a_model_says_does_not_steer_the_terminal(project: Path, server: PracticeServer, how: list[str]) -> None:
    server.reply(f"safe {STEERING}sound")
    written = on_a_terminal("chat", "hi", *how)
    assert "safe " in written
    assert "sound" in written
    assert not steers(written)


@pytest.mark.parametrize("colour", ["", "1"])
def test_to_a_pipe_an_answer_goes_as_it_is(
    project: Path, server: PracticeServer, colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", colour)
    server.reply(f"safe {STEERING}\x1b[31msound")
    done = subprocess.run([PROGRAM, "chat", "hi"], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    assert done.stdout.decode() == f"safe {STEERING}\x1b[31msound\n"


def test_what_the_environment_says_does_not_steer_the_terminal(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://gw.example/\x1b]0;owned\x07\x9bv1")
    written = on_a_terminal("providers")
    assert "https://gw.example/" in written
    assert not steers(written)


def test_what_an_error_quotes_does_not_steer_the_terminal(project: Path) -> None:
    written = on_a_terminal("aliases", "-p", f"nope{STEERING}")
    assert "Error:" in written
    assert not steers(written)


@pytest.mark.parametrize("colour", ["", "1"])
def test_what_a_provider_says_has_no_colours_of_its_own(
    project: Path, server: PracticeServer, colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", colour)
    server.default = Reply(status=400, error="begin \x1b[30mhidden\x1b[0m end")
    written = on_a_terminal("chat", "hi")
    assert "begin  [30mhidden [0m end" in written
    assert re.findall(r"\x1b", written) == ([] if colour else ["\x1b"] * 2), "ours alone, around the first word"
    server.default = Reply("begin \x1b[30mhidden\x1b[0m end")
    assert "begin [30mhidden[0m end" in on_a_terminal("chat", "hi")


def test_there_is_colour_on_a_terminal_all_the_same(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[31mError:\x1b[0m" in on_a_terminal("aliases", "-p", "nope")


def in_a_shell(line: str) -> subprocess.CompletedProcess[str]:
    """What a line of the shell does, `llmring` being the program."""
    return subprocess.run(
        ["sh", "-c", line.replace("llmring", f"'{PROGRAM}'", 1)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    "args",
    [
        "lock validate ~nosuchuser/x",
        "lock check ~nosuchuser/x",
        "lock convert ~nosuchuser/x",
        "lock convert -o ~nosuchuser/x",
        "lock init -f ~nosuchuser/x",
        "chat hi -f ~nosuchuser/x",
    ],
)
def test_the_home_of_nobody_is_a_folder_that_is_not_there(project: Path, args: str) -> None:
    done = in_a_shell(f"llmring {args}")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.search(r"^Error: .*~nosuchuser", done.stderr, re.MULTILINE)
    assert "not foreseen" not in done.stderr


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ("bind fast ollama:llama3.2", "fast is served by ollama:llama3.2"),
        ("unbind chatbot -p dev", "chatbot is no longer bound"),
        ("lock init --force", "Wrote "),
        ("lock validate", " is valid: "),
        ("lock check nothing", "Nothing found in "),
        ("lock convert -o other.json", "Wrote other.json as JSON"),
        ("lock profile add staging", 'Added the profile "staging"'),
        ("lock profile copy dev staging", 'Copied the profile "dev"'),
        ("lock profile remove dev --yes", 'Removed the profile "dev"'),
    ],
)
def test_what_was_done_is_said_beside_the_data(project: Path, args: str, told: str) -> None:
    project.write_text(re.sub(r"models = \[.*\]", 'models = ["ollama:llama3.2"]', project.read_text()))
    (project.parent / "nothing").mkdir()
    done = in_a_shell(f"llmring {args}")
    assert (done.returncode, done.stdout) == (0, "")
    assert told in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize("args", ["aliases", "chat hi", "--version", "--help", "lock show --help"])
def test_nowhere_to_print_to_is_an_error(project: Path, server: PracticeServer, args: str) -> None:
    done = in_a_shell(f"llmring {args} >&-")
    assert (done.returncode, done.stderr) == (
        1,
        "Error: Standard output is closed. To have nothing printed: >/dev/null\n",
    )


def test_nowhere_to_remark_to_is_none(project: Path) -> None:
    done = in_a_shell("llmring aliases -p dev --verbose 2>&-")
    assert done.returncode == 0
    assert "ollama:llama3.2" in done.stdout
    assert in_a_shell("llmring aliases -p nope 2>&-").returncode == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device here")
@pytest.mark.parametrize("args", ["aliases", "--help", "lock --help", "--version"])
def test_a_full_disk_is_an_error(project: Path, args: str) -> None:
    done = in_a_shell(f"llmring {args} >/dev/full")
    assert (done.returncode, done.stderr) == (1, "Error: Standard output cannot be written: No space left on device.\n")


@pytest.mark.parametrize(
    ("amount", "tag"),
    [
        (0, "$0.00"),
        (2.5e-7, "$0.00000025"),
        (1.234e-9, "$0.0000000012"),
        (0.0000224, "$0.000022"),
        (0.05, "$0.05"),
        (0.1, "$0.10"),
        (12.345, "$12.35"),
    ],
)
def test_a_price_tag_says_something_of_every_price(amount: float, tag: str) -> None:
    assert dollars(amount) == tag


def test_waiting_for_an_answer_is_said_on_a_terminal(project: Path, server: PracticeServer) -> None:

    def late(_: RecordedRequest) -> Reply:
        time.sleep(2.0)
        return Reply("Late.")

    server.script(late)
    for how in ([], ["--no-stream"]):
        written = on_a_terminal("chat", "hi", *how)
        assert "waiting for chatbot ." in written
        assert written.index("waiting for chatbot") < written.index("Late.")
        assert re.search(r"\r {20,}\rLate\.", written), "it is gone when the answer comes"
    done = subprocess.run([PROGRAM, "chat", "hi"], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    assert b"waiting" not in done.stderr


def test_a_remark_is_written_over_what_is_waited_for(project: Path, server: PracticeServer) -> None:
    server.reply(status=503, delay=1.6)
    with Terminal("chat", "hi") as terminal:
        terminal.expect("waiting for chatbot .", "moving on", "You said: hi")
        assert terminal.ended() == 0
    remark, answer, _ = terminal.screen.lines()
    assert remark.startswith("Warning: chatbot: moving on from ")
    assert answer == "You said: hi"


@pytest.mark.parametrize("args", [["lock", "init", "--force"], ["doctor"]])
def test_looking_around_is_said_on_a_terminal(project: Path, monkeypatch: pytest.MonkeyPatch, args: list[str]) -> None:
    """A local server that answers letter by letter is waited for."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def dribble() -> None:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                for letter in b"HTTP/1.1":
                    connection.send(bytes([letter]))
                    time.sleep(0.3)

        dribbling = threading.Thread(target=dribble, daemon=True)
        dribbling.start()
        project.write_text(project.read_text().replace("anthropic:claude-haiku-4-5", "ollama:llama3.2"))
        monkeypatch.setenv("OLLAMA_HOST", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert "Looking around ." in on_a_terminal(*args)
        dribbling.join(10)


def test_reading_much_code_is_said_on_a_terminal(project: Path) -> None:
    lines = ["from llmring import LLMRequest", *['LLMRequest(model="chatbot")'] * 60_000]
    (project.parent / "long.py").write_text("\n".join(lines))
    assert "Reading the source code ." in on_a_terminal("lock", "check", "long.py")


@pytest.mark.parametrize(
    "args",
    [
        "bind fast ollama:llama3.2",
        "unbind chatbot",
        "lock profile add staging",
        "lock profile copy dev staging",
        "lock profile remove dev --yes",
        "lock convert --to json -o llmring.lock --force",
        "lock init --force",
        "lock upgrade --yes",
        "lock upgrade --yes --json",
    ],
)
def test_waiting_to_write_is_said_on_a_terminal(project: Path, args: str) -> None:
    """Somebody else holds the folder, as an edit does."""
    import fcntl

    project.write_text(LOCKFILE.replace("anthropic:claude-haiku-4-5", "anthropic:claude-opus-4-1"))  # which has ended
    held = os.open(project.parent, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    letting_go = threading.Timer(2.5, os.close, [held])
    letting_go.start()
    assert "Writing llmring.lock ." in on_a_terminal(*args.split())
    letting_go.join()


def test_a_slow_git_is_said_on_a_terminal(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.parent / "bin").mkdir()
    slow = project.parent / "bin" / "git"
    slow.write_text("#!/bin/sh\nsleep 2\nexit 1\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}{os.pathsep}{os.environ['PATH']}")
    assert "Asking git ." in on_a_terminal("lock", "diff")


KEYRING = """
import time

def get_password(service, name):
    if name == "anthropic":
        time.sleep(1.5)
"""


@pytest.mark.parametrize(
    "args", [["providers"], ["models", "--live"], ["info", "chatbot"], ["lock", "show"], ["lock", "show", "--json"]]
)
def test_a_slow_keyring_is_said_on_a_terminal(project: Path, monkeypatch: pytest.MonkeyPatch, args: list[str]) -> None:
    (project.parent / "modules").mkdir()
    (project.parent / "modules" / "keyring.py").write_text(KEYRING)
    monkeypatch.setenv("PYTHONPATH", f"{project.parent / 'modules'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    assert "Looking for keys ." in on_a_terminal(*args)
