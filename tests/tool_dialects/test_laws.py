"""What holds of every reader, whatever a model writes."""

from __future__ import annotations

import json
import string
import sys
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmring.schemas import ToolCall
from llmring.tool_dialects import MAX_CALL, BrokenCall, Call, Event, Text, ToolReader, dialect, dialect_names

from .test_reading import TABLE, read

NAMES = sorted(dialect_names())
ODD = st.lists(st.sampled_from(TABLE["pieces"]), max_size=24).map("".join)
CUTS = st.lists(st.integers(0, 200), max_size=12)


def pieces_of(text: str, cuts: list[int]) -> list[str]:
    places = [0, *sorted({cut for cut in cuts if cut < len(text)}), len(text)]
    return [text[start:end] for start, end in pairwise(places)]


@pytest.mark.parametrize("name", NAMES)
@given(text=ODD, cuts=CUTS)
def test_every_cut_gives_the_same(name: str, text: str, cuts: list[int]) -> None:
    whole = read(name, text)
    assert read(name, *pieces_of(text, cuts)) == whole
    assert read(name, *text) == whole


@pytest.mark.parametrize("name", NAMES)
@given(text=ODD)
def test_text_without_a_call_is_shown_entire(name: str, text: str) -> None:
    events = read(name, text)
    if all(isinstance(event, Text) for event in events):
        assert events == ([Text(text)] if text else [])


@pytest.mark.parametrize("name", NAMES)
@given(text=ODD)
@example(text='\n```json\n{"name": "get_time", "arguments": {')
def test_what_is_not_told_is_held(name: str, text: str) -> None:
    """Nothing is lost between the two: text so far is what was told, and what is held."""
    reader = dialect(name).reader(TABLE["tools"])
    told = ""
    for at, character in enumerate(text, 1):
        events = reader.feed(character)
        if not all(isinstance(event, Text) for event in events):
            return
        told += "".join(event.text for event in events if isinstance(event, Text))
        assert told + reader.held == text[:at]


def test_texts_that_follow_each_other_are_one_event() -> None:
    reader = dialect("json").reader(TABLE["tools"])
    assert reader.feed("a\n{b\n{c\n[d") == [Text("a\n{b\n{c\n[d")]


def test_python_that_is_too_long_is_broken() -> None:
    def read_long(length: int) -> list[Event]:
        rest = length - len("[run(code='')]")
        return read("pythonic", f"[run(code='{'x' * rest}')]")

    assert isinstance(read_long(65_536)[0], Call)
    [broken] = read_long(65_537)
    assert isinstance(broken, BrokenCall)
    assert "65,536" in broken.reason


@given(text=ODD, cuts=CUTS)
def test_without_tools_all_is_text(text: str, cuts: list[int]) -> None:
    reader = dialect("auto").reader([])
    pieces = [piece for piece in pieces_of(text, cuts) if piece]
    assert [event for piece in pieces for event in reader.feed(piece)] == list(map(Text, pieces))
    assert reader.close() == []


@pytest.mark.parametrize("name", NAMES)
@given(text=ODD)
def test_arguments_always_fit(name: str, text: str) -> None:
    """A call is of a tool of the request, and says what the tool wants: never nothing in the place of something."""
    for event in read(name, text):
        if isinstance(event, Call):
            assert event.name in ("get_time", "get_weather", "search", "run")
            arguments = json.loads(event.arguments)
            assert arguments == {} if event.name == "get_time" else set(arguments) >= {"city"}
        elif isinstance(event, BrokenCall):
            assert event.written in text


PLAIN = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
INNER = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False)
    | PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
    max_leaves=8,
)
AREA = st.fixed_dictionaries(
    {}, optional={"shape": PLAIN, "dimensions": st.dictionaries(PLAIN, INNER, max_size=3), "precision": st.integers()}
).filter(lambda arguments: "</" not in str(arguments) and "<parameter" not in str(arguments))


def as_call(name: str, arguments: Any) -> ToolCall:
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


@pytest.mark.parametrize("name", NAMES)
@given(arguments=st.lists(AREA, min_size=1, max_size=3), cuts=CUTS)
@example(arguments=[{"shape": "\n\n a \n"}, {"shape": "'\"\\`{[("}], cuts=[])
@example(arguments=[{"shape": '"in quotes"'}, {"shape": "null"}, {"precision": -1}], cuts=[1])
def test_what_a_dialect_writes_it_reads(name: str, arguments: list[dict[str, Any]], cuts: list[int]) -> None:
    written = dialect(name).calls([as_call("area", each) for each in arguments])
    events = read(name, *pieces_of(written, cuts))
    assert [(type(event), json.loads(getattr(event, "arguments", "null"))) for event in events] == [
        (Call, each) for each in arguments
    ]


