"""How things are measured: in alternation, several times, each figure beside its references of the same round."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["FULL", "GLANCE", "QUICK", "US", "Bound", "Figure", "Sample", "Scale", "alternate", "table"]

US = "llmring"
Sample = Callable[[], Awaitable[float]]


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        rounds: how often each figure.
        chunks: in a streamed answer.
        requests: in one sample of what a request costs.
        streams: at once.
        seconds: for which they last.
        ramp: by how much their number grows each time, in search of how many are held,
        most: and how many there are at most.
        long: chunks of the answer whose memory is measured.
        rows: of a map whose memory is measured.
    """

    rounds: int
    chunks: int
    requests: int
    streams: int
    seconds: float
    ramp: float
    most: int
    long: int
    rows: int


FULL = Scale(
    rounds=5, chunks=2000, requests=10, streams=500, seconds=2.0, ramp=1.25, most=4000, long=100_000, rows=1_000_000
)
QUICK = Scale(rounds=2, chunks=600, requests=3, streams=500, seconds=0.5, ramp=1.3, most=4000, long=60_000, rows=20_000)
GLANCE = Scale(rounds=1, chunks=20, requests=1, streams=5, seconds=0.2, ramp=2.0, most=2, long=200, rows=500)


@dataclass(frozen=True)
class Bound:
    """What the ratio to a reference must keep to; without a reference, the figure itself."""

    over: str | None
    limit: float
    at_least: bool = False

    def holds(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}"


@dataclass
class Figure:
    """One thing that was measured.

    Attributes:
        name, unit: what, and in what.
        samples: by who was measured, one for each round; those of a round belong together.
        bounds: what must hold.
    """

    name: str
    unit: str
    samples: dict[str, list[float]]
    bounds: Sequence[Bound] = ()

    def ratios(self, over: str) -> list[float]:
        """This library over a reference, round by round."""
        return [mine / theirs for mine, theirs in zip(self.samples[US], self.samples[over], strict=True)]

    def judged(self, bound: Bound) -> float:
        """The value that a bound is about: the median."""
        return statistics.median(self.samples[US] if bound.over is None else self.ratios(bound.over))

    def bound(self, over: str | None) -> Bound | None:
        return next((bound for bound in self.bounds if bound.over == over), None)

    def described(self) -> dict[str, object]:
        """As the JSON file has it."""
        references = [who for who in self.samples if who != US]
        bounds = [
            {"over": b.over, "limit": str(b), "value": round(self.judged(b), 3), "holds": b.holds(self.judged(b))}
            for b in self.bounds
        ]
        return {
            "name": self.name,
            "unit": self.unit,
            "samples": {who: [float(f"{value:.4g}") for value in values] for who, values in self.samples.items()},
            "ratios": {who: [round(ratio, 3) for ratio in self.ratios(who)] for who in references},
            "bounds": bounds,
        }


async def alternate(rounds: int, who: Mapping[str, Sample], *, warm: bool = True) -> dict[str, list[float]]:
    """A sample of each in turn, round after round, each in another order. A round that does not count warms up."""
    samples: dict[str, list[float]] = {name: [] for name in who}
    names = list(who)
    for number in range(-1 if warm and rounds > 1 else 0, rounds):
        # What lives by now stays: collecting it anew before each sample would take longer than the sample.
        gc.freeze()
        shift = max(number, 0) % len(names)
        for name in names[shift:] + names[:shift]:
            gc.collect()
            sample = await who[name]()
            if number >= 0:
                samples[name].append(sample)
    return samples


def spread(values: Sequence[float]) -> str:
    """The median, and the least and the most."""
    low, middle, high = (_short(value) for value in (min(values), statistics.median(values), max(values)))
    return middle if low == high else f"{middle} ({low}-{high})"


def table(figures: Sequence[Figure]) -> str:
    """Everything, a line for each reference."""
    rows = [("", "", US, "beside", "ratio", "bound")]
    for figure in figures:
        own = figure.bound(None)
        first = (figure.name, figure.unit, spread(figure.samples[US]))
        if own is not None:
            rows.append((*first, "", "", _verdict(own, figure)))
            first = ("", "", "")
        for other in (who for who in figure.samples if who != US):
            bound = figure.bound(other)
            verdict = _verdict(bound, figure) if bound else ""
            beside = f"{other} {spread(figure.samples[other])}"
            rows.append((*first, beside, spread(figure.ratios(other)), verdict))
            first = ("", "", "")
        if first[0]:
            rows.append((*first, "", "", ""))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _verdict(bound: Bound, figure: Figure) -> str:
    return f"{bound}  {'holds' if bound.holds(figure.judged(bound)) else 'MISSED'}"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
