"""What is known about a model, which models there are, and which one follows another whose end is announced.

Vendors name models after a family and a generation (`claude-sonnet-4-5`, `gpt-5.4-mini`, `gemini-2.0-flash-lite`). The
successor is the newest generation of the very same family that stays; where a name cannot be read so, there is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from ..references import alike, split_reference
from .naming import bare, without_issue
from .prices import answers_in_tokens, find, is_own_host, likely, listing, means, name_of, price_source, vendor
from .records import last_day, listed_models, max_output_tokens, suggested

__all__ = ["ModelInfo", "PriceTier", "covers", "known", "model_info", "models", "nearest", "successor"]


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


def model_info(reference: str, *, base_url: str | None = None) -> ModelInfo:
    """What the catalogue knows about a `provider:model`.

    Args:
        reference: the model; one that is not known is no error.
        base_url: where the provider is asked. It says which vendor it is where the name does not; and at a
            host of one's own, whatever the name, nothing is known.

    Raises:
        ConfigurationError: the reference is not of that form.
    """
    provider, name = split_reference(reference)
    if is_own_host(provider, base_url):
        return ModelInfo(provider, name, own_host=True)
    listed = listing(provider, name, base_url)
    info = _info(listed.provider, listed.name, listed.source, likely(listed.source, listed.name))
    return replace(info, provider=provider, name=name)


def models(provider: str, *, base_url: str | None = None) -> list[ModelInfo]:
    """The models of a provider that answer in tokens, families together and versions in order, retired ones too.

    Args:
        provider: its name, as in `provider:model`.
        base_url: where it is, for one whose name the price data does not know.

    Returns:
        An empty list for a provider that the catalogue does not cover.
    """
    source, _ = price_source(provider, base_url)
    entries = source.models if source is not None else ()
    named = {name: model for model in entries if answers_in_tokens(provider, model) and (name := name_of(model))}
    return [_info(provider, name, source, named[name]) for name in sorted(named, key=_in_order)]


def known(reference: str) -> bool:
    """Whether the catalogue has a `provider:model`. It has none of a local server; see `covers`.

    Raises:
        ConfigurationError: the reference is not of that form.
    """
    return model_info(reference).known


def covers(provider: str) -> bool:
    """Whether the catalogue lists this provider's models, so that a name it lacks may be a slip."""
    return price_source(provider, None)[0] is not None


def nearest(reference: str, *, limit: int = 3) -> list[str]:
    """The `provider:model` references that the catalogue has and that look most like this one, best first.

    None of them is near its end.

    Args:
        reference: as it was written; the provider may be misspelt too.
        limit: the most to return.
    """
    provider, _, name = reference.partition(":")
    if not covers(provider):
        provider = next(iter(alike(provider, suggested("fast"))), "")
    source = price_source(provider, None)[0]
    entries = source.models if source is not None else ()
    names = [known for model in entries if not model.deprecated and (known := name_of(model))]
    names += listed_models(vendor(provider, source))
    staying = [known for known in dict.fromkeys(names) if _info(provider, known, source, None).retires is None]
    return [f"{provider}:{match}" for match in alike(name, staying, limit, 0.5)]


def _in_order(name: str) -> list[tuple[int, str]]:
    """A key that sorts `x-9` before `x-10`."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.findall(r"\d+|\D+", name)]


def _info(provider: str, name: str, source: Any, found: Any) -> ModelInfo:
    """What is known of a model, from its entry in the price data (`None` if it has none) and from its vendor."""
    serving = vendor(provider, source)
    short = bare(source.id, name) if source is not None else name
    retires = last_day(serving, short)
    limits: dict[str, Any] = {"max_output_tokens": max_output_tokens(name), "retires": retires}
    listed = short in listed_models(serving) or retires is not None
    if base := _tuned_from(name):
        listed = _info(provider, base, source, find(source, base)).known
    if found is None:
        # A variant (`:nitro`) may be served by others and at other prices, but it is the same model.
        plain = find(source, name.rpartition(":")[0])
        limits |= {"title": plain.name, "context_window": plain.context_window} if plain is not None else {}
        return ModelInfo(provider, name, known=listed, deprecated=retires is not None, **limits)
    known = listed or not _is_guess(serving, found, short)
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


def _tuned_from(name: str) -> str | None:
    """The model that a customer's own one was tuned from, by its name (`ft:MODEL:ORGANISATION:...`)."""
    prefix, _, rest = name.partition(":")
    base, colon, _ = rest.partition(":")
    return base if prefix == "ft" and base and colon else None


def _is_guess(vendor: str, found: Any, name: str) -> bool:
    """Whether the price data takes a name for a model only because it begins like one, and there is a better judge.

    A name that goes on after an entry's beginning may be a dated issue of it, or a slip. Where the vendor's SDK lists
    the names, and does not have this one, it is a slip.
    """
    if not listed_models(vendor):
        return False
    return not means(found.match, name.lower()) and name.lower() != found.id.lower()


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


_GENERATION = re.compile(r"(?:(?<=-)|(?<=^o))\d{1,2}(?:[.-]\d{1,2})*(?=-|$)")
_STAGES = frozenset({"preview", "exp", "experimental"})


@dataclass(frozen=True, slots=True)
class _Reading:
    """A model's name, read.

    Attributes:
        family: its words, in whatever order the vendor used to write them.
        generation: `(4, 5)`; empty where the name has none.
        early: whether it is a preview.
    """

    family: tuple[str, ...]
    generation: tuple[int, ...]
    early: bool

    @property
    def decimal(self) -> float:
        """The generation as a decimal fraction."""
        return float(".".join(map(str, self.generation[:2]))) if self.generation else 0.0


def successor(reference: str) -> str | None:
    """The `provider:model` that the catalogue has in the place of a model that ends.

    Args:
        reference: the model that ends, as `provider:model`.

    Returns:
        A newer model of the same family that has no announced end, the newest there is; a preview only in the place
        of a preview. `None` where there is none, or where the names do not make it plain.

    Raises:
        ConfigurationError: the reference is not of that form.
    """
    provider, name = split_reference(reference)
    if not model_info(reference).deprecated:
        return None
    follower = _follower(name, [it.name for it in models(provider) if _stays(it)])
    return f"{provider}:{follower}" if follower is not None else None


def _follower(old: str, names: Iterable[str]) -> str | None:
    """The name among some that follows an old one."""
    before = _read(old)
    newer = [(reading, name) for name in names if _follows(reading := _read(name), before)]
    if not newer:
        return None
    _, newest = max(newer, key=lambda pair: (not pair[0].early, pair[0].generation))
    _, largest = max(newer, key=lambda pair: (not pair[0].early, pair[0].decimal))
    return newest if newest == largest else None  # 4.20 may come after 4.3, or before it


def _stays(model: ModelInfo) -> bool:
    return not model.deprecated and model.output_price is not None


def _follows(new: _Reading, old: _Reading) -> bool:
    same_family = bool(old.family) and new.family == old.family
    return same_family and new.generation > old.generation and (old.early or not new.early)


def _read(name: str) -> _Reading:
    name = without_issue(name.lower())
    found = _GENERATION.findall(name)
    generation = tuple(int(part) for part in re.findall(r"\d+", found[0])) if len(found) == 1 else ()
    words = [word for word in _GENERATION.sub("", name).split("-") if word]
    return _Reading(tuple(sorted({*words} - _STAGES)), generation, not _STAGES.isdisjoint(words))
