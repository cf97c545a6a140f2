"""What each fault does to the bytes, on every wire."""

from __future__ import annotations

import json
import socket
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from llmring.testing import Fault, PracticeServer, Reply

Ask = Callable[..., Any]
Parse = Callable[[str, bytes], list[Any]]
TextIn = Callable[[str, Any], str]
CHUNKS = ["One", " two", " thrée", " 四"]
TEXT = "".join(CHUNKS)
SILENCE = 0.25
"""Seconds after which nothing more is expected."""


def is_end(wire: str, event: Any) -> bool:
    if wire == "openai-chat":
        return bool(event == "[DONE]")
    if wire == "gemini":
        return any("finishReason" in candidate for candidate in event.get("candidates", []))
    if wire == "ollama":
        return bool(event.get("done"))
    return event["type"] in ("response.completed", "message_stop")


@pytest.fixture
def told(wire: str, server: PracticeServer, ask: Ask, parse: Parse, text_in: TextIn) -> Callable[..., Any]:
    """Ask for the answer with these faults: what came, its events, and their text."""

    def told(*faults: Fault, stream: bool = True, patience: float = 5.0) -> tuple[Any, list[Any], str]:
        server.reply(Reply(chunks=CHUNKS, fault=faults))
        got = ask(wire, stream, patience)
        events = parse(wire, got.body) if stream and got.headers else []
        return got, events, "".join(text_in(wire, event) for event in events)

    return told


def test_a_good_stream_for_comparison(wire: str, told: Callable[..., Any]) -> None:
    got, events, text = told()
    assert (got.status, got.error, text) == (200, "", TEXT)
    assert [is_end(wire, event) for event in events].count(True) == 1
    assert is_end(wire, events[-1])
    frame = {"gemini": b"\r\n\r\n", "ollama": b"}\n"}.get(wire, b"\n\n")
    assert all(chunk.endswith(frame) for chunk in got.chunks)


@pytest.mark.parametrize("stream", [True, False])
def test_never_answer(server: PracticeServer, told: Callable[..., Any], stream: bool) -> None:
    got, *_ = told(Fault.never_answer(), stream=stream, patience=0.1)
    assert (got.status, got.error) == (0, "silence")
    assert server.open_connections == 1


def test_a_client_that_leaves_is_noticed(wire: str, server: PracticeServer, raw: Callable[[], Any]) -> None:
    server.reply(Reply(chunks=CHUNKS, fault=Fault.stall_after(1)))
    connection = raw()
    connection.send(wire)
    connection.receive(SILENCE)
    asked = server.requests[-1]
    assert not asked.wait_closed(0.01)
    before = time.monotonic()
    connection.socket.close()
    assert asked.wait_closed(60)
    assert asked.disconnected_at is not None
    assert asked.disconnected_at - before < 1.0
    assert asked.finished_at is None
    assert asked.chunks_sent == 1


@pytest.mark.parametrize("stream", [True, False])
def test_hang_up(told: Callable[..., Any], stream: bool) -> None:
    got, *_ = told(Fault.hang_up(), stream=stream)
    assert (got.status, got.error) == (0, "cut")


@pytest.mark.parametrize("stream", [True, False])
def test_headers_only(told: Callable[..., Any], stream: bool) -> None:
    got, *_ = told(Fault.headers_only(), stream=stream, patience=SILENCE)
    assert (got.status, got.body, got.error) == (200, b"", "silence")


def test_stall_after(told: Callable[..., Any]) -> None:
    got, _, text = told(Fault.stall_after(2), patience=SILENCE)
    assert (text, got.error) == ("One two", "silence")


def test_chatter_after(wire: str, server: PracticeServer, raw: Callable[[], Any]) -> None:
    server.reply(Reply(chunks=CHUNKS, fault=Fault.chatter_after(2)))
    connection = raw()
    connection.send(wire)
    connection.socket.settimeout(2.0)
    comment = b"1\r\n\n\r\n" if wire == "ollama" else b": keep-alive"
    got = b""
    while got.count(comment) < 3:
        got += connection.socket.recv(1 << 16)
    assert b" two" in got
    assert " thrée".encode() not in got


