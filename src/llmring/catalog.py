"""Prices and limits of models: facts, each with its source.

Prices and context windows come from the `genai-prices` data, which is imported when one is asked for; dates of
retirement from `retirements`. Nothing here asks the network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from .retirements import last_day
from .sdk_lists import listed_models

if TYPE_CHECKING:
    from .schemas import LLMResponse, StreamChunk, Usage

__all__ = [
    "ROLES",
    "Cost",
    "ModelInfo",
    "PriceTier",
    "Role",
    "cost_of",
    "covers",
    "known",
    "max_output_tokens",
    "model_info",
    "models",
    "nearest",
    "suggested",
]

Role = Literal["fast", "balanced", "deep"]
"""What a model is wanted for: cheap and quick, everyday work, or the hardest of it."""
ROLES: Final[tuple[Role, ...]] = ("fast", "balanced", "deep")

# The vendors' own line-ups in November 2026 (platform.claude.com/docs/en/models, developers.openai.com/api/docs/models,
# ai.google.dev/gemini-api/docs/models, api-docs.deepseek.com, console.groq.com/docs/models, docs.mistral.ai,
# docs.x.ai/docs/models, inference-docs.cerebras.ai): the newest stable model of each family. Vendors that serve
# everybody's models have no line-up to choose from.
_SUGGESTED: Mapping[Role, Mapping[str, str]] = MappingProxyType(
    {
        "fast": MappingProxyType(
            {
                "openai": "gpt-6-luna",
                "anthropic": "claude-haiku-5-5",
                "google": "gemini-3.5-flash-lite",
                "deepseek": "deepseek-flash",
                "groq": "openai/gpt-oss-20b",
                "mistral": "mistral-small-latest",
                "xai": "grok-4.3",
                "cerebras": "gpt-oss-120b",
            }
        ),
        "balanced": MappingProxyType(
            {
                "openai": "gpt-6.1-terra",
                "anthropic": "claude-sonnet-5-5",
                "google": "gemini-3.8-flash",
                "deepseek": "deepseek-v4-pro",
                "groq": "openai/gpt-oss-120b",
                "mistral": "mistral-medium-latest",
                "xai": "grok-4.6",
                "cerebras": "gpt-oss-120b",
            }
        ),
        "deep": MappingProxyType(
            {
                "openai": "gpt-6.1-sol",
                "anthropic": "claude-opus-5-5",
                "google": "gemini-4-argon",
                "deepseek": "deepseek-v4-pro",
                "groq": "openai/gpt-oss-120b",
                "mistral": "mistral-large-latest",
                "xai": "grok-4.7",
                "cerebras": "gpt-oss-120b",
            }
        ),
    }
)

# The most tokens a model generates, by the beginning of its name; the longest that fits decides.
# Sources: Anthropic's "Models overview" (platform.claude.com/docs/en/models/overview), OpenAI's "Models"
# (developers.openai.com/api/docs/models) and the models' own pages there.
_MAX_OUTPUT: Mapping[str, Mapping[str, int]] = {
    "anthropic": {
        "claude-3-haiku": 4096,
        "claude-3-5": 8192,
        "claude-3-7-sonnet": 64_000,
        "claude-opus-4-0": 32_000,
        "claude-opus-4-1": 32_000,
        "claude-opus-4-2": 32_000,  # claude-opus-4-20250514
        "claude-opus-4-5": 64_000,
        "claude-opus-4-6": 128_000,
        "claude-opus-4-7": 128_000,
        "claude-opus-4-8": 128_000,
        "claude-opus-5": 128_000,
        "claude-sonnet-4": 64_000,
        "claude-sonnet-4-6": 128_000,
        "claude-sonnet-5": 128_000,
        "claude-haiku-4-5": 64_000,
        "claude-haiku-5-5": 128_000,
        "claude-fable-5": 128_000,
        "claude-mythos-5": 128_000,
    },
    "openai": {
        "gpt-4.1": 32_768,
        "gpt-4o": 16_384,
        "gpt-5-mini": 128_000,
        "gpt-5-nano": 128_000,
        "gpt-5.6": 128_000,
        "gpt-6": 128_000,
    },
}

# Where a provider's name in a lockfile is not its name in the price data.
_PRICED_AS = {"xai": "x-ai", "moonshot": "moonshotai", "bedrock": "aws", "azure-openai": "azure"}

# Providers whose models run on the caller's own machine.
_LOCAL = frozenset({"ollama", "vllm", "llamacpp", "lmstudio"})


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


@dataclass(frozen=True, slots=True)
class PriceTier:
    """What the whole of a request costs whose prompt is a long one.

    Attributes:
        above: tokens of prompt from which it holds.
        input_price, output_price, cache_read_price, cache_write_price: as in `ModelInfo`.
    """

    above: int
    input_price: float | None = None
    output_price: float | None = None
    cache_read_price: float | None = None
    cache_write_price: float | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is known about a model. What no source says is `None`.

    Attributes:
        provider, name: the two halves of `provider:model`.
        known: whether the catalogue has it.
        taken_for: the catalogue's model whose figures these are, where it has none of that very name.
        own_host: whether it is served on one's own machine or network, where nobody bills and nothing is retired.
        title: the name that the vendor gives it (`"Claude Haiku 5.5"`).
        context_window: tokens.
        max_output_tokens: the most tokens that it generates.
        input_price, output_price, cache_read_price, cache_write_price: US dollars for a million tokens, as they
            are today and for a short prompt.
        dearer_above: tokens of prompt above which the whole request is priced higher.
        deprecated: whether its vendor advises against it.
        retires: the last announced day of service.
        tiers: the prices for longer prompts, shortest first.
    """

    provider: str
    name: str
    known: bool = False
    taken_for: str | None = None
    own_host: bool = False
    title: str | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    input_price: float | None = None
    output_price: float | None = None
    cache_read_price: float | None = None
    cache_write_price: float | None = None
    dearer_above: int | None = None
    deprecated: bool = False
    retires: date | None = None
    tiers: tuple[PriceTier, ...] = ()

    @property
    def retired(self) -> bool:
        """Whether the last announced day of service has passed."""
        return self.retires is not None and self.retires < datetime.now(UTC).date()


