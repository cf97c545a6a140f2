"""A provider with limits that nobody is told of, in simulated time: what a pace makes of it.

python -m tests.bulk.simulated
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import inf
from typing import NamedTuple, Protocol

from llmring.bulk.pace import Begun, Outcome, Pace


class Hidden:
    """A provider: a bucket of requests and one of tokens, filled steadily, each with a part of a minute in it.

    Args:
        requests, tokens: a minute, by the time.
        slots: answers at once, at full speed; more of them take longer.
        told: whether a refusal says when to come again.
        depth: of the buckets, in minutes.
        latency: of an answer, in seconds, by three tenths more or less.
    """

    def __init__(
        self,
        requests: Callable[[float], float],
        tokens: Callable[[float], float] = lambda _: inf,
        slots: int = 10_000,
        *,
        told: bool = True,
        depth: float = 1 / 12,
        latency: float = 1.0,
        seed: int = 1,
    ) -> None:
        self.limits = requests, tokens
        self.left = [requests(0) * depth, tokens(0) * depth if tokens(0) < inf else inf]
        self.slots, self.told, self.depth, self.latency = slots, told, depth, latency
        self.at = 0.0
        self.chance = random.Random(seed)

    def asked(self, now: float, running: int) -> tuple[bool, float, float | None]:
        """Whether it answers, after how many seconds, and what else it says."""
        weight = self.chance.uniform(400, 600)
        for kind, limit in enumerate(self.limits):
            most = limit(now) * self.depth
            self.left[kind] = min(most, self.left[kind] + limit(now) / 60 * (now - self.at))
        self.at = now
        if self.left[0] < 1 or self.left[1] < weight:
            wait = max(
                (1 - self.left[0]) * 60 / self.limits[0](now), (weight - self.left[1]) * 60 / self.limits[1](now)
            )
            return False, 0.05, wait if self.told else None
        self.left[0] -= 1
        self.left[1] -= weight
        return True, self.latency * self.chance.uniform(0.7, 1.3) * max(1.0, running / self.slots), None

    def allowed(self, begin: float, end: float) -> float:
        """How many it would answer in that time; from the beginning on, what is in the buckets, too."""
        steps = [begin + (end - begin) * n / 1000 for n in range(1000)]
        full = self.limit(0) * self.depth if begin == 0 else 0.0
        return full + sum(self.limit(t) / 60 for t in steps) * (end - begin) / 1000

    def limit(self, now: float) -> float:
        return min(self.limits[0](now), self.limits[1](now) / 500)


class Paced(Protocol):
    def wait(self, running: int) -> float: ...
    def begins(self) -> Begun: ...
    def ended(self, begun: Begun, running: int, outcome: Outcome, retry_after: float | None = None) -> None: ...


class Fixed:
    """So many at once, whatever the provider says; each that was refused waits by itself."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self.most, self.clock = most, clock

    def wait(self, running: int) -> float:
        return 0.0 if running < self.most else inf

    def begins(self) -> Begun:
        return Begun(self.clock(), 0)

    def ended(self, begun: Begun, running: int, outcome: Outcome, retry_after: float | None = None) -> None:
        pass


class Run(NamedTuple):
    answered: int
    refused: int
    of_what_was_allowed: float

    @property
    def refusals(self) -> float:
        return self.refused / max(1, self.answered + self.refused)


@dataclass
class Time:
    now: float = 0.0
    events: list[tuple[float, int, bool, Begun, float | None]] = field(default_factory=list)


def run(provider: Hidden, make: Callable[[Callable[[], float]], Paced], seconds: float, after: float = 60.0) -> Run:
    """What is answered and refused in so many seconds; the part of what was allowed is of those after the first."""
    time = Time()
    pace = make(lambda: time.now)
    fixed = isinstance(pace, Fixed)
    running = refused = answered = counted = number = 0
    while time.now < seconds:
        while (wait := pace.wait(running)) == 0:
            running += 1
            number += 1
            begun = pace.begins()
            ok, took, retry = provider.asked(time.now, running)
            # Without a pace, who was refused keeps its place and waits half a second, as loops do.
            heappush(time.events, (time.now + took + (0 if ok or not fixed else 0.5), number, ok, begun, retry))
        if time.events and time.events[0][0] <= time.now + wait:
            time.now, _, ok, begun, retry = heappop(time.events)
            pace.ended(begun, running, "answered" if ok else "refused", retry)
            running -= 1
            answered, refused = answered + ok, refused + (not ok)
            counted += ok and time.now > after
        else:
            time.now += wait
    return Run(answered, refused, counted / provider.allowed(after, time.now))


def half_way(before: float, after: float, seconds: float) -> Callable[[float], float]:
    return lambda t: before if t < seconds / 2 else after


HALF_AN_HOUR = 1800.0

SCENES: dict[str, Callable[..., Hidden]] = {
    "600 requests a minute": lambda s=HALF_AN_HOUR, **how: Hidden(lambda _: 600, **how),
    "600, then 200": lambda s=HALF_AN_HOUR, **how: Hidden(half_way(600, 200, s), **how),
    "200, then 600": lambda s=HALF_AN_HOUR, **how: Hidden(half_way(200, 600, s), **how),
    "1,200, then 3,000": lambda s=HALF_AN_HOUR, **how: Hidden(half_way(1200, 3000, s), **how),
    "600, and says no more than 429": lambda s=HALF_AN_HOUR, **how: Hidden(lambda _: 600, told=False, **how),
    "600, and 150,000 tokens a minute": lambda s=HALF_AN_HOUR, **how: Hidden(lambda _: 600, lambda _: 150_000, **how),
    "3,000 requests a minute": lambda s=HALF_AN_HOUR, **how: Hidden(lambda _: 3000, **how),
    "60 requests a minute": lambda s=HALF_AN_HOUR, **how: Hidden(lambda _: 60, **how),
}
PACES: dict[str, Callable[[Callable[[], float]], Paced]] = {
    "1 at once": lambda clock: Fixed(1, clock),
    "10 at once": lambda clock: Fixed(10, clock),
    "100 at once": lambda clock: Fixed(100, clock),
    "`llmring map`": lambda clock: Pace(100, clock),
}


def table(seconds: float, after: float) -> None:
    """As Markdown: of what was allowed, and of what was sent."""
    print("| the provider lets through | " + " | ".join(PACES) + " |")
    print("|---" * (1 + len(PACES)) + "|")
    for name, scene in SCENES.items():
        cells = []
        for make in PACES.values():
            found = run(scene(seconds), make, seconds, after)
            cells.append(f"{found.of_what_was_allowed:.0%}, {found.refusals:.1%} refused")
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    for seconds, after in ((HALF_AN_HOUR, 60.0), (120.0, 0.0)):
        print(f"{seconds / 60:.0f} minutes, after the first {after:.0f} seconds:\n")
        table(seconds, after)
        print()
