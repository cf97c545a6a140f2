"""What the vendors' words mean: a table of them, with where each was seen, in `wording.json`.

A row holds for whoever says so, its vendor or a server that speaks like it. Its `codes` are said as such; one of its
`words` stands in the message, in any case, where `*` is at most some words of one sentence. `statuses` are those for
which it holds; a row that names none holds for any. Looking takes time in proportion to the message, which is cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple

from pydantic_core import from_json

from ..wire.errors import WireError, cut

__all__ = ["Meaning", "meaning_of"]

Meaning = Literal["no_credit", "no_model", "too_long", "bad_key", "no_route"]

_GAP = 120
"""Characters that a `*` stands for at most: the name of a model, and a few words."""
_LOOKED_AT = 4096
"""Characters of a message, at either end: in its middle is what the server was sent."""


class _Row(NamedTuple):
    """One row of the table."""

    means: Meaning
    codes: frozenset[str]
    words: tuple[tuple[str, ...], ...]
    statuses: frozenset[int]


@cache
def _rows() -> tuple[_Row, ...]:
    table = from_json((files(__package__) / "wording.json").read_bytes())
    return tuple(
        _Row(
            row["means"],
            frozenset(row.get("codes", ())),
            tuple(tuple(words.split("*")) for words in row.get("words", ())),
            frozenset(row.get("statuses", ())),
        )
        for row in table
    )


def meaning_of(failure: WireError) -> Meaning | None:
    """What a vendor says of a failure, as far as its words are known; a code is believed before a message."""
    rows = [row for row in _rows() if not row.statuses or failure.status is None or failure.status in row.statuses]
    for row in rows:
        if not row.codes.isdisjoint(failure.codes):
            return row.means
    # The end of a message is a mark, too.
    message = cut(failure.message, _LOOKED_AT, _LOOKED_AT).lower() + "\n"
    return next((row.means for row in rows if any(_says(message, words) for words in row.words)), None)


def _says(message: str, words: tuple[str, ...]) -> bool:
    """Whether these follow each other in one sentence."""
    *before, last = words
    return any(_ends_with(message[max(0, place - _GAP) : place], before) for place in _places(message, last))


def _ends_with(before: str, words: list[str]) -> bool:
    sentence = before[max(before.rfind(". "), before.rfind("\n")) + 1 :]
    end = len(sentence)
    for word in reversed(words):
        end = sentence.rfind(word, 0, end)
        if end < 0:
            return False
    return True


def _places(message: str, word: str) -> Iterator[int]:
    place = message.find(word)
    while place >= 0:
        yield place
        place = message.find(word, place + len(word))
