"""Amounts of money, as people read them."""

from __future__ import annotations

import math

__all__ = ["dollars"]


def dollars(amount: float) -> str:
    """An amount as a price tag: cents for what costs some, as many digits as it takes for less."""
    if amount >= 0.1 or not amount:
        return f"${amount:.2f}"
    digits = max(6, 1 - math.floor(math.log10(amount)))
    return f"${amount:.{digits}f}".rstrip("0")