def test_linger(wire: str, told: Callable[..., Any]) -> None:
    got, events, text = told(Fault.linger(), patience=SILENCE)
    assert (text, got.error) == (TEXT, "silence")
    assert is_end(wire, events[-1])


def test_reset_before_first(told: Callable[..., Any]) -> None:
    got, *_ = told(Fault.reset_before_first())
    assert (got.status, got.body, got.error) == (200, b"", "reset")


def test_reset_after(told: Callable[..., Any]) -> None:
    got, _, text = told(Fault.reset_after(3))
    assert (text, got.error) == ("One two thrée", "reset")


def test_cut_after(told: Callable[..., Any]) -> None:
    got, events, _ = told(Fault.cut_after(2))
    assert got.error == "cut"
    assert isinstance(events[-1], bytes)


def test_end_early(wire: str, told: Callable[..., Any]) -> None:
    got, events, text = told(Fault.end_early())
    assert (text, got.error) == (TEXT, "")
    assert not any(is_end(wire, event) for event in events)
    got, events, text = told(Fault.end_early(2))
    assert (text, got.error) == ("One two", "")


@pytest.mark.parametrize("after", [0, 2])
def test_error_event(wire: str, told: Callable[..., Any], after: int) -> None:
    got, events, text = told(Fault.error_event(after, 503, "Too much.", "overloaded_error"))
    assert (got.status, got.error, text) == (200, "", "".join(CHUNKS[:after]))
    error = next(event for event in events if "error" in event)
    assert error == (events[0] if after == 0 else error)
    assert "Too much." in json.dumps(error["error"])


def test_malformed_event(told: Callable[..., Any]) -> None:
    _, events, text = told(Fault.malformed_event(2))
    assert text == TEXT
    assert [type(event) for event in events].count(bytes) == 1


@pytest.mark.parametrize("at", [1, 2])
def test_a_lost_event(told: Callable[..., Any], at: int) -> None:
    """Its piece is gone, and nothing stands in for it."""
    _, events, text = told(Fault.lost_event(at))
    assert text == "".join(piece for number, piece in enumerate(CHUNKS, 1) if number != at)
    assert [type(event) for event in events].count(bytes) == 1


def test_invalid_utf8(told: Callable[..., Any]) -> None:
    _, events, text = told(Fault.invalid_utf8())
    assert text == TEXT
    (broken,) = (event for event in events if isinstance(event, bytes))
    assert b"\xff\xfe" in broken
    json.loads(broken.decode(errors="replace"))


def test_unknown_events(told: Callable[..., Any]) -> None:
    got, _, text = told(Fault.unknown_events())
    assert text == TEXT
    assert b"uture" in got.body


def test_not_a_stream(wire: str, server: PracticeServer, ask: Ask) -> None:
    server.reply("Hello", fault=Fault.not_a_stream())
    got = ask(wire)
    assert (got.status, got.headers["content-type"]) == (200, "text/html")
    assert got.body.startswith(b"<html>")
    server.reply("Hello", fault=Fault.not_a_stream("application/json"))
    assert json.loads(ask(wire).body) == {"hello": "world"}


def test_one_byte(told: Callable[..., Any], server: PracticeServer) -> None:
    got, _, text = told(Fault.one_byte())
    assert text == TEXT
    assert {len(chunk) for chunk in got.chunks} == {1}
    assert server.requests[-1].chunks_sent == len(CHUNKS)


@pytest.mark.parametrize("newline", ["\r\n", "\r", "\n"])
def test_newlines(told: Callable[..., Any], newline: str) -> None:
    got, _, text = told(Fault.newlines(newline))
    assert text == TEXT
    others = {"\r\n": b"\r\n", "\r": b"\r", "\n": b"\n"}
    left = got.body.replace(others.pop(newline), b"")
    assert b"\r" not in left
    assert b"\n" not in left


def test_bom(told: Callable[..., Any]) -> None:
    got, _, text = told(Fault.bom())
    assert got.body.startswith(b"\xef\xbb\xbf")
    assert text == TEXT


