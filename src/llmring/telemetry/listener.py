"""A listener that makes spans and metrics of events."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import catalog
from ..events import (
    AttemptEnded,
    AttemptStarted,
    Event,
    Failed,
    Finished,
    FirstChunk,
    Hedged,
    Left,
    MovedOn,
    RequestStarted,
    Resumed,
    Retried,
)
from ..exceptions import ConfigurationError
from ..schemas import LLMRequest
from . import content as contents
from .conventions import Names, conventions, place_of, provider_name

try:
    from opentelemetry import metrics, trace
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode

    from .instruments import Instruments
except ImportError as error:
    raise ConfigurationError(
        "OpenTelemetry's API (the extra otel) is not installed. To install it: pip install opentelemetry-api"
    ) from error

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["OpenTelemetry"]

_SCOPE = "llmring"
_OPERATION = "chat"
_NANOSECONDS = 1_000_000_000
_COUNTS = {
    "gen_ai.usage.input_tokens": "prompt_tokens",
    "gen_ai.usage.output_tokens": "completion_tokens",
    "gen_ai.usage.cache_read.input_tokens": "cache_read_tokens",
    "gen_ai.usage.cache_write.input_tokens": "cache_write_tokens",
    "gen_ai.usage.reasoning.output_tokens": "reasoning_tokens",
}
_WHOLE = ("prompt_tokens", "completion_tokens")
"""Counts that are told where they are 0, too; the others are parts of them."""
_FIELDS = {
    "gen_ai.request.max_tokens": ("max_tokens", int),
    "gen_ai.request.temperature": ("temperature", float),
    "gen_ai.request.top_p": ("top_p", float),
    "gen_ai.request.seed": ("seed", int),
    "gen_ai.request.reasoning.level": ("reasoning_effort", str),
}
_EXTRA = {
    "gen_ai.request.top_k": ("top_k", int),
    "gen_ai.request.frequency_penalty": ("frequency_penalty", float),
    "gen_ai.request.presence_penalty": ("presence_penalty", float),
}


class OpenTelemetry:
    """Spans and metrics of each request: `LLMRing(on_event=OpenTelemetry())`.

    A request is a span below the caller's, and each candidate that was tried is one below that. Tokens and cost are on
    the candidate's that they were paid for, and nowhere else, so that they may be added up. The names are those of the
    conventions for generative AI, in `telemetry/conventions.json`, and `llmring.*` of our own.

    Args:
        tracer_provider: makes the spans; not given: the program's.
        meter_provider: makes the metrics; not given: the program's.
        names: `"latest"`, `"older"` for dashboards that read `gen_ai.system`, `gen_ai.client.operation.duration` and
            `gen_ai.client.token.usage`, or `"both"`.
        content: whether prompts and answers go into the span of the request.
        content_limit: letters of text in each attribute of these; the latest turns come first.
        cost: whether prices are looked up.

    Raises:
        ConfigurationError: the extra `otel` is not installed, or an argument is none.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        names: Names = "latest",
        content: bool = False,
        content_limit: int = 10_000,
        cost: bool = True,
    ) -> None:
        if names not in ("latest", "older", "both"):
            raise ConfigurationError(f'names is {names!r}; it takes "latest", "older" or "both".')
        if isinstance(content_limit, bool) or not isinstance(content_limit, int) or content_limit < 0:
            raise ConfigurationError(f"content_limit is {content_limit!r}; it takes a number of letters.")
        self._is_given = tracer_provider is not None or meter_provider is not None
        self._tracer = trace.get_tracer(_SCOPE, tracer_provider=tracer_provider)
        self._instruments = Instruments(metrics.get_meter(_SCOPE, meter_provider=meter_provider), names)
        self._renamed: dict[str, str] = conventions()["older"]["attributes"] if names != "latest" else {}
        self._keeps_latest = names != "older"
        self._content = content_limit if content else None
        self._requests: dict[str, _Request] = {}
        self._priced = cost
        if cost:
            # Its data takes a moment to read, and no event loop is to wait for that.
            threading.Thread(target=_read_prices, daemon=True).start()

    def __call__(self, event: Event) -> None:
        """Take an event."""
        if isinstance(event, RequestStarted):
            if self.keeps_gaps:
                self._requests[event.request_id] = _Request(self, event)
        elif (request := self._requests.get(event.request_id)) is not None:
            request.take(event)
            if isinstance(event, Finished | Failed | Left):
                del self._requests[event.request_id]

    @property
    def keeps_gaps(self) -> bool:
        """Whether an SDK is there to take anything: the program may set it up at any time."""
        return self._is_given or _is_sdk(trace.get_tracer_provider()) or _is_sdk(metrics.get_meter_provider())

    def start(self, name: str, event: Event, attributes: Mapping[str, Any], below: Span | None = None) -> Span:
        """A span that began when the event was told."""
        return self._tracer.start_span(
            name,
            trace.set_span_in_context(below) if below is not None else None,
            SpanKind.CLIENT,
            self.named(attributes),
            start_time=_moment(event),
        )

    def named(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Attributes under the names that are wanted, as far as every exporter takes them."""
        attributes = {it: _sayable(value) for it, value in attributes.items() if not _is_too_large(value)}
        if not self._renamed:
            return attributes
        kept = {it: value for it, value in attributes.items() if self._keeps_latest or it not in self._renamed}
        return kept | {self._renamed[it]: value for it, value in attributes.items() if it in self._renamed}

    @property
    def content_limit(self) -> int | None:
        """Letters of content; `None` keeps none."""
        return self._content

    @property
    def instruments(self) -> Instruments:
        """The metrics."""
        return self._instruments

    @property
    def is_priced(self) -> bool:
        """Whether prices are looked up."""
        return self._priced


class _Attempt:
    def __init__(self, span: Span, event: AttemptStarted, place: dict[str, Any]) -> None:
        self.span = span
        self.began = event.elapsed
        self.place = place
        self.first_chunk: float | None = None


class _Request:
    def __init__(self, telemetry: OpenTelemetry, event: RequestStarted) -> None:
        self._telemetry = telemetry
        self._attempts: dict[int, _Attempt] = {}
        self._asked = _asked(event.request, event.streamed)
        self._own: dict[str, Any] = {"llmring.alias": event.alias}
        if event.profile is not None:
            self._own["llmring.profile"] = event.profile
        first = event.models[0] if event.models else ""
        self._place = {
            "gen_ai.operation.name": _OPERATION,
            "gen_ai.provider.name": provider_name(first, None) if first else _SCOPE,
            "gen_ai.request.model": _model(first) if first else event.alias,
        }
        name = f"{_OPERATION} {self._place['gen_ai.request.model']}"
        self._span = telemetry.start(name, event, {**self._place, **self._own, **self._asked})
        if telemetry.content_limit is not None and self._span.is_recording() and isinstance(event.request, LLMRequest):
            self._set(self._span, contents.of_request(event.request, telemetry.content_limit))

    def take(self, event: Event) -> None:
        """Take the next event of the request."""
        if isinstance(event, AttemptStarted):
            self._begin(event)
        elif isinstance(event, AttemptEnded):
            self._end_attempt(event)
        elif isinstance(event, FirstChunk):
            if (attempt := self._attempts.get(event.attempt)) is not None:
                attempt.first_chunk = event.elapsed - attempt.began
            self._add("llmring.first_chunk", event)
        elif isinstance(event, MovedOn):
            self._add("llmring.moved_on", event, **{"llmring.to": event.to})
        elif isinstance(event, Resumed):
            self._add("llmring.resumed", event, **{"llmring.to": event.to})
        elif isinstance(event, Hedged):
            self._add("llmring.hedged", event, **{"llmring.to": event.to})
        elif isinstance(event, Retried):
            self._add("llmring.retried", event, **{"llmring.retry": event.retry, "llmring.pause": float(event.pause)})
        elif isinstance(event, Finished | Failed | Left):
            self._end(event)

    def _begin(self, event: AttemptStarted) -> None:
        at = place_of(event.address)
        place: dict[str, Any] = {
            "gen_ai.operation.name": _OPERATION,
            "gen_ai.provider.name": provider_name(event.model, at[0] if at is not None else None),
            "gen_ai.request.model": _model(event.model),
        }
        if at is not None:
            place |= {"server.address": at[0], "server.port": at[1]}
        attributes = {**place, **self._own, **self._asked, "llmring.attempt": event.attempt}
        span = self._telemetry.start(f"{_OPERATION} {_model(event.model)}", event, attributes, self._span)
        self._attempts[event.attempt] = _Attempt(span, event, place)

    def _end_attempt(self, event: AttemptEnded) -> None:
        if (attempt := self._attempts.pop(event.attempt, None)) is None:
            return
        failed, served = _type(event.error), event.served
        told: dict[str, Any] = {"gen_ai.response.finish_reasons": [event.finish_reason or "error"]}
        place = attempt.place
        if served is not None:
            usage: Mapping[str, Any] = served.usage or {}
            told |= {
                name: usage[key] for name, key in _COUNTS.items() if key in usage and (usage[key] or key in _WHOLE)
            }
            if served.response_model:
                place = {**place, "gen_ai.response.model": served.response_model}
                told["gen_ai.response.model"] = served.response_model
            if served.service_tier:
                told["llmring.service_tier"] = served.service_tier
            if self._telemetry.is_priced and usage and (dollars := event.cost.total) is not None:
                told["llmring.cost.usd"] = dollars
                self._telemetry.instruments.cost(dollars, place, event.alias)
        if attempt.first_chunk is not None:
            told["gen_ai.response.time_to_first_chunk"] = attempt.first_chunk
        seconds = event.elapsed - attempt.began
        self._telemetry.instruments.attempt(event, seconds, attempt.first_chunk, place, failed)
        self._close(attempt.span, event, told, event.error)

    def _end(self, event: Finished | Failed | Left) -> None:
        for attempt in self._attempts.values():  # whose end was lost
            attempt.span.end(_moment(event))
        response, error = event.response, event.error if isinstance(event, Failed) else None
        finish = event.finish_reason if isinstance(event, Finished) else None
        outcome = "finished" if isinstance(event, Finished) else "failed" if isinstance(event, Failed) else "left"
        told: dict[str, Any] = {
            "llmring.outcome": outcome,
            "llmring.attempts": event.attempt,
            "llmring.retries": event.retries,
            "gen_ai.response.finish_reasons": [finish or "error"],
        }
        if isinstance(event, Left):
            told["llmring.left"] = event.reason
        if response.response_model:
            told["gen_ai.response.model"] = response.response_model
        if event.first_chunk is not None:
            told["gen_ai.response.time_to_first_chunk"] = event.first_chunk
        if (most := self._telemetry.content_limit) is not None and self._span.is_recording():
            told |= contents.of_response(response, finish or "error", most)
        failed = _type(error)
        of = {**self._own, "llmring.outcome": outcome}
        self._telemetry.instruments.request(event.elapsed, of if failed is None else {**of, "error.type": failed})
        self._close(self._span, event, told, error)

    def _close(self, span: Span, event: Event, told: Mapping[str, Any], error: BaseException | None) -> None:
        if error is not None:
            told = {**told, "error.type": _type(error)}
            status = getattr(error, "status_code", None)
            # Its message may repeat what was asked, or answered.
            said = str(error) if self._telemetry.content_limit is not None else f"HTTP {status}" if status else None
            span.set_status(Status(StatusCode.ERROR, said))
        self._set(span, told)
        span.end(_moment(event))

    def _set(self, span: Span, attributes: Mapping[str, Any]) -> None:
        span.set_attributes(self._telemetry.named(attributes))

    def _add(self, name: str, event: FirstChunk | MovedOn | Resumed | Hedged | Retried, **attributes: Any) -> None:
        of = {"llmring.model": event.model, "llmring.attempt": event.attempt, **attributes}
        if (failed := _type(getattr(event, "error", None))) is not None:
            of["error.type"] = failed
        self._span.add_event(name, of, _moment(event))


def _asked(request: object, streamed: bool) -> dict[str, Any]:
    """What was asked for besides the messages."""
    asked: dict[str, Any] = {"gen_ai.request.stream": True} if streamed else {}
    if not isinstance(request, LLMRequest):
        return asked
    said = {it: getattr(request, field) for it, (field, _) in _FIELDS.items()}
    extra = {it: request.extra_params.get(key) for it, (key, _) in _EXTRA.items()}
    for name, value in (said | extra).items():
        kind = (_FIELDS.get(name) or _EXTRA[name])[1]
        if isinstance(value, kind) or (kind is float and isinstance(value, int)):
            asked[name] = kind(value)
    if request.stop is not None:
        asked["gen_ai.request.stop_sequences"] = [request.stop] if isinstance(request.stop, str) else request.stop
    if request.response_format is not None or request.json_response:
        asked["gen_ai.output.type"] = "json"
    if isinstance(conversation := request.metadata.get("conversation"), str):
        asked["gen_ai.conversation.id"] = conversation
    return asked


def _sayable(value: Any) -> Any:
    """Half a pair of surrogates is no text: an exporter would lose all that goes with it."""
    if isinstance(value, str) and not value.isascii():
        return value.encode(errors="replace").decode()
    return value


def _is_too_large(value: object) -> bool:
    return isinstance(value, int) and not -(2**63) <= value < 2**63


def _is_sdk(provider: object) -> bool:
    """Whether it does anything: those of the API alone do not."""
    return not type(provider).__module__.startswith(("opentelemetry.trace", "opentelemetry.metrics"))


def _model(reference: str) -> str:
    return reference.partition(":")[2] or reference


def _type(error: BaseException | None) -> str | None:
    if error is None:
        return None
    return next(it.__qualname__ for it in type(error).__mro__ if not it.__qualname__.startswith("_"))


def _moment(event: Event) -> int:
    return int(event.time * _NANOSECONDS)


def _read_prices() -> None:
    usage: Any = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    catalog.cost_of(usage, "openai:gpt-5-mini")
