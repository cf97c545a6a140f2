"""What the SDK's exporters have, and what the conventions say of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from llmring.telemetry import OpenTelemetry
from llmring.telemetry.conventions import conventions

TYPES = {"string": str, "int": int, "double": float, "boolean": bool, "any": str}
SPAN = conventions()["span"]["attributes"]
OWN = conventions()["own"]["attributes"]
OLDER = conventions()["older"]["attributes"]
METRICS = {name: row for group in conventions()["metrics"].values() for name, row in group.items()}
USAGE = {
    "gen_ai.usage.input_tokens": "prompt_tokens",
    "gen_ai.usage.output_tokens": "completion_tokens",
    "gen_ai.usage.cache_read.input_tokens": "cache_read_tokens",
    "gen_ai.usage.cache_write.input_tokens": "cache_write_tokens",
    "gen_ai.usage.reasoning.output_tokens": "reasoning_tokens",
}


class Seen:
    """A program with the SDK set up, and what it would send."""

    def __init__(self, **options: Any) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.listener = OpenTelemetry(tracer_provider=self.tracers, meter_provider=self.meters, **options)

    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def requests(self) -> list[ReadableSpan]:
        """The spans of requests, and of nothing else."""
        return [it for it in self.spans() if "llmring.outcome" in attributes(it)]

    def attempts(self) -> list[ReadableSpan]:
        """Those of candidates, in order."""
        found = [it for it in self.spans() if "llmring.attempt" in attributes(it)]
        return sorted(found, key=lambda it: (it.start_time or 0, attributes(it)["llmring.attempt"]))

    def points(self) -> dict[str, list[Any]]:
        """The points of each metric."""
        data = self.reader.get_metrics_data()
        found: dict[str, list[Any]] = {}
        for of in data.resource_metrics if data is not None else ():
            for scope in of.scope_metrics:
                for metric in scope.metrics:
                    assert metric.unit == METRICS[metric.name]["unit"]
                    found.setdefault(metric.name, []).extend(metric.data.data_points)
        return found

    def counted(self, name: str) -> float:
        """What a counter counted, or the sum of a histogram."""
        return sum(getattr(it, "value", getattr(it, "sum", 0)) for it in self.points().get(name, []))

    def keeps_to_the_conventions(self) -> None:
        """Names, types, units and required attributes of all that there is; nothing is open; no parent is missing."""
        assert self.listener._requests == {}
        spans = {it.context.span_id: it for it in self.spans() if it.context is not None}
        for span in self.requests() + self.attempts():
            fits(attributes(span), SPAN | OWN | {OLDER[it]: SPAN[it] for it in OLDER}, SPAN if self._latest else {})
            assert span.kind is SpanKind.CLIENT
            assert span.name == f"chat {attributes(span)['gen_ai.request.model']}"
            assert (span.start_time or 0) <= (span.end_time or 0)
            for event in span.events:
                said = conventions()["own"]["events"][event.name]
                assert set(event.attributes or {}) <= set(said)
                assert (span.start_time or 0) <= event.timestamp <= (span.end_time or 0)
        for span in self.attempts():
            assert span.parent is not None
            parent = spans[span.parent.span_id]
            assert (parent.start_time or 0) <= (span.start_time or 0)
            assert (span.end_time or 0) <= (parent.end_time or 0)
        for span in self.requests():
            # What was paid for is on the candidate's, so that it is there once.
            assert not [it for it in attributes(span) if it.startswith(("gen_ai.usage.", "llmring.cost"))]
        for name, points in self.points().items():
            row = METRICS[name]
            for point in points:
                fits(dict(point.attributes), row["attributes"], row["attributes"])
                value = point.value if row["instrument"] == "counter" else point.sum
                assert isinstance(value, int if row["value"] == "int" else (int, float))
                if row["instrument"] == "histogram":
                    assert list(point.explicit_bounds) == row["buckets"]

    @property
    def _latest(self) -> bool:
        return self.listener._keeps_latest


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def fits(found: Mapping[str, Any], known: Mapping[str, Any], required: Mapping[str, Any]) -> None:
    """Each attribute is one that there is, of its type; those that must be there are."""
    for name, value in found.items():
        kind = known[name]["type"]
        if kind == "string[]":
            assert isinstance(value, tuple | list)
            assert all(isinstance(it, str) for it in value)
        else:
            assert type(value) is TYPES[kind], (name, value)
    assert {name for name, row in required.items() if row["level"] == "required"} <= set(found)
    assert ("server.port" in found) == ("server.address" in found)
