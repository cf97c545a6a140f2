"""The policy of an alias as people read it, and as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..lockfile import Binding
from ..lockfile.policy import each
from .amounts import dollars

if TYPE_CHECKING:
    from ..catalog import ModelInfo
    from ..lockfile import Policy

__all__ = ["on_average", "policy_data", "policy_words", "remarks_of", "shares_of", "time"]

_UNITS = (("d", 86400.0), ("h", 3600.0), ("m", 60.0), ("s", 1.0))


def time(seconds: float) -> str:
    """Seconds as a lockfile may have them: `10m`, `2.5s`, `300ms`."""
    if seconds < 1:
        return f"{seconds * 1000:g}ms"
    return next(f"{seconds / size:g}{unit}" for unit, size in _UNITS if seconds % size == 0 or unit == "s")


def policy_words(binding: Binding) -> dict[str, str]:
    """What a binding says of how it is served, by its keys; own params by the model whose they are."""
    policy = binding.policy
    if policy is None:
        return {}
    words = {f"params of {model}": _params(own) for model, own in policy.params.items()}
    words |= {"split": _split(binding, policy)} if policy.split is not None else {}
    words |= {
        name: _length(value) for name in ("sticky", "hedge_after", "deadline") if (value := getattr(policy, name))
    }
    words |= {"move_on": ", ".join(policy.move_on)} if policy.move_on else {}
    words |= {"on_refused_param": policy.on_refused_param} if policy.on_refused_param != "error" else {}
    if (rate := policy.rate) is not None:
        counts = [f"{count:,} {what}" for what in ("requests", "tokens") if (count := getattr(rate, what)) is not None]
        words["rate"] = f"{' and '.join(counts)} {each(rate.per)}"
    if (budget := policy.budget) is not None:
        by = f" for each {budget.by}" if budget.by is not None else ""
        unpriced = ", unpriced allowed" * (budget.unpriced == "allow")
        words["budget"] = f"{dollars(budget.usd)} {each(budget.per)}{by}{unpriced}"
    return words


def remarks_of(binding: Binding, number: int) -> list[str]:
    """What to say beside one of a binding's models: its share, its own params; beside the first, what is of all."""
    policy = binding.policy
    if policy is None:
        return []
    model = binding.models[number]
    said = [f"serves {_percent(policy.split.shares[number])} first"] if policy.split is not None else []
    said += [_params(policy.params[model])] if model in policy.params else []
    if number:
        return said
    words = policy_words(binding)
    return said + [f"{name} {words[name]}" for name in words if name != "split" and not name.startswith("params of ")]


def policy_data(binding: Binding) -> dict[str, Any]:
    """The same for `--json`, times in seconds: only what the binding says."""
    if binding.policy is None:
        return {}
    said = {name: value for name, value in asdict(binding.policy).items() if value not in (None, {}, (), "error")}
    if binding.policy.split is not None:
        said["split"]["shares"] = dict(zip(binding.models, binding.policy.split.shares, strict=True))
    return {"policy": said}


def shares_of(binding: Binding) -> dict[str, float]:
    """The models that serve first, each with its share, as a part of 1."""
    policy = binding.policy
    shares = policy.split.shares if policy is not None and policy.split is not None else (1.0,)
    return {model: share for model, share in zip(binding.models, shares, strict=False) if share}


def on_average(binding: Binding, facts: Callable[[str], ModelInfo], field: str) -> float | None:
    """A price of an alias: of the models that serve first, by their shares; `None` where one of them has none."""
    average = 0.0
    for model, share in shares_of(binding).items():
        price: float | None = getattr(facts(model), field)
        if price is None:
            return None
        average += price * share
    return round(average, 6)


def _split(binding: Binding, policy: Policy) -> str:
    assert policy.split is not None
    sides = [f"{_percent(share)} {model}" for model, share in zip(binding.models, policy.split.shares, strict=True)]
    by = f", by {policy.split.by}" if policy.split.by is not None else ""
    anew = f", generation {policy.split.generation}" if policy.split.generation else ""
    return f"{', '.join(sides)}{by}{anew}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


def _length(value: float | str) -> str:
    return value if isinstance(value, str) else time(value)


def _params(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in params.items())
