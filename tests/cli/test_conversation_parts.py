"""The parts of the conversation that need no terminal: what of an answer is finished, and where the history is."""

from __future__ import annotations

import json
import os
import signal
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring.cli.conversation.keyboard import KEPT, History, Interrupts, history_path
from llmring.cli.conversation.markdown import blocks, cut
from llmring.cli.transcript import Transcript
from llmring.schemas import LLMResponse, Message
from llmring.service import LLMRing
from llmring.talk import Totals, Turn

LINES = ["", "text", "text with `code` and *more*", "# heading", "===", "---", "- item", "  - inner", "  inside"]
LINES += [
    "1. one",
    "2. two",
    "> quote",
    "```python",
    "```",
    "~~~",
    "    indented",
    "| a | b |",
    "|---|---|",
    "| 1 | 2 |",
]
LINES += ["<div>", "a\u2028b", ""]
ANSWERS = st.lists(st.sampled_from(LINES), max_size=25).map("\n".join)


def ends(found: list[str]) -> set[int]:
    """How far each block reaches, from the beginning."""
    reached, out = 0, set()
    for block in found:
        reached += len(block)
        out.add(reached)
    return out


@given(text=ANSWERS, pieces=st.lists(st.integers(1, 9), min_size=1))
def test_what_is_finished_stays_as_it_is(text: str, pieces: list[int]) -> None:
    """However an answer is cut, what is printed for good are blocks of the whole answer, and nothing is lost."""
    printed: list[str] = []
    unfinished, at, number = "", 0, 0
    while at < len(text):
        step = pieces[number % len(pieces)]
        unfinished += text[at : at + step]
        at, number = at + step, number + 1
        finished, unfinished = cut(unfinished)
        printed += [finished] if finished else []
    assert "".join(printed) + unfinished == text
    assert ends(printed) <= ends(blocks(text))


def test_blocks_are_finished_once_the_next_one_begins() -> None:
    assert cut("# Title\n\nSome te") == ("", "# Title\n\nSome te"), "the line is not ended yet"
    assert cut("# Title\n\nSome text\n") == ("# Title\n\n", "Some text\n")
    assert cut("- one\n\n- two\n") == ("", "- one\n\n- two\n"), "a list goes on"
    assert cut("```\na\n\nb\n") == ("", "```\na\n\nb\n"), "code goes on until its end"
    assert cut("```\na\n```\nb\n") == ("```\na\n```\n", "b\n")


@pytest.mark.skipif(os.name == "nt", reason="other folders there")
@pytest.mark.parametrize(
    ("variables", "path"),
    [
        ({}, "home/.local/state/llmring/history"),
        ({"XDG_STATE_HOME": "/state"}, "/state/llmring/history"),
        ({"XDG_STATE_HOME": "state"}, "home/.local/state/llmring/history"),
        ({"LLMRING_HISTORY": "~/mine"}, "home/mine"),
        ({"LLMRING_HISTORY": "off"}, None),
    ],
)
def test_where_the_history_is(
    bare: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], path: str | None
) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(bare / "home"))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert history_path() == (bare / path if path else None)


def test_a_history_of_many_lines(bare: Path) -> None:
    history = History(bare / "history")
    assert history.load() == []
    history.add("one\ntwo ü")
    with (bare / "history").open("ab") as file:
        file.write(b'broken\n{"no": "text"}\n\xff\n')
    history.add("three")
    assert history.load() == ["one\ntwo ü", "three"], "what is no entry is left out"


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="nothing says which files are open")
def test_a_history_keeps_no_file_open(bare: Path) -> None:
    before = len(os.listdir("/dev/fd"))
    history = History(bare / "history")
    history.add("one")
    history.add("two")
    assert history.load() == ["one", "two"]
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.skipif(os.name == "nt", reason="no such permissions there")
def test_a_history_that_others_could_read_is_closed_to_them(bare: Path) -> None:
    (bare / "history").touch(mode=0o644)
    (bare / "history").chmod(0o644)
    History(bare / "history").add("one")
    assert stat.S_IMODE((bare / "history").stat().st_mode) == 0o600


def test_a_history_does_not_grow_for_ever(bare: Path) -> None:
    file = bare / "history"
    file.write_text("".join(f"{json.dumps(str(number))}\n" for number in range(2 * KEPT + 1)))
    history = History(file)
    assert history.load() == [str(number) for number in range(KEPT + 1, 2 * KEPT + 1)]
    assert len(file.read_text().splitlines()) == KEPT
    assert os.listdir(bare) == ["history"]


def test_what_was_asked_again_or_forgotten_was_paid_all_the_same() -> None:
    totals = Totals()
    turn = Turn("chatbot", usage={"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}, cost=0.5)
    for _ in range(2):
        totals.add(turn)
    assert (totals.requests, totals.usage and totals.usage["total_tokens"], totals.cost) == (2, 14, 1.0)
    assert totals.is_whole
    totals.add(Turn("chatbot", outcome="stopped"))
    assert not totals.is_whole


def test_a_turn_takes_the_place_of_the_one_that_it_repeats() -> None:
    conversation = Transcript(LLMRing(), "chatbot")

    def turn(text: str) -> Turn:
        answer = [Message(role="assistant", content=text)] if text else []
        response = LLMResponse("a:b", text) if text else None
        return Turn("chatbot", [conversation.question(text)], answer, response=response)

    first, second, better, failed = map(turn, ("one", "two", "better", ""))
    conversation.turns = [first, failed]
    assert not conversation.settle(second)
    assert conversation.turns == [first, second], "nothing came of it"
    conversation.turns = [first, better]
    assert conversation.settle(second)
    assert conversation.turns == [first, better]
    again = replace(failed)
    conversation.turns = [first, again]
    assert conversation.settle(failed)
    assert conversation.turns[-1] is again
    part = replace(better, outcome="stopped")
    conversation.turns = [part]
    assert not conversation.settle(first)
    conversation.turns = [part]
    assert conversation.settle(replace(first, outcome="failed"))


def test_ctrl_c_does_one_thing_at_a_time_and_that_once() -> None:
    done: list[str] = []
    interrupts = Interrupts()
    with interrupts.heard():
        with interrupts.doing(lambda: done.append("outer")):
            with interrupts.doing(lambda: done.append("inner")):
                for _ in range(3):
                    signal.raise_signal(signal.SIGINT)
                assert done == ["inner"], "what is pressed in a hurry does nothing"
            with interrupts.doing(None):
                signal.raise_signal(signal.SIGINT)
            for _ in range(2):
                signal.raise_signal(signal.SIGINT)
            assert done == ["inner", "outer"]
        signal.raise_signal(signal.SIGINT)
        assert done == ["inner", "outer"], "between two things, it does nothing"
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
