"""What a run would take, before anything is spent: rows, tokens, dollars, time. Nobody is asked."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..counting.contents import contents_of
from ..counting.counts import measured
from ..counting.estimates import estimate, family_of
from ..request import prepare, with_params
from ..schemas import Served
from .job import Survey, is_free
from .pace import FIRST
from .sampling import Line, in_proportion, with_length

if TYPE_CHECKING:
    from ..lockfile import Binding
    from ..schemas import LLMRequest, Usage
    from .job import Job
    from .sampling import Sampled

__all__ = ["Likely", "survey"]

_ALL = 500
_EACH = 50
"""So many of the first requests are measured, and each so-manieth of the others."""
_ANSWER = 500
"""Tokens of an answer of which nothing is known."""
_LATENCY = 3.0
_PER_TOKEN = 0.015
"""Seconds of an answer, and of each of its tokens, of which nothing is known."""
_PATIENCE = 0.02
"""Seconds for which the event loop is held."""
_MEDIUM = 4_000
"""Characters that a picture or the like counts as."""


@dataclass(frozen=True, slots=True)
class Likely:
    """An answer that there is not yet, as `catalog.cost_of` reads it."""

    model: str
    usage: Usage | None
    response_model: str | None = None
    service_tier: str | None = None
    served: tuple[Served, ...] = ()


@dataclass(slots=True)
class _Part:
    """A part of the rows: characters of all of them, and the estimated tokens of those that were measured."""

    rows: int = 0
    characters: int = 0
    measured: int = 0
    longest: int = 0
    counts: list[int] = field(default_factory=list)

    def scale(self) -> float:
        return self.characters / self.measured if self.measured else 0.0


async def survey(job: Job, binding: Binding, concurrency: int, *, price: bool = True) -> Survey:
    """Look at all rows, each as it would be asked.

    Args:
        job: of which.
        binding: whom its alias resolves to.
        concurrency: requests at once.
        price: whether anybody wants to know what it costs.

    Raises:
        RowError: a row cannot be read, or does not have what it takes.
    """
    found = Survey(binding.models[0])
    family = family_of(found.model.partition(":")[2])
    first, others = _Part(), _Part()
    sample: list[tuple[float, Sampled]] = []
    last: LLMRequest | None = None
    began = time.monotonic()

    async def count(request: LLMRequest) -> int:
        prepared, _ = await prepare(with_params(request, binding))
        return estimate(await measured(contents_of(prepared)), family).tokens

    for task, known in job.looked_at():
        if known is not None and price:
            sample.append((await count(known[0]), known[1]))
        if task is not None:
            found.to_ask += 1
            last = task.request
            found.without_picture += job.asking.image is not None and isinstance(last.messages[-1].content, str)
            if found.to_ask == 1:  # what is wrong with it is likely wrong with all: a schema, a parameter
                await prepare(with_params(task.request, binding))
        if task is not None and price:
            part = first if found.to_ask <= _ALL else others
            length = _characters(task.request)
            part.rows, part.characters = part.rows + 1, part.characters + length
            part.longest = max(part.longest, length)
            if part is first or part.rows % _EACH == 1:
                part.measured += length
                part.counts.append(await count(task.request))
        if time.monotonic() - began > _PATIENCE:
            await asyncio.sleep(0)
            began = time.monotonic()
    job.rows.end()  # what is added from now on is for the next run
    found.rows = job.rows.count
    found.failed_before = job.output.given_up if job.output is not None else 0
    if not price:
        return found
    if last is None:
        found.guessed, found.usd = False, 0.0
        return found
    _estimate(job, found, binding, (first, others), sample, with_params(last, binding).max_tokens)
    answer = found.completion_tokens / found.to_ask
    took = [it.seconds for _, it in sample if it.seconds is not None]
    each = sum(took) / len(took) if took else _LATENCY + _PER_TOKEN * answer
    found.seconds = max(_rounds(found.to_ask, concurrency) * each, _by_rate(found, binding))
    return found


def _estimate(
    job: Job,
    found: Survey,
    binding: Binding,
    parts: tuple[_Part, _Part],
    sample: list[tuple[float, Sampled]],
    limit: int | None,
) -> None:
    """Tokens and dollars, by what was measured and what was billed."""
    billed = in_proportion([(guess, it.prompt) for guess, it in sample])
    length = Line(float(_ANSWER if limit is None else min(limit, _ANSWER)), 0.0)
    there = [it for _, it in sample] or (job.output.sample.all() if job.output is not None else [])
    if there:
        found.guessed, found.sample = False, len(there)
        length = with_length([(it.prompt, it.completion) for it in there])
    # What comes from a cache, and goes to one, costs otherwise.
    asked = max(1, sum(it.prompt for _, it in sample))
    cached = [sum(it.read for _, it in sample) / asked, sum(it.written for _, it in sample) / asked]

    def answer(tokens: float) -> float:
        return length.at(tokens) if limit is None else min(length.at(tokens), limit)

    prompt = completion = 0.0
    usd: float | None = 0.0
    for part in parts:
        tokens = [billed.at(it) for it in part.counts]
        answers = [answer(it) for it in tokens]
        prompt += sum(tokens) * part.scale()
        completion += sum(answers) / len(answers) * part.rows if answers else 0.0
        for put_in, got in zip(tokens, answers, strict=True):
            one, why = _usd(job, binding, put_in, got, cached)
            found.reason = found.reason or why
            usd = usd + one * part.scale() if usd is not None and one is not None else None
    found.prompt_tokens, found.completion_tokens, found.usd = round(prompt), round(completion), usd
    # The longest may be one that was not measured.
    guesses, measured = sum(map(sum, (it.counts for it in parts))), sum(it.measured for it in parts)
    most = max(*(it for part in parts for it in part.counts), guesses / measured * max(it.longest for it in parts))
    dearest, _ = _usd(job, binding, billed.at(most), limit or max(answer(billed.at(most)), _ANSWER), [0.0, 0.0])
    found.dearest = dearest or 0.0


def _characters(request: LLMRequest) -> int:
    return 1 + sum(_length(it.content) for it in request.messages)


def _length(content: Any) -> int:
    if isinstance(content, str):
        return len(content)
    if not isinstance(content, list):
        return len(str(content)) if content is not None else 0
    return sum(len(str(it.get("text", ""))) if it.get("type") == "text" else _MEDIUM for it in content)


def _usd(job: Job, binding: Binding, put_in: float, got: float, cached: list[float]) -> tuple[float | None, str | None]:
    """What a row costs, at whoever serves first; by their shares, where they are several."""
    split = binding.policy.split if binding.policy is not None else None
    total: float | None = None
    why, tokens, answer = None, round(put_in), round(got)
    for model, share in zip(binding.models, split.shares if split is not None else (1.0,), strict=False):
        usage: Usage = {"prompt_tokens": tokens, "completion_tokens": answer, "total_tokens": tokens + answer}
        usage["cache_read_tokens"], usage["cache_write_tokens"] = (round(it * put_in) for it in cached)
        cost = job.service.calculate_cost(Likely(model, usage))
        if cost.total is not None:
            total = (total or 0.0) + share * cost.total
        elif not is_free(job.service, model):
            return None, cost.reason
        else:
            why = cost.reason
    return total, why if total is None else None


def _rounds(rows: int, concurrency: int) -> float:
    """How many answers one after the other it takes, where each round has twice as many at once as the one before."""
    rounds, window, left = 0.0, min(FIRST, concurrency), float(rows)
    while left > window and window < concurrency:
        rounds, left, window = rounds + 1, left - window, min(concurrency, 2 * window)
    return rounds + max(1.0, left / window)


def _by_rate(found: Survey, binding: Binding) -> float:
    """Seconds that it takes by the alias's own rate."""
    rate = binding.policy.rate if binding.policy is not None else None
    if rate is None:
        return 0.0
    requests = found.to_ask / rate.requests if rate.requests else 0.0
    tokens = (found.prompt_tokens + found.completion_tokens) / rate.tokens if rate.tokens else 0.0
    return max(0.0, max(requests, tokens) - 1) * rate.seconds  # what one period lets through goes at once
