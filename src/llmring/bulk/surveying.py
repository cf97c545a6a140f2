"""What a run would take, before anything is spent: rows, tokens, dollars, time. Nobody is asked."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..counting.contents import contents_of
from ..counting.counts import measured
from ..counting.estimates import estimate, family_of
from ..request import prepare, with_params
from ..schemas import Served
from .job import Survey

if TYPE_CHECKING:
    from ..lockfile import Binding
    from ..schemas import LLMRequest, Usage
    from .job import Job

__all__ = ["survey"]

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


@dataclass(frozen=True, slots=True)
class _Likely:
    """An answer that there is not yet, as `catalog.cost_of` reads it."""

    model: str
    usage: Usage | None
    response_model: str | None = None
    service_tier: str | None = None
    served: tuple[Served, ...] = ()


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
    characters = measured_characters = tokens = most = 0
    last: LLMRequest | None = None
    began = time.monotonic()
    for task in job.tasks():
        found.to_ask += 1
        last = task.request
        if price:
            length = _characters(task.request)
            characters += length
            if found.to_ask <= _ALL or found.to_ask % _EACH == 0:
                request, _ = await prepare(with_params(task.request, binding))
                count = estimate(await measured(contents_of(request)), family).tokens
                tokens, measured_characters, most = tokens + count, measured_characters + length, max(most, count)
        if time.monotonic() - began > _PATIENCE:
            await asyncio.sleep(0)
            began = time.monotonic()
    found.rows = job.rows.count
    if last is None or not price:
        return found
    scale = characters / measured_characters if measured_characters else found.to_ask / min(found.to_ask, _ALL)
    limit = with_params(last, binding).max_tokens
    before = job.output.tokens if job.output is not None else (0, 0, 0)
    answer = float(_ANSWER if limit is None else min(limit, _ANSWER))
    if before[2]:
        answer, found.guessed = before[1] / before[2], False
    found.prompt_tokens = round(tokens * scale)
    found.completion_tokens = round(answer * found.to_ask)
    found.usd, found.reason = _usd(job, found.model, found.prompt_tokens, found.completion_tokens)
    found.dearest = _usd(job, found.model, most, limit or _ANSWER)[0] or 0.0
    found.seconds = found.to_ask * (_LATENCY + _PER_TOKEN * answer) / min(concurrency, found.to_ask)
    return found


def _characters(request: LLMRequest) -> int:
    return sum(len(it.content) if isinstance(it.content, str) else len(str(it.content)) for it in request.messages) + 1


def _usd(job: Job, model: str, put_in: int, got: int) -> tuple[float | None, str | None]:
    usage: Usage = {"prompt_tokens": put_in, "completion_tokens": got, "total_tokens": put_in + got}
    cost = job.service.calculate_cost(_Likely(model, usage))
    return cost.total, cost.reason
