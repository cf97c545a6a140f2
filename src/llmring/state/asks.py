"""What a store is asked and told, and what it says.

All figures are whole numbers, so that no store rounds otherwise than another: times are microseconds, money is in
billionths of a dollar.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

__all__ = ["MICRO", "NANO", "Ask", "Other", "Record", "Told", "Verdict", "name_of"]

MICRO = 1_000_000
"""Microseconds in a second."""
NANO = 1_000_000_000
"""The parts of a dollar."""

Record: TypeAlias = "dict[str, Any]"
"""What a store keeps under a key: a table of numbers, which `rules.py` knows."""


_APART = str.maketrans({mark: f"%{ord(mark):02X}" for mark in "%/:"})


def name_of(profile: str, alias: str) -> str:
    """What the records of an alias are called, whatever marks the two names have: no other alias has the same."""
    return f"{profile.translate(_APART)}/{alias.translate(_APART)}"


class Other(NamedTuple):
    """Another model that a conversation may be with, and what is asked in its place then; see `Ask`."""

    model: str
    breaker: str = ""
    limit: str = ""
    weight: int = 0
    tokens: int = 0
    most: int = 0


class Ask(NamedTuple):
    """What a request asks a store: whether it may go. A key that is empty asks nothing of it.

    Attributes:
        client: who asks: a line of waiting requests in one process.
        age: how long ago the request came.
        breaker, threshold, cooldown: of its model.
        rate: the record of its alias's rate,
        request, tokens: the parts of the period that it takes, as a request and by its tokens; 0 takes none,
        burst: and the period.
        limit: the record of its provider's limits,
        weight: and the tokens that it takes of them.
        elsewhere: another model stands by.
        budget: the record of its budget,
        usd, most: the budget, and the dearest that it may cost,
        per: within `"hour"`, `"day"` or `"month"`.
        next_age, next_tokens: of the one behind it, which waits in its place once it goes; -1: there is none.
        place: the record of which model its conversation is with,
        model: who that is from now on, if it is none of the others,
        others: and who else it may be with: then it is that one which is asked.
        kept: for how long.
    """

    client: str = ""
    age: int = 0
    breaker: str = ""
    threshold: int = 0
    cooldown: int = 0
    rate: str = ""
    request: int = 0
    tokens: int = 0
    burst: int = 0
    limit: str = ""
    weight: int = 0
    elsewhere: bool = False
    budget: str = ""
    usd: int = 0
    most: int = 0
    per: str = ""
    next_age: int = -1
    next_tokens: int = 0
    place: str = ""
    model: str = ""
    others: tuple[Other, ...] = ()
    kept: int = 0

    def of(self, which: int) -> Ask:
        """What is asked of the model that a place led to: the first of the others is 1; 0: of its own."""
        own = self._replace(place="", others=())
        return own._replace(**self.others[which - 1]._asdict()) if which else own


class Verdict(NamedTuple):
    """What a store says.

    Attributes:
        no: what keeps it from going, `"breaker"`, `"rate"`, `"limit"` or `"budget"`; empty where it goes.
        now: the store's time.
        wait: for how long; of one that goes, how long the next one has to wait.
        sure: how much of that no answer under way can shorten.
        failures: of its model, in a row.
        probe: whether it is the one that tries a half-open breaker.
        spent, held: of its budget, without its own.
        which: of the others its conversation is with, counted from 1; 0: none of them.
    """

    no: str
    now: int
    wait: int = 0
    sure: int = 0
    failures: int = 0
    probe: int = 0
    spent: int = 0
    held: int = 0
    which: int = 0


Told: TypeAlias = "tuple[str, str, tuple[Any, ...]]"
"""What a store is told: of what kind, of which record, and the figures.

    rate     requests, tokens                          parts of the period to be added, or, below 0, taken back
    spent    per, bucket, held, cost                   a request's cost, and what was held for it until when
    lease    bucket, held                              what is held is held longer
    breaker  how, probe, threshold                     "ok", "began", "failed" or "none"
    limit    alone, requests, tokens                   what a provider said: alone for how long; limit, left, until full
    leave    client                                    nobody waits there any more
    put      value, kept                               a text, and for how long
"""
