"""The facts of a model: asked in one place, and prices, windows and dates as people read them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .. import catalog
from ..catalog import ModelInfo
from ..lockfile import Lockfile
from ..providers.endpoints import address_of
from ..references import is_name
from ..vendors import ALSO_CALLED, BUILT_IN
from .amounts import dollars

if TYPE_CHECKING:
    from ..schemas import LLMResponse, StreamChunk


def facts_of(reference: str, lockfile: Lockfile | None) -> ModelInfo:
    """What the catalogue says of a model at its provider's address, by the lockfile or the environment."""
    provider = reference.partition(":")[0]
    settings = lockfile.providers.get(provider) if lockfile is not None else None
    return catalog.model_info(reference, base_url=address_of(provider, settings))


def of_some_provider(name: str) -> str | None:
    """The `provider:model` that is meant by the name of a model alone, as the catalogue has it, or by one with a slash
    behind its provider; `None` if none is."""
    if ":" in name or not is_name(name):
        return None
    provider, slash, model = name.partition("/")
    provider = ALSO_CALLED.get(provider, provider)
    direct = f"{provider}:{model}" if slash and model and provider in BUILT_IN else None
    if direct is not None and (catalog.known(direct) or not catalog.covers(provider)):
        return direct
    found = (f"{it}:{name}" for it in BUILT_IN if catalog.covers(it) and catalog.known(f"{it}:{name}"))
    return next(found, direct)


def not_listed(info: ModelInfo) -> str | None:
    """What to say where the catalogue, which lists this provider's models, lacks this one."""
    if info.known or info.own_host or not catalog.covers(info.provider):
        return None
    near = ", ".join(catalog.nearest(f"{info.provider}:{info.name}"))
    return f'the catalogue does not know "{info.name}" of {info.provider}.{f" Near it: {near}." if near else ""}'


def as_data(info: ModelInfo) -> dict[str, Any]:
    """All that is known of a model, for `--json`: prices in US dollars for a million tokens, windows in tokens.

    `other_use` says what it is for where that is not chat, else `null`.
    """
    fields = asdict(info)
    del fields["dearer_above"]
    retires = info.retires.isoformat() if info.retires is not None else None
    reference: dict[str, Any] = {"model": f"{info.provider}:{info.name}"}
    reference["other_use"] = catalog.other_use(info.name)
    return reference | fields | {"tiers": list(fields["tiers"]), "retires": retires, "retired": info.retired}


def price(amount: float | None, *, unknown: str = "-") -> str:
    """US dollars for a million tokens, to the last digit: `$0.10`, `$0.125`, `$15.00`."""
    if amount is None:
        return unknown
    whole, _, rest = f"{amount:,.6f}".partition(".")
    return f"${whole}.{rest.rstrip('0').ljust(2, '0')}"


def tokens(count: int | None, *, unknown: str = "-") -> str:
    """A number of tokens, to three digits: `128K`, `1.05M`."""
    if count is None:
        return unknown
    for size, letter in ((1_000_000, "M"), (1_000, "K")):
        if count >= 0.9995 * size:
            return f"{count / size:.3g}{letter}" if count < 999.5 * size else f"{count / size:,.0f}{letter}"
    return str(count)


def percent(before: float | None, after: float | None) -> str:
    """By how much a figure changed: `+25%`; empty where it did not, or where that cannot be said."""
    if not before or after is None or before == after:
        return ""
    change = 100 * (after - before) / before
    return f"{change:+.3g}%" if abs(change) < 100 else f"{change:+,.0f}%"


def remark(info: ModelInfo) -> str:
    """What to know before a model is bound: that it has ended, or is about to. Empty where there is nothing."""
    if info.retires is not None:
        return f"retired {info.retires}" if info.retired else f"retires {info.retires}"
    return "deprecated" if info.deprecated else ""


def unpriced(info: ModelInfo) -> str:
    """Why there is no price; empty where there is one."""
    if info.input_price is not None or info.output_price is not None:
        return ""
    if info.own_host:
        return "no price: at a host of your own"
    if not catalog.covers(info.provider):
        return "no price: the catalogue has no list of this provider"
    return "no price known" if info.known else "not in the catalogue"


def remark_in_list(info: ModelInfo) -> str:
    """The same in a list of all kinds of models: what it is for, too, where that is not chat."""
    use = catalog.other_use(info.name)
    return ", ".join(filter(None, [f"for {use}" if use else "", remark(info)]))


def usage_line(answer: LLMResponse | StreamChunk, cost: float | None, seconds: float, *, is_whole: bool = True) -> str:
    """Who served, what it took and what it cost, on one line; nobody has counted the output of one that was stopped."""
    parts = [answer.model]
    if usage := answer.usage:
        cached = f" ({usage['cache_read_tokens']} cached)" if usage.get("cache_read_tokens") else ""
        out = f", {usage['completion_tokens']} out" if is_whole else ""
        parts.append(f"tokens: {usage['prompt_tokens']} in{cached}{out}")
    if answer.finish_reason not in ("stop", None):
        parts.append(f"ended by {answer.finish_reason}")
    if answer.skipped_events:
        parts.append(f"{answer.skipped_events} events not understood")
    if cost is not None and is_whole:
        parts.append(dollars(cost))
    return " · ".join([*parts, f"{seconds:.1f} s"])
