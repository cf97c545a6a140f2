"""Which model takes the place of one whose end its vendor has announced.

Vendors name models after a family and a generation (`claude-sonnet-4-5`, `gpt-5.4-mini`, `gemini-2.0-flash-lite`). The
successor is the newest generation of the very same family that stays; where a name cannot be read so, there is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..references import split_reference
from .entries import ModelInfo, model_info, models
from .naming import without_issue

__all__ = ["successor"]

_GENERATION = re.compile(r"(?:(?<=-)|(?<=^o))\d{1,2}(?:[.-]\d{1,2})*(?=-|$)")
_STAGES = frozenset({"preview", "exp", "experimental"})


@dataclass(frozen=True, slots=True)
class _Reading:
    """A model's name, read.

    Attributes:
        family: its words, in whatever order the vendor used to write them.
        generation: `(4, 5)`; empty where the name has none.
        early: whether it is a preview.
    """

    family: tuple[str, ...]
    generation: tuple[int, ...]
    early: bool

    @property
    def decimal(self) -> float:
        """The generation as a decimal fraction."""
        return float(".".join(map(str, self.generation[:2]))) if self.generation else 0.0


def successor(reference: str) -> str | None:
    """The `provider:model` that the catalogue has in the place of a model that ends.

    Args:
        reference: the model that ends, as `provider:model`.

    Returns:
        A newer model of the same family that has no announced end, the newest there is; a preview only in the place
        of a preview. `None` where there is none, or where the names do not make it plain.

    Raises:
        ConfigurationError: the reference is not of that form.
    """
    provider, name = split_reference(reference)
    if not model_info(reference).deprecated:
        return None
    follower = _follower(name, [it.name for it in models(provider) if _stays(it)])
    return f"{provider}:{follower}" if follower is not None else None


def _follower(old: str, names: Iterable[str]) -> str | None:
    """The name among some that follows an old one."""
    before = _read(old)
    newer = [(reading, name) for name in names if _follows(reading := _read(name), before)]
    if not newer:
        return None
    _, newest = max(newer, key=lambda pair: (not pair[0].early, pair[0].generation))
    _, largest = max(newer, key=lambda pair: (not pair[0].early, pair[0].decimal))
    return newest if newest == largest else None  # 4.20 may come after 4.3, or before it


def _stays(model: ModelInfo) -> bool:
    return not model.deprecated and model.output_price is not None


def _follows(new: _Reading, old: _Reading) -> bool:
    same_family = bool(old.family) and new.family == old.family
    return same_family and new.generation > old.generation and (old.early or not new.early)


def _read(name: str) -> _Reading:
    name = without_issue(name.lower())
    found = _GENERATION.findall(name)
    generation = tuple(int(part) for part in re.findall(r"\d+", found[0])) if len(found) == 1 else ()
    words = [word for word in _GENERATION.sub("", name).split("-") if word]
    return _Reading(tuple(sorted({*words} - _STAGES)), generation, not _STAGES.isdisjoint(words))
