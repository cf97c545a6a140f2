"""The rules by which requests are let through, as steps on records: what every store does, whatever keeps the records.

A record is a table of whole numbers (`asks.py`); `step.lua` has the same rules for Redis, and
`tests/state/test_rules.py` holds the two to the same answers.

**Rate.** The generic cell rate: a record has the time at which all that was let through will be paid for (`r` of
requests, `t` of tokens). A request takes a part of the period, and goes when what is unpaid then is at most a whole
one, which is the burst. Who has to wait is written down with when it came (`waits`), one for each process: who came
later needs room for those, too. A wait that nobody comes back for is forgotten.

**Budget.** What is spent in this hour, day or month (`s`, of the window `w`), and what is held for requests under way,
by when that lapses (`held`). A request goes when both, and the dearest that it may cost, are within the budget.

**Breaker.** As `breaker.py` has it, with its probe held by a lease (`p`).

**Limits.** What a provider said of its own limits: alone until then (`b`), and its buckets, alike to a rate.

**Places.** Which model a conversation is with (`v`): that is whom a request asks, and it stays so for longer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .asks import MICRO, NANO, Ask, Record, Told, Verdict
from .windows import end_of, window_of

__all__ = ["BUCKET", "GRACE", "LEASE", "lease", "step"]

BUCKET = 10 * MICRO
"""What is held lapses in steps of this: one number for all requests that came within it."""
LEASE = 5
"""After how many of them it lapses: in 50 to 60 seconds."""
GRACE = 2 * MICRO
"""How long a wait is kept beyond its time, for whoever waits to come back."""
PROBE = 60 * MICRO
"""How long a probe has before another one is let through."""
_ELSEWHERE = MICRO
"""How long a provider's own limit is waited for where another model stands by."""
_DAY = 86_400 * MICRO
_EACH = {"r": _DAY * 1000, "t": NANO}
"""The most nanoseconds that a request, or a token, takes of a provider's limit."""
_WHOLE = 9 * 10**15
_KEPT = 3_600 * MICRO
"""How long what has no end of its own is kept after it was last touched."""


def step(
    record_of: Callable[[str], Record], now: int, told: Sequence[Told], asks: Sequence[Ask], moved: list[int]
) -> list[Verdict]:
    """Do what a store was told, and answer what it is asked, in order.

    Args:
        record_of: a record, by its key: empty where there is none. `x` is when it may be forgotten.
        now: the time.
        moved: gets when what is held longer lapses.
    """
    for kind, key, figures in told:
        _TOLD[kind](_in_time(record_of(key), now), now, *figures)
        if kind == "lease":
            moved.append(lease(now))
    return [_answer(record_of, now, ask) for ask in asks]


def lease(now: int) -> int:
    """The bucket in which what is held from now on lapses."""
    return now // BUCKET + LEASE


def _in_time(record: Record, now: int) -> Record:
    """The record, its times moved back with the clock, where that was set back: else nobody would go until then."""
    at = record.get("at", now)
    if at > now:
        back = at - now
        for name in ("r", "t", "b", "vr", "vt", "o", "p"):
            if record.get(name):
                record[name] = max(1, record[name] - back)
        if waits := record.get("waits"):
            record["waits"] = {it: (came - back, needs, until - back) for it, (came, needs, until) in waits.items()}
    record["at"] = now
    return record


def _answer(record_of: Callable[[str], Record], now: int, ask: Ask) -> Verdict:
    if not ask.place:
        return _judged(record_of, now, ask)
    place = _in_time(record_of(ask.place), now)
    which = next((at for at, other in enumerate(ask.others, 1) if other.model == place.get("v")), 0)
    chosen = ask.of(which)
    verdict = _judged(record_of, now, chosen)
    if not verdict.no:
        _told_put(place, now, chosen.model, chosen.kept)
    return verdict._replace(which=which)


