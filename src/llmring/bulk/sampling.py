"""Answers that are there, as a sample of those to come: what they were billed for, beside what was estimated."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

__all__ = ["Line", "Sample", "Sampled", "in_proportion", "with_length"]

_MOST = 300
"""Answers that are kept, as a sample of all."""
_FEW = 8
"""Answers by which nobody can tell whether longer questions have longer answers."""
_OFFSET, _SLOPE = 100.0, 0.5
"""How far an estimate of input may be off, before any was billed: tokens of each request, and a part of them."""
_NOISE, _SPREAD = 3.0, 0.05
"""By how many tokens, and what part of them, two requests of one kind differ."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """An answer that is there.

    Attributes:
        asked: a digest of what was asked, and of whom.
        prompt, completion: tokens that were billed.
        read, written: of the input, what came from a cache, and what went to one.
        seconds: how long it took; `None` where that says nothing, as in a batch.
    """

    asked: str
    prompt: int
    completion: int
    read: int = 0
    written: int = 0
    seconds: float | None = None


class Sample:
    """Some of the answers of a file, each as likely as any other."""

    def __init__(self) -> None:
        self._kept: dict[str, Sampled] = {}
        self._keys: list[str] = []
        self._count = 0
        self._chance = random.Random(0)  # noqa: S311

    def take(self, line: dict[str, Any]) -> None:
        """Look at a line of the file."""
        key, place = line["key"], len(self._keys)
        self._count += 1
        if key not in self._kept and place == _MOST and (place := self._chance.randrange(self._count)) >= _MOST:
            return
        if (found := _sampled(line)) is None:
            return
        if key not in self._kept and place < len(self._keys):
            del self._kept[self._keys[place]]
            self._keys[place] = key
        elif key not in self._kept:
            self._keys.append(key)
        self._kept[key] = found

    def of(self, key: str, asked: str) -> Sampled | None:
        """The answer to a row, if what was asked is what is asked now."""
        found = self._kept.get(key)
        return found if found is not None and found.asked == asked else None

    def all(self) -> list[Sampled]:
        """Those that are kept."""
        return list(self._kept.values())


def _sampled(line: dict[str, Any]) -> Sampled | None:
    usage: Any = line.get("usage")
    seconds: Any = line.get("seconds")
    try:
        return Sampled(
            str(line.get("asked")),
            int(usage["prompt_tokens"]),
            int(usage["completion_tokens"]),
            int(usage.get("cache_read_tokens") or 0),
            int(usage.get("cache_write_tokens") or 0),
            float(seconds) if seconds is not None else None,
        )
    except (TypeError, ValueError, KeyError, AttributeError):
        return None  # it has none


@dataclass(frozen=True, slots=True)
class Line:
    """What something comes to, by something else: a straight line, from a least value on."""

    offset: float
    slope: float
    least: float = -inf

    def at(self, value: float) -> float:
        """What it comes to."""
        return max(self.offset + self.slope * value, self.least)


def in_proportion(pairs: Sequence[tuple[float, float]]) -> Line:
    """What is billed, by the estimate of it: where they were equal if nothing was billed yet.

    Args:
        pairs: estimates, and what was billed.
    """
    # Least squares, of the pairs and of two more that say: the offset is nearly 0, and the slope nearly 1.
    rows = [(1 / _OFFSET, 0.0, 0.0), (0.0, 1 / _SLOPE, 1 / _SLOPE)]
    for guess, billed in pairs:
        weight = 1 / (_NOISE + _SPREAD * billed)
        rows.append((weight, weight * guess, weight * billed))
    aa, ab, bb = _sum(a * a for a, _, _ in rows), _sum(a * b for a, b, _ in rows), _sum(b * b for _, b, _ in rows)
    ay, by = _sum(a * y for a, _, y in rows), _sum(b * y for _, b, y in rows)
    whole = aa * bb - ab * ab
    found = Line((bb * ay - ab * by) / whole, (aa * by - ab * ay) / whole, least=1.0)
    if len(pairs) < _FEW:
        return found
    # Where requests are of many kinds, no line fits them; their sum still does.
    scale = _sum(billed for _, billed in pairs) / _sum(found.at(guess) for guess, _ in pairs)
    return Line(found.offset * scale, found.slope * scale, least=1.0)


def with_length(pairs: Sequence[tuple[float, float]], least: float = 1.0) -> Line:
    """What answers have, by how long questions are: more only as far as that is no chance.

    Args:
        pairs: tokens of questions, and of answers; at least one.
        least: that an answer has.
    """
    count = len(pairs)
    middle, mean = _sum(x for x, _ in pairs) / count, _sum(y for _, y in pairs) / count
    spread = _sum((x - middle) ** 2 for x, _ in pairs)
    if count < _FEW or not spread:
        return Line(mean, 0.0)
    slope = _sum((x - middle) * (y - mean) for x, y in pairs) / spread
    rest = _sum((y - mean - slope * (x - middle)) ** 2 for x, y in pairs)
    chance = rest / (count - 2) / spread
    slope *= max(0.0, 1 - 2 * chance / slope**2) if slope else 0.0
    return Line(mean - slope * middle, slope, least)


def _sum(values: Iterable[float]) -> float:
    return sum(values)
