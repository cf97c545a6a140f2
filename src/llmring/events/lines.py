"""Events as lines of a log."""

from __future__ import annotations

import logging

from .kinds import (
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

__all__ = ["log_event"]

logger = logging.getLogger("llmring.events")


def log_event(event: Event) -> None:
    """A listener that logs each event on a line, to the logger `llmring.events` at DEBUG: no prompt, and no answer."""
    if logger.isEnabledFor(logging.DEBUG):
        said = _said(event)
        logger.debug("%s %s %6.3f s: %s", event.request_id[:8], event.alias, event.elapsed, said)


def _said(event: Event) -> str:
    kind = _kind(getattr(event, "error", None))
    match event:
        case RequestStarted():
            how = "streamed" if event.streamed else "whole"
            return f"asking {', '.join(event.models) or 'nobody'} ({how}), {len(_messages(event))} messages"
        case AttemptStarted():
            return f"attempt {event.attempt}: {event.model} at {event.address or 'an address not known yet'}"
        case AttemptEnded():
            used = f"{event.usage['total_tokens']} tokens" if event.usage else "no usage known"
            return f"attempt {event.attempt}: {event.model} ended, {kind or event.finish_reason or 'left'}, {used}"
        case FirstChunk():
            return f"attempt {event.attempt}: first chunk of {event.model}"
        case MovedOn() | Resumed() | Hedged():
            done = {MovedOn: "moved on from", Resumed: "going on after", Hedged: "hedging"}[type(event)]
            return f"{done} {event.model}, to {event.to}" + (f": {kind}" if kind else "")
        case Retried():
            return f"asking {event.model} again in {event.pause:.3f} s (retry {event.retry}): {kind}"
        case Finished():
            return f"finished: {event.finish_reason}"
        case Failed():
            return f"failed: {kind}"
        case Left():
            return f"left: {event.reason}"
    return type(event).__name__


def _messages(event: RequestStarted) -> list[object]:
    return list(getattr(event.request, "messages", ()))


def _kind(error: BaseException | None) -> str:
    if error is None:
        return ""
    status = getattr(error, "status_code", None)
    return type(error).__name__.lstrip("_") + (f" (HTTP {status})" if status else "")
