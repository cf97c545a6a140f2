"""What batches there are for whom, what they cost, and how often they are looked at."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..bulk.surveying import Likely
from ..exceptions import ConfigurationError
from ..providers.batching import endpoint_at
from .prices import cost_in_batch

if TYPE_CHECKING:
    from ..bulk import Survey
    from ..lockfile import Binding
    from ..providers.batching import BatchEndpoint
    from ..schemas import Usage
    from ..talking import Talks

__all__ = ["at_batch_rate", "endpoint_for", "pause_between_looks"]

_PAUSE = 5.0
_VARIABLE = "LLMRING_BATCH_PAUSE_S"


def pause_between_looks() -> float:
    """Seconds, as `LLMRING_BATCH_PAUSE_S` has them, or 5.

    Raises:
        ConfigurationError: it has something else.
    """
    said = os.environ.get(_VARIABLE) or _PAUSE
    try:
        seconds = float(said)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 86_400:
        raise ConfigurationError(f"{_VARIABLE} is {said!r}; it takes a number of seconds above 0.")
    return seconds


def endpoint_for(service: Talks, binding: Binding) -> BatchEndpoint:
    """How the model that serves an alias takes batches.

    Raises:
        ConfigurationError: it takes none; or the alias has a split, or a budget, of which batches know nothing.
    """
    if binding.policy is not None and binding.policy.split is not None:
        raise ConfigurationError(
            f"{binding.alias} has a split, and a batch is of one model. Name it with --model, or ask without --batch."
        )
    if binding.policy is not None and binding.policy.budget is not None:
        raise ConfigurationError(
            f"{binding.alias} has a budget, and what a batch costs is known when it is over. Ask without --batch, or "
            "by an alias without one, with --max-cost."
        )
    able = {it: endpoint_at(it.partition(":")[0], service._address(it)) for it in binding.models}
    first = binding.models[0]
    if (endpoint := able[first]) is not None:
        return endpoint
    others = [it for it, found in able.items() if found is not None]
    hint = "Ask without --batch."
    if others:
        hint = f"{' and '.join(others)} would: bind it first, or name it with --model."
    raise ConfigurationError(f"{first} takes no batches, as far as is known. {hint}")


def at_batch_rate(service: Talks, found: Survey, endpoint: BatchEndpoint) -> Survey:
    """A survey at the price of batches, which may take as long as the vendor says."""
    tokens: Usage = {"prompt_tokens": 1_000, "completion_tokens": 1_000, "total_tokens": 2_000}
    likely = Likely(found.model, tokens)
    usual = service.calculate_cost(likely).total
    if found.usd is not None and usual:
        part = (cost_in_batch(service, likely, endpoint).total or 0.0) / usual
        found.usd, found.dearest = found.usd * part, found.dearest * part
    found.seconds = endpoint.hours * 3600.0 if found.to_ask else 0.0
    return found