def test_comments(wire: str, told: Callable[..., Any]) -> None:
    got, events, text = told(Fault.comments())
    assert text == TEXT
    assert got.body.count(b"\n" if wire == "ollama" else b": keep-alive") > len(events)


def test_gzip(told: Callable[..., Any]) -> None:
    got, _, text = told(Fault.gzip())
    assert got.headers["content-encoding"] == "gzip"
    assert text == TEXT
    zipped = zlib.decompressobj(wbits=31)
    assert all(zipped.decompress(chunk) for chunk in got.chunks[:-1])
    zipped.decompress(got.chunks[-1])
    assert zipped.eof


def test_big_event(told: Callable[..., Any]) -> None:
    got, _, text = told(Fault.big_event())
    assert len(text) == len(TEXT) + 3_000_000
    assert max(map(len, got.chunks)) > 3_000_000


def test_no_usage(wire: str, told: Callable[..., Any]) -> None:
    got, _, text = told(Fault.no_usage())
    assert text == TEXT
    for word in (b"prompt_eval_count", b"okenCount", b'"output_tokens"', b"prompt_tokens"):
        assert word not in got.body


def test_no_finish_reason(wire: str, told: Callable[..., Any]) -> None:
    got, events, text = told(Fault.no_finish_reason())
    assert text == TEXT
    assert is_end(wire, events[-1]) is (wire != "gemini")
    for word in (b'"stop"', b"end_turn", b"STOP", b"finishReason"):
        assert word not in got.body


def test_faults_go_together(told: Callable[..., Any]) -> None:
    faults = (Fault.bom(), Fault.comments(), Fault.newlines("\r\n"), Fault.gzip(), Fault.one_byte())
    got, _, text = told(*faults, Fault.unknown_events(), Fault.malformed_event())
    assert text == TEXT
    assert {len(chunk) for chunk in got.chunks} == {1}
    got, _, text = told(*faults, Fault.stall_after(2), patience=SILENCE)
    assert (text, got.error) == ("One two", "silence")


@pytest.mark.parametrize(
    ("fault", "error"),
    [(Fault.stall_after(1), "silence"), (Fault.reset_after(1), "reset"), (Fault.cut_after(1), "cut")],
)
def test_a_body_that_breaks_off(told: Callable[..., Any], fault: Fault, error: str) -> None:
    got, *_ = told(fault, stream=False, patience=SILENCE)
    assert (got.status, got.error) == (200, error)
    assert got.body.startswith(b"{")
    assert len(got.body) > 20


@pytest.mark.parametrize("fault", [Fault.end_early(), Fault.malformed_event()])
def test_a_body_that_is_not_whole(told: Callable[..., Any], fault: Fault) -> None:
    got, *_ = told(fault, stream=False)
    assert got.error == ""
    with pytest.raises(json.JSONDecodeError):
        json.loads(got.body)


def test_a_body_of_bad_utf8(told: Callable[..., Any]) -> None:
    got, *_ = told(Fault.invalid_utf8(), stream=False)
    with pytest.raises(UnicodeDecodeError):
        got.body.decode()


@pytest.mark.parametrize(
    "fault",
    [Fault.gzip(), Fault.one_byte(), Fault.bom(), Fault.comments(), Fault.unknown_events(), Fault.no_usage()],
)
def test_a_body_that_is_odd_but_good(told: Callable[..., Any], fault: Fault) -> None:
    got, *_ = told(fault, stream=False)
    assert got.error == ""
    assert TEXT in json.dumps(json.loads(got.body.removeprefix(b"\xef\xbb\xbf")), ensure_ascii=False)


def test_an_error_in_a_body_of_status_200(told: Callable[..., Any]) -> None:
    got, *_ = told(Fault.error_event(0, 503, "Too much."), stream=False)
    assert got.status == 200
    assert "Too much." in json.dumps(json.loads(got.body)["error"])


def test_a_refused_connection(server: PracticeServer) -> None:
    port = int(server.refused_url().rsplit(":", 1)[1])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
