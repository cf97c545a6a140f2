"""An answer while it arrives: what stands is never drawn anew, whatever the pieces and the sizes of the window."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.console import Console

from llmring.cli.conversation.screen import THEME, Screen
from llmring.schemas import StreamChunk

from .terminal import Screen as Terminal

LINES = [
    "",
    "",
    "W W W",
    "W `W W` and *W* W",
    "**W W** W",
    "*W **W** W*",
    "W *W",
    "W* W",
    "__W__ a_W_b",
    "~~W~~ ~W",
    "[W](https://w/W) W",
    "[W W",
    "![W](W.png)",
    "[1]: https://w/W",
    "`` W ` W `` W",
    "# W",
    "===",
    "---",
    "- W W",
    "* **W**: W",
    "  - W",
    "  W",
    "1. W",
    "2. W **W",
    "10. W",
    "> W W",
    "```python",
    "```",
    "~~~",
    "    W = W",
    "| W | W |",
    "|---|---|",
    "W | W",
    "<W>W</W>",
    "W\\",
    "\\*W\\* W",
    "日本語W日本語",
]
ANSWERS = st.lists(st.sampled_from(LINES), max_size=16).map("\n".join)


def numbered(text: str) -> str:
    """The text with each of its words another one."""
    parts = text.split("W")
    return parts[0] + "".join(f"w{number}x{part}" for number, part in enumerate(parts[1:]))


def shown(text: str, pieces: list[int], widths: list[int], *, thinks: bool = False) -> Terminal:
    """What a terminal shows of an answer that arrives in such pieces, its window of such widths meanwhile."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=widths[0], height=10, theme=THEME, legacy_windows=False)
    terminal = Terminal(widths[0], 10)
    screen = Screen(console)
    at = number = 0
    with screen.answer("waiting") as answer:
        while at < len(text):
            piece = text[at : at + pieces[number % len(pieces)]]
            answer.add(StreamChunk(reasoning=piece) if thinks else StreamChunk(piece))
            answer.draw()
            at, number = at + len(piece), number + 1
            terminal.feed(out.getvalue().replace("\n", "\r\n"))
            out.seek(0)
            out.truncate()
            console.width = widths[number % len(widths)]
            terminal.resize(console.width, 10)
    terminal.feed(out.getvalue().replace("\n", "\r\n"))
    return terminal


SIZES = st.lists(st.sampled_from([30, 33, 40, 80, 120, 200]), min_size=1, max_size=4)


@settings(max_examples=300, deadline=None)
@given(text=ANSWERS.map(numbered), pieces=st.lists(st.integers(1, 9), min_size=1, max_size=6), widths=SIZES)
@example("a *b w1x `c\nw2x* d` w3x", [1], [40])
@example("- w1x\n- w2x\n\n1. a\n2. b\n3. c\n4. d\n5. e\n6. f\n7. g\n8. h\n9. i\n10. j w3x", [3], [40, 20])
def test_each_word_is_shown_once_and_in_its_place(text: str, pieces: list[int], widths: list[int]) -> None:
    # An address of a picture is shown by nobody, and what stands behind the name of a language neither.
    wanted = re.findall(r"w\d+x", re.sub(r"!\[(.*?)\]\(.*?\)|(?<=```python)\S+", r"\1", text))
    found = re.findall(r"w\d+x", "".join("".join(shown(text, pieces, widths).lines()).split()))
    assert len(found) == len(set(found))
    assert set(wanted) - set(found) <= hidden(text)


def hidden(text: str) -> set[str]:
    """Words that Markdown does not show: those behind the fence that begins code."""
    return set(re.findall(r"w\d+x", " ".join(re.findall(r"^ *(?:```|~~~)(.*)$", text, re.MULTILINE))))


@example(text="w0x\\\n    w1x = w2x", pieces=[1])
@settings(max_examples=100, deadline=None)
@given(text=ANSWERS.map(numbered), pieces=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_what_arrives_in_pieces_looks_as_it_does_in_one(text: str, pieces: list[int]) -> None:
    whole, parts = shown(text, [max(1, len(text))], [60]), shown(text, pieces, [60])
    letters = [re.sub(r"\s", "", "".join(it.lines())) for it in (whole, parts)]
    assert letters[0] == letters[1] or any(mark in text for mark in "`*[~_")


@settings(max_examples=50, deadline=None)
@given(text=ANSWERS.map(numbered), pieces=st.lists(st.integers(1, 9), min_size=1, max_size=6), widths=SIZES)
def test_thinking_is_shown_once_too(text: str, pieces: list[int], widths: list[int]) -> None:
    found = re.findall(r"w\d+x", "".join(shown(text, pieces, widths, thinks=True).lines()))
    assert found == re.findall(r"w\d+x", text)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_lines_break_between_words(width: int) -> None:
    words = [f"word{number}" for number in range(200)]
    lines = shown(" ".join(words), [7], [width]).lines()
    assert " ".join(lines).split() == words
    assert max(map(len, lines)) <= width
    assert len(lines) <= len(" ".join(words)) / (width - 8) + 1


@pytest.mark.parametrize("width", [40, 80])
def test_a_list_goes_on_behind_its_marks(width: int) -> None:
    lines = shown("- " + "word " * 40 + "\n- second\n\n> " + "quoted " * 40, [5], [width]).lines()
    first = [line for line in lines if "word" in line]
    assert first[0].startswith(" • word")
    assert all(line.startswith("   word") for line in first[1:])
    assert all(line.startswith("▌ quoted") for line in lines if "quoted" in line)
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("width", [20, 40, 200])
def test_code_is_copied_as_it_was(width: int) -> None:
    code = ["def f(first, second):", f"    return {' + '.join(f'name{it}' for it in range(30))}", "", "print(f(1, 2))"]
    text = "Look:\n\n```python\n" + "\n".join(code) + "\n```\n\nThat is it.\n"
    copied = shown(text, [5], [width]).text()
    begin = copied.index(code[0])
    assert copied[begin : begin + len(code)] == code


def test_long_code_is_shown_whole() -> None:
    code = [f"name{number} = {number}" for number in range(1500)]
    lines = shown("```python\n" + "\n".join(code) + "\n```\nDone.", [900], [40, 80]).lines()
    assert [line for line in lines if line] == [*code, "Done."]


def test_a_table_fits_the_screen() -> None:
    text = "Before:\n\n| name | what |\n|---|---|\n| one | " + "word " * 20 + "|\n| two | x |\n\nAfter."
    lines = shown(text, [3], [40]).lines()
    assert max(map(len, lines)) <= 40
    assert " ".join(lines).count("word") == 20
    assert lines[-1] == "After."


def test_wide_characters_break_anywhere_and_appear_as_they_come() -> None:
    text = "答えは" * 40
    lines = shown(text, [1], [40]).lines()
    assert "".join(lines) == text
    assert len(lines) >= len(text) * 2 / 40


@pytest.mark.parametrize(
    "piece", ["[a](", "*a ", "`a ", "[a ", "``` a ", "|a", "> ", "**a _b ~~c ", "- ", "1. ", "\\", "![a](b", "#"]
)
@pytest.mark.parametrize("size", [4000])
def test_marks_without_an_end_hold_nothing_up(piece: str, size: int) -> None:
    text = "Begin " + piece * (size // len(piece)) + " w1x"
    lines = shown(text, [800], [80]).lines()
    assert "".join(lines).count("w1x") == 1
