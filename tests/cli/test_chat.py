"""`llmring chat`, through the real SDKs, to the practice server."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llmring.testing import Fault, PracticeServer, Reply, Tokens

from ..program import INSTALLED, PROGRAM
from .conftest import Command, Run

MODELS = [
    "openai:gpt-5-mini",
    "anthropic:claude-haiku-4-5",
    "google:gemini-2.5-flash",
    "ollama:llama3.2",
]


in_bytes = pytest.mark.skipif(sys.platform == "win32", reason="arguments are text there")


@pytest.fixture(autouse=True)
def _project(project: Path, server: PracticeServer) -> None:
    pass


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("how", [[], ["--no-stream"]])
def test_an_answer(run: Run, server: PracticeServer, model: str, how: list[str]) -> None:
    result = run("chat", "hello there", "--model", model, "--system", "Be brief.", *how)
    assert (result.exit_code, result.stdout) == (0, "You said: hello there\n")
    assert result.stderr.startswith(f"{model} · tokens: ")
    assert result.stderr.count("\n") == 1
    (request,) = server.requests
    assert request.stream is (not how)
    assert b"Be brief." in request.raw


@pytest.mark.usefixtures("billed")
def test_the_usage_line_has_tokens_and_price(run: Run, server: PracticeServer) -> None:
    server.reply("ok", usage=Tokens(prompt=1_000_000, completion=100_000, cache_read=1000))
    line = run("chat", "hi").stderr
    assert "tokens: 1000000 in (1000 cached), 100000 out" in line
    assert "$1.50" in line
    server.reply("ok", finish_reason="length")
    assert "ended by length" in run("chat", "hi").stderr
    assert "$" not in run("chat", "hi", "--profile", "dev").stderr, "a local model has no price"


@pytest.mark.usefixtures("billed")
@pytest.mark.parametrize("how", [[], ["--no-stream"]])
def test_json_is_one_object(run: Run, how: list[str]) -> None:
    result = run("chat", "hello", "--json", *how)
    assert (result.exit_code, result.stderr) == (0, "")
    answer = json.loads(result.stdout)
    assert answer["model"] == "anthropic:claude-haiku-4-5"
    assert answer["content"] == "You said: hello"
    assert answer["finish_reason"] == "stop"
    assert answer["usage"]["total_tokens"] == 4
    assert answer["cost"]["total"] > 0
    assert answer["cost"]["reason"] is None


def test_json_says_why_there_is_no_price(run: Run) -> None:
    cost = json.loads(run("chat", "hello", "--json", "--profile", "dev").stdout)["cost"]
    assert cost["total"] is None
    assert "own machine" in cost["reason"]


@pytest.mark.parametrize("args", [[], ["-"]])
def test_the_prompt_may_come_through_a_pipe(run: Run, args: list[str]) -> None:
    assert run("chat", *args, input="from à pipe\n").stdout == "You said: from à pipe\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-be", "utf-32-be"])
def test_what_comes_through_a_pipe_or_a_file_is_read_by_its_mark(
    project: Path, run: Run, server: PracticeServer, encoding: str
) -> None:
    data = ("\ufeff" * encoding.endswith("-be") + "Z\u00fcrich\n").encode(encoding)
    assert run("chat", input=data).stdout == "You said: Z\u00fcrich\n"
    (project.parent / "notes.txt").write_bytes(data)
    assert run("chat", "Where?", "--file", "notes.txt").exit_code == 0
    assert server.requests[1].body["messages"][0]["content"][0]["source"]["data"] == "Z\u00fcrich\n"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"one\ncaf\xe9 two", r"is no UTF-8 text: byte 8, in line 2, is 0xe9. .*iconv"),
        (b"\xef\xbb\xbfcaf\xe9 two", r"is no UTF-8 text: byte 7, in line 1, is 0xe9"),
        (b"\xff\xfea", r"is no UTF-16 text: byte 3, in line 1, is 0x61"),
        ("Where?".encode("utf-16-le"), r"is no text: character 2, in line 1, is a null.*UTF-16"),
    ],
)
def test_what_is_no_text_is_refused_at_its_place(
    project: Path, run: Run, server: PracticeServer, data: bytes, told: str
) -> None:
    (project.parent / "notes.txt").write_bytes(data)
    for result in (run("chat", "hi", input=data), run("chat", "hi", "-f", "notes.txt")):
        assert (result.exit_code, result.stdout) == (1, "")
        assert re.search(rf"^Error: (Standard input|notes\.txt) {told}", result.stderr), result.stderr
    assert server.requests == []


@pytest.mark.parametrize(("args", "input"), [([""], None), (["  "], None), ([], ""), (["-"], "\n")])
def test_nothing_to_ask_is_a_usage_error(run: Run, server: PracticeServer, args: list[str], input: str | None) -> None:
    result = run("chat", *args, input=input)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "the prompt is empty" in result.stderr
    assert server.requests == []


@pytest.mark.parametrize(
    ("aliases", "asked"),
    [(["fast", "balanced", "chatbot"], "chatbot"), (["fast", "balanced"], "balanced"), (["slow", "fast"], "slow")],
)
def test_the_alias_where_none_is_named(
    project: Path, run: Run, server: PracticeServer, aliases: list[str], asked: str
) -> None:
    project.write_text('version = "1.0"\n')
    for alias in aliases:
        run("bind", alias, f"ollama:{alias}")
    assert run("chat", "hi").exit_code == 0
    assert server.requests[0].model == asked


def test_no_alias_at_all(project: Path, run: Run) -> None:
    project.write_text('version = "1.0"\n')
    result = run("chat", "hi")
    assert result.exit_code == 1
    assert "llmring bind chatbot provider:model" in result.stderr
    project.unlink()
    assert "llmring lock init" in run("chat", "hi").stderr
    assert run("chat", "hi", "--model", "ollama:llama3.2").stdout == "You said: hi\n", "a model needs no lockfile"


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(status=401), "refused the key"),
        (Reply(status=429, retry_after=0), "429"),
        (Reply(status=500), "500"),
        (Reply(fault=Fault.hang_up()), "anthropic"),
    ],
)
@pytest.mark.parametrize("how", [[], ["--no-stream"], ["--json"]])
def test_a_failure_is_one_line_on_standard_error(
    run: Run, server: PracticeServer, reply: Reply, message: str, how: list[str]
) -> None:
    server.default = reply
    result = run("chat", "hi", "--model", "anthropic:claude-haiku-4-5", *how)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr


def test_a_cut_answer_is_shown_as_far_as_it_came(run: Run, server: PracticeServer) -> None:
    server.reply("one two three four", fault=Fault.cut_after(2))
    result = run("chat", "hi")
    assert (result.exit_code, result.stdout) == (1, "one two\n")
    assert result.stderr.startswith("Error: ")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("form", [[], ["--schema", "rivers.json"]])
def test_json_of_a_cut_answer_has_what_had_arrived(
    project: Path, run: Run, server: PracticeServer, model: str, form: list[str]
) -> None:
    (project.parent / "rivers.json").write_text(json.dumps(SCHEMA))
    server.reply("one two three four", fault=Fault.cut_after(2))
    result = run("chat", "hi", "--model", model, "--json", *form)
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert (answer["content"], answer["model"], answer["finish_reason"]) == ("one two", model, None)
    assert answer["error"]["class"] == "ProviderConnectionError"
    assert result.stderr == f"Error: {answer['error']['message']}\n"
    assert set(json.loads(run("chat", "hi", "--json").stdout)) == answer.keys() - {"error"}


def test_a_cut_answer_of_a_given_form_is_shown_beside_the_data(project: Path, run: Run, server: PracticeServer) -> None:
    (project.parent / "rivers.json").write_text(json.dumps(SCHEMA))
    server.reply("one two three four", fault=Fault.cut_after(2))
    result = run("chat", "hi", "--schema", "rivers.json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("What had arrived: one two\nError: ")


def test_moving_on_to_a_stand_by_is_said(run: Run, server: PracticeServer) -> None:
    server.reply(status=503)
    result = run("chat", "hi")
    assert result.stdout == "You said: hi\n"
    assert result.stderr.startswith("Warning: chatbot: moving on from anthropic:claude-haiku-4-5 to openai:gpt-5-mini")
    assert "\nopenai:gpt-5-mini · " in result.stderr


@pytest.mark.parametrize(
    ("model", "message"),
    [("chatbto", '"chatbot"'), ("acme:rocket-1", "acme"), ("openai:", "provider:model")],
)
def test_a_model_that_is_none(run: Run, server: PracticeServer, model: str, message: str) -> None:
    result = run("chat", "hi", "--model", model)
    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr
    assert server.requests == []


def test_a_key_that_is_missing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    result = run("chat", "hi", "--model", "openai:gpt-5-mini")
    assert result.exit_code == 1
    assert "OPENAI_API_KEY" in result.stderr


def test_the_program_streams(server: PracticeServer) -> None:
    server.default = Reply("one two three", interval=0.5)
    with subprocess.Popen(
        [PROGRAM, "chat", "hi", "-p", "dev"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as asked:
        assert asked.stdout is not None
        first = asked.stdout.read(3)
        begun = time.monotonic()
        rest, remarks = asked.communicate(timeout=300)
        assert time.monotonic() - begun > 0.4, "the first word came before the last was written"
    assert (first + rest, asked.returncode) == (b"one two three\n", 0)
    assert remarks.startswith(b"ollama:llama3.2")


def test_an_interrupt_ends_it_at_once(server: PracticeServer) -> None:
    server.default = Reply(" ".join(map(str, range(1000))), interval=0.05)
    with subprocess.Popen(
        [PROGRAM, "chat", "hi", "-p", "dev"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as asked:
        assert asked.stdout is not None
        assert asked.stdout.read(1) == b"0"
        asked.send_signal(signal.SIGINT)
        begun = time.monotonic()
        rest, remarks = asked.communicate(timeout=300)
        assert time.monotonic() - begun < 30
    assert (asked.returncode, remarks) == (130, b"")
    assert rest.endswith(b"\n")
    deadline = time.monotonic() + 60
    while server.open_connections and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.open_connections == 0, "the provider is told to stop"


def test_a_reader_that_leaves_is_no_error(server: PracticeServer) -> None:
    server.default = Reply(" ".join(map(str, range(200))), interval=0.01)
    done = subprocess.run(
        f"'{PROGRAM}' chat hi -p dev | head -c 5", shell=True, capture_output=True, text=True, timeout=300
    )
    assert (done.stdout, done.stderr) == ("0 1 2", "")


@pytest.mark.parametrize("which", [INSTALLED, PROGRAM], ids=["installed", "forked"])
def test_the_program_itself(command: Command, which: str) -> None:
    answer = command("chat", "hello", "--json", program=which)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert json.loads(answer.stdout)["content"] == "You said: hello"
    assert command("chat", input="piped", program=which).stdout == "You said: piped\n"
    assert command("chat", "--model", program=which).returncode == 2


def test_a_price_goes_by_the_address(project: Path, run: Run, server: PracticeServer) -> None:
    """A host of one's own bills nobody, whatever the provider is called."""
    with project.open("a") as lockfile:
        lockfile.write(f'[providers.openai]\nbase_url = "{server.url}/v1"\napi = "chat"\n')
    said = run("chat", "hi", "--model", "openai:gpt-4o-mini").stderr
    assert "tokens" in said
    assert "$" not in said
    cost = json.loads(run("chat", "hi", "--model", "openai:gpt-4o-mini", "--json").stdout)["cost"]
    assert cost["total"] is None
    assert "a host of your own" in cost["reason"]
    assert [request.wire for request in server.requests] == ["openai-chat"] * 2


