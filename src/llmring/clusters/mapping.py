"""`service.map(dataset, build, engine="ray")`: a data set of Ray's, asked about by workers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .. import bulk
from ..bulk.asking import digest
from ..bulk.shards import Shards, beside, take_up
from ..exceptions import ConfigurationError
from ..request import number
from .flow import Flow
from .starting import check_room, imported, started
from .worker import Setup, settings_of

if TYPE_CHECKING:
    from ..talking import Talks

__all__ = ["RayMap"]

R = TypeVar("R")


@dataclass(frozen=True)
class _Key:
    """By what a row of a data set is known: a field of it, or what is asked."""

    field: str | None

    def __call__(self, row: Any, request: Any) -> tuple[str, str]:
        asked = digest(request.model_dump(exclude_defaults=True))
        if self.field is None:
            return asked, asked
        if row.get(self.field) is None:
            raise ConfigurationError(f"key={self.field!r}: a row has no such field; it has: {', '.join(row)}.")
        return str(row[self.field]), asked


class RayMap(bulk.RowMap[R], Generic[R]):
    """Answers to the rows of a data set of Ray's, as blocks of them are done.

    Args:
        service: that asks here; workers have their own.
        dataset: of which.
        build: makes what is asked about a row. It goes to the workers, and so does all that it names.
        workers, output, key, concurrency, ordered, attempts, profile: see `LLMRing.map`.
    """

    _form = 'service.map(dataset, build_request, engine="ray")'

    def __init__(
        self,
        service: Talks,
        dataset: Any,
        build: Callable[[Any], Any],
        *,
        workers: int | None,
        output: Any,
        key: str | None,
        concurrency: int,
        ordered: bool,
        attempts: int,
        profile: str | None,
    ) -> None:
        number(concurrency, "concurrency", 1)
        number(attempts, "attempts", 1)
        if workers is not None:
            number(workers, "workers", 1)
        if not isinstance(dataset, imported().data.Dataset):
            kind = type(dataset).__name__
            raise ConfigurationError(f'engine="ray" takes a ray.data.Dataset, not a {kind}: ray.data.from_items(rows)')
        self._service = service
        self._dataset = dataset
        self._workers = workers
        self._ordered = ordered
        self._build = build
        self._output = Path(output) if output is not None else None
        self._make: Callable[[Path, bulk.Output | None], Setup] = lambda folder, kept: Setup(
            *settings_of(service),
            folder,
            os.getcwd(),
            concurrency,
            attempts,
            profile,
            build=build,
            key=_Key(key),
            output=kept,
        )
        self._flow: Flow | None = None
        self._results: AsyncGenerator[bulk.MapResult[R]] | None = None

    async def __anext__(self) -> bulk.MapResult[R]:
        if self._results is None:
            self._results = self._run()
        try:
            return await anext(self._results)
        except StopAsyncIteration:
            self._is_read = True
            raise

    @property
    def progress(self) -> bulk.Progress:
        """How all workers stand."""
        return self._flow.progress if self._flow is not None else bulk.Progress(0, 0, 0, 0, 0, None, "rows", 0)

    def stop(self) -> None:
        """Take no more rows: what is under way is finished and handed over, and then the loop ends."""
        if self._flow is not None:
            self._flow.stop()

    async def aclose(self) -> None:
        """Take no more rows, and end what is under way."""
        if self._results is not None:
            await self._results.aclose()

    async def _run(self) -> AsyncGenerator[bulk.MapResult[R]]:
        async with AsyncExitStack() as stack:
            module, workers = await asyncio.to_thread(stack.enter_context, started(self._workers))
            check_room(module, workers)
            try:
                module.cloudpickle.dumps(self._build)
            except Exception as fault:
                raise ConfigurationError(
                    f"build_request, with what it names, cannot be sent to workers: {fault}. What it needs, make in it."
                ) from None
            kept = stack.enter_context(bulk.Output(self._output, "")) if self._output is not None else None
            if kept is not None:
                await asyncio.to_thread(take_up, kept)
                shards = Shards.made(beside(kept.path))
            else:
                shards = Shards.made(Path(stack.enter_context(TemporaryDirectory(prefix="llmring-"))))
            setup = self._make(shards.folder, kept)
            flow = self._flow = Flow(module, setup, workers)
            count, size = 0, flow.size(None)
            cut = self._dataset.repartition(target_num_rows_per_block=size)
            blocks = flow.done(flow.mapped(cut, size), ordered=self._ordered)
            stack.push_async_callback(blocks.aclose)
            async for done in blocks:
                for line in done.lines:
                    count += 1
                    row, request, response, error = setup.opened(line.pop("result"))
                    if kept is not None:
                        (kept.answer if error is None else kept.failure)(line)
                    attempts, seconds = line["attempts"], line["seconds"]
                    cost = self._service.calculate_cost
                    yield bulk.MapResult(count, row, request, response, error, attempts, seconds, cost)
                shards.drop(done.name)
            shards.remove()
            if kept is not None:
                kept.tidy()
            if flow.faults:
                raise flow.faults[0]