def _judged(record_of: Callable[[str], Record], now: int, ask: Ask) -> Verdict:
    # All is asked before anything is taken, so that who may not go takes nothing.
    failures = probe = spent = held = 0
    breaker = budget = None
    if ask.breaker:
        breaker = _in_time(record_of(ask.breaker), now)
        failures = breaker.get("f", 0)
        if opened := breaker.get("o", 0):
            wait = opened + ask.cooldown - now
            if wait > 0 or breaker.get("p", 0) > now:
                wait = wait if wait > 0 else min(MICRO, ask.cooldown)
                return Verdict("breaker", now, wait, wait, failures)
            probe = 1
    if ask.budget:
        budget = _in_time(record_of(ask.budget), now)
        spent, held = _spent(budget, now, ask.per)
        if spent + held + ask.most > ask.usd:
            return Verdict("budget", now, 0, 0, failures, 0, spent, held)
    wait = sure = 0
    rate = limit = None
    if ask.limit:
        limit = _in_time(record_of(ask.limit), now)
        sure = wait = _limited(limit, now, ask.weight)
        if wait > _ELSEWHERE and ask.elsewhere:
            return Verdict("limit", now, wait, wait, failures)
    if ask.rate:
        rate = _in_time(record_of(ask.rate), now)
        arrived, requests, tokens = now - ask.age, 0, 0
        if waits := rate.get("waits"):
            for client, (came, needs, until) in [*waits.items()]:
                if until < now:
                    del waits[client]
                elif client != ask.client and (came, client) < (arrived, ask.client):
                    requests, tokens = requests + ask.request, tokens + needs
        by_requests = max(rate.get("r", 0), now) + requests + ask.request - ask.burst - now if ask.request else 0
        by_tokens = max(rate.get("t", 0), now) + tokens + min(ask.tokens, ask.burst) - ask.burst - now
        sure = max(sure, by_requests)
        wait = max(sure, by_tokens if ask.tokens else 0)
    if wait > 0:
        if rate is not None:
            rate.setdefault("waits", {})[ask.client] = (now - ask.age, ask.tokens, now + wait + GRACE)
            _keep_rate(rate, now, ask.burst)
        return Verdict("rate", now, wait, max(0, sure), failures)
    if rate is not None:
        wait = _take(rate, now, ask)
    if limit is not None:
        _take_limit(limit, now, ask.weight)
    if budget is not None:
        bucket, under_way = str(lease(now)), budget.setdefault("held", {})
        under_way[bucket] = under_way.get(bucket, 0) + ask.most
        budget["x"] = max(budget.get("x", 0), end_of(now, ask.per) + 2 * LEASE * BUCKET)
    if breaker is not None and probe:
        breaker["p"] = now + PROBE
        breaker["x"] = now + PROBE + _KEPT
    return Verdict("", now, max(0, wait), 0, failures, probe, spent, held)


def _take(rate: Record, now: int, ask: Ask) -> int:
    """Take a request's parts of the period, and give how long the one behind it has to wait."""
    if ask.request:
        rate["r"] = max(rate.get("r", 0), now) + ask.request
    if ask.tokens:
        rate["t"] = max(rate.get("t", 0), now) + ask.tokens
    wait: int = 0
    waits = rate.get("waits")
    if ask.next_age >= 0:
        if ask.request:
            wait = rate["r"] + ask.request - ask.burst - now
        if ask.next_tokens:
            wait = max(wait, rate.get("t", 0) + min(ask.next_tokens, ask.burst) - ask.burst - now)
        waits = rate.setdefault("waits", {})
        waits[ask.client] = (now - ask.next_age, ask.next_tokens, now + max(0, wait) + GRACE)
    elif waits:
        waits.pop(ask.client, None)
    _keep_rate(rate, now, ask.burst)
    return wait


def _keep_rate(rate: Record, now: int, burst: int) -> None:
    until = max(rate.get("r", 0), rate.get("t", 0), now) + burst + GRACE
    for _, _, waiting in (rate.get("waits") or {}).values():
        until = max(until, waiting)
    rate["x"] = until


