"""What a reader takes on at most, however many calls an answer has; and names that are no words."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from llmring.tool_dialects import BrokenCall, Call, Event, Text, ToolReader, dialect

from .test_reading import TABLE, agrees, shown

MOST = 1024
CALLS = {
    "calls": ("hermes", '<tool_call>{"name": "get_time", "arguments": {}}</tool_call>\n'),
    "broken calls": ("auto", "<tools>{x}"),
    "Python's": ("hermes", "<tools>{''}"),
    "no calls": ("hermes", "<tools>{}"),
    "a function's": ("auto", "<function=run>\n<parameter=code>\n1\n</parameter>\n</function>\n"),
    "a list of calls": ("pythonic", "[" + "get_time(), " * 9 + "get_time()]\n"),
    "bare": ("json", '{"name": "get_time", "arguments": {}}\n'),
}


def events_of(reader: ToolReader, text: str, length: int = 4096) -> list[Event]:
    pieces = [text[at : at + length] for at in range(0, len(text), length)]
    return [event for piece in pieces for event in reader.feed(piece)] + reader.close()


@pytest.mark.parametrize(("name", "call"), [pytest.param(*it, id=what.replace(" ", "-")) for what, it in CALLS.items()])
def test_a_flood_of_calls_is_little_work(name: str, call: str) -> None:
    """Counted in functions that are called, as time would depend on the machine."""

    def work(times: int) -> int:
        steps = 0

        def count(frame: object, event: str, argument: object) -> None:
            nonlocal steps
            steps += event in ("call", "c_call")

        reader, text, before = dialect(name).reader(TABLE["tools"]), call * times, sys.getprofile()
        sys.setprofile(count)
        try:
            events_of(reader, text)
        finally:
            sys.setprofile(before)
        return steps

    small, large = work(2 * MOST), work(6 * MOST)
    assert large - small < 4 * MOST * len(call) / 64


@pytest.mark.parametrize("length", [7, 1 << 20])
@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>{"name": "get_time", "arguments": {}}</tool_call>\n' * (MOST + 9) + "So.",
        "<tool_call>["
        + '{"name": "get_time", "arguments": {}},' * (MOST + 8)
        + '{"name": "get_time"}]</tool_call> So.',
    ],
)
def test_what_is_more_than_the_most_calls_is_broken(text: str, length: int) -> None:
    *calls, last = events_of(dialect("hermes").reader(TABLE["tools"]), text, length)
    assert calls == [Call("get_time", "{}")] * MOST
    assert isinstance(last, BrokenCall)
    assert last.reason == "the answer has more than 1,024 calls, or what looks like some"


@pytest.mark.parametrize("length", [7, 1 << 20])
def test_what_only_looks_like_calls_is_all_there(length: int) -> None:
    text = '<tool_call>{"name": "somebody"}</tool_call>\n' * (MOST + 9) + "So."
    events = events_of(dialect("hermes").reader(TABLE["tools"]), text, length)
    assert all(isinstance(event, Text) for event in events)
    said = "".join(event.text for event in events if isinstance(event, Text))
    assert said.count("somebody") == MOST + 9
    assert said.endswith("So.")


def test_what_has_more_values_than_are_looked_at_is_broken() -> None:
    def call(values: int) -> str:
        written = json.dumps({"name": "note", "arguments": {"any": [0] * values}})
        return f"<tool_call>{written}</tool_call>"

    reader = dialect("hermes").reader(TABLE["tools"])
    small, large, after = events_of(reader, call(20_000) + call(20_000) + call(1))
    assert isinstance(small, Call)
    for broken in (large, after):
        assert isinstance(broken, BrokenCall)
        assert broken.reason == (
            "the arguments do not fit: there are more than 32,768 values in the calls of the answer"
        )


def test_more_python_than_is_read_is_broken() -> None:
    call = f"[run(code={'x' * 60_000!r})]\n"
    *calls, last = events_of(dialect("pythonic").reader(TABLE["tools"]), call * 5)
    assert [type(event) for event in calls] == [Call] * 4
    assert isinstance(last, BrokenCall)
    assert "more than 262,144 characters of Python" in last.reason


# Names


def tools(*names: str) -> list[dict[str, Any]]:
    return [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in names]


ODD = ["mcp:search", "a/b", "a/b/c", "get-time", "lambda", "mcp", "two words"]


def told(form: str, text: str, names: list[str] = ODD) -> list[dict[str, Any]]:
    """What is read, the same wherever it is cut."""
    whole = [shown(it) for it in events_of(dialect(form).reader(tools(*names)), text)]
    for length in (1, 3):
        events = events_of(dialect(form).reader(tools(*names)), text, length)
        if all(not isinstance(event, Text) for event in events):
            agrees(events, whole)
    return whole


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize(
    ("form", "call"),
    [
        ("pythonic", "[NAME(a='NAME(a=1)')]"),
        ("hermes", '<tool_call>{"name": "NAME", "arguments": {"a": "NAME(a=1)"}}</tool_call>'),
        ("function", '<function=NAME>{"a": "NAME(a=1)"}</function>'),
        ("xml", "<tool_call>\n<function=NAME>\n<parameter=a>\nNAME(a=1)\n</parameter>\n</function>\n</tool_call>"),
        ("mistral", '[TOOL_CALLS]NAME[ARGS]{"a": "NAME(a=1)"}'),
        ("kimi", '<|tool_call_begin|>functions.NAME:0<|tool_call_argument_begin|>{"a": "NAME(a=1)"}<|tool_call_end|>'),
    ],
)
def test_a_name_may_have_any_characters(form: str, call: str, name: str) -> None:
    (event,) = told(form, call.replace("NAME", name))
    assert (event["call"], event["arguments"]) == (name, {"a": f"{name}(a=1)"})


def test_names_beside_each_other() -> None:
    read = told(
        "pythonic", """[a/b/c(x='''its "a/b("'''), # lambda ()\n a/b(y="# lambda("), lambda(z=-1), mcp (w=+1)]"""
    )
    assert read == [
        {"call": "a/b/c", "arguments": {"x": 'its "a/b("'}},
        {"call": "a/b", "arguments": {"y": "# lambda("}},
        {"call": "lambda", "arguments": {"z": -1}},
        {"call": "mcp", "arguments": {"w": 1}},
    ]


@pytest.mark.parametrize("stranger", ["_0", "_1", "_\uff12"])
def test_nothing_that_a_model_may_write_stands_in_for_a_name(stranger: str) -> None:
    calls = [it.get("call") for it in told("pythonic", f"[a/b(), {stranger}()]")]
    assert calls == ["a/b", None]


@pytest.mark.parametrize("flood", ["'''\\", "_", "'", "_1 ", "\"\"\"'''", "a/b(", "a/", "\\'''"])
def test_a_text_that_does_not_end_is_broken(flood: str) -> None:
    (event,) = told("pythonic", "[a/b(x=" + flood * 2000)
    assert event["broken"] == "a/b"


def test_the_words_of_json_are_values_only() -> None:
    (event,) = told("pythonic", "[mcp(a=true, b=[null, false], c='true', true=1)]")
    assert event == {"call": "mcp", "arguments": {"a": True, "b": [None, False], "c": "true", "true": 1}}
    (event,) = told("pythonic", "[mcp(a=other)]")
    assert event == {"broken": "mcp", "reason": "an argument is no literal value"}
