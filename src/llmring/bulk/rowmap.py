"""Answers to rows, as they come: what `LLMRing.map` gives."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from ..exceptions import ConfigurationError
from ..misuse import AwaitedStream
from ..request import number
from .work import Work

if TYPE_CHECKING:
    from .. import catalog
    from ..schemas import LLMRequest
    from .limits import Asked, Limits
    from .results import MapResult, Progress

__all__ = ["RowMap", "only_here"]

R = TypeVar("R")


class RowMap(AwaitedStream, Generic[R]):
    """Answers to rows: iterate it with `async for`, once, as `LLMRing.map` gives it.

    Leaving the loop and dropping it, `aclose()` and leaving `async with` end what is under way. What goes wrong with
    one row for good is its `error`; what every row would meet, such as a wrong key, is raised, once all that was under
    way has been handed over.
    """

    _form = "service.map(rows, build_request)"
    _whole_form = "service.chat(request)"
    _is_read = False

    def __init__(self, work: Work[R]) -> None:
        self._work = work
        weakref.finalize(self, work.drop)

    @classmethod
    def of(
        cls,
        rows: Iterable[R] | AsyncIterable[R],
        build: Callable[[R], LLMRequest | Awaitable[LLMRequest]],
        ask: Callable[[LLMRequest], Asked],
        cost: Callable[[Any], catalog.Cost],
        limits: Limits,
        concurrency: int,
        attempts: int,
        ordered: bool,
    ) -> RowMap[R]:
        """As `LLMRing.map` has it.

        Raises:
            ConfigurationError: a number is none.
        """
        if not isinstance(rows, Iterable | AsyncIterable):
            raise ConfigurationError(f"rows is of the type {type(rows).__name__}; it takes what can be iterated.")
        number(concurrency, "concurrency", 1)
        number(attempts, "attempts", 1)
        work = Work(rows, build, ask, cost, limits, most=concurrency, attempts=attempts, ordered=ordered)
        return cls(work)

    def __aiter__(self) -> Self:
        if self._is_read:
            raise ConfigurationError(f"These answers were read to their end. To ask again: {self._form}")
        return self

    async def __anext__(self) -> MapResult[R]:
        result = await self._work.next()
        if result is None:
            self._is_read = True
            raise StopAsyncIteration
        return result

    @property
    def progress(self) -> Progress:
        """How it stands."""
        return self._work.progress

    def stop(self) -> None:
        """Take no more rows: what is under way is finished and handed over, and then the loop ends."""
        self._work.stop()

    async def aclose(self) -> None:
        """Take no more rows, and end what is under way."""
        await self._work.close()


def only_here(engine: str, **of_ray: Any) -> None:
    """See to it that nothing is asked of another engine.

    Raises:
        ConfigurationError: something is.
    """
    if engine != "local":
        raise ConfigurationError(f'There is no engine={engine!r}; there are "local" and "ray".')
    if given := [name for name, value in of_ray.items() if value is not None]:
        raise ConfigurationError(f'{given[0]}= goes with engine="ray".')
