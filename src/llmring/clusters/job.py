"""`llmring map --engine ray`: the run of `bulk.Job`, over workers."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from contextlib import ExitStack, aclosing, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

from .. import bulk
from ..bulk.job import spent, unpriced
from ..bulk.shards import Shards, beside
from ..state import place_of
from .flow import Flow
from .reading import source
from .starting import here, started
from .worker import Setup, settings_of

if TYPE_CHECKING:
    from ..bulk import Summary, Survey

__all__ = ["RayJob"]

_LOG = logging.getLogger("llmring")


class RayJob(bulk.Job):
    """One run. Its output is written here; workers keep each answer beside it until it is.

    Args:
        workers: how many; `None`: one for each CPU.
        options: see `bulk.Job`; `concurrency` is of each worker.
    """

    def __init__(self, *args: Any, workers: int | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._workers = workers
        stdout, show = sys.stdout, self.show

        def shown(line: dict[str, Any]) -> None:
            with redirect_stdout(stdout):
                show(line)

        self.show = shown

    async def run(self, survey: Survey) -> Summary:
        """Ask about all that is to be asked.

        Args:
            survey: of the rows, which were all looked at.

        Raises:
            ConfigurationError: Ray is not there; or nobody knows what it costs, and something was said of that.
            OutputError: an answer could not be written. What was written stays.
            LLMRingError: what every row would meet; the same.
        """
        summary, loop = self.summary, asyncio.get_running_loop()
        self._begins(survey)
        began = loop.time()
        if not survey.to_ask:
            return summary
        self._vet()
        try:
            with ExitStack() as stack:
                # Ray prints what it has to say of its machines, whoever reads our lines there.
                stack.enter_context(redirect_stdout(sys.stderr))
                module, workers = await asyncio.to_thread(stack.enter_context, started(self._workers))
                shards = self._shards(stack)
                self.rows.spool(shards.folder / "rows")
                setup = Setup(
                    *settings_of(self.service),
                    shards.folder,
                    os.getcwd(),
                    self._concurrency,
                    self._attempts,
                    self.profile,
                    self._max_usd is not None,
                    survey.dearest,
                    self.asking,
                )
                flow = Flow(module, setup, workers, self._max_usd)
                self.map = cast(Any, flow)
                await self._flows(flow, shards, survey.to_ask)
        finally:
            summary.seconds = loop.time() - began
        if self.output is not None:
            self.output.tidy()
        self._judge(flow)
        return summary

    def _vet(self) -> None:
        """See to it here whom workers may ask, who have no word of the user's."""
        service: Any = self.service
        binding, lockfile = service._bound(self.asking.model, self.profile)
        for model in binding.models:
            service._vet(model.partition(":")[0], lockfile)
        policy = binding.policy
        is_shared = place_of(lockfile.state if lockfile is not None else None) is not None
        if policy is not None and (policy.rate is not None or policy.budget is not None) and not is_shared:
            _LOG.warning(
                "The alias %s has a rate or a budget, and no store that workers share: each keeps to all of it by "
                "itself. To share it, name a Redis: [state] in the lockfile.",
                binding.alias,
            )

    def _shards(self, stack: ExitStack) -> Shards:
        if self.output is not None:
            return Shards.made(beside(self.output.path))
        return Shards.made(Path(stack.enter_context(TemporaryDirectory(prefix="llmring-"))))

    async def _flows(self, flow: Flow, shards: Shards, rows: int) -> None:
        module, size = flow.ray, flow.size(rows)
        reader = source(module, flow.desk, self.rows, self.asking, self.output, size)
        read = module.data.read_datasource(reader, override_num_blocks=1, num_cpus=0, label_selector=here(module))
        try:
            async with aclosing(flow.done(flow.mapped(read, size), blocks=True)) as blocks:
                async for done in blocks:
                    for line in done.lines:
                        self._keep(line)
                    shards.drop(done.name)
                    if self._max_usd is not None and self.summary.unpriced:
                        flow.stop()
        finally:
            self.summary.refused = flow.progress.refused
            if flow.is_over:
                shards.remove()

    def _judge(self, flow: Flow) -> None:
        """Raise what ended it; say so where that was the money."""
        summary, most = self.summary, self._max_usd
        if most is not None and summary.unpriced:
            raise unpriced()
        if flow.faults:
            raise flow.faults[0]
        if most is not None and summary.left and not flow.is_stopped:
            summary.stopped = spent(summary.usd, most)
