"""What an answer's headers say of its provider's own limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import NamedTuple

from ..vendors import load
from .asks import MICRO

__all__ = ["MOST_ALONE", "alone", "told_by"]

MOST_ALONE = 600.0
"""Seconds that a provider is left alone at its word, at most: then one request finds out if it still wants that."""
_DAY = 86_400
_MOST = 10**9
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_EPOCH = 1e9
"""From here on, seconds are a point in time."""


class _Row(NamedTuple):
    counts: str
    limit: str
    remaining: str
    reset: str


@cache
def _rows() -> tuple[_Row, ...]:
    rows = load("state/limits.json").items()
    return tuple(_Row(it["counts"], limit, it["remaining"], it["reset"]) for limit, it in rows)


def told_by(headers: Mapping[str, str]) -> tuple[int, ...] | None:
    """The figures of a `limit` that a store is told, `None` where the headers say nothing of it.

    Of each count the headers may name more than one limit: the one that has least left is told.
    """
    if not any("ratelimit" in name for name in headers):
        return None
    found: dict[str, tuple[int, int, int]] = {}
    for row in _rows():
        limit, left = _count(headers.get(row.limit)), _count(headers.get(row.remaining))
        full = _seconds(headers.get(row.reset))
        if limit is None or left is None or full is None or not 0 <= left <= limit or not limit:
            continue
        before = found.get(row.counts)
        if before is None or left * before[0] < before[1] * limit:
            found[row.counts] = limit, left, round(min(full, _DAY) * MICRO)
    if not found:
        return None
    return (0, *found.get("requests", (0, 0, 0)), *found.get("tokens", (0, 0, 0)))


def alone(seconds: float) -> tuple[int, ...]:
    """The figures of a `limit` for a provider that wants to be left alone for so long."""
    return (round(min(seconds, MOST_ALONE) * MICRO), 0, 0, 0, 0, 0, 0)


def _count(value: str | None) -> int | None:
    try:
        count = int(float(value)) if value else None
    except (ValueError, OverflowError):
        return None
    return count if count is not None and 0 <= count <= _MOST else None


def _seconds(value: str | None) -> float | None:
    """How long a reset takes: `6m0s`, `20ms`, seconds, seconds since 1970, or a date as RFC 3339 has it."""
    if not value:
        return None
    text = value.strip()[:64]
    with suppress(ValueError):
        seconds = float(text)
        if seconds >= _EPOCH:
            seconds -= datetime.now(UTC).timestamp()
        return max(0.0, seconds) if seconds < float("inf") else None
    if parts := _PART.findall(text):
        return sum(float(number) * _UNITS[unit] for number, unit in parts) if not _PART.sub("", text) else None
    with suppress(ValueError):
        at = datetime.fromisoformat(text)
        return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds())
    return None
