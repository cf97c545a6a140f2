"""The metrics: instruments that are made once, and what is recorded of an attempt and of a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.metrics import Meter

from ..events import AttemptEnded
from .conventions import Names, conventions

__all__ = ["Instruments"]

_USAGE = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "cache_read.input_tokens": "cache_read_tokens",
    "cache_write.input_tokens": "cache_write_tokens",
    "reasoning.output_tokens": "reasoning_tokens",
}
"""What a counter's name ends with, and the key of `Usage`."""


class Instruments:
    """The metrics of one service.

    Args:
        meter: what makes them.
        names: which ones.
    """

    def __init__(self, meter: Meter, names: Names) -> None:
        wanted = ["latest", "older"] if names == "both" else [names]
        self._names = wanted
        self._made: dict[str, Any] = {}
        for group in (*wanted, "own"):
            for name, row in conventions()["metrics"][group].items():
                if row["instrument"] == "counter":
                    self._made[name] = meter.create_counter(name, row["unit"], row["says"])
                else:
                    self._made[name] = meter.create_histogram(
                        name, row["unit"], row["says"], explicit_bucket_boundaries_advisory=row["buckets"]
                    )

    def attempt(
        self, event: AttemptEnded, seconds: float, first_chunk: float | None, of: Mapping[str, Any], failed: str | None
    ) -> None:
        """Record a candidate's part.

        Args:
            event: its end.
            seconds: how long it took.
            first_chunk: seconds until the first piece of a streamed answer.
            of: its attributes, by their latest names.
            failed: the type of the error, if it failed.
        """
        usage: Mapping[str, Any] = event.usage or {}
        with_error = {**of, "error.type": failed} if failed is not None else of
        if "latest" in self._names:
            made, inference = self._made, "gen_ai.client.inference"
            made[f"{inference}.duration"].record(seconds, with_error)
            if first_chunk is not None:
                made[f"{inference}.time_to_first_chunk"].record(first_chunk, of)
            per_chunk = made[f"{inference}.time_per_output_chunk"]
            for gap in event.gaps:
                per_chunk.record(gap, of)
            # Vendors say not what the tokens were of.
            kind = {**of, "gen_ai.token.modality": "unknown"}
            for name, key in _USAGE.items():
                made[f"{inference}.usage.{name}"].add(usage.get(key, 0), kind)
            for name in ("input_tokens", "output_tokens"):
                made[f"{inference}.operation.{name}"].record(usage.get(_USAGE[name], 0), with_error)
        if "older" in self._names:
            old = {conventions()["older"]["attributes"].get(name, name): value for name, value in of.items()}
            self._made["gen_ai.client.operation.duration"].record(
                seconds, old if failed is None else {**old, "error.type": failed}
            )
            for kind_of, key in (("input", "prompt_tokens"), ("output", "completion_tokens")):
                if key in usage:
                    self._made["gen_ai.client.token.usage"].record(usage[key], {**old, "gen_ai.token.type": kind_of})

    def cost(self, dollars: float, of: Mapping[str, Any], alias: str) -> None:
        """Record what an answer cost."""
        self._made["llmring.cost"].add(dollars, {**of, "llmring.alias": alias})

    def request(self, seconds: float, of: Mapping[str, Any]) -> None:
        """Record a request."""
        self._made["llmring.request.duration"].record(seconds, of)
