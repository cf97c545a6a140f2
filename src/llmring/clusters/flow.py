"""A run over Ray: rows go to workers in blocks, and what came of them comes back, each answer kept before that."""

from __future__ import annotations

import asyncio
import pickle
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from ..bulk import Progress
from .desk import FINISH, Desk
from .starting import here
from .worker import Worker

if TYPE_CHECKING:
    from .worker import Done, Setup

__all__ = ["Flow"]

_LARGEST: Final = 256
"""Rows of a block, at most."""
_EACH: Final = 0.5


class Flow:
    """One run.

    Args:
        module: Ray.
        setup: of its workers.
        workers: how many.
        usd: what may be spent.
        heard: is given what workers warn of.

    Attributes:
        ray: as above.
        desk: of the run.
        faults: what ended it, as workers said.
        is_stopped: whether it was stopped from here.
    """

    def __init__(
        self, module: Any, setup: Setup, workers: int, usd: float | None = None, heard: Callable[[str], None] = print
    ) -> None:
        self.ray = module
        self._setup = setup
        self._workers = workers
        self._heard = heard
        self._said: set[str] = set()
        self._standing: list[Progress] = []
        self.faults: list[Exception] = []
        self.is_stopped = False
        self.desk = module.remote(Desk).options(num_cpus=0, scheduling_strategy=here(module)).remote(usd)

    def size(self, rows: int | None) -> int:
        """How many rows are best to make a block: of few rows, each worker is to have some."""
        return _LARGEST if rows is None else max(1, min(_LARGEST, ceil(rows / (4 * self._workers))))

    def mapped(self, dataset: Any, rows: int, **options: Any) -> Any:
        """What workers make of a data set, `rows` of them at a time."""
        size = rows if self._setup.asking is None else 1
        at_once = max(2, min(64, ceil(2 * self._setup.concurrency / rows)))
        pool = self.ray.data.ActorPoolStrategy(
            size=self._workers, max_tasks_in_flight_per_actor=at_once, max_concurrent_calls_per_actor=at_once
        )
        return dataset.map_batches(
            Worker,
            batch_size=size,
            batch_format="pyarrow",
            compute=pool,
            fn_constructor_args=(self._setup, self.desk),
            num_cpus=1,
            **options,
        )

    async def done(self, dataset: Any) -> AsyncIterator[Done]:
        """What came of each block, as it comes; and meanwhile it is asked how all stand."""
        watch = asyncio.create_task(self._watch())
        batches = iter(dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0))
        try:
            while (batch := await asyncio.to_thread(next, batches, None)) is not None:
                for handed in batch["done"].to_pylist():
                    done: Done = pickle.loads(handed)  # noqa: S301 - our own
                    if done.fault is not None:
                        self.faults.append(done.fault)
                        self.stop()
                    yield done
            await self._look()
        finally:
            watch.cancel()

    def stop(self, stage: int = FINISH) -> None:
        """Have the workers take no more rows, or end at once (`STOP`)."""
        self.is_stopped = True
        self.desk.end.remote(stage)

    @property
    def progress(self) -> Progress:
        """How all of the workers stand together."""
        all_of = self._standing
        rates = [it.rate for it in all_of if it.rate is not None]
        limits = Counter(it.limited_by for it in all_of).most_common(1)
        return Progress(
            sum(it.answered for it in all_of),
            sum(it.failed for it in all_of),
            sum(it.running for it in all_of),
            sum(it.waiting for it in all_of),
            sum(it.concurrency for it in all_of),
            sum(rates) if rates else None,
            limits[0][0] if limits else "rows",
            sum(it.refused for it in all_of),
        )

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_EACH)
            await self._look()

    async def _look(self) -> None:
        self._standing, warnings = await self.desk.standing.remote()
        for start, text in warnings.items():
            if start not in self._said:
                self._said.add(start)
                self._heard(text)


@contextmanager
def quietly(module: Any, *, blocks: bool, ordered: bool) -> Iterator[None]:
    """Ray Data's settings for a run, and as they were after it.

    Args:
        module: Ray.
        blocks: leave each row of Ray's, which is a block of ours, by itself.
        ordered: hand over in the order of the rows.
    """
    context = module.data.DataContext.get_current()
    before = context.enable_progress_bars, context.target_max_block_size, context.execution_options.preserve_order
    context.enable_progress_bars = False
    context.execution_options.preserve_order = ordered
    if blocks:
        context.target_max_block_size = 1
    try:
        yield
    finally:
        context.enable_progress_bars, context.target_max_block_size = before[:2]
        context.execution_options.preserve_order = before[2]
