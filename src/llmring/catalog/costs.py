"""What an answer cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..references import split_reference
from .prices import find, listing

if TYPE_CHECKING:
    from ..schemas import LLMResponse, StreamChunk, Usage

__all__ = ["Cost", "cost_of"]

# Words for the standard service tier, and other words for a tier than the price data's. OpenAI's and Groq's references
# "service_tier", Anthropic's "Usage", google-genai's `ServiceTier` and `TrafficType`. `auto` names no tier.
_TIERS = {
    **dict.fromkeys(("auto", "default", "on_demand", "standard", "traffic_type_unspecified", "unspecified")),
    "on_demand_flex": "flex",
    "on_demand_priority": "priority",
}
# What the price data calls that by which the prices of a request may differ from the standard ones.
_KINDS = ("service_tier", "processing", "speed")


@dataclass(frozen=True, slots=True)
class Cost:
    """What an answer cost, in US dollars.

    The amounts are floats, right to a millionth of a cent; all three are `None` where the model is not priced.

    Attributes:
        input, output, total: dollars. Tokens read from or written to a cache count as input at their own rates
            (a write at that of the shortest time to live), reasoning counts as output. The prices are those of the
            service tier that served, where the provider names one. What one model served and another went on with is
            priced by each one's own prices.
        model: the `provider:model` whose prices were taken, or that was looked for; joined by ` + ` where several
            models served.
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
    answer: LLMResponse | StreamChunk | Usage,
    model: str | None = None,
    *,
    base_url: str | Callable[[str], str | None] | None = None,
    service_tier: str | None = None,
) -> Cost:
    """What an answer cost.

    Args:
        answer: a response, a final chunk, or their `usage`.
        model: the `provider:model` that served; needed with a bare `usage`, else the answer names it. The exact
            model that the provider says answered (`response_model`) is looked up before it.
        base_url: where the provider is asked, or what gives that for a `provider:model`. It says which vendor it is
            where the name does not; and at a host of one's own nobody bills.
        service_tier: the one that served (`"flex"`, `"priority"`, `"batch"`); an answer names its own.

    Raises:
        ConfigurationError: the model is not of the form `provider:model`.
    """

    def part(usage: Usage | None, reference: str, exact: str | None, tier: str | None) -> Cost:
        address = base_url(reference) if callable(base_url) else base_url
        return _cost(usage, reference, exact, address, service_tier or tier)

    if isinstance(answer, dict):
        return part(answer, model or "", None, None)
    if len(answer.served) > 1:
        return _sum([part(it.usage, it.model, it.response_model, it.service_tier) for it in answer.served])
    return part(answer.usage, model or answer.model, answer.response_model, answer.service_tier)


def _sum(costs: list[Cost]) -> Cost:
    model = " + ".join(cost.model for cost in costs)
    for cost in costs:
        if not cost.priced:
            return Cost(None, None, None, model, f"{cost.model} is not priced: {cost.reason}")
    put_in, got, total = (sum(getattr(cost, kind) for cost in costs) for kind in ("input", "output", "total"))
    return Cost(put_in, got, total, model)


def _cost(usage: Usage | None, reference: str, exact: str | None, base_url: str | None, tier: str | None) -> Cost:
    provider, name = split_reference(reference)
    if usage is None:
        return Cost(None, None, None, reference, "the provider reported no usage")
    reason = None
    for candidate in dict.fromkeys(filter(None, (exact, name))):
        listed = listing(provider, candidate, base_url)
        if (found := find(listed.source, listed.name)) is not None:
            return _priced(found, listed.source, usage, f"{listed.provider}:{listed.name}", tier)
        reason = listed.reason
    return Cost(None, None, None, reference, reason or f"the price data has no model {name!r} of {provider}")


def _priced(found: Any, source: Any, usage: Usage, reference: str, tier: str | None) -> Cost:
    from genai_prices import Usage as Counts

    now = datetime.now(UTC)
    word = (tier or "default").lower()
    context = _context(found, source, named, now) if (named := _TIERS.get(word, word)) is not None else {}
    if context is None:
        reason = f"the price data has no price of the service tier {tier!r} for {reference}"
        return Cost(None, None, None, reference, reason)
    prices = found.get_prices(now, context)
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
        price = found.calc_price(counts, source, genai_request_timestamp=now, price_context=context)
    except ValueError as error:  # counts that contradict each other, as more cached tokens than there were
        return Cost(None, None, None, reference, f"the usage cannot be priced: {error}")
    return Cost(float(price.input_price), float(price.output_price), float(price.total_price), reference)


def _context(found: Any, source: Any, tier: str, now: datetime) -> dict[str, str] | None:
    """What has the price data give its prices of a tier; `None` where it has none.

    Asked for a tier that it does not know, it would give the standard prices.
    """
    if not any(found is entry for entry in source.models):  # another vendor's, at standard prices only
        return None
    variants = [it for it in found.price_variants or () if it.constraint is None or it.constraint.active(now)]
    contexts = ({kind: tier} for kind in _KINDS)
    return next((context for context in contexts if any(it.when == context for it in variants)), None)
