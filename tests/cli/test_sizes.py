"""The program on terminals of several widths, which change while an answer arrives."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from llmring.testing import Fault, PracticeServer

if sys.platform == "win32":
    pytest.skip("there is no pseudo-terminal", allow_module_level=True)

from .terminal import Terminal

pytestmark = pytest.mark.long

WIDTHS = [40, 80, 200]
ANSWER = """\
# word0 word1

word2 word3 **word4** `word5` word6 word7 word8 word9 [word10](https://example.com) word11 word12 word13 word14 word15

- word16 word17 word18 word19 word20 word21 word22 word23 word24
- word25 word26 word27 word28

```python
word29 = [word30, word31, word32, word33, word34, word35, word36, word37, word38, word39, word40]
```

| word41 | word42 |
|---|---|
| word43 | word44 |

word45 word46 word47 word48 word49 word50 word51 word52 word53 word54 word55 word56 word57 word58 word59 word60
"""
WORDS = re.findall(r"word\d+", ANSWER)

every_width = pytest.mark.parametrize("width", WIDTHS)


@pytest.fixture(autouse=True)
def _project(project: Path, server: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMRING_HISTORY", "off")
    monkeypatch.delenv("NO_COLOR", raising=False)


@every_width
@pytest.mark.parametrize("reflows", [True, False])
@pytest.mark.parametrize("sizes", [[], [(10, 20), (40, 120)], [(6, 120), (10, 60), (30, 30), (24, 90)]])
def test_an_answer_is_shown_once(
    server: PracticeServer, width: int, reflows: bool, sizes: list[tuple[int, int]]
) -> None:
    server.reply(ANSWER, reasoning="think1 think2 think3", interval=0.01)
    with Terminal("chat", width=width, height=20) as terminal:
        terminal.screen.reflows = reflows
        terminal.expect("chatbot> ")
        terminal.say("Show me")
        for number, size in enumerate(sizes):
            terminal.expect(f"word{5 + 8 * number}")
            terminal.resize(*size)
        terminal.expect("word60", "tokens: ", "chatbot> ")
    found = re.findall(r"word\d+", "\n".join(terminal.screen.text()))
    if reflows or not sizes:
        assert found == WORDS
    else:  # this terminal forgets what a narrower window has no room for
        assert found == sorted(set(found), key=lambda word: int(word[4:]))
    assert terminal.raw.count("word60") == 1, "nothing is drawn anew"


@every_width
def test_code_is_copied_as_it_was(server: PracticeServer, width: int) -> None:
    server.reply(ANSWER, interval=0.005)
    with Terminal("chat", width=width) as terminal:
        terminal.expect("chatbot> ")
        terminal.say("Show me")
        terminal.expect("word60", "chatbot> ")
    (code,) = [line for line in ANSWER.splitlines() if "word29" in line]
    assert code in terminal.screen.text()


@every_width
@pytest.mark.parametrize(
    "args",
    [
        ["chat", "hi", "--model", "nobody-bound-this"],
        ["chat", "hi", "--model", "openai:no-such-model", "--temperature", "warm"],
        ["chat", "hi", "-o", "temprature", "1"],
        ["chat", "hi", "--load", "nothing.json"],
        ["chatt"],
        ["lock", "bump-registry"],
    ],
    ids=" ".join,
)
def test_errors_and_remarks_break_between_words(width: int, args: list[str]) -> None:
    with Terminal(*args, width=width) as terminal:
        terminal.ended()
    assert broken(terminal) == []


@every_width
@pytest.mark.parametrize(
    "words",
    [[], ["chat"], ["lock"], ["lock", "init"], ["info"], ["trust"], ["lock", "profile"], ["keys", "set"], ["bind"]],
    ids=" ".join,
)
def test_help_breaks_between_words(width: int, words: list[str]) -> None:
    with Terminal(*words, "--help", width=width) as terminal:
        assert terminal.ended() == 0
    assert broken(terminal) == []


def broken(terminal: Terminal) -> list[str]:
    """The lines that the terminal had to break, but for words that are longer than a line."""
    width, lines = terminal.screen.width, terminal.screen.text()
    return [line for line in lines if len(line) > width and max(map(len, line.split(" "))) < width - 12]


@every_width
def test_remarks_of_a_conversation_break_between_words(server: PracticeServer, width: int) -> None:
    server.reply(status=503, times=2)
    with Terminal("chat", width=width) as terminal:
        terminal.expect("chatbot> ")
        for line in ("/help", "/model nobody", "/save", "/nonsense", "hello"):
            terminal.say(line)
            terminal.expect("chatbot> ")
    assert broken(terminal) == []


@every_width
def test_a_stopped_answer_does_not_claim_a_token(server: PracticeServer, width: int) -> None:
    server.reply("one two three", fault=Fault.stall_after(2))
    with Terminal("chat", width=width) as terminal:
        terminal.expect("chatbot> ")
        terminal.say("Count")
        terminal.expect("one two")
        terminal.type("\x03")
        shown = terminal.expect("Stopped; what had", "chatbot> ")
    assert not re.search(r"\b[01] out", shown)
