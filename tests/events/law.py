"""What holds of the events of every request, whatever happened to it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from llmring.events import (
    AttemptEnded,
    AttemptStarted,
    Event,
    Failed,
    Finished,
    FirstChunk,
    Left,
    RequestStarted,
    Retried,
)
from llmring.schemas import add_usage


def by_request(events: Iterable[Event]) -> list[list[Event]]:
    """The events of each request, in the order in which they began."""
    found: dict[str, list[Event]] = {}
    for event in events:
        found.setdefault(event.request_id, []).append(event)
    return list(found.values())


def holds(events: list[Event]) -> None:
    """The law, for the events of one request."""
    first, *_, last = events
    assert isinstance(first, RequestStarted)
    assert isinstance(last, Finished | Failed | Left)
    assert sum(isinstance(it, RequestStarted) for it in events) == 1
    assert sum(isinstance(it, Finished | Failed | Left) for it in events) == 1
    assert sum(isinstance(it, FirstChunk) for it in events) <= first.streamed
    assert len({(it.request_id, it.alias, it.profile, it.streamed) for it in events}) == 1
    assert [it.elapsed for it in events] == sorted(it.elapsed for it in events)
    assert [it.time for it in events] == sorted(it.time for it in events)
    started = [it.attempt for it in events if isinstance(it, AttemptStarted)]
    ended = [it for it in events if isinstance(it, AttemptEnded)]
    assert started == list(range(1, len(started) + 1))
    assert sorted(it.attempt for it in ended) == started
    assert last.attempt == len(started)
    assert last.retries == sum(isinstance(it, Retried) for it in events)
    for end in ended:
        (begin,) = (it for it in events if isinstance(it, AttemptStarted) and it.attempt == end.attempt)
        assert begin.model == end.model
        assert events.index(begin) < events.index(end)
    assert last.served == tuple(it.served for it in ended if it.served is not None)
    assert last.usage == reduce(add_usage, (it.usage for it in ended), None)
    if isinstance(last, Finished):
        assert last.finish_reason is not None
        assert ended[-1].error is None