def _limited(limit: Record, now: int, weight: int) -> int:
    """How long a provider has said that it wants no such request."""
    wait = limit.get("b", 0) - now
    for kind, needs in (("r", 1), ("t", weight)):
        if each := limit.get(f"{kind}i", 0):
            burst, cost = limit[f"{kind}b"], -(-needs * each // 1000)
            wait = max(wait, max(limit.get(f"v{kind}", 0), now) + min(cost, burst) - burst - now)
    return int(max(0, wait))


def _take_limit(limit: Record, now: int, weight: int) -> None:
    for kind, needs in (("r", 1), ("t", weight)):
        if each := limit.get(f"{kind}i", 0):
            limit[f"v{kind}"] = max(limit.get(f"v{kind}", 0), now) + -(-needs * each // 1000)


def _spent(budget: Record, now: int, per: str) -> tuple[int, int]:
    """What is spent in this window, and held beside it."""
    window, before = window_of(now, per), budget.get("w", -1)
    # A clock that is set back a little brings no window back: what was spent in the one after it is still spent.
    if not window <= before <= window + 1:
        budget["w"], budget["s"] = window, 0
    held, under_way = 0, budget.get("held")
    if under_way:
        first, last = now // BUCKET, lease(now)
        for bucket in [*under_way]:
            # Those too far ahead are of a clock that was set back.
            if not first <= int(bucket) <= last or under_way[bucket] <= 0:
                del under_way[bucket]
            else:
                held += under_way[bucket]
    return budget["s"], held


def _told_rate(rate: Record, now: int, requests: int, tokens: int) -> None:
    if rate.get("x") is None:  # it has been forgotten, and so is what is to be taken back
        return
    for name, part in (("r", requests), ("t", tokens)):
        if part > 0:
            rate[name] = max(rate.get(name, 0), now) + part
        elif part < 0:
            rate[name] = max(0, rate.get(name, 0) + part)
    rate["x"] = max(rate["x"], rate.get("t", 0) + GRACE)


def _told_spent(budget: Record, now: int, per: str, bucket: int, held: int, cost: int) -> None:
    _spent(budget, now, per)
    _let_go(budget, bucket, held)
    budget["s"] += cost
    budget["x"] = max(budget.get("x", 0), end_of(now, per) + 2 * LEASE * BUCKET)


def _told_lease(budget: Record, now: int, bucket: int, held: int) -> None:
    _let_go(budget, bucket, held)
    under_way, name = budget.setdefault("held", {}), str(lease(now))
    under_way[name] = under_way.get(name, 0) + held
    budget["x"] = max(budget.get("x", 0), now + 2 * LEASE * BUCKET)


def _let_go(budget: Record, bucket: int, held: int) -> None:
    under_way, name = budget.get("held") or {}, str(bucket)
    if name in under_way:
        under_way[name] = max(0, under_way[name] - held)
        if not under_way[name]:
            del under_way[name]


def _told_breaker(breaker: Record, now: int, how: str, probe: int, threshold: int) -> None:
    opened = breaker.get("o", 0)
    # Those that were let through before it opened have no say any more.
    has_say = probe or not opened
    if probe:
        breaker["p"] = 0
    if how == "ok" and has_say:
        breaker["f"] = breaker["o"] = 0
    elif how == "began" and probe:
        breaker["f"], breaker["o"] = threshold - 1, 0
    elif how == "failed" and has_say:
        breaker["f"] = breaker.get("f", 0) + 1
        if breaker["f"] >= threshold:
            breaker["o"] = now
    breaker["x"] = now + _KEPT


def _told_limit(limit: Record, now: int, alone: int, *buckets: int) -> None:
    if alone:
        limit["b"] = max(limit.get("b", 0), now + alone)
    until = limit.get("b", 0)
    for kind, (most, left, full) in (("r", buckets[:3]), ("t", buckets[3:])):
        # What is missing in the bucket comes back in the time until it is full.
        if most > 0 and full > 0 and left < most:
            each = min(_EACH[kind], max(1, full * 1000 // (most - left)))
            limit[f"{kind}i"] = each
            # Whole numbers that every store can count with.
            limit[f"{kind}b"] = _WHOLE // 1000 if each > _WHOLE // most else -(-most * each // 1000)
            limit[f"v{kind}"] = max(limit.get(f"v{kind}", 0), now + full)
            until = max(until, limit[f"v{kind}"])
    limit["x"] = max(limit.get("x", 0), until + _KEPT)


def _told_leave(rate: Record, now: int, client: str) -> None:
    (rate.get("waits") or {}).pop(client, None)


def _told_put(record: Record, now: int, value: str, kept: int) -> None:
    record["v"], record["x"] = value, now + kept


_TOLD: dict[str, Callable[..., None]] = {
    "rate": _told_rate,
    "spent": _told_spent,
    "lease": _told_lease,
    "breaker": _told_breaker,
    "limit": _told_limit,
    "leave": _told_leave,
    "put": _told_put,
}
