"""What answers of batches cost: at the price data's own batch rates, else at the share that the vendor names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import catalog
from ..bulk.surveying import Likely

if TYPE_CHECKING:
    from ..providers.batching import BatchEndpoint
    from ..schemas import Answered, Usage
    from ..talking import Talks

__all__ = ["cost_in_batch", "usd_in_batch"]


def cost_in_batch(service: Talks, answer: Answered, endpoint: BatchEndpoint) -> catalog.Cost:
    """What an answer cost that came in a batch."""
    cost = catalog.cost_of(answer, base_url=service._address, service_tier="batch")
    if cost.total is not None:
        return cost
    cost = catalog.cost_of(answer, base_url=service._address, service_tier="default")
    if cost.input is None or cost.output is None or cost.total is None:
        return cost
    share = endpoint.share
    return catalog.Cost(cost.input * share, cost.output * share, cost.total * share, cost.model)


def usd_in_batch(service: Talks, model: str, put_in: int, got: int, endpoint: BatchEndpoint) -> catalog.Cost:
    """What so many tokens would cost."""
    usage: Usage = {"prompt_tokens": put_in, "completion_tokens": got, "total_tokens": put_in + got}
    return cost_in_batch(service, Likely(model, usage), endpoint)
