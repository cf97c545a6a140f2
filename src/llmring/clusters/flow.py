"""A run over Ray: rows go to workers in blocks, and what came of them comes back, each answer kept before that."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from ..bulk import Progress
from ..exceptions import LLMRingError
from .desk import FINISH, STOP, Desk
from .starting import here
from .worker import Worker

if TYPE_CHECKING:
    from .worker import Done, Setup

__all__ = ["Flow"]

_LOG = logging.getLogger("llmring")
_LARGEST: Final = 256
"""Rows of a block, at most."""
_EACH: Final = 0.5
"""Seconds between two looks at how workers stand."""
_PATIENCE: Final = 10.0
"""Seconds in which workers end that are told to."""


class Flow:
    """One run.

    Args:
        module: Ray.
        setup: of its workers.
        workers: how many.
        usd: what may be spent.

    Attributes:
        ray: as above.
        desk: of the run.
        faults: what ended it, as workers said.
        is_stopped: whether it was stopped from here.
        is_over: whether all that workers have kept was handed over.
    """

    def __init__(self, module: Any, setup: Setup, workers: int, usd: float | None = None) -> None:
        self.ray = module
        self._setup = setup
        self._workers = workers
        self._said: set[str] = set()
        self._standing: list[Progress] = []
        self.faults: list[Exception] = []
        self.is_stopped = False
        self.is_over = False
        self._pending: asyncio.Future[Any] | None = None
        self.desk = module.remote(Desk).options(num_cpus=0, label_selector=here(module)).remote(usd)

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

    async def done(self, dataset: Any, *, blocks: bool = False, ordered: bool = False) -> AsyncGenerator[Done]:
        """What came of each block; and meanwhile it is asked how all stand.

        Who is cancelled, or leaves it, has the workers end at once; what they kept by then is still handed over.

        Args:
            dataset: as `mapped` has made it.
            blocks: whether a row of Ray's is a block of ours.
            ordered: hand over in the order of the rows, and not as they come.

        Raises:
            LLMRingError: Ray has ended it.
        """
        with _quietly(dataset.context, blocks=blocks, ordered=ordered):
            async with contextlib.aclosing(self._handed_on(dataset)) as handed:
                async for it in handed:
                    yield it

    async def _handed_on(self, dataset: Any) -> AsyncGenerator[Done]:
        watch = asyncio.create_task(self._watch())
        batches = iter(dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0))
        is_cancelled = False
        try:
            while not self.is_over:
                try:
                    batch = await self._next(batches, _PATIENCE if is_cancelled else None)
                except TimeoutError:
                    break
                except asyncio.CancelledError:
                    if is_cancelled:
                        raise
                    is_cancelled = True
                    self.stop(STOP)
                    continue
                self.is_over = batch is None
                for handed in batch["done"].to_pylist() if batch is not None else ():
                    done: Done = pickle.loads(handed)  # noqa: S301 - our own
                    if done.fault is not None:
                        self.faults.append(done.fault)
                        self.stop()
                    yield done
            if is_cancelled:
                raise asyncio.CancelledError
            await self._look()
        except self.ray.exceptions.RayError as error:
            raise LLMRingError(f"Ray has ended the run: {getattr(error, 'cause', None) or error}") from None
        finally:
            watch.cancel()
            if not self.is_over and not is_cancelled:
                self.stop(STOP)
                with contextlib.suppress(Exception):
                    await asyncio.wait_for(self._rest(batches), _PATIENCE)

    async def _next(self, batches: Iterator[Any], seconds: float | None = None) -> Any:
        """The next batch; who is cancelled meanwhile is given it the next time.

        Raises:
            TimeoutError: there is none after so many seconds.
        """
        if self._pending is None:
            self._pending = _begun(lambda: next(batches, None))
        async with asyncio.timeout(seconds):
            batch = await asyncio.shield(self._pending)
        self._pending = None
        return batch

    async def _rest(self, batches: Iterator[Any]) -> None:
        while await self._next(batches) is not None:
            pass

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
                _LOG.warning("%s", text)


def _begun(call: Callable[[], Any]) -> asyncio.Future[Any]:
    """What a function gives, called in a thread that nobody waits for: what Ray waits for may never come."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    future.add_done_callback(lambda it: it.cancelled() or it.exception())  # of whom nobody waits for any more

    def settle(value: Any, error: BaseException | None) -> None:
        if not future.done():
            future.set_result(value) if error is None else future.set_exception(error)

    def run() -> None:
        value = error = None
        try:
            value = call()
        except BaseException as fault:
            error = fault
        with contextlib.suppress(RuntimeError):  # the loop may be closed by then
            loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=run, name="llmring-ray", daemon=True).start()
    return future


@contextmanager
def _quietly(context: Any, *, blocks: bool, ordered: bool) -> Iterator[None]:
    """A data set's settings for a run, and as they were after it.

    Args:
        context: of the data set.
        blocks: leave each row of Ray's, which is a block of ours, by itself.
        ordered: hand over in the order of the rows.
    """
    options = context.execution_options
    before = context.enable_progress_bars, context.target_max_block_size, options.preserve_order
    context.enable_progress_bars, options.preserve_order = False, ordered
    if blocks:
        context.target_max_block_size = 1
    try:
        yield
    finally:
        context.enable_progress_bars, context.target_max_block_size, options.preserve_order = before