def cost_of(
    answer: LLMResponse | StreamChunk | Usage, model: str | None = None, *, base_url: str | None = None
) -> Cost:
    """What an answer cost.

    Args:
        answer: a response, a final chunk, or their `usage`.
        model: the `provider:model` that served; needed with a bare `usage`, else the answer names it. The exact
            model that the provider says answered (`response_model`) is looked up before it.
        base_url: where the lockfile has the provider. It says which vendor it is where the name does not; and at a
            host of one's own nobody bills.

    Raises:
        ConfigurationError: the model is not of the form `provider:model`.
    """
    whole: Any = None if isinstance(answer, dict) else answer
    usage: Any = answer if whole is None else whole.usage
    reference = model or (whole.model if whole is not None else "")
    exact = whole.response_model if whole is not None else None
    provider, name = _split(reference)
    if usage is None:
        return Cost(None, None, None, reference, "the provider reported no usage")
    source, reason = _price_source(provider, base_url)
    for candidate in dict.fromkeys(filter(None, (exact, name))):
        found = _find(source, candidate)
        if found is not None:
            return _priced(found, source, usage, f"{provider}:{candidate}")
    return Cost(None, None, None, reference, reason or f"the price data has no model {name!r} of {provider}")


def model_info(reference: str, *, base_url: str | None = None) -> ModelInfo:
    """What the catalogue knows about a `provider:model`.

    Args:
        reference: the model; one that is not known is no error.
        base_url: where the lockfile has the provider. It says which vendor it is where the name does not; and at a
            host of one's own, whatever the name, nothing is known.

    Raises:
        ConfigurationError: the reference is not of that form.
    """
    provider, name = _split(reference)
    if provider in _LOCAL or _is_own_host(base_url):
        return ModelInfo(provider, name, own_host=True)
    source, _ = _price_source(provider, base_url)
    return _info(provider, name, source, _find(source, name))


