"""How many tokens a request may take, and what it may cost, before it is sent; and what it took in the end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from math import ceil
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import catalog
from ..counting.contents import Contents, contents_of
from ..counting.counts import measured
from ..counting.estimates import estimate, family_of
from ..schemas import Served
from ..vendors import VENDORS
from .asks import NANO

if TYPE_CHECKING:
    from ..answer import Call
    from ..counting import Limits
    from ..lockfile import Policy
    from ..schemas import LLMRequest, Usage
    from ..wire.base import Decoder

__all__ = ["Costs", "Habits", "Subject"]

_BYTES = 4
"""Of UTF-8 for a token: a rate takes that for a guess, since usage sets it right."""
_MEDIA = 1_000
"""Tokens of a picture, a document or a sound, for that guess."""
_FIRST = 500
"""Tokens of an answer, until the answers of its model have shown how long they are."""
_LARGEST = 128_000
"""Tokens of an answer of which nobody knows the most."""
_PART = 0.1
"""How much each answer has a say in what is taken for usual."""
_DENSITY = 1 / 32
"""Tokens for each byte of a stream, until whole answers have shown how many there are."""
_REMEMBERED = 256
_PAUSE = 0.05
"""Seconds until a model's headers are read again: they say where a bucket stands, and each says it anew."""
_SILENCE = 10.0
"""The same, where they said nothing."""


class Subject(NamedTuple):
    """Whose rate and budget it is, and what is known of its models.

    Attributes:
        alias, profile: as the lockfile has them.
        policy: of the alias.
        threshold, cooldown: of the breakers, in seconds; a threshold of 0 opens none.
        limits: of a `provider:model`, for a request; it may read files.
        address: where the provider of a `provider:model` is.
    """

    alias: str
    profile: str
    policy: Policy
    threshold: int
    cooldown: float
    limits: Callable[[str, LLMRequest], Limits]
    address: Callable[[str], str | None]


class Habits:
    """What is usual for the answers of each model.

    Attributes:
        length: tokens of an answer, by model.
        density: tokens for each byte that came, by model and whether it is streamed.
    """

    def __init__(self) -> None:
        self.length: dict[str, float] = {}
        self.density: dict[tuple[str, bool], float] = {}
        self._listens: dict[str, float] = {}

    def listens(self, model: str) -> bool:
        """Whether an answer's headers are worth a look: not each, and seldom where they said nothing the last time."""
        return monotonic() >= self._listens.get(model, 0.0)

    def heard(self, model: str, *, is_silent: bool) -> None:
        """An answer's headers were looked at, and said nothing of limits, or something."""
        self._listens[model] = monotonic() + (_SILENCE if is_silent else _PAUSE)
        if len(self._listens) > _REMEMBERED:
            self._listens.pop(next(iter(self._listens)))

    def learn(self, model: str, stream: bool, tokens: int, size: int) -> None:
        """A whole answer had so many tokens, in so many bytes."""
        self.length[model] = _mean(self.length.get(model), tokens)
        if size:
            self.density[model, stream] = _mean(self.density.get((model, stream)), tokens / size)
        for of in (self.length, self.density):
            if len(of) > _REMEMBERED:
                of.pop(next(iter(of)))  # type: ignore[call-overload]


def _mean(before: float | None, value: float) -> float:
    return value if before is None else before + _PART * (value - before)


@dataclass(frozen=True, slots=True)
class _Answered:
    """What `catalog.cost_of` asks of an answer."""

    model: str
    usage: Usage | None
    response_model: str | None
    service_tier: str | None
    served: tuple[Served, ...] = ()


