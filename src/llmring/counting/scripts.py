"""How much text there is in which script: what an estimate of its tokens is made of."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter

__all__ = ["KINDS", "measure"]

# The Unicode Standard, "Blocks": where each begins, and what the letters from there on are to an estimate.
_BLOCKS: tuple[tuple[int, str], ...] = (
    (0x0000, "other"),
    (0x0009, "space"),
    (0x000E, "other"),
    (0x0020, "space"),
    (0x0021, "mark"),
    (0x0030, "digit"),
    (0x003A, "mark"),
    (0x0041, "latin"),
    (0x005B, "mark"),
    (0x0061, "latin"),
    (0x007B, "mark"),
    (0x007F, "other"),
    (0x00A0, "mark"),
    (0x00C0, "accented"),
    (0x0370, "greek"),
    (0x0400, "cyrillic"),
    (0x0530, "other"),
    (0x0590, "hebrew"),
    (0x0600, "arabic"),
    (0x0700, "other"),
    (0x0750, "arabic"),
    (0x0780, "other"),
    (0x08A0, "arabic"),
    (0x0900, "indic"),
    (0x0E00, "thai"),
    (0x0E80, "other"),
    (0x1E00, "accented"),
    (0x1F00, "greek"),
    (0x2000, "mark"),
    (0x2190, "other"),
    (0x3000, "mark"),
    (0x3040, "kana"),
    (0x3100, "han"),
    (0x3130, "hangul"),
    (0x3190, "han"),
    (0xA4D0, "other"),
    (0xAC00, "hangul"),
    (0xD7B0, "other"),
    (0xF900, "han"),
    (0xFB00, "other"),
    (0xFB50, "arabic"),
    (0xFE00, "other"),
    (0xFF00, "mark"),
    (0xFFF0, "other"),
    (0x20000, "han"),
    (0x32000, "other"),
)
_STARTS = [start for start, _ in _BLOCKS]
KINDS = ("run", *dict.fromkeys(kind for _, kind in _BLOCKS))
"""Of characters. `run` is what follows the third of the same in a row, which tokens have many of at once."""
_STEP = 64 * 1024
"""Characters that are looked at together: other threads wait meanwhile."""
_RUNS = re.compile(r"(.)\1{3,}", re.DOTALL)


def measure(text: str) -> Counter[str]:
    """How many characters of each of `KINDS` it has."""
    letters: Counter[str] = Counter()
    runs = 0
    for at in range(0, len(text), _STEP):
        piece = text[at : at + _STEP]
        short = _RUNS.sub(r"\1\1\1", piece)
        runs += len(piece) - len(short)
        letters.update(short)
    found = Counter({"run": runs} if runs else ())
    for letter, times in letters.items():
        found[_BLOCKS[bisect_right(_STARTS, ord(letter)) - 1][1]] += times
    return found
