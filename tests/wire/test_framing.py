"""Bytes, cut anywhere, into payloads."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmring.wire.framing import LineFrames, SSEFrames
from llmring.wire.named_events import NamedSSEFrames

BOM = b"\xef\xbb\xbf"
# Whatever the rules for lines and fields could trip over, in likely neighbourhoods.
FRAGMENTS = [
    *(b"\r", b"\n", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n", b":", b": note", b" ", b"\xef", b"\xbb", b"\xbf", BOM),
    *(
        b"data",
        b"data:",
        b"data: ",
        b"data:  ",
        b"dat",
        b"xdata: ",
        b"event: x",
        b"event",
        b"event:",
        b"id: 1",
        b"retry: 3",
        b"x",
        b"\xff",
    ),
    *("é".encode(), "👋".encode(), b"\x00", b"\xc2\x85", b"\x0b", b"\x0c", b"\x1c", b'{"a": 1}'),
]
documents = st.lists(st.sampled_from(FRAGMENTS), max_size=24).map(b"".join)


def standard(data: bytes) -> list[bytes]:
    """The WHATWG standard, word by word, but for an end that is left out; blank payloads say nothing."""
    payloads, buffer = [], b""
    for line in [*re.split(rb"\r\n|\r|\n", data.removeprefix(BOM)), b"", b""]:
        field, _, value = line.partition(b":")
        if not line:
            if buffer:
                payloads.append(buffer.removesuffix(b"\n"))
            buffer = b""
        elif field == b"data":
            buffer += value.removeprefix(b" ") + b"\n"
    return [payload for payload in payloads if payload.strip()]


def standard_with_names(data: bytes) -> list[tuple[bytes, bytes]]:
    """The same standard, with the type of each event."""
    events, buffer, name = [], b"", b""
    for line in [*re.split(rb"\r\n|\r|\n", data.removeprefix(BOM)), b"", b""]:
        field, _, value = line.partition(b":")
        if not line:
            if buffer:
                events.append((name or b"message", buffer.removesuffix(b"\n")))
            buffer = name = b""
        elif field == b"event":
            name = value.removeprefix(b" ")
        elif field == b"data":
            buffer += value.removeprefix(b" ") + b"\n"
    return [(name, payload) for name, payload in events if payload.strip()]


def fed(frames: LineFrames, pieces: Iterable[bytes]) -> list[bytes]:
    return [payload for piece in pieces for payload in frames.feed(piece)] + frames.close()


@st.composite
def cut_documents(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    data = draw(documents)
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))
    return data, [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@given(cut_documents())
@example((b"data: a\r\ndata: b\n\n", [b"data: a\r", b"", b"\ndata: b\n\n"]))
@example((BOM + b"data: a\n\n", [BOM[:1], b"", BOM[1:2], BOM[2:] + b"d", b"ata: a\n\n"]))
def test_cuts_make_no_difference(cut: tuple[bytes, list[bytes]]) -> None:
    data, pieces = cut
    assert fed(SSEFrames(), pieces) == standard(data)
    assert fed(LineFrames(), pieces) == fed(LineFrames(), [data])


@given(cut_documents())
@example((b"event: a\ndata: 1\n\ndata: 2\n\nevent: b\n\ndata: 3\n\n", []))
@example((b"event: x\r\ndata: 1\r\n\r\n", [b"event: x\r", b"\ndata: 1\r\n\r", b"\n"]))
@example((b"event: x\nevent\ndata: 1\n\n", []))
def test_events_by_their_names(cut: tuple[bytes, list[bytes]]) -> None:
    data, pieces = cut
    wanted = [
        b'{"event":%b,"data":%b}' % (json.dumps(name.decode(errors="replace"), ensure_ascii=False).encode(), payload)
        for name, payload in standard_with_names(data)
    ]
    assert fed(NamedSSEFrames(), pieces or [data]) == wanted


def test_a_name_that_needs_escapes_is_still_json_and_the_end_marker_stays_itself() -> None:
    document = b'event: a"b\xff\ndata: {"x": 1}\n\nevent: end\ndata: [DONE]\n\nerror: {"code": 500}\n\n'
    first, second, third = fed(NamedSSEFrames(), [document])
    assert json.loads(first) == {"event": 'a"b\ufffd', "data": {"x": 1}}
    assert second == b"[DONE]"
    assert json.loads(third) == {"event": "error", "data": {"type": "error", "error": {"code": 500}}}


@given(documents)
def test_one_byte_at_a_time(data: bytes) -> None:
    pieces = [data[at : at + 1] for at in range(len(data))]
    assert fed(SSEFrames(), pieces) == standard(data)
    assert fed(LineFrames(), pieces) == fed(LineFrames(), [data])


HEADS = [b"data: ", b"event: x\ndata: ", b"event: x\r\ndata: ", b"event: x\rdata: ", b"data: a\ndata: ", b"data:"]
MIDDLES = [b'{"a": 1}', b"{", b'{"a":\r1}', b'{"a":\n1}', b"{}\ndata: {}", b"{}\n\ndata: {}", b"[DONE]", b""]
ENDS = [b"\n\n", b"\r\n\r\n", b"\n", b"\r\n", b"\r\r", b"\n\r\n", b"\r", b"\n\n\n", b""]
whole_events = st.lists(
    st.tuples(st.sampled_from([*HEADS, b""]), st.sampled_from(MIDDLES), st.sampled_from(ENDS)).map(b"".join), max_size=6
)


@given(whole_events)
def test_a_read_that_is_one_event_is_split_as_any_other(pieces: list[bytes]) -> None:
    for kind in (SSEFrames, LineFrames):
        expected = fed(kind(), [bytes([byte]) for byte in b"".join(pieces)])
        assert fed(kind(), pieces) == expected
        assert fed(kind(), [b"".join(pieces)]) == expected


@given(documents)
def test_lines_are_what_stands_between_newlines(data: bytes) -> None:
    expected = [line for line in re.split(rb"\r\n|\r|\n", data.removeprefix(BOM)) if line and not line.isspace()]
    assert fed(LineFrames(), [data]) == expected


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_an_event_is_given_as_soon_as_it_is_whole(newline: bytes) -> None:
    frames = SSEFrames()
    assert frames.feed(b"data: 1" + newline) == []
    assert frames.feed(newline) == [b"1"]
    assert frames.feed(b"data: 2" + newline + newline + b"data: 3") == [b"2"]
    assert frames.close() == [b"3"]


@pytest.mark.parametrize(
    ("data", "payloads"),
    [
        (b"data: 1\r\ndata: 2\n\ndata: 3\r\r", [b"1\n2", b"3"]),
        (b"data:1\n\ndata:  2\n\n", [b"1", b" 2"]),
        (b": a comment\n\n:\n\ndata: 1\n: another\ndata: 2\n\n", [b"1\n2"]),
        (b"event: x\nid: 7\nretry: 3\ndata: 1\n\n", [b"1"]),
        (b"event: x\n\ndata: 1\n\n", [b"1"]),
        (b"data\n\ndata:\n\ndata: \n\ndata:  \n\ndata: 1\n\n", [b"1"]),
        (b"data: {\ndata\ndata: }\n\n", [b"{\n\n}"]),
        (b"datax: 1\n\n data: 2\n\nDATA: 3\n\n", []),
        (b"data: 1", [b"1"]),
        (b"data: 1\n", [b"1"]),
        (BOM + b"data: 1\n\n" + BOM + b"data: 2\n\n", [b"1"]),
        (b"", []),
        (BOM, []),
        (BOM[:2], []),
    ],
)
def test_server_sent_events(data: bytes, payloads: list[bytes]) -> None:
    assert fed(SSEFrames(), [data]) == payloads
    assert standard(data) == payloads


def test_a_newline_that_is_none() -> None:
    """Unicode's other line ends are text to server-sent events."""
    data = "data: a\u2028b\x0bc\x0c\x1cd\x85\n\n".encode()
    assert fed(SSEFrames(), [data]) == [data[6:-2]]
    assert fed(LineFrames(), [data[6:]]) == [data[6:-2]]