def models(provider: str, *, base_url: str | None = None) -> list[ModelInfo]:
    """The models of a provider that answer in tokens, families together and versions in order, retired ones too.

    Args:
        provider: its name, as in `provider:model`.
        base_url: where it is, for one whose name the price data does not know.

    Returns:
        An empty list for a provider that the catalogue does not cover.
    """
    source, _ = _price_source(provider, base_url)
    entries = source.models if source is not None else ()
    named = {name: model for model in entries if _answers(provider, model) and (name := _name(model))}
    return [_info(provider, name, source, named[name]) for name in sorted(named, key=_in_order)]


def _answers(provider: str, model: Any) -> bool:
    """Not what is priced otherwise (embeddings, speech), nor what Google's cloud serves beside Gemini."""
    prices = model.get_prices(datetime.now(UTC))
    by_token = prices.output_mtok is not None or not any(vars(prices).values())
    return by_token and not (provider == "google" and model.id.startswith("claude-"))


def _name(model: Any) -> str | None:
    """The name to ask for an entry by: its own, unless that is only a label; `None` where it has patterns alone."""
    if model.id.endswith(("-", ":")):
        return None
    names = [model.id, *(getattr(it, "equals", None) for it in (model.match, *getattr(model.match, "or_", ())))]
    return next((name for name in names if name and model.is_match(name)), None)


def _in_order(name: str) -> list[tuple[int, str]]:
    """A key that sorts `x-9` before `x-10`."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.findall(r"\d+|\D+", name)]


def _info(provider: str, name: str, source: Any, found: Any) -> ModelInfo:
    """What is known of a model, from its entry in the price data (`None` if it has none) and from its vendor."""
    retires = last_day(_vendor(provider, source), name)
    limits: dict[str, Any] = {"max_output_tokens": _longest(_MAX_OUTPUT.get(provider, {}), name), "retires": retires}
    listed = name in listed_models(_vendor(provider, source)) or retires is not None
    if found is None:
        return ModelInfo(provider, name, known=listed, deprecated=retires is not None, **limits)
    known = listed or not _is_guess(_vendor(provider, source), found, name)
    prices = found.get_prices(datetime.now(UTC))
    return ModelInfo(
        provider,
        name,
        known=known,
        taken_for=None if known else found.id,
        title=found.name,
        context_window=found.context_window,
        dearer_above=min((tier.start for tier in getattr(prices.input_mtok, "tiers", ())), default=None),
        deprecated=bool(found.deprecated) or retires is not None,
        tiers=_tiers(prices),
        **_rates(prices, 0),
        **limits,
    )


def _is_guess(vendor: str, found: Any, name: str) -> bool:
    """Whether the price data takes a name for a model only because it begins like one, and there is a better judge.

    A name that goes on after an entry's beginning may be a dated issue of it, or a slip. Where the vendor's SDK lists
    the names, and does not have this one, it is a slip.
    """
    if not listed_models(vendor) or name.startswith("ft:"):  # customers name what they have tuned
        return False
    return not _has(found.match, name.lower()) and name.lower() != found.id.lower()


def _has(clause: Any, name: str) -> bool:
    """Whether a clause of the price data means this very name, or says itself that anything may follow."""
    if hasattr(clause, "or_"):
        return any(_has(it, name) for it in clause.or_)
    if hasattr(clause, "and_"):
        return any(_has(it, name) for it in clause.and_ if not hasattr(it, "regex"))
    (text,) = vars(clause).values()
    if hasattr(clause, "regex"):
        return bool(clause.is_match(name))
    return name == text.lower() or (text.endswith(("-", "@")) and bool(clause.is_match(name)))


def _vendor(provider: str, source: Any) -> str:
    """Whose models a provider serves: another name for a vendor's own address changes nothing about them."""
    if source is None:
        return provider
    return next((name for name, priced in _PRICED_AS.items() if priced == source.id), str(source.id))


def _is_own_host(base_url: str | None) -> bool:
    """Whether an address is on this machine or in a private network, where nobody bills and nothing is retired.

    A name is taken for a vendor's or a gateway's, unless it is `localhost`.
    """
    if not base_url:
        return False
    from ipaddress import ip_address
    from urllib.parse import urlsplit

    try:
        host = urlsplit(base_url).hostname or ""
        return host == "localhost" or host.endswith(".localhost") or ip_address(host).is_private
    except ValueError:
        return False


