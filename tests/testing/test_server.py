"""The server itself: what it answers to whom, what it records, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import http.client
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring.testing import Fault, PracticeServer, RecordedRequest, Reply, Tokens, ToolCallScript

from .conftest import BY_HAND, Raw, Received, by_hand

Ask = Callable[..., Any]
Parse = Callable[[str, bytes], list[Any]]
TextIn = Callable[[str, Any], str]


@pytest.fixture
def said(ask: Ask, parse: Parse, text_in: TextIn) -> Callable[..., str]:
    """The text of a streamed answer."""

    def said(wire: str = "anthropic", question: str = "hi") -> str:
        return "".join(text_in(wire, event) for event in parse(wire, ask(wire, question=question).body))

    return said


def asked(server: PracticeServer, wire: str) -> Received:
    """What comes back from a server of the test's own."""
    raw = Raw(server)
    with contextlib.closing(raw.socket):
        raw.send(wire)
        return raw.receive()


def python(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "dev", "-W", "error", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **more)


def test_the_question_is_echoed(wire: str, server: PracticeServer, said: Callable[..., str]) -> None:
    assert said(wire, question="Where is the sea?") == "You said: Where is the sea?"
    assert server.requests[0].question == "Where is the sea?"


def test_a_request_is_recorded(wire: str, server: PracticeServer, ask: Ask) -> None:
    before = time.monotonic()
    ask(wire)
    (asked,) = server.requests
    assert (asked.wire, asked.method, asked.model, asked.stream) == (wire, "POST", "m", True)
    assert asked.headers["host"] == "practice"
    assert asked.body == json.loads(asked.raw)
    assert asked.query == ({"alt": "sse"} if wire == "gemini" else {})
    assert asked.finished_at is not None
    assert before < asked.started_at < asked.finished_at
    assert asked.chunks_sent == 3
    assert not asked.closed_by_client.is_set()


def test_every_field_of_a_reply_may_be_named(server: PracticeServer, said: Callable[..., str]) -> None:
    assert server.reply(text="Four.", usage=None) == Reply("Four.", usage=None)
    server.reply(Reply("five"), text="Five.")
    server.reply(chunks=["S", "ix."], wire="anthropic")
    assert [said(), said(), said()] == ["Four.", "Five.", "Six."]
    with pytest.raises(TypeError, match="text"):
        server.reply("one", text="two")


def test_replies_are_given_in_order(server: PracticeServer, said: Callable[..., str]) -> None:
    server.reply("one", times=2)
    server.reply(Reply("two"))
    assert [said() for _ in range(4)] == ["one", "one", "two", "You said: hi"]


def test_replies_are_given_to_whom_they_are_for(server: PracticeServer, said: Callable[..., str]) -> None:
    server.reply("for ollama", wire="ollama")
    server.reply("for another model", model="other")
    server.reply("for anyone")
    assert [said(), said(), said("ollama")] == ["for anyone", "You said: hi", "for ollama"]


def test_a_default_reply(server: PracticeServer, said: Callable[..., str]) -> None:
    server.default = Reply("always")
    assert [said(), said("gemini")] == ["always", "always"]


def test_a_script_decides(server: PracticeServer, said: Callable[..., str]) -> None:
    @server.script
    def decide(request: RecordedRequest) -> Reply | None:
        return Reply("four") if "2 + 2" in request.question else None

    assert said(question="2 + 2?") == "four"
    assert said(question="3 + 3?") == "You said: 3 + 3?"


