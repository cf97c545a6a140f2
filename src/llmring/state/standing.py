"""How all stands that is counted: what `LLMRing.state` and `llmring state` show."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from ..exceptions import ConfigurationError, StoreUnavailableError
from .asks import MICRO, NANO, Record, name_of
from .desk import Desk
from .far import Far
from .rules import BUCKET
from .windows import end_of, window_of

if TYPE_CHECKING:
    from ..lockfile import Budget, Lockfile, Rate

__all__ = ["AliasStanding", "BudgetStanding", "ModelStanding", "RateStanding", "Standing", "reset", "standing_of"]

_T = TypeVar("_T")
_PATIENCE = 3.0
"""Seconds that a store has for all of its records."""


@dataclass(frozen=True, slots=True)
class RateStanding:
    """How the rate of an alias stands.

    Attributes:
        requests, tokens: how many may go at once now; below 0: that many are to come back first. `None`: no bound.
        per: the period that the rate is of.
        waiting: lines that wait for their turn, one for each process.
    """

    requests: int | None
    tokens: int | None
    per: str
    waiting: int


@dataclass(frozen=True, slots=True)
class BudgetStanding:
    """How a budget stands, in US dollars.

    Attributes:
        usd: all of it, in a period.
        per: the period.
        by: the key of the requests' metadata by which it is counted apart; `None`: it is one for all.
        who: for whom: the beginning of a digest of the key's value, `None` for requests without one.
        spent: what answers have cost.
        held: what those under way may cost, at most.
        left: what is neither.
        opens_at: when the next period begins.
    """

    usd: float
    per: str
    by: str | None
    who: str | None
    spent: float
    held: float
    left: float
    opens_at: datetime


@dataclass(frozen=True, slots=True)
class AliasStanding:
    """How an alias stands.

    Attributes:
        alias: its name.
        rate: `None` where it has none.
        budgets: those of which something was spent or is held in this period; of one that is not counted apart, always.
    """

    alias: str
    rate: RateStanding | None
    budgets: tuple[BudgetStanding, ...]


@dataclass(frozen=True, slots=True)
class ModelStanding:
    """How a model stands, for all who share the store.

    Attributes:
        model: the `provider:model`.
        breaker: of it.
        failures: how many there were in a row.
        alone: seconds that its provider wants to be left alone for, by what it said last.
        requests, tokens: how many of them its provider would take now, by what it said last; `None`: it has not said.
    """

    model: str
    breaker: Literal["closed", "open", "half-open"]
    failures: int
    alone: float
    requests: int | None
    tokens: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How all stands that is counted.

    Attributes:
        store: what keeps it: `"process"`, `"sqlite"` or `"redis"`.
        url_env: the environment variable that names the store; `None` for this process.
        profile: whose aliases these are.
        aliases: those that have a rate or a budget, in the lockfile's order.
        models: those of which something is known, by their names.
    """

    store: str
    url_env: str | None
    profile: str
    aliases: tuple[AliasStanding, ...]
    models: tuple[ModelStanding, ...]


async def standing_of(desk: Desk, lockfile: Lockfile | None, profile: str | None, cooldown: float) -> Standing:
    """How it stands.

    Args:
        desk: of the store.
        lockfile: says what is counted.
        profile: of which aliases.
        cooldown: of the breakers, in seconds.

    Raises:
        StoreUnavailableError: the store does not answer.
    """
    records = await _records(desk)
    # A step tells the time of the store.
    now = (await _done(desk, desk.store_or_own.step((), ()))).now
    store, variable = desk.kind, lockfile.state.url_env if lockfile is not None and lockfile.state is not None else None
    found, name = [], profile or "default"
    if lockfile is not None:
        chosen = lockfile.profile(profile)
        name = chosen.name
        for alias, binding in chosen.bindings.items():
            policy = binding.policy
            if policy is None or (policy.rate is None and policy.budget is None):
                continue
            of = name_of(name, alias)
            rate = _rate(policy.rate, records.get(f"rate:{of}", {}), now) if policy.rate else None
            budgets = _budgets(policy.budget, f"budget:{of}", records, now) if policy.budget else ()
            found.append(AliasStanding(alias, rate, budgets))
    models = sorted({key.partition(":")[2] for key in records if key.startswith(("breaker:", "limit:"))})
    return Standing(
        store,
        variable if desk.is_far else None,
        name,
        tuple(found),
        tuple(_model(model, records, now, round(cooldown * MICRO)) for model in models),
    )


