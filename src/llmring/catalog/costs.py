"""What an answer cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..lockfile import split_reference
from .price_data import find, price_source

if TYPE_CHECKING:
    from ..schemas import LLMResponse, StreamChunk, Usage

__all__ = ["Cost", "cost_of"]


@dataclass(frozen=True, slots=True)
class Cost:
    """What an answer cost, in US dollars.

    The amounts are floats, right to a millionth of a cent; all three are `None` where the model is not priced.

    Attributes:
        input, output, total: dollars. Tokens read from or written to a cache count as input at their own rates
            (a write at that of the shortest time to live), reasoning counts as output.
        model: the `provider:model` whose prices were taken, or that was looked for.
        reason: why there is no price; `None` where there is one.
    """

    input: float | None
    output: float | None
    total: float | None
    model: str
    reason: str | None = None

    @property
    def priced(self) -> bool:
        """Whether there are amounts."""
        return self.total is not None


def cost_of(
    answer: LLMResponse | StreamChunk | Usage, model: str | None = None, *, base_url: str | None = None
) -> Cost:
    """What an answer cost.

    Args:
        answer: a response, a final chunk, or their `usage`.
        model: the `provider:model` that served; needed with a bare `usage`, else the answer names it. The exact
            model that the provider says answered (`response_model`) is looked up before it.
        base_url: where the provider is asked. It says which vendor it is where the name does not; and at a
            host of one's own nobody bills.

    Raises:
        ConfigurationError: the model is not of the form `provider:model`.
    """
    whole: Any = None if isinstance(answer, dict) else answer
    usage: Any = answer if whole is None else whole.usage
    reference = model or (whole.model if whole is not None else "")
    exact = whole.response_model if whole is not None else None
    provider, name = split_reference(reference)
    if usage is None:
        return Cost(None, None, None, reference, "the provider reported no usage")
    source, reason = price_source(provider, base_url)
    for candidate in dict.fromkeys(filter(None, (exact, name))):
        found = find(source, candidate)
        if found is not None:
            return _priced(found, source, usage, f"{provider}:{candidate}")
    return Cost(None, None, None, reference, reason or f"the price data has no model {name!r} of {provider}")


def _priced(found: Any, source: Any, usage: Usage, reference: str) -> Cost:
    from genai_prices import Usage as Counts

    prices = found.get_prices(datetime.now(UTC))
    for tokens, rate in ((usage["prompt_tokens"], prices.input_mtok), (usage["completion_tokens"], prices.output_mtok)):
        if tokens and rate is None:
            return Cost(None, None, None, reference, f"the price data has no price by the token for {reference}")
    counts = Counts(
        input_tokens=usage["prompt_tokens"],
        output_tokens=usage["completion_tokens"],
        cache_read_tokens=usage.get("cache_read_tokens"),
        cache_write_tokens=usage.get("cache_write_tokens"),
        output_reasoning_tokens=usage.get("reasoning_tokens"),
    )
    try:
        price = found.calc_price(counts, source)
    except ValueError as error:  # counts that contradict each other, as more cached tokens than there were
        return Cost(None, None, None, reference, f"the usage cannot be priced: {error}")
    return Cost(float(price.input_price), float(price.output_price), float(price.total_price), reference)
