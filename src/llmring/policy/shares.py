"""Who has the first place, by shares: the same on every machine and in every process, and nothing is kept of it.

Each place of the alias's list draws a number for each key, by a hash, and the smallest of `-log(number) / weight` has
the first place (weighted rendezvous hashing). So a place is drawn by its share; and where weights change, a key leaves
a place only for one whose weight has grown by a larger factor. Of two, no more move than the shares have moved; a third
one that is added takes its share from each of the others, and leaves everybody else where they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import shake_128
from math import inf, log
from random import random

__all__ = ["in_order", "side_of"]

_BYTES = 8
_RANGE = 2.0**64


def side_of(alias: str, weights: Sequence[float], key: str | None, generation: int = 0) -> int:
    """The place in an alias's list that serves a key first.

    Args:
        alias: its name.
        weights: one for each model, in their order; those of 0 serve nobody first.
        key: whose side it is, such as a user's id; `None` draws one at random.
        generation: another one draws all sides anew.
    """
    drawn = _drawn(alias, generation, key, len(weights)) if key is not None else [random() for _ in weights]  # noqa: S311
    waits = [-log(max(one, 1 / _RANGE)) / weight if weight else inf for one, weight in zip(drawn, weights, strict=True)]
    return waits.index(min(waits))


def in_order(models: Sequence[str], first: int) -> list[str]:
    """The models with one of them in the first place, the others behind it as they are."""
    return [models[first], *models[:first], *models[first + 1 :]]


def _drawn(alias: str, generation: int, key: str, count: int) -> list[float]:
    """A number between 0 and 1 for each place. That of a place does not depend on how many there are."""
    # The length keeps apart what would be the same text put together.
    digest = shake_128(f"{len(alias)}:{alias}:{generation}:{key}".encode(errors="surrogatepass"))
    drawn = digest.digest(_BYTES * count)
    return [(int.from_bytes(drawn[at : at + _BYTES]) + 0.5) / _RANGE for at in range(0, len(drawn), _BYTES)]