def test_the_prompt_is_about_what_comes_through_the_pipe(run: Run, server: PracticeServer) -> None:
    assert run("chat", "Review this", input="+ a line\n\n").stdout == "You said: + a line\n\nReview this\n"
    assert run("chat", "Just this", input=" \n").stdout == "You said: Just this\n"


def test_a_pipe_that_stays_open_is_spoken_of(server: PracticeServer) -> None:
    with subprocess.Popen(
        [PROGRAM, "chat", "hi", "-p", "dev"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as asked:
        assert asked.stderr is not None
        assert b"</dev/null" in asked.stderr.readline()
        assert asked.communicate(b"late", timeout=300)[0] == b"You said: late\n\nhi\n"


def test_pictures_and_files(project: Path, run: Run, server: PracticeServer) -> None:
    (project.parent / "cat.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (project.parent / "notes.md").write_text("A cat sat.")
    result = run("chat", "Who sat?", "-i", "cat.png", "-i", "https://example.com/mat.jpg", "-f", "notes.md")
    assert result.exit_code == 0, result.stderr
    *attached, question = server.requests[0].body["messages"][0]["content"]
    assert [part["type"] for part in attached] == ["image", "image", "document"]
    assert attached[0]["source"]["media_type"] == "image/png"
    assert attached[1]["source"]["url"] == "https://example.com/mat.jpg"
    assert attached[2]["source"]["data"] == "A cat sat."
    assert question == {"type": "text", "text": "Who sat?"}
    assert run("chat", "And?", "--file", "cat.png").exit_code == 0
    assert server.requests[1].body["messages"][0]["content"][0]["type"] == "image", "its name tells what a file is"


@pytest.mark.parametrize("option", ["--image", "--file"])
def test_a_file_that_is_not_there(run: Run, server: PracticeServer, option: str) -> None:
    result = run("chat", "hi", option, "nope.png")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "nope.png cannot be read" in result.stderr
    assert server.requests == []


SCHEMA = {"type": "object", "properties": {"rivers": {"type": "array", "items": {"type": "string"}}}}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("how", [[], ["--no-stream"]])
def test_an_answer_that_keeps_to_a_schema(
    project: Path, run: Run, server: PracticeServer, model: str, how: list[str]
) -> None:
    (project.parent / "rivers.json").write_text(json.dumps(SCHEMA))
    server.default = Reply('{"rivers":["Rhône"]}')
    result = run("chat", "Rivers?", "--model", model, "--schema", "rivers.json", *how)
    assert (result.exit_code, result.stdout) == (0, '{\n  "rivers": [\n    "Rhône"\n  ]\n}\n')
    assert b'"rivers"' in server.requests[0].raw, "the schema goes with the request"
    whole = json.loads(run("chat", "Rivers?", "--model", model, "--schema", "rivers.json", "--json", *how).stdout)
    assert whole["parsed"] == {"rivers": ["Rhône"]}


def test_a_number_that_is_too_large_is_null(project: Path, run: Run, server: PracticeServer) -> None:
    (project.parent / "any.json").write_text('{"type": "object", "properties": {"share": {"type": "number"}}}')
    server.default = Reply('{"share": 1e999}')
    result = run("chat", "Share?", "--schema", "any.json")
    assert result.exit_code == 0, result.stderr
    said = json.loads(result.stdout, parse_constant=pytest.fail)
    assert said == {"share": None}
    whole = json.loads(run("chat", "Share?", "--schema", "any.json", "--json").stdout, parse_constant=pytest.fail)
    assert (whole["content"], whole["parsed"]) == ('{"share": 1e999}', {"share": None})


def test_an_answer_that_does_not_keep_to_it(project: Path, run: Run, server: PracticeServer) -> None:
    (project.parent / "rivers.json").write_text(json.dumps(SCHEMA))
    server.default = Reply('{"rivers": 3}')
    result = run("chat", "Rivers?", "--schema", "rivers.json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "rivers: 3 is not of type 'array'" in result.stderr
    assert result.stderr.count('{"rivers": 3}') == 1, "what arrived is in the error"
    for how in ([], ["--no-stream"]):
        whole = json.loads(run("chat", "Rivers?", "--schema", "rivers.json", "--json", *how).stdout)
        assert (whole["content"], whole["parsed"], whole["finish_reason"]) == ('{"rivers": 3}', None, None)
        assert whole["error"]["class"] == "ProviderResponseError"
    server.default = Reply("", finish_reason="content_filter")
    withheld = run("chat", "Rivers?", "--schema", "rivers.json")
    assert (withheld.exit_code, withheld.stdout) == (1, "")
    assert "content_filter" in withheld.stderr


@pytest.mark.parametrize(
    ("written", "message"),
    [(None, "cannot be read"), ("{", "is not JSON"), ("[]", "is no JSON Schema"), ('{"type": 1}', "no JSON schema")],
)
def test_a_schema_that_is_none(
    project: Path, run: Run, server: PracticeServer, written: str | None, message: str
) -> None:
    if written is not None:
        (project.parent / "it.json").write_text(written)
    result = run("chat", "hi", "--schema", "it.json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr
    assert server.requests == []


def test_one_question_imports_no_drawing(project: Path, server: PracticeServer) -> None:
    """The first byte would wait for it."""
    code = (
        "import sys; sys.argv = ['llmring', 'chat', 'hi', '-p', 'dev']\n"
        "from llmring.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('rich.markdown', 'readline', 'llmring.cli.conversation') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.stdout == "You said: hi\n[]\n"


@in_bytes
@pytest.mark.parametrize("args", [[b"caf\xff?"], ["hi", "-s", b"caf\xffe"]])
def test_arguments_that_are_no_text(project: Path, server: PracticeServer, args: list[str | bytes]) -> None:
    done = subprocess.run([PROGRAM, "chat", *args], stdin=subprocess.DEVNULL, capture_output=True)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"no UTF-8 text from its character 4 on" in done.stderr
    assert server.requests == []


@pytest.mark.parametrize("redirected", ["<&-", "0>/dev/null"])
def test_an_input_that_cannot_be_read_is_none(project: Path, server: PracticeServer, redirected: str) -> None:
    """nohup gives a command one that is open for writing alone."""
    command = ["sh", "-c", f'exec "$0" "$@" {redirected}', PROGRAM, "chat"]
    done = subprocess.run([*command, "Hello"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "You said: Hello\n")
    for args in ([], ["-"]):
        done = subprocess.run([*command, *args], capture_output=True, text=True)
        assert done.returncode in (1, 2)
        assert "prompt" in done.stderr


@in_bytes
@pytest.mark.parametrize(
    "args", [["-p", b"caf\xff"], ["-m", b"caf\xff"], ["-m", b"ollama:caf\xff"], ["-f", b"caf\xff"]]
)
def test_names_that_are_no_text(project: Path, args: list[str | bytes]) -> None:
    done = subprocess.run([PROGRAM, "chat", "hi", *args], stdin=subprocess.DEVNULL, capture_output=True)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"Error: ")
    assert b"not foreseen" not in done.stderr


@in_bytes
def test_a_profile_in_the_environment_that_is_no_text(project: Path) -> None:
    environ = {**{key.encode(): value.encode() for key, value in os.environ.items()}, b"LLMRING_PROFILE": b"caf\xff"}
    done = subprocess.run([PROGRAM, "chat", "hi"], env=environ, stdin=subprocess.DEVNULL, capture_output=True)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b'Error: No profile "caf')


@pytest.mark.parametrize("args", [("chat", "hi", "--model"), ("info",)])
def test_a_model_that_names_no_provider(project: Path, run: Run, args: tuple[str, ...]) -> None:
    result = run(*args, "gpt-6-luna")
    assert result.exit_code == 1
    assert result.stderr.endswith("A model is named directly as provider:model. Did you mean openai:gpt-6-luna?\n")
    assert "Did you mean" not in run(*args, "our-own-thing").stderr
