"""From the keys of a binding and of `[state]` to what they say, or to a `Misfit` that says where and what to do."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast, get_args

from ..references import shown
from .forms import checked, kind, line, optional, reference
from .model import Misfit, Place
from .policy import PERIODS, Budget, Move, Period, Policy, Rate, Split, StateSettings

__all__ = ["duration", "named", "policy_of", "state_of"]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def policy_of(table: Mapping[str, Any], models: Sequence[str], place: Place) -> Policy | None:
    """The policy of a binding, `None` where its table has none.

    Raises:
        Misfit: a key has the wrong form, or makes no sense beside what else the table says.
    """
    params = _own_params(table, (*place, "models"))
    rate = _rate(table.get("rate"), (*place, "rate")) or _early_rate(table.get("constraints"))
    policy = Policy(
        params=params,
        split=_split(table.get("split"), len(models), (*place, "split")),
        sticky=duration(table.get("sticky"), "sticky", (*place, "sticky")),
        hedge_after=_hedge(table.get("hedge_after"), (*place, "hedge_after")),
        deadline=duration(table.get("deadline"), "deadline", (*place, "deadline")),
        move_on=_moves(table.get("move_on"), (*place, "move_on")),
        on_refused_param=cast(
            Literal["error", "drop"],
            _choice(table.get("on_refused_param"), ("error", "drop"), "on_refused_param", place) or "error",
        ),
        rate=rate,
        budget=_budget(table.get("budget"), (*place, "budget")),
    )
    _check_sense(policy, table, models, place)
    return policy if policy != Policy() else None


def state_of(raw: Any) -> StateSettings | None:
    """What the table `[state]` says; `None` where there is none."""
    place: Place = ("state",)
    table = optional(raw, dict, "state", place)
    if table is None:
        return None
    if "url" in table:
        raise Misfit(
            "The address of a store may hold a password, and is not written here. Put it in an environment variable "
            'and write that one\'s name: url_env = "LLMRING_STATE_URL"',
            (*place, "url"),
        )
    variable = line(table.get("url_env"), "url_env", (*place, "url_env"))
    if variable is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
        raise Misfit(
            f"url_env is {shown(variable)}; it is the name of an environment variable, and not what that holds. "
            'Write: url_env = "LLMRING_STATE_URL"',
            (*place, "url_env"),
        )
    failing = _choice(table.get("on_failure"), ("open", "closed"), "on_failure", place)
    return StateSettings(variable, cast(Literal["open", "closed"], failing or "open"))


def named(item: Any, place: Place) -> str:
    """The model that an item of `models` names: the item itself, or the `model` of a table that has its own params."""
    if not isinstance(item, dict):
        return reference(item, place)
    if "model" not in item:
        raise Misfit('This model has no name. Write: { model = "provider:model", params = { ... } }', place)
    return reference(item["model"], (*place, "model"))


def duration(value: Any, name: str, place: Place) -> float | None:
    """Seconds: a number of them, or text such as "30s", "10m", "1.5h"."""
    if value is None:
        return None
    if isinstance(value, str) and (found := _DURATION.fullmatch(value)):
        value = float(found[1]) * _UNITS[found[2]]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        said = shown(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else kind(value)
        raise Misfit(f'{name} is {said}. Write seconds above 0, or a time as in "30s", "10m", "1h"', place)
    return float(value)


def _own_params(table: Mapping[str, Any], place: Place) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    listed = table.get("models")
    for index, item in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(item, dict):
            spot = (*place, index, "params")
            if own := optional(item.get("params"), dict, "params", spot):
                found.setdefault(item["model"], own)
    return found


def _split(raw: Any, models: int, place: Place) -> Split | None:
    table = optional(raw, dict, "split", place)
    if table is None:
        return None
    spot = (*place, "weights")
    if table.get("weights") is None:
        raise Misfit("split has no weights. Write one for each model, as in: weights = [90, 10]", place)
    weights = checked(table["weights"], list, "weights", spot)
    for index, weight in enumerate(weights):
        if type(weight) not in (int, float) or not 0 <= weight < math.inf:
            raise Misfit("A weight must be a number, 0 or more", (*spot, index))
    if len(weights) != models:
        raise Misfit(
            f"split has {_many(len(weights), 'weight')} for {_many(models, 'model')}. Write one for each", spot
        )
    if models == 1:
        raise Misfit(
            "split shares the traffic between models, and this alias has one. Add another, or take it out", spot
        )
    if not 0 < sum(weights) < math.inf:
        raise Misfit("The weights must have a sum above 0: somebody has to serve", spot)
    generation = table.get("generation")
    if generation is not None and (type(generation) is not int or not 0 <= generation < 2**63):
        raise Misfit("generation must be a whole number, 0 or more", (*place, "generation"))
    return Split(tuple(map(float, weights)), _key(table, place), generation or 0)


def _hedge(value: Any, place: Place) -> float | Literal["p95"] | None:
    if value == "p95":
        return "p95"
    try:
        return duration(value, "hedge_after", place)
    except Misfit as misfit:
        raise Misfit(f'{misfit}, or "p95"', place) from None


def _moves(raw: Any, place: Place) -> tuple[Move, ...]:
    listed = optional(raw, list, "move_on", place) or ()
    choices = get_args(Move)
    for index, item in enumerate(listed):
        if item not in choices:
            said = shown(item) if isinstance(item, str) else kind(item)
            raise Misfit(f"move_on names {said}. It may name: {_listed(choices)}", (*place, index))
    return cast("tuple[Move, ...]", tuple(dict.fromkeys(listed)))


def _rate(raw: Any, place: Place) -> Rate | None:
    table = optional(raw, dict, "rate", place)
    if table is None:
        return None
    requests, tokens = (_count(table.get(name), name, (*place, name)) for name in ("requests", "tokens"))
    if requests is None and tokens is None:
        raise Misfit("rate bounds nothing. Write requests, tokens or both, as in: requests = 600", place)
    return Rate(requests, tokens, _period(table, tuple(PERIODS), "rate", place))


def _budget(raw: Any, place: Place) -> Budget | None:
    table = optional(raw, dict, "budget", place)
    if table is None:
        return None
    usd = table.get("usd")
    if usd is None:
        raise Misfit("budget names no sum. Write US dollars, as in: usd = 25.0", place)
    if type(usd) not in (int, float) or not 0 < usd < math.inf:
        raise Misfit("usd must be a number of US dollars above 0", (*place, "usd"))
    unpriced = _choice(table.get("unpriced"), ("refuse", "allow"), "unpriced", place) or "refuse"
    period = _period(table, ("hour", "day", "month"), "budget", place)
    return Budget(float(usd), period, _key(table, place), cast(Literal["refuse", "allow"], unpriced))


def _check_sense(policy: Policy, table: Mapping[str, Any], models: Sequence[str], place: Place) -> None:
    """Refuse what would do nothing, or cannot be meant, beside what else the binding says."""
    if len(models) == 1:
        for name, why in (
            ("sticky", "a conversation has nowhere else to go"),
            ("hedge_after", "there is no second one to ask"),
            ("move_on", "there is none to move on to"),
        ):
            if getattr(policy, name):
                raise Misfit(
                    f"{name} needs a stand-by, and this alias has one model: {why}. Bind another one", (*place, name)
                )
    if (policy.split is not None or policy.params) and len(set(models)) < len(models):
        twice = next(index for index, model in enumerate(models) if model in models[:index])
        raise Misfit(
            f"{shown(models[twice])} stands here twice, and it could not be told which one is meant. Keep one",
            (*place, "models", twice),
        )
    if policy.deadline is None:
        return
    if (table.get("params") or {}).get("deadline") is not None:
        raise Misfit("deadline stands in params, too. Keep one of the two", (*place, "deadline"))
    if isinstance(policy.hedge_after, float) and policy.hedge_after >= policy.deadline:
        raise Misfit(
            f"hedge_after ({policy.hedge_after:g} s) would never come before the deadline ({policy.deadline:g} s). "
            "Write a smaller one, or take it out",
            (*place, "hedge_after"),
        )


def _early_rate(constraints: Any) -> Rate | None:
    """What the `constraints` of 1.x say of a rate. It never said what may stand there, so nothing in them is an error.

    Read are `{requests, tokens, per}` under `rate` or `rate_limit`, and `requests_per_minute`, `tokens_per_minute` and
    their short names `rpm` and `tpm`; of a second, an hour and a day alike.
    """
    if not isinstance(constraints, Mapping):
        return None
    for name in ("rate", "rate_limit"):
        try:
            if rate := _rate(constraints.get(name), ()):
                return rate
        except Misfit:
            continue
    for period in PERIODS:
        counts = []
        for word, short in (("requests", "rp"), ("tokens", "tp")):
            value = constraints.get(f"{word}_per_{period}", constraints.get(f"{short}{period[0]}"))
            counts.append(value if type(value) is int and value > 0 else None)
        if any(counts):
            return Rate(counts[0], counts[1], period)
    return None


def idle_constraints(table: Mapping[str, Any]) -> list[str]:
    """The keys in the `constraints` of a binding that nothing comes of: all but those that a rate is read from."""
    constraints = table.get("constraints")
    if not isinstance(constraints, Mapping):
        return []
    if table.get("rate") is not None or (rate := _early_rate(constraints)) is None:
        return list(constraints)
    # What the rate does not change without says nothing.
    return [key for key in constraints if _early_rate({it: constraints[it] for it in constraints if it != key}) == rate]


def _count(value: Any, name: str, place: Place) -> int | None:
    if value is None:
        return None
    if type(value) not in (int, float) or not 1 <= value < 2**53 or value != value // 1:
        raise Misfit(f"{name} must be a whole number, 1 or more", place)
    return int(value)


def _period(table: Mapping[str, Any], choices: Sequence[str], name: str, place: Place) -> Period:
    if table.get("per") is None:
        raise Misfit(f"{name} does not say in which time. Write: {_writing('per', choices)}", place)
    return cast(Period, _choice(table["per"], choices, "per", place))


def _choice(value: Any, choices: Sequence[str], name: str, place: Place) -> str | None:
    if value is None or (isinstance(value, str) and value in choices):
        return value
    said = shown(value) if isinstance(value, str) else kind(value)
    raise Misfit(f"{name} is {said}. Write: {_writing(name, choices)}", (*place, name))


def _key(table: Mapping[str, Any], place: Place) -> str | None:
    """The key of a request's metadata that `by` names."""
    if (by := line(table.get("by"), "by", (*place, "by"))) == "":
        raise Misfit('by is empty. Write a key of the requests\' metadata, as in: by = "user"', (*place, "by"))
    return by


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _writing(name: str, choices: Sequence[str]) -> str:
    return " or ".join(f'{name} = "{choice}"' for choice in choices)


def _listed(choices: Sequence[str]) -> str:
    return ", ".join(f'"{choice}"' for choice in choices)