async def reset(desk: Desk, lockfile: Lockfile | None, profile: str | None, alias: str | None) -> int:
    """Forget what was counted; see `LLMRing.reset_state`."""
    chosen = lockfile.profile(profile) if lockfile is not None else None
    name = chosen.name if chosen is not None else profile or "default"
    if alias is not None and (chosen is None or alias not in chosen.bindings):
        raise ConfigurationError(f"There is no alias {alias!r} in the profile {name!r}. See: llmring state")
    mine = []
    for key in await _records(desk):
        kind, _, of = key.partition(":")
        if kind in ("rate", "budget"):
            whole = name_of(name, alias or "")
            is_mine = of.startswith(whole) if alias is None else of.partition(":")[0] == whole
        else:
            is_mine = alias is None
        if is_mine:
            mine.append(key)
    await _done(desk, desk.store_or_own.remove(mine))
    return len(mine)


async def _records(desk: Desk) -> Mapping[str, Record]:
    await desk.flush()
    return await _done(desk, desk.store_or_own.entries())


async def _done(desk: Desk, work: Coroutine[Any, Any, _T]) -> _T:
    """What a store gives, if it does in time."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return await work
    except Exception as error:
        kind = type(error).__name__
    # Not where the error is at hand, whose frames have the store's address.
    name = desk.name if isinstance(desk, Far) else "of this process"
    raise StoreUnavailableError(f"The store of counts that {name} names does not answer ({kind}).")


def _rate(rate: Rate, record: Record, now: int) -> RateStanding:
    period = round(rate.seconds * MICRO)

    def left(most: int | None, unpaid: int) -> int | None:
        return None if most is None else (period - max(0, unpaid - now)) * most // period

    waits = sum(until >= now for _, _, until in (record.get("waits") or {}).values())
    return RateStanding(left(rate.requests, record.get("r", 0)), left(rate.tokens, record.get("t", 0)), rate.per, waits)


def _budgets(budget: Budget, key: str, records: Mapping[str, Record], now: int) -> tuple[BudgetStanding, ...]:
    opens = datetime.fromtimestamp(end_of(now, budget.per) / MICRO, UTC)
    found = []
    for name in sorted(it for it in records if it == key or it.startswith(f"{key}:")) or [key]:
        record = records.get(name, {})
        spent = record.get("s", 0) / NANO if record.get("w", -1) >= window_of(now, budget.per) else 0.0
        under_way: Mapping[str, Any] = record.get("held") or {}
        held = sum(amount for bucket, amount in under_way.items() if int(bucket) >= now // BUCKET) / NANO
        who = name.removeprefix(key).removeprefix(":") or None
        if spent or held or budget.by is None:
            left = max(0.0, budget.usd - spent - held)
            found.append(BudgetStanding(budget.usd, budget.per, budget.by, who, spent, held, left, opens))
    return tuple(found)


def _model(model: str, records: Mapping[str, Record], now: int, cooldown: int) -> ModelStanding:
    breaker, limit = records.get(f"breaker:{model}", {}), records.get(f"limit:{model}", {})
    state: Literal["closed", "open", "half-open"] = "closed"
    if opened := breaker.get("o", 0):
        state = "open" if opened + cooldown > now else "half-open"

    def left(kind: str) -> int | None:
        if not (each := limit.get(f"{kind}i", 0)):
            return None
        most = limit[f"{kind}b"]
        return int((most - max(0, limit.get(f"v{kind}", 0) - now)) * 1000 // each)

    alone = max(0, limit.get("b", 0) - now) / MICRO
    return ModelStanding(model, state, breaker.get("f", 0), alone, left("r"), left("t"))
