"""Prices, windows and dates as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .terminal import cells, columns

if TYPE_CHECKING:
    from ..catalog import ModelInfo

__all__ = ["aligned", "percent", "price", "remark", "tokens"]


def price(amount: float | None, *, unknown: str = "-") -> str:
    """US dollars for a million tokens, to the last digit: `$0.10`, `$0.125`, `$15.00`."""
    if amount is None:
        return unknown
    whole, _, rest = f"{amount:,.6f}".partition(".")
    return f"${whole}.{rest.rstrip('0').ljust(2, '0')}"


def tokens(count: int | None, *, unknown: str = "-") -> str:
    """A number of tokens, to three digits: `128K`, `1.05M`."""
    if count is None:
        return unknown
    for size, letter in ((1_000_000, "M"), (1_000, "K")):
        if count >= 0.9995 * size:
            return f"{count / size:.3g}{letter}" if count < 999.5 * size else f"{count / size:,.0f}{letter}"
    return str(count)


def percent(before: float | None, after: float | None) -> str:
    """By how much a figure changed: `+25%`; empty where it did not, or where that cannot be said."""
    if not before or after is None or before == after:
        return ""
    change = 100 * (after - before) / before
    return f"{change:+.3g}%" if abs(change) < 100 else f"{change:+,.0f}%"


def remark(info: ModelInfo) -> str:
    """What to know before a model is bound: that it has ended, or is about to. Empty where there is nothing."""
    if info.retires is not None:
        return f"retired {info.retires}" if info.retired else f"retires {info.retires}"
    return "deprecated" if info.deprecated else ""


def aligned(rows: Sequence[Sequence[str]], *right: int, indent: str = "") -> str:
    """Rows as lines, their cells in columns.

    Args:
        rows: of as many cells each.
        *right: the columns whose cells end below each other.
        indent: before each line.
    """
    widths = {column: max(cells(row[column]) for row in rows) for column in right}
    return columns(
        ([" " * (widths.get(column, 0) - cells(cell)) + cell for column, cell in enumerate(row)] for row in rows),
        indent=indent,
    )