def test_a_script_that_fails_says_so(wire: str) -> None:
    server = PracticeServer().start()
    server.script(lambda request: Reply(str(1 // 0)))
    got = asked(server, wire)
    assert got.status == 500
    assert b"ZeroDivisionError" in got.body
    with pytest.raises(ZeroDivisionError):
        server.__exit__(None, None, None)


def test_a_reply_that_cannot_be_rendered_says_so(wire: str) -> None:
    server = PracticeServer().start()
    server.reply(tool_calls=[ToolCallScript("when", {"day": object()})])
    got = asked(server, wire)
    assert got.status == 500
    assert b"cannot be rendered" in got.body
    with pytest.raises(TypeError, match="not JSON serializable"):
        server.__exit__(None, None, None)


def test_what_could_not_be_rendered_is_told_beside_what_failed_of_it() -> None:
    def program() -> None:
        with PracticeServer() as server:
            server.script(lambda request: Reply(str(1 // 0)))
            assert asked(server, "anthropic").status == 200, "no answer"

    with pytest.raises(AssertionError, match="no answer") as raised:
        program()
    assert ["ZeroDivisionError" in note for note in raised.value.__notes__] == [True]


def test_a_server_that_comes_back_has_forgotten_what_could_not_be_rendered() -> None:
    server = PracticeServer().start()
    server.script(lambda request: Reply(str(1 // 0)))
    asked(server, "ollama")
    with pytest.raises(ZeroDivisionError):
        server.__exit__(None, None, None)
    with server:
        server.default = Reply("well")
        assert asked(server, "ollama").status == 200


def test_replies_that_nobody_has_asked_for(server: PracticeServer, said: Callable[..., str]) -> None:
    assert server.pending == []
    server.reply("one", times=2)
    server.reply("two", wire="ollama")
    assert server.pending == [Reply("one"), Reply("one"), Reply("two")]
    said()
    assert server.pending == [Reply("one"), Reply("two")]
    server.clear()
    assert server.pending == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"wire": "openai"}, "no wire 'openai'; there are: openai-chat, openai-responses, anthropic, .*models"),
        ({"wire": "google"}, "no wire 'google'"),
        ({"model": "openai:gpt-6-luna"}, "as its provider sees it: 'gpt-6-luna'"),
        ({"times": 0}, "times is 0"),
        ({"text": 3}, "text is 3; it must be a string"),
        ({"chunks": "one two"}, "chunks is 'one two'; it must be a list of strings"),
        ({"chunks": [1]}, "chunks is"),
        ({"tool_calls": [{"name": "x"}]}, "it must be a list of ToolCallScript"),
        ({"usage": {"prompt": 1}}, "usage is {'prompt': 1}; it must be Tokens"),
        ({"fault": "cut"}, "fault is 'cut'; it must be a Fault"),
        ({"status": "503"}, "status is '503'; it must be an HTTP status"),
        ({"status": True}, "status is True"),
        ({"status": 99}, "status is 99"),
        ({"body": {}}, "body is {}; it must be bytes"),
        ({"body": "{}"}, "body is '{}'; it must be bytes"),
        ({"body": ["{}"]}, "it must be bytes"),
        ({"headers": {"a": 1}}, "headers is {'a': 1}; it must be a dict of strings"),
        ({"delay": "x"}, "delay is 'x'; it must be a number of seconds"),
        ({"checkpoints": ["a"]}, "checkpoints is"),
        ({"problem": "zzz"}, "no problem 'zzz'; there are: bad_key, unknown_model, too_long, rate_limit, overloaded"),
        ({"status": 503, "text": "Too busy."}, "its words are error="),
        ({"problem": "overloaded", "text": "Too busy."}, "its words are error="),
    ],
)
def test_a_slip_is_refused_where_it_is_written(server: PracticeServer, fields: dict[str, Any], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        server.reply(**fields)
    assert server.pending == []


@pytest.mark.parametrize(
    ("make", "name"),
    [(make, it.name) for make in (Reply, Tokens, ToolCallScript) for it in dataclasses.fields(make)],
    ids=lambda it: it if isinstance(it, str) else it.__name__,
)
def test_every_field_refuses_what_it_cannot_be(make: Any, name: str) -> None:
    needed = {"prompt": 1, "completion": 1, "name": "x"}
    fields = {it.name: needed[it.name] for it in dataclasses.fields(make) if it.name in needed}
    assert make(**fields)
    with pytest.raises((TypeError, ValueError), match=name):
        make(**{**fields, name: object()})


@pytest.mark.parametrize("model", ["llama3.2:latest", "mistral:7b", "ft:gpt-5-mini:of-mine"])
def test_a_models_name_may_hold_a_colon(server: PracticeServer, model: str) -> None:
    server.reply(model=model)
    assert server.pending


def test_it_loses_no_connection_when_it_ends(bare: Path) -> None:
    """However far it is with accepting it."""
    for number in range(60):
        with PracticeServer() as server:
            host, port = server.url.removeprefix("http://").split(":")
            clients = [socket.create_connection((host, int(port))) for _ in range(number % 4)]
        for client in clients:
            client.close()
    gc.collect()


def test_clear(server: PracticeServer, said: Callable[..., str]) -> None:
    server.reply("queued")
    server.default = Reply("default")
    said("ollama")
    server.clear()
    assert server.requests == []
    assert said() == "You said: hi"


def test_exact_bytes(server: PracticeServer, ask: Ask) -> None:
    server.reply(body=[b"data: {", b"}\n\n"], content_type="text/event-stream", headers={"X-One": "1"})
    got = ask("anthropic")
    assert got.chunks == [b"data: {", b"}\n\n"]
    assert (got.headers["content-type"], got.headers["x-one"]) == ("text/event-stream", "1")
    server.reply(body=b"whole", content_type="text/plain", headers={"Content-Type": "text/css"})
    got = ask("anthropic")
    assert (got.body, got.headers["content-length"], got.headers["content-type"]) == (b"whole", "5", "text/css")


def test_pace(server: PracticeServer, ask: Ask, wire: str) -> None:
    server.reply(chunks=["a", "b", "c"], delay=0.05, interval=0.05)
    before = time.monotonic()
    ask(wire)
    assert 0.15 <= time.monotonic() - before < 60


def test_what_comes_before_a_pause_is_sent_before_it(
    server: PracticeServer, raw: Callable[[], Any], wire: str, parse: Callable[..., Any], text_in: Callable[..., str]
) -> None:
    server.reply(chunks=["first", "second"], interval=600)
    connection = raw()
    connection.send(wire)
    connection.socket.settimeout(60)
    body, said = b"", ""
    while "first" not in said:
        event = connection.http.next_event()
        if event is h11.NEED_DATA:
            connection.http.receive_data(connection.socket.recv(1 << 16))
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
            said = "".join(text_in(wire, it) for it in parse(wire, body))
    assert said == "first"
    assert server.requests[0].finished_at is None


def test_usage_counts_words(server: PracticeServer, ask: Ask) -> None:
    body = json.loads(ask("anthropic", stream=False, question="one two three").body)
    assert (body["usage"]["input_tokens"], body["usage"]["output_tokens"]) == (3, 5)


def test_connections_are_kept(server: PracticeServer, raw: Callable[[], Any]) -> None:
    connection = raw()
    for _ in range(2):
        connection.send("anthropic")
        connection.receive()
        connection.http.start_next_cycle()
    raw().send("anthropic")
    server.wait_request(3)
    one, two, three = server.requests
    assert one.connection == two.connection != three.connection


def test_requests_may_be_pipelined(server: PracticeServer, raw: Callable[[], Any]) -> None:
    server.reply("one", delay=0.05)
    server.reply("two")
    body = b'{"model": "m", "messages": []}'
    request = b"POST /api/chat HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    connection = raw().socket
    connection.sendall(request + request + b"GET /api/version HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    got = b"".join(iter(lambda: connection.recv(65536), b""))
    assert got.index(b'"one"') < got.index(b'"two"') < got.index(b'"version"')


def test_continue_is_said_to_those_who_wait_for_it(raw: Callable[[], Any]) -> None:
    connection = raw().socket
    connection.sendall(b"POST /api/chat HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 13\r\n\r\n")
    assert connection.recv(1000).startswith(b"HTTP/1.1 100")
    connection.sendall(b'{"model":"m"}')
    assert connection.recv(1000).startswith(b"HTTP/1.1 200")


def test_large_requests(server: PracticeServer, ask: Ask) -> None:
    assert ask("anthropic", question="x" * 30_000_000, patience=20, stream=False).status == 200
    assert len(server.requests[0].raw) > 30_000_000


def test_what_is_no_http(raw: Callable[[], Any]) -> None:
    connection = raw().socket
    connection.sendall(b"what?\r\n\r\n")
    assert connection.recv(1000).startswith(b"HTTP/1.1 400")
    assert connection.recv(1000) == b""


def test_what_is_not_there(server: PracticeServer, raw: Callable[[], Any]) -> None:
    connection = raw().socket
    connection.sendall(b"GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    got = b"".join(iter(lambda: connection.recv(65536), b""))
    assert got.startswith(b"HTTP/1.1 404")
    assert json.loads(got.partition(b"\r\n\r\n")[2])["error"]["message"] == "Nothing here: GET /nowhere"
    assert server.requests[0].wire is None


def test_a_body_that_is_no_json(wire: str, raw: Callable[[], Any]) -> None:
    path = b"/v1/models/m:generateContent" if wire == "gemini" else b"/api/chat"
    connection = raw().socket
    connection.sendall(b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n{" % path)
    assert connection.recv(1000).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    ("path", "headers", "first"),
    [
        ("/v1/models", {}, "gpt-5-mini"),
        ("/v1/models", {"anthropic-version": "2023-06-01"}, "claude-haiku-4-5"),
        ("/v1/models", {"x-goog-api-key": "k"}, "models/gemini-2.5-flash"),
        ("/v1/models?key=k", {}, "models/gemini-2.5-flash"),
        ("/v1beta/models", {}, "models/gemini-2.5-flash"),
        ("/api/tags", {}, "llama3.2:latest"),
    ],
)
def test_whose_models_are_listed(server: PracticeServer, path: str, headers: dict[str, str], first: str) -> None:
    with contextlib.closing(http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=60)) as connection:
        connection.request("GET", path, headers=headers)
        body = json.loads(connection.getresponse().read())
    listed = body.get("data") or body["models"]
    assert listed[0].get("id", listed[0].get("name")) == first


def test_listings_can_fail_too(server: PracticeServer, raw: Callable[[], Any]) -> None:
    server.reply(Reply(status=401), wire="models")
    connection = raw().socket
    connection.sendall(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
    assert connection.recv(1000).startswith(b"HTTP/1.1 401")


def test_open_connections_are_counted(server: PracticeServer, raw: Callable[[], Any]) -> None:
    connections = [raw() for _ in range(3)]
    for connection in connections:
        connection.send("anthropic")
        connection.receive()
    assert server.open_connections == 3
    for connection in connections:
        connection.socket.close()
    deadline = time.monotonic() + 60
    while server.open_connections and time.monotonic() < deadline:
        time.sleep(0.001)
    assert server.open_connections == 0
    assert all(request.wait_closed(60) for request in server.requests)
    assert all(request.finished_at for request in server.requests)


def test_a_client_in_a_loop_is_seen_to_leave(server: PracticeServer) -> None:
    async def main() -> bool:
        _, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
        writer.write(b"POST /api/chat HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
        server.default = Reply(fault=Fault.never_answer())
        asked = await server.received()
        writer.close()
        return await asked.closed(60)

    assert asyncio.run(main())


def test_many_at_once(server: PracticeServer) -> None:
    server.default = Reply(chunks=["a"] * 20, interval=0.01)
    body = b'{"model": "m", "messages": []}'

    async def one() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
        request = b"POST /api/chat HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        writer.write(request % len(body) + body)
        got = await reader.read()
        writer.close()
        await writer.wait_closed()
        return got

    async def main() -> list[bytes]:
        return await asyncio.gather(*(one() for _ in range(300)))

    assert all(got.count(b'"content":"a"') == 20 for got in asyncio.run(main()))


def test_a_request_that_does_not_come(server: PracticeServer) -> None:
    with pytest.raises(TimeoutError, match="0 of 1 requests"):
        server.wait_request(timeout=0.01)


def test_two_servers(server: PracticeServer, said: Callable[..., str]) -> None:
    with PracticeServer() as other:
        assert other.url != server.url
        said()
        assert (len(server.requests), len(other.requests)) == (1, 0)


def test_the_end() -> None:
    threads = threading.active_count()
    server = PracticeServer().start()
    assert threading.active_count() == threads + 1
    server.close()
    server.close()
    assert threading.active_count() == threads


def test_a_server_comes_back(server: PracticeServer, said: Callable[..., str]) -> None:
    url = server.url
    server.close()
    with pytest.raises(ConnectionRefusedError):
        said()
    server.start()
    assert (server.url, said()) == (url, "You said: hi")


def test_a_taken_port(server: PracticeServer) -> None:
    with pytest.raises(OSError, match="in use"):
        PracticeServer(port=int(server.url.rsplit(":", 1)[1])).start()


def test_async_with() -> None:
    async def main() -> str:
        async with PracticeServer() as server:
            return server.url

    assert asyncio.run(main()).startswith("http://127.0.0.1:")


def test_hanging_up_resets_all_that_is_open(server: PracticeServer) -> None:
    server.default = Reply(fault=Fault.never_answer())
    raws = [Raw(server) for _ in range(3)]
    for raw in raws:
        raw.send("anthropic")
    server.wait_request(3)
    server.hang_up()
    for raw in raws:
        with contextlib.closing(raw.socket), pytest.raises(ConnectionResetError):
            raw.socket.recv(1)
    server.default = Reply("Hello")
    assert asked(server, "anthropic").status == 200


def test_what_it_cannot_do_is_at_hand() -> None:
    def fails(request: RecordedRequest) -> Reply:
        raise LookupError("nothing there")

    with contextlib.closing(PracticeServer().start()) as server:
        server.script(fails)
        assert server.broken is None
        assert asked(server, "anthropic").status == 500
        assert isinstance(server.broken, LookupError)


def test_closing_with_everything_open_is_quiet() -> None:
    program = """
import socket
from llmring.testing import Fault, PracticeServer, Reply
with PracticeServer() as server:
    server.reply(chunks=["x" * 1000] * 10_000)
    server.reply("slow", interval=60)
    server.default = Reply(fault=Fault.stall_after(1))
    sockets = [socket.create_connection(("127.0.0.1", int(server.url.rsplit(":")[-1]))) for _ in range(5)]
    for open in sockets[:4]:
        open.sendall(b"POST /api/chat HTTP/1.1\\r\\nhost: x\\r\\ncontent-length: 2\\r\\n\\r\\n{}")
    server.wait_request(4)
for open in sockets:
    open.close()
"""
    done = python("-c", program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_loads_no_sdk() -> None:
    program = """
import sys, llmring.testing
known = {"openai", "anthropic", "ollama", "google.genai", "httpx", "httpx2"}
known |= {name for name in sys.modules if name.startswith(("llmring.wire", "llmring.providers"))}
print(sorted(known & set(sys.modules)))
"""
    assert python("-c", program).stdout == "[]\n"


def test_without_h11() -> None:
    done = python("-c", "import sys; sys.modules['h11'] = None; import llmring.testing")
    assert "pip install h11" in done.stderr.splitlines()[-1]


def told(url: str, path: str, body: dict[str, Any]) -> Any:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    connection.request("POST", path, json.dumps(body))
    said = json.loads(connection.getresponse().read())
    connection.close()
    return said


def test_by_hand() -> None:
    """Standard output is for a shell to evaluate, and ends; standard error is for people."""
    with by_hand("--chunks", "2") as (process, url, lines):
        assert process.stderr is not None
        assert all(re.fullmatch(r"export \w+=[\w.:/-]+", line) for line in lines)
        assert f"export OPENAI_BASE_URL={url}/v1" in lines
        first = process.stderr.readline()
        assert first == f"Listening at {url}. To end it: Ctrl-C, or kill {process.pid}\n"
        said = told(url, "/api/chat", {"model": "m", "messages": [], "stream": False})
        assert said["message"]["content"] == "word word "
        told(url, "/nowhere?key=AIza" + "x" * 36, {})
        told(url, "/api/chat", {"model": "sk-" + "a" * 40 + " \x1b[2Jm\n", "messages": [], "stream": False})
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        logged = [line.split(" ") for line in process.stderr.read().splitlines()]
    assert [line[1:] for line in logged] == [
        ["POST", "/api/chat", "m", "200"],
        ["POST", "/nowhere", "-", "404"],
        ["POST", "/api/chat", "[key]%20\\x1b[2Jm\\n", "200"],
    ]
    for line in logged:
        assert datetime.fromisoformat(line[0]).tzinfo is not None


def test_by_hand_it_answers_what_was_asked_for() -> None:
    with by_hand("--quiet") as (process, url, _):
        assert process.stderr is not None
        form = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3}}}
        asked = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "format": form, "stream": False}
        assert told(url, "/api/chat", asked)["message"]["content"] == '{"n": 3}'
        process.terminate()
        assert process.wait(60) == 0
        assert process.stderr.read().count("\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell")
@pytest.mark.parametrize("shell", [it for it in ("sh", "bash", "zsh") if shutil.which(it)])
def test_a_shell_evaluates_what_it_prints(shell: str) -> None:
    """The server lives on behind the shell; a request of the shell's next command arrives."""
    program = (
        "import os, sys, urllib.request\n"
        "print(os.environ['OPENAI_API_KEY'], urllib.request.urlopen(os.environ['OPENAI_BASE_URL'] + '/models').status)"
    )
    script = f"""eval "$({shlex.join([*BY_HAND, "--quiet"])} &)"; {shlex.join([sys.executable, "-c", program])}"""
    with subprocess.Popen([shell, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        said = process.stderr.readline()
        os_id = int(re.findall(r"kill (\d+)$", said)[0])
        try:
            assert process.stdout.read() == "practice-key 200\n"
        finally:
            os.kill(os_id, signal.SIGTERM)
        assert process.stderr.read() == ""


@pytest.mark.parametrize("port", ["taken", "99999"])
def test_by_hand_where_it_cannot_listen(server: PracticeServer, port: str) -> None:
    port = server.url.rpartition(":")[2] if port == "taken" else port
    done = subprocess.run(
        [sys.executable, "-m", "llmring.testing", "--port", port], capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: cannot listen on port {port}: ")
    assert done.stderr.count("\n") == 1


def test_environ(server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    there = server.environ("http://127.0.0.1:9")
    assert there["OPENAI_BASE_URL"] == "http://127.0.0.1:9/v1"
    assert {there[name] for name in ("ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "OLLAMA_HOST")} == {
        "http://127.0.0.1:9"
    }
    assert {value for name, value in there.items() if name.endswith("_KEY")} == {"practice-key"}
    assert {"GOOGLE_API_KEY", "OLLAMA_API_KEY"} < there.keys()
    assert "NO_PROXY" not in there
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example")
    monkeypatch.setenv("NO_PROXY", "internal.example")
    assert server.environ()["NO_PROXY"] == "internal.example,127.0.0.1"


CHATS = {
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/g:generateContent",
    "ollama": "/api/chat",
    "mistral": "/mistral/v1/chat/completions",
}


def posted(server: PracticeServer, path: str, body: bytes) -> tuple[int, Any]:
    """What is answered to any bytes at all."""
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)
    with contextlib.closing(connection):
        connection.request("POST", path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        data = answer.read()
    return answer.status, json.loads(data) if answer.status != 200 else None


def is_of_the_vendor(wire: str, said: Any) -> bool:
    """Whether an error has the form that the vendor gives it."""
    if wire == "ollama":
        return isinstance(said["error"], str)
    if wire == "mistral":
        return isinstance(said, dict)
    inner = said["error"]
    more = {"anthropic": said.get("type") == "error" and "type" in inner, "gemini": "status" in inner}
    return isinstance(inner["message"], str) and more.get(wire, True)


DEEP = b"[" * 200_000 + b"]" * 200_000


@pytest.mark.parametrize("wire", CHATS)
@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"null", b"[]", b"{", b"\xff\xfe", b"9" * 5000, DEEP, b'{"messages":' + DEEP + b"}"),
        b'{"a":' * 500 + b"1" + b"}" * 500,
        b'{"model":"\\ud800","messages":[],"input":[],"contents":[]}',
        *(b'{"messages":[null],"input":[null],"contents":[null]}', b'{"messages":5,"input":5,"contents":5}'),
        b'{"stream":"yes"}',
        b'{"tools":5}',
    ],
    ids=lambda body: f"{body[:20]!r}",
)
def test_what_is_no_request_is_refused_as_the_vendor_does(server: PracticeServer, wire: str, body: bytes) -> None:
    status, said = posted(server, CHATS[wire], body)
    assert status in (400, 422)  # Mistral's for a field that it does not know
    assert is_of_the_vendor(wire, said)


def test_a_malformed_address_is_answered(server: PracticeServer) -> None:
    for target in (b"//[", b"http://[::1", b"/v1/messages?%ff=%zz", b"/%ff"):
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as it:
            it.sendall(b"POST " + target + b" HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
            assert it.recv(100).startswith((b"HTTP/1.1 4", b"HTTP/1.1 2"))


_WORDS = st.text(max_size=5) | st.sampled_from(["user", "assistant", "tool", "text", "function_call", "tool_result"])
_LEAVES = st.none() | st.booleans() | st.integers() | _WORDS
_NAMES = st.sampled_from(
    [
        "role",
        "content",
        "type",
        "text",
        "parts",
        "tool_calls",
        "tool_call_id",
        "function",
        "name",
        "arguments",
        "id",
        "call_id",
        "output",
        "input",
        "source",
        "data",
        "signature",
        "thinking",
        "functionCall",
        "functionResponse",
        "thoughtSignature",
        "encrypted_content",
        "image_url",
        "url",
    ]
)
_VALUES = st.recursive(
    _LEAVES, lambda it: st.lists(it, max_size=3) | st.dictionaries(_NAMES, it, max_size=4), max_leaves=12
)
_FIELDS = st.sampled_from(
    [
        "model",
        "messages",
        "input",
        "contents",
        "system",
        "systemInstruction",
        "instructions",
        "tools",
        "tool_choice",
        "stream",
        "stream_options",
        "thinking",
        "reasoning",
        "text",
        "response_format",
        "metadata",
        "options",
        "generationConfig",
        "max_tokens",
        "stop",
        "seed",
    ]
)


@pytest.fixture(scope="module")
def one_server() -> Iterator[PracticeServer]:
    with PracticeServer() as server:
        yield server


@given(wire=st.sampled_from(sorted(CHATS)), body=st.dictionaries(_FIELDS, _VALUES, max_size=5))
def test_no_body_makes_it_stumble(one_server: PracticeServer, wire: str, body: dict[str, Any]) -> None:
    status, said = posted(one_server, CHATS[wire], json.dumps(body).encode())
    assert status < 500
    assert status == 200 or is_of_the_vendor(wire, said)