class Costs:
    """What one request may take, and took.

    Args:
        habits: of models.
        subject: whose request it is.
    """

    def __init__(self, habits: Habits, subject: Subject) -> None:
        self._habits = habits
        self._subject = subject
        self._of: LLMRequest | None = None
        self._contents: Contents | None = None

    def usual(self, model: str) -> int:
        """A guess at the tokens of an answer."""
        return ceil(self._habits.length.get(model, _FIRST))

    def tokens(self, model: str, request: LLMRequest) -> int:
        """A guess at the tokens of a request and its answer."""
        usual = self.usual(model)
        most = request.max_tokens
        return self._guess(request) + (usual if most is None else min(usual, most))

    def _guess(self, request: LLMRequest) -> int:
        contents = self._read(request)
        size = sum(len(it) if it.isascii() else len(it.encode(errors="replace")) for it in contents.texts)
        size += sum(map(len, contents.tools)) + len(contents.form) + contents.kept
        return size // _BYTES + 4 * contents.turns + _MEDIA * sum(contents.media.values())

    def _read(self, request: LLMRequest) -> Contents:
        if self._contents is None or self._of is not request:
            self._of, self._contents = request, contents_of(request)
        return self._contents

    async def most(self, model: str, request: LLMRequest) -> int | str:
        """The dearest that a request can be, in billionths of a dollar; or why it has no price."""
        guess = estimate(await measured(self._read(request)), family_of(model.partition(":")[2]))
        if "genai_prices" in sys.modules:
            return self._dearest(model, request, guess.at_most)
        return await asyncio.to_thread(self._dearest, model, request, guess.at_most)

    def _dearest(self, model: str, request: LLMRequest, at_most: int | None) -> int | str:
        known = self._subject.limits(model, request)
        put_in = at_most if at_most is not None else known.window or _LARGEST
        got = _limit(request)
        if got is None:
            got = known.output or known.window or _LARGEST
        elif request.reasoning_tokens:
            got += request.reasoning_tokens
        for name in ("n", "candidate_count"):
            if isinstance(several := request.extra_params.get(name), int) and several > 1:
                got *= several
        tier = request.extra_params.get("service_tier")
        # To be written to a cache costs more than to be read, and nowhere less.
        usage: Usage = {
            "prompt_tokens": put_in,
            "completion_tokens": got,
            "total_tokens": put_in + got,
            "cache_write_tokens": put_in,
        }
        return self._cost(model, _Answered(model, usage, None, tier if isinstance(tier, str) else None))

    def _cost(self, model: str, answered: Any) -> int | str:
        address = self._subject.address(model)
        if catalog.is_own_host(model.partition(":")[0], address):
            return 0  # nobody bills for it
        cost = catalog.cost_of(answered, base_url=address)
        if cost.total is None:
            return cost.reason or "the price data has no price for it"
        return ceil(cost.total * NANO)

    def settled(self, model: str, call: Call, decoder: Decoder) -> tuple[int, int | None]:
        """The tokens of an answer that has ended, and its cost in billionths of a dollar, if it has a price.

        Of one that broke off, or was left, a provider says no usage, or that of its beginning: then what came of it is
        taken, by its size.
        """
        served, size = decoder.served, decoder.size
        usage = served.usage
        if decoder.complete and usage is not None:
            self._habits.learn(model, call.stream, usage["completion_tokens"], size)
        else:
            put_in = usage["prompt_tokens"] if usage is not None else self._guess(call.request)
            got = ceil(size * self._habits.density.get((model, call.stream), _DENSITY))
            if call.request.max_tokens is not None:
                got = min(got, call.request.max_tokens)
            got = max(got, usage["completion_tokens"] if usage is not None else 0)
            usage = {"prompt_tokens": put_in, "completion_tokens": got, "total_tokens": put_in + got}
        return usage["prompt_tokens"] + usage["completion_tokens"], self._paid(model, usage, served)

    def asked(self, model: str, call: Call) -> tuple[int, int | None]:
        """The tokens and the cost of a request that had no answer, and may have been read."""
        put_in = self._guess(call.request)
        usage: Usage = {"prompt_tokens": put_in, "completion_tokens": 0, "total_tokens": put_in}
        return put_in, self._paid(model, usage, Served(model, usage, None, None))

    def _paid(self, model: str, usage: Usage, served: Served) -> int | None:
        if self._subject.policy.budget is None:
            return 0
        cost = self._cost(model, _Answered(model, usage, served.response_model, served.service_tier))
        return cost if isinstance(cost, int) else None


@cache
def _words_for_limits() -> frozenset[str]:
    return frozenset({"max_tokens"}.union(*(it.parameters.get("max_tokens", ()) for it in VENDORS.values())))


def _limit(request: LLMRequest) -> int | None:
    """The most tokens that the answer may have, by whatever name the request gives it to a vendor."""
    tables = (request.extra_params, request.extra_params.get("options"))
    said = [table.get(word) for table in tables if isinstance(table, Mapping) for word in _words_for_limits()]
    numbers = [it for it in (request.max_tokens, *said) if isinstance(it, int)]
    return max(numbers, default=None)