@pytest.mark.parametrize("name", NAMES)
@given(before=st.text(string.ascii_letters + " .\n", min_size=1, max_size=20), cuts=CUTS)
def test_text_before_a_call_is_shown(name: str, before: str, cuts: list[int]) -> None:
    written = before + "\n" + dialect(name).calls([as_call("get_time", {})])
    *shown, call = read(name, *pieces_of(written, cuts))
    assert shown == ([Text(before + "\n")] if before.strip() else [])
    assert isinstance(call, Call)
    assert (call.name, call.arguments) == ("get_time", "{}")


HUGE = {
    "text": "word " * 1000,
    "openings": "<tool_call>" * 500,
    "half an opening": "<tool_ca" * 500,
    "braces": "{\n" * 2000,
    "brackets": "[\n" * 2000,
    "blanks": "[TOOL_CALLS]" + " " * 4000,
    "fences": "```\n" * 1000,
    "keys": '{"name": ' * 500,
    "objects that are no calls": '{"arguments": 1}\n' * 250,
    "calls": '<tool_call>{"name": "get_time", "arguments": {}}</tool_call>\n' * 80,
    "calls of functions": "<function=get_weather>\n<parameter=city>\nx\n</parameter>\n</function>\n" * 80,
    "an argument": '<tool_call>{"name": "run", "arguments": {"code": "' + "\\n" * 2000,
    "a value": "<function=run>\n<parameter=code>\n" + "a < b\n" * 700,
    "ends of functions": "<function=run>\n<parameter=code>\n" + "</function>\n" * 350,
    "nested": "<tool_call>" + "[" * 4000,
    "Python": "[run(code=" + "(" * 4000,
    "blanks behind a call": '<tool_call>{"name": "get_time", "arguments": {}}</tool_call>' + " ; " * 1500,
}


@pytest.mark.parametrize("text", [pytest.param(text, id=what.replace(" ", "-")) for what, text in HUGE.items()])
def test_time_grows_with_the_text(text: str) -> None:
    def cost(times: int, length: int) -> float:
        rounds = []
        for _ in range(3):
            reader = dialect("auto").reader(TABLE["tools"])
            long = text + text[-2000:] * (times * 2)
            began = time.process_time()
            for start in range(0, len(long), length):
                reader.feed(long[start : start + length])
            reader.close()
            rounds.append(time.process_time() - began)
        return min(rounds)

    for length in (7, 1 << 30):
        small, large = cost(2, length), cost(16, length)
        assert large < 24 * small + 0.05  # in proportion it is some six times, with the square some forty


OPENINGS = ["<tool_call>", "<tools>", "<function=", "[TOOL_CALLS]", "functools", "{\n", "[\n", "  \n{", "```\n", "<"]


@pytest.mark.parametrize("opening", OPENINGS)
@pytest.mark.parametrize("name", ["auto", "hermes", "llama"])
def test_a_flood_of_openings_is_little_work(name: str, opening: str) -> None:
    """Counted in functions that are called for each character, as time would depend on the machine."""

    def work(text: str, length: int) -> float:
        steps = 0

        def count(frame: object, event: str, argument: object) -> None:
            nonlocal steps
            steps += event in ("call", "c_call")

        reader, before = dialect(name).reader(TABLE["tools"]), sys.getprofile()
        sys.setprofile(count)
        try:
            for at in range(0, len(text), length):
                reader.feed(text[at : at + length])
        finally:
            sys.setprofile(before)
        return steps / len(text)

    flood = opening * (1 << 12)
    assert work(flood, len(flood)) < 5
    assert work(flood, 5) < 12


def events_of(reader: ToolReader, *pieces: str) -> list[Event]:
    return [event for piece in pieces for event in reader.feed(piece)] + reader.close()


def test_a_call_that_is_too_long_is_broken() -> None:
    long = '<tool_call>{"name": "run", "arguments": {"code": "' + "x" * MAX_CALL + '"}}</tool_call> So.'
    for length in (1 << 16, 1 << 30):
        reader = dialect("hermes").reader(TABLE["tools"])
        broken, text = events_of(reader, *(long[at : at + length] for at in range(0, len(long), length)))
        assert isinstance(broken, BrokenCall)
        assert broken.written == long[:MAX_CALL]
        assert "longer than" in broken.reason
        assert text == Text("So.")