@pytest.mark.parametrize("frames", [SSEFrames, LineFrames])
@pytest.mark.parametrize("size", [1, 64])
def test_a_big_event_takes_linear_time(frames: type[LineFrames], size: int) -> None:
    """Eight times the bytes take about eight times as long, not sixty-four times."""
    big = 3_000_000 if size > 1 else 400_000

    def seconds(length: int) -> float:
        data = b'data: "' + b"x" * length + b'"\n\n'
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        best = float("inf")
        for _ in range(5):
            splitter = frames()
            began = time.thread_time()
            payloads = fed(splitter, pieces)
            best = min(best, time.thread_time() - began)
            assert [len(payload) for payload in payloads] in ([length + 2], [length + 8])
        return best

    assert seconds(big) < 40 * seconds(big // 8)


@given(st.data())
def test_events_that_only_keep_a_connection_awake_are_left_out(data: st.DataObject) -> None:
    class Frames(NamedSSEFrames):
        ignores = ("beat",)

    document = b'event: beat\ndata: tick\n\nevent: say\ndata: {"t": 1}\n\nevent: beat\n\ndata: {}\n\n'
    at = data.draw(st.integers(0, len(document)))
    wanted = [b'{"event":"say","data":{"t": 1}}', b'{"event":"message","data":{}}']
    assert fed(Frames(), [document[:at], document[at:]]) == wanted
