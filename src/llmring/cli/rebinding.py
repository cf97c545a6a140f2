"""Whom an alias is bound to, as a map remembers it, and whether that is edited while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from .. import lockfile as lockfiles
from ..bulk.asking import digest
from ..exceptions import LLMRingError
from .project import lockfile_if_any

__all__ = ["watched", "whom"]

_EACH = 0.5
"""Seconds between two looks at the lockfile."""


def whom(binding: lockfiles.Binding) -> str:
    """A digest of whom an alias asks, and how."""
    own = binding.policy.params if binding.policy is not None else {}
    return digest(binding.models, dict(binding.params), *([dict(own)] if own else []))[:8]


@contextmanager
def watched(name: str, profile: str | None, changed: Callable[[lockfiles.Binding], None]) -> Iterator[None]:
    """Call a function when an alias is bound otherwise: a service is with its next request."""
    task = asyncio.ensure_future(_watch(name, profile, changed))
    try:
        yield
    finally:
        task.cancel()


async def _watch(name: str, profile: str | None, changed: Callable[[lockfiles.Binding], None]) -> None:
    lockfile = lockfile_if_any()
    before = whom(lockfiles.resolve(lockfile, name, profile))
    while lockfile is not None:
        await asyncio.sleep(_EACH)
        with suppress(LLMRingError):  # a broken one is not in force
            binding = lockfiles.resolve(lockfile_if_any(), name, profile)
            if (now := whom(binding)) != before:
                before = now
                changed(binding)