def known(reference: str) -> bool:
    """Whether the catalogue has a `provider:model`. It has none of a local server; see `covers`.

    Raises:
        ConfigurationError: the reference is not of that form.
    """
    return model_info(reference).known


def covers(provider: str) -> bool:
    """Whether the catalogue lists this provider's models, so that a name it lacks may be a slip."""
    return _price_source(provider, None)[0] is not None


def nearest(reference: str, *, limit: int = 3) -> list[str]:
    """The `provider:model` references that the catalogue has and that look most like this one, best first.

    Args:
        reference: as it was written; the provider may be misspelt too.
        limit: the most to return.
    """
    from difflib import get_close_matches

    provider, _, name = reference.partition(":")
    if not covers(provider):
        provider = next(iter(get_close_matches(provider, _SUGGESTED["fast"], 1)), "")
    source = _price_source(provider, None)[0]
    entries = source.models if source is not None else ()
    names = [known for model in entries if not model.deprecated and (known := _name(model))]
    names += listed_models(_vendor(provider, source))
    staying = [known for known in dict.fromkeys(names) if not _info(provider, known, source, None).retired]
    return [f"{provider}:{match}" for match in get_close_matches(name, staying, limit, 0.5)]


def suggested(role: Role) -> Mapping[str, str]:
    """Current models that fit a role: the model's name by provider."""
    return _SUGGESTED[role]


def max_output_tokens(model: str) -> int | None:
    """The most tokens that an Anthropic model generates, `None` where it is not known.

    Args:
        model: its name without the provider (`"claude-haiku-4-5-20251001"`).
    """
    return _longest(_MAX_OUTPUT["anthropic"], model)


def _longest(table: Mapping[str, int], name: str) -> int | None:
    fitting = [start for start in table if name.startswith(start)]
    return table[max(fitting, key=len)] if fitting else None


def _split(reference: str) -> tuple[str, str]:
    from .lockfile import split_reference

    return split_reference(reference)


def _price_source(provider: str, base_url: str | None) -> tuple[Any, str | None]:
    """The provider in the price data, or why it is not there."""
    if provider in _LOCAL:
        return None, f"{provider} runs models on your own machine; nobody bills for them"
    if _is_own_host(base_url):
        return None, f"{provider} is served at a host of your own ({base_url}); nobody bills for it"
    from genai_prices.data_snapshot import get_snapshot

    wanted = _PRICED_AS.get(provider, provider)
    for source in get_snapshot().providers:
        if source.id == wanted:
            return source, None
    if base_url:
        for source in get_snapshot().providers:
            if re.match(source.api_pattern, base_url):
                return source, None
    return None, f"the price data does not know the provider {provider!r}"


def _find(source: Any, name: str) -> Any:
    if source is None:
        return None
    from genai_prices.data_snapshot import get_snapshot

    return source.find_model(name, all_providers=get_snapshot().providers)


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


def _rates(prices: Any, tokens: int) -> dict[str, Any]:
    """The prices for a million tokens, by kind, of a request whose prompt has more than so many tokens."""
    return {
        "input_price": _rate(prices.input_mtok, tokens),
        "output_price": _rate(prices.output_mtok, tokens),
        "cache_read_price": _rate(prices.cache_read_mtok, tokens),
        "cache_write_price": _rate(prices.cache_write_mtok, tokens),
    }


def _rate(price: Any, tokens: int) -> float | None:
    reached = [tier.price for tier in getattr(price, "tiers", ()) if tier.start <= tokens]
    return None if price is None else float(reached[-1] if reached else getattr(price, "base", price))


def _tiers(prices: Any) -> tuple[PriceTier, ...]:
    starts = {tier.start for price in (prices.input_mtok, prices.output_mtok) for tier in getattr(price, "tiers", ())}
    return tuple(PriceTier(start, **_rates(prices, start)) for start in sorted(starts))
