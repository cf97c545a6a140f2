"""The line below an answer: who served it, what it took and what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .terminal import dollars

if TYPE_CHECKING:
    from ..catalog import Cost
    from ..schemas import LLMResponse, StreamChunk

__all__ = ["usage_line"]


def usage_line(answer: LLMResponse | StreamChunk, cost: Cost, seconds: float) -> str:
    """Who served, what it took and what it cost, on one line.

    Args:
        answer: a response, whole or broken off, or a stream's final chunk.
        cost: what `LLMRing.calculate_cost` says of it.
        seconds: how long it took.
    """
    parts = [answer.model]
    if usage := answer.usage:
        cached = f" ({usage['cache_read_tokens']} cached)" if usage.get("cache_read_tokens") else ""
        parts.append(f"tokens: {usage['prompt_tokens']} in{cached}, {usage['completion_tokens']} out")
    if answer.finish_reason not in ("stop", None):
        parts.append(f"ended by {answer.finish_reason}")
    if answer.skipped_events:
        parts.append(f"{answer.skipped_events} events not understood")
    if cost.total is not None:
        parts.append(dollars(cost.total))
    return " · ".join([*parts, f"{seconds:.1f} s"])
