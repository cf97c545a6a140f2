"""What the commands write, wherever it goes: to a terminal, a pipe, a full disk, or nowhere."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis.strategies import text

from llmring.cli.amounts import dollars
from llmring.cli.terminal import columns, printable
from llmring.testing import PracticeServer, RecordedRequest, Reply

from ..holding import held
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
    assert "begin [30mhidden [0m end" in " ".join(written.split())
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
    """Another process edits the file."""
    project.write_text(LOCKFILE.replace("anthropic:claude-haiku-4-5", "anthropic:claude-opus-4-1"))  # which has ended
    with held(project) as holder, Terminal(*args.split()) as terminal:
        terminal.expect("Writing llmring.lock .")
        holder.kill()
        assert terminal.ended() == 0


def test_what_is_waited_for_moves(project: Path) -> None:
    with held(project) as holder, Terminal("unbind", "chatbot") as terminal:
        terminal.expect("".join(f"Writing llmring.lock {dots}" for dots in (".. ", "...", ".  ", ".. ")))
        holder.kill()
        assert terminal.ended() == 0


def test_who_is_waited_for_is_said(project: Path) -> None:
    with held(project) as holder:
        waiting = subprocess.Popen(
            [PROGRAM, "bind", "fast", "ollama:llama3.2"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        with waiting:
            assert waiting.stderr is not None
            told = waiting.stderr.readline()
            assert told == f"Warning: The process {holder.pid} is editing {project}; waiting for it\n"
            holder.kill()
            assert waiting.stderr.readline().startswith("fast is served by ollama:llama3.2 ")
    assert waiting.returncode == 0


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


HIDING = (
    "\u202e\u2066\u200f\u061c"  # the direction of writing
    "\u200b\u2060\ufeff\u00ad\u180e\u3164\U000e0041"  # what cannot be seen
    "\x85\x9b\u2028\u2029"
)


@pytest.mark.parametrize("how", [[], ["--no-stream"], ["--json"]])
def test_what_a_model_says_hides_nothing_from_who_reads(project: Path, server: PracticeServer, how: list[str]) -> None:
    server.reply(f"safe {HIDING}sound")
    written = on_a_terminal("chat", "hi", *how)
    assert "safe " in written
    assert not set(HIDING) & set(written)


@pytest.mark.parametrize("where", ["a terminal", "a pipe"])
def test_what_an_error_quotes_hides_nothing(project: Path, server: PracticeServer, where: str) -> None:
    server.default = Reply(status=400, error=f"begin {HIDING}end")
    if where == "a pipe":
        done = subprocess.run([PROGRAM, "chat", "hi"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        written = done.stderr
    else:
        written = on_a_terminal("chat", "hi")
    assert "begin " in written
    assert not set(HIDING) & set(written)


def test_what_a_lockfile_or_a_server_lists_hides_nothing(project: Path, server: PracticeServer) -> None:
    title = "".join(it for it in HIDING if it >= "\xa0")  # no TOML may hold the others
    project.write_text(project.read_text().replace("temperature = 0.3", f'title = "a{title}b"'))
    server.models["ollama"] = [f"llama{HIDING}3.2"]
    live, usage = ["models", "--live", "ollama"], ["chat", "hi", f"--{HIDING}"]
    for args in (["aliases", "--verbose"], ["lock", "show"], live, usage):
        written = on_a_terminal(*args)
        assert len(written) > 20
        assert not set(HIDING) & set(written), args


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f468\u200d\U0001f469\u200d\U0001f467"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
        ("chat\u200dbot", "chatbot"),
        ("a\u2028b\u2029c", "a\nb\nc"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("Z\u00fcrich \u4f60\u597d", "Z\u00fcrich \u4f60\u597d"),
    ],
)
def test_what_letters_need_stays(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(text(f"{HIDING}\u200c\u200d\x1ba\u4f60\n"))
def test_nothing_that_is_shown_steers_or_hides(written: str) -> None:
    shown = printable(written)
    assert not set(f"{HIDING}\x1b") & set(shown)
    assert [it for it in shown if it in "a\u4f60"] == [it for it in written if it in "a\u4f60"]
    assert not any(f"a{it}" in shown or f"{it}a" in shown for it in "\u200c\u200d"), "a joiner that joins nothing"


def test_what_the_encoding_lacks_is_escaped_and_said(project: Path, server: PracticeServer) -> None:
    server.default = Reply("Z\u00fcrich \u4f60 \U0001f642")
    for encoding, shown in (
        ("cp1252", b"Z\xfcrich \\u4f60 \\U0001f642\n"),
        ("ascii", b"Z\\u00fcrich \\u4f60 \\U0001f642\n"),
        ("utf-8", "Z\u00fcrich \u4f60 \U0001f642\n".encode()),
    ):
        env = os.environ | {"PYTHONIOENCODING": encoding}
        done = subprocess.run([PROGRAM, "chat", "hi"], stdin=subprocess.DEVNULL, capture_output=True, env=env)
        assert (done.returncode, done.stdout) == (0, shown)
        told = f"What {encoding} does not have was written as \\u and a number.".encode()
        assert (told in done.stderr) == (encoding != "utf-8")
        assert done.stderr.count(b"was written as") <= 1


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
@pytest.mark.parametrize("args", ["chat hi --json", "aliases --json", "lock convert --to json"])
def test_json_goes_through_every_encoding(project: Path, server: PracticeServer, encoding: str, args: str) -> None:
    said = "Z\u00fcrich \u4f60 \U0001f642"
    more = f'''
[note]
text = "{said}"

[[profiles.default.bindings]]
alias = "\u8981"
models = ["x:\U0001f642"]
'''
    project.write_text(project.read_text() + more, encoding="utf-8")
    server.default = Reply(said)
    env = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([PROGRAM, *args.split()], stdin=subprocess.DEVNULL, capture_output=True, env=env, check=True)
    assert done.stdout.isascii() or (encoding == "utf-8" and "convert" in args)
    read = json.loads(done.stdout)
    assert said in (read.get("content"), read.get("note", {}).get("text")) or read["\u8981"] == "x:\U0001f642"


def test_columns_stay_in_line_whatever_the_letters() -> None:
    rows = [("\u8981\u7d04", "x"), ("abcd", "x"), ("e\u0301\u00e9\U0001f642", "x"), ("a\nb\u202e", "x")]
    assert columns(rows).splitlines() == ["\u8981\u7d04   x", "abcd   x", "e\u0301\u00e9\U0001f642   x", "a b    x"]
    joined = [("\u0915\u200d\u0937", "x"), ("ab", "x")]
    assert columns(joined).splitlines() == ["\u0915\u200d\u0937   x", "ab   x"], "what joins letters takes no cell"
