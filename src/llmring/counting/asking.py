"""Another question than for an answer, asked along the way of a request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from ..answer import Call
    from ..routing import Route

__all__ = ["ask"]

_T = TypeVar("_T")


async def ask(route: Route, question: Callable[[Any, Call], Awaitable[_T]]) -> _T:
    """What the first candidate that can be asked says. It is asked once, and its breaker has no say.

    Raises:
        ProviderError: of the last one asked, the earlier ones listed in its `attempts`.
    """

    async def attempt(candidate: str) -> _T:
        provider, call, let_go = await route.call(candidate, route.request, route.form)
        try:
            if call.files is not None:
                call = await call.files.inlined(call)
            return await question(provider, call.begun())
        finally:
            let_go()

    try:
        async with asyncio.timeout_at(route.until) as limit:
            await route.begin()
            return await route.first(attempt)
    except TimeoutError:
        if not limit.expired():
            raise
    raise route.listing(route.late())
