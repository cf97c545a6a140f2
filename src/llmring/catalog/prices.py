"""The `genai-prices` data: whose prices a provider's are, which entry a name means, and what an answer cost.

It is imported when something is looked up. Its providers and entries are handed on as they are, in its own types.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from ..addresses import network_of, shown, without_login
from ..references import split_reference
from ..vendors import BUILT_IN, of_vendors
from .naming import billed_by, forms, is_issue, listed_as, vendor_of
from .records import listed_models

if TYPE_CHECKING:
    from ..schemas import Answered, Usage

__all__ = [
    "Cost",
    "Listing",
    "answers_in_tokens",
    "cost_of",
    "find",
    "is_own_host",
    "likely",
    "listing",
    "means",
    "name_of",
    "price_source",
    "vendor",
]


def price_source(provider: str, base_url: str | None) -> tuple[Any, str | None]:
    """The provider in the price data, or why it is not there."""
    base_url, _ = without_login(base_url)
    if is_own_host(provider, base_url):
        if _is_local(provider):
            return None, f"{provider} runs models on your own machine; nobody bills for them"
        return None, f"{provider} is served at a host of your own ({shown(base_url)}); nobody bills for it"
    if (source := _source(listed_as(provider))) is not None:
        return source, None
    if source := next((it for it in _sources() if base_url and re.match(it.api_pattern, base_url)), None):
        return source, None
    at = f" at {shown(base_url)}" if base_url else ""
    return None, f"the price data does not know the provider {provider!r}{at}"


class Listing(NamedTuple):
    """Where a model's price stands.

    Attributes:
        source: the price list; `None` where there is none.
        provider: whose it is, as in `provider:model`.
        name: the model's name there.
        reason: why there is no list.
    """

    source: Any
    provider: str
    name: str
    reason: str | None


def listing(provider: str, name: str, base_url: str | None) -> Listing:
    """Whose price list a model is on: its provider's own, or that of whom its name says is behind a gateway.

    A gateway is a provider that the price data does not know, or one that is asked elsewhere than at its own address.
    What it adds to the price (`anthropic/claude-haiku-4-5`) is not known.
    """
    source, reason = price_source(provider, base_url)
    own = Listing(source, provider, name, reason)
    there = billed_by(name)
    if there is None or is_own_host(provider, base_url) or find(source, name) is not None:
        return own
    behind = _source(there[0])
    elsewhere = source is None or (base_url is not None and not re.match(source.api_pattern, base_url))
    if not elsewhere or find(behind, there[1]) is None:
        return own
    return Listing(behind, vendor(there[0], behind), there[1], None)


def find(source: Any, name: str) -> Any:
    """The entry of this very model on a price list, by any of its names; `None` where there is none.

    The data takes some names for a model because they begin like one: such a guess may be of another model, at
    another price, and is not taken, unless the vendor's SDK lists that name.
    """
    if source is None:
        return None
    for form in forms(source.id, name):
        for entry in _entries(source):
            if entry.is_match(form) and (
                form.lower() == entry.id.lower() or means(entry.match, form.lower(), loosely=True)
            ):
                return entry
    return _guess(source, name) if name in listed_models(vendor(source.id, source)) else None


def likely(source: Any, name: str) -> Any:
    """The entry that a name may mean, as the price data guesses; `None` where there is none."""
    return None if source is None else find(source, name) or _guess(source, name)


def _guess(source: Any, name: str) -> Any:
    return source.find_model(name, all_providers=_sources())


def _entries(source: Any) -> Iterator[Any]:
    """The models of a price list, and those of the vendors whose models it serves at their prices."""
    yield from source.models
    for name in source.fallback_model_providers or ():
        if (other := _source(name)) is not None:
            yield from other.models


def _source(id: str) -> Any:
    return next((source for source in _sources() if source.id == id), None)


def _sources() -> Any:
    from genai_prices.data_snapshot import get_snapshot

    return get_snapshot().providers


def vendor(provider: str, source: Any) -> str:
    """Whose models a provider serves: another name for a vendor's own address changes nothing about them."""
    return provider if source is None else vendor_of(source.id)


def is_own_host(provider: str, base_url: str | None) -> bool:
    """Whether a provider is on this machine or in a private network, where nobody bills and nothing is retired."""
    network = network_of(base_url)
    return network == "own" or (_is_local(provider) and network is None)


def _is_local(provider: str) -> bool:
    """Whether its models run on the caller's own machine, or near it, unless their address says otherwise."""
    return provider in BUILT_IN and BUILT_IN[provider].local


def answers_in_tokens(provider: str, model: Any) -> bool:
    """Whether an entry is not priced otherwise (embeddings, speech), and is of the provider's own API."""
    prices = model.get_prices(datetime.now(UTC))
    by_token = prices.output_mtok is not None or not any(vars(prices).values())
    aside = of_vendors("prices").get(provider, {}).get("not_served")
    return by_token and not (aside and model.id.startswith(aside))


def name_of(model: Any) -> str | None:
    """The name to ask for an entry by: its own, unless that is only a label; `None` where it has patterns alone."""
    if model.id.endswith(("-", ":")):
        return None
    names = [model.id, *(getattr(it, "equals", None) for it in (model.match, *getattr(model.match, "or_", ())))]
    return next((name for name in names if name and model.is_match(name)), None)


def means(clause: Any, name: str, *, loosely: bool = False) -> bool:
    """Whether a clause of the price data means this very name, or says itself that anything may follow.

    Loosely, it is the same but for what says who serves it and which issue it is.
    """
    if hasattr(clause, "or_"):
        return any(means(it, name, loosely=loosely) for it in clause.or_)
    if hasattr(clause, "and_"):
        return any(means(it, name) for it in clause.and_ if not hasattr(it, "regex"))
    (text,) = vars(clause).values()
    if hasattr(clause, "regex"):
        return bool(clause.is_match(name))
    if name == text.lower() or (text.endswith(("-", "@")) and clause.is_match(name)):
        return True
    before, found, after = name.partition(text.lower())
    if not loosely or not found or not clause.is_match(name):
        return False
    # The name of a tuned model ends in its owner's words.
    whole = is_issue(after) or text.endswith(("-", "@")) or text.startswith("ft:")
    return whole and (not before or before.endswith((".", "/", ":", "~")))


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
    answer: Answered | Usage,
    model: str | None = None,
    *,
    base_url: str | Callable[[str], str | None] | None = None,
    service_tier: str | None = None,
) -> Cost:
    """What an answer cost.

    Args:
        answer: a response, a final chunk, a run of tools, or their `usage`.
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
