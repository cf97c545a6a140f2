"""Who travels: one thin adapter for each official SDK, found by name and imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

__all__: list[str] = []

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        {},
        later=("base", "creation", "endpoints", "errors", "registry"),
    )
