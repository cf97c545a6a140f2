"""Calls that open models write into their text, told apart from it wherever it is cut. The outputs are a data file."""

from __future__ import annotations

import json
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any, cast

import pytest

from llmring.tool_dialects import BrokenCall, Event, Text, dialect, dialect_names

TABLE = json.loads(Path(__file__).with_name("outputs.json").read_text(encoding="utf-8"))
OUTPUTS = [pytest.param(row, id=f"{row['dialect']}: {row['what']}".replace(" ", "-")) for row in TABLE["outputs"]]


def read(name: str, *pieces: str) -> list[Event]:
    """The events of an answer that comes in these pieces, texts that follow each other joined."""
    reader = dialect(name).reader(TABLE["tools"])
    events = [event for piece in pieces for event in reader.feed(piece)] + reader.close()
    assert reader.feed("") == reader.close() == []
    joined: list[Event] = []
    for event in events:
        if isinstance(event, Text) and joined and isinstance(joined[-1], Text):
            joined[-1] = Text(joined[-1].text + event.text)
        else:
            joined.append(event)
    return joined


def shown(event: Event) -> dict[str, Any]:
    if isinstance(event, Text):
        return {"text": event.text}
    if isinstance(event, BrokenCall):
        return {"broken": event.name, "reason": event.reason}
    return {
        "call": event.name,
        "arguments": json.loads(event.arguments),
        **({} if event.id is None else {"id": event.id}),
    }


def agrees(events: list[Event], expected: list[dict[str, Any]]) -> None:
    found = [shown(event) for event in events]
    for one, other in zip(found, expected, strict=False):
        if "reason" in one and one["reason"].find(other.get("reason", "-")) >= 0:
            one["reason"] = other["reason"]
    assert found == expected


@pytest.mark.parametrize("row", OUTPUTS)
def test_an_output_is_read_wherever_it_is_cut(row: dict[str, Any]) -> None:
    name, text = row["dialect"], row["text"]
    whole = read(name, text)
    agrees(whole, row["events"])
    assert read(name, *text) == whole
    for cut in range(1, len(text)):
        assert read(name, text[:cut], text[cut:]) == whole, f"cut at {cut}"
    for length in (2, 3, 7):
        places = [*range(0, len(text), length), len(text)]
        assert read(name, *(text[start:end] for start, end in pairwise(places))) == whole


@pytest.mark.parametrize("row", OUTPUTS)
def test_nothing_that_is_shown_is_taken_back(row: dict[str, Any]) -> None:
    """What has been handed over, after any number of characters, is how the whole begins."""
    text = row["text"]
    whole = read(row["dialect"], text)
    reader = dialect(row["dialect"]).reader(TABLE["tools"])
    said = ""
    for character in text:
        said += "".join(event.text for event in reader.feed(character) if isinstance(event, Text))
        assert "".join(event.text for event in whole if isinstance(event, Text)).startswith(said)


@pytest.mark.parametrize("name", sorted({*dialect_names()} - {"glm", "minimax", "seed", "xml"}))
def test_what_the_model_says_is_text_is_text(name: str) -> None:
    """Where the tool takes anything, and the form has a way to say so: the four others have none."""
    for value in ("2", "true", "[1]", 2, True, [1]):
        written = dialect(name).calls(
            [{"id": "c", "type": "function", "function": {"name": "note", "arguments": json.dumps({"any": value})}}]
        )
        (event,) = map(shown, read(name, written))
        assert (event["call"], event["arguments"]) == ("note", {"any": value})


@pytest.mark.parametrize("name", dialect_names())
def test_no_literal_is_how_another_begins(name: str) -> None:
    """Else what stands there would depend on where it is cut."""
    form = cast("Any", dialect(name))
    for texts in (form.openings, form.joints, (*form.closers, ";", ",", "```")):
        assert [(one, other) for one, other in permutations(texts, 2) if other.startswith(one)] == []


def test_nobody_is_warned_of_what_a_model_wrote(recwarn: pytest.WarningsRecorder) -> None:
    (event,) = read("pythonic", "[get_weather(city=1if 1else 2)]")
    assert isinstance(event, BrokenCall)
    assert not recwarn.list
