"""What the vendors' words mean: the `words` of `vendors.json`, each row with where it was seen.

A row holds for whoever says so, its vendor or a server that speaks like it. Its `codes` are said as such; one of its
`words` stands in the message, in any case, where `*` is at most some words of one sentence. `statuses` are those for
which it holds; a row that names none holds for any. `unless` are words that say, in a `*` or right behind, that it is
about something else: a feature, or what was sent. Looking takes time in proportion to the message, which is cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Literal, NamedTuple, get_args

from ..vendors import of_vendors
from ..wire.errors import WireError, cut

__all__ = ["Meaning", "meaning_of"]

Meaning = Literal["no_model", "no_credit", "too_long", "bad_key", "no_route"]
"""What words of several kinds mean is the first of these."""

_GAP = 120
"""Characters that a `*` stands for at most: the name of a model, and a few words."""
_NEXT = 6
"""Words behind that may say what the talk is of: "is not available for use with tools"."""
_LOOKED_AT = 4096
"""Characters of a message, at either end: in its middle is what the server was sent."""


class _Row(NamedTuple):
    """One row of the table."""

    means: Meaning
    codes: frozenset[str]
    words: tuple[tuple[str, ...], ...]
    statuses: frozenset[int]
    unless: frozenset[str]


@cache
def _rows() -> tuple[_Row, ...]:
    """Those of every vendor, in the order of what they mean."""
    rows = [
        _Row(
            row["means"],
            frozenset(row.get("codes", ())),
            tuple(tuple(words.split("*")) for words in row.get("words", ())),
            frozenset(row.get("statuses", ())),
            frozenset(row.get("unless", ())),
        )
        for of_vendor in of_vendors("words").values()
        for row in of_vendor
    ]
    return tuple(sorted(rows, key=lambda row: get_args(Meaning).index(row.means)))


def meaning_of(failure: WireError) -> Meaning | None:
    """What a vendor says of a failure, as far as its words are known; a code is believed before a message."""
    rows = [row for row in _rows() if not row.statuses or failure.status is None or failure.status in row.statuses]
    for row in rows:
        if not row.codes.isdisjoint(failure.codes):
            return row.means
    # The end of a message is a mark, too.
    message = cut(failure.message, _LOOKED_AT, _LOOKED_AT).lower() + "\n"
    return next((row.means for row in rows if any(_says(message, words, row.unless) for words in row.words)), None)


def _says(message: str, words: tuple[str, ...], unless: frozenset[str]) -> bool:
    """Whether these follow each other in one sentence, and are said of nothing else."""
    *before, last = words
    for place in _places(message, last):
        sentence = message[max(0, place - _GAP) : place]
        sentence = sentence[max(sentence.rfind(". "), sentence.rfind("\n")) + 1 :]
        begin = _begin(sentence, before)
        if begin is not None and unless.isdisjoint(_things(message, sentence[begin:], place + len(last))):
            return True
    return False


def _begin(sentence: str, words: list[str]) -> int | None:
    """Where the first of some words begins, each of which stands behind the one before; `None` if one is not there."""
    begin = len(sentence)
    for word in reversed(words):
        begin = sentence.rfind(word, 0, begin)
        if begin < 0:
            return None
    return begin


def _things(message: str, gap: str, end: int) -> list[str]:
    """The words in a gap, and the next few of the same sentence: a name has no space, so `gpt-image-1` is one."""
    rest = message[end : end + _GAP].partition("\n")[0].partition(". ")[0]
    return [word.strip(".,;:!?()") for word in (*gap.split(), *rest.split()[:_NEXT])]


def _places(message: str, word: str) -> Iterator[int]:
    place = message.find(word)
    while place >= 0:
        yield place
        place = message.find(word, place + len(word))
