"""An estimate of a request's tokens, and between which figures the count is: nobody is asked."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ..vendors import load
from .contents import Contents
from .scripts import measure

__all__ = ["Estimate", "Family", "Measured", "estimate", "family_of"]

_OTHERS = "others"


@dataclass(frozen=True, slots=True)
class Estimate:
    """Tokens.

    Attributes:
        tokens: as many as there likely are.
        at_least, at_most: nearly always, there are no fewer and no more; `None` where nobody can say how many more.
    """

    tokens: int
    at_least: int
    at_most: int | None


@dataclass(frozen=True, slots=True)
class Spread:
    """How far a text's tokens may be from their estimate.

    Attributes:
        low, high: factors of it.
        hidden: tokens that a vendor may add to a request.
    """

    low: float
    high: float
    hidden: float


@dataclass(frozen=True, slots=True)
class Family:
    """How models of one make count. All figures are tokens.

    Attributes:
        name: whose they are.
        kinds: for each character of a kind of `scripts.KINDS`.
        request, turn, call: for each of them.
        tools, form: for there being any.
        tool_text, form_text: for each that their JSON would have as text.
        spread, counted: of the text's characters; and where its tokens are counted by `tiktoken`.
        media: fewest, likely and most for one of a kind; `None` where there is no most.
        shared: whether the answer has to fit into the window, too.
        tokenizer: whether `tiktoken` may have theirs.
    """

    name: str
    kinds: Mapping[str, float]
    request: float
    turn: float
    call: float
    tools: float
    tool_text: float
    form: float
    form_text: float
    spread: Spread
    counted: Spread
    media: Mapping[str, tuple[float, float, float | None]]
    shared: bool
    tokenizer: bool
    models: re.Pattern[str] = field(repr=False)


@cache
def families() -> Mapping[str, Family]:
    """By name; the last is of models that are not known."""
    return {name: _family(name, row) for name, row in load("counting/ratios.json").items()}


def _family(name: str, row: Mapping[str, Any]) -> Family:
    names, measured = "|".join(map(re.escape, row["models"])), row["measured"]
    return Family(
        name,
        **{key: measured[key] for key in ("kinds", "request", "turn", "call", "tools", "tool_text")},
        **{key: measured[key] for key in ("form", "form_text")},
        spread=Spread(**measured["spread"]),
        counted=Spread(**measured.get("counted", measured["spread"])),
        media={kind: tuple(media["tokens"]) for kind, media in row["media"].items()},
        shared=row["shared"],
        tokenizer="counted" in measured,
        # As a word of the name, whatever a gateway writes before it.
        models=re.compile(rf"(?:^|[^a-z0-9])(?:{names})" if names else ""),
    )


def family_of(model: str) -> Family:
    """The family of a model, by its name: a vendor's tokenizer is its models' own, whoever serves them."""
    return next(it for it in families().values() if it.models.search(model.lower()))


@dataclass(slots=True)
class Measured:
    """A request's contents, measured: once for all models.

    Attributes:
        said, tools, form: characters of each kind, of the conversation, the tools and the answer's schema.
    """

    contents: Contents
    said: Counter[str]
    tools: Counter[str]
    form: Counter[str]

    @classmethod
    def of(cls, contents: Contents) -> Measured:
        """Measure them, which takes a tenth of a second for a million characters."""
        said = sum(map(measure, contents.texts), Counter[str]())
        return cls(contents, said, sum(map(measure, contents.tools), Counter[str]()), measure(contents.form))


def estimate(measured: Measured, family: Family, counted: tuple[int, int, int] | None = None) -> Estimate:
    """How many tokens a request has.

    Args:
        measured: the request.
        family: of its model.
        counted: the tokens of its conversation, tools and schema, where a tokenizer has counted them.
    """
    contents, spread = measured.contents, family.spread if counted is None else family.counted
    # Runs of one character are few tokens in one tokenizer, and many in another.
    runs = (measured.said + measured.tools + measured.form)["run"] if counted is None else 0
    said, tools, form = counted or (_tokens(it, family) for it in (measured.said, measured.tools, measured.form))
    texts = said + family.tool_text * tools + family.form_text * form
    added = family.request + family.turn * contents.turns + family.call * contents.calls
    added += family.tools * bool(contents.tools) + family.form * bool(contents.form)
    fewest, likely, most = _of_media(contents.media, family)
    likely += texts + added
    least = spread.low * (texts - family.kinds["run"] * runs) + fewest
    tokens = max(1, round(likely))
    if most is None or contents.others:
        return Estimate(tokens, min(tokens, math.floor(least)), None)
    most += spread.high * (texts + added) + spread.hidden + runs + contents.kept
    return Estimate(tokens, min(tokens, math.floor(least)), max(tokens, math.ceil(most)))


def _tokens(found: Counter[str], family: Family) -> float:
    return sum(family.kinds[kind] * times for kind, times in found.items())


def _of_media(media: Mapping[str, int], family: Family) -> tuple[float, float, float | None]:
    fewest, likely, most = 0.0, 0.0, 0.0
    endless = False
    for kind, times in media.items():
        low, middle, high = family.media[kind]
        fewest, likely, most = fewest + low * times, likely + middle * times, most + (high or 0) * times
        endless |= high is None
    return fewest, likely, None if endless else most
