"""A file of rows through a vendor's batches: made, remembered, waited for, and collected."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from .. import lockfile as lockfiles
from ..bulk.job import Summary, Survey, Task, spent, unpriced
from ..exceptions import ProviderError, is_passing
from .following import Follower
from .journal import Shard
from .making import Maker
from .terms import endpoint_for

if TYPE_CHECKING:
    from ..lockfile import Binding
    from ..providers.batching import Batches

__all__ = ["BatchJob"]

_ATTEMPTS = 5
"""Times in a row that the vendor may not make a batch."""
_PATIENCE = 0.02
"""Seconds for which the event loop is held."""


class BatchJob(Follower):
    """One run; see `Follower` for what it takes."""

    async def run(self, survey: Survey) -> Summary:
        """Ask in batches, wait for them, and ask by itself what came back without an answer.

        Raises:
            OutputError: an answer could not be written. What was written stays, and so do batches.
            LLMRingError: what every row would meet; the same.
        """
        summary, loop = self.summary, asyncio.get_running_loop()
        self._begins(survey)
        began = loop.time()
        try:
            async with self._desk:
                await self._tidy()
                while True:
                    await self._submit()
                    if self.journal.open:
                        await self._wait()
                    elif not self._more:
                        break
            if summary.stopped is None:
                self._given = summary.answered + summary.failed
                await super().run(survey)
            elif self.output is not None:
                self.output.tidy()
        finally:
            summary.seconds = loop.time() - began
            self._tell_what_stays()
        return summary

    # Batches that are to be made

    async def _submit(self) -> None:
        """Put what is in no batch into batches, as far as there is room for more."""
        if not self._more or self._is_full():
            return
        model = self._bound().models[0]
        batches = await self._desk.batches(model)
        maker = Maker(self.service, self.profile, model, batches, self._most_rows, self._longest())
        self._more = False
        try:
            async for task in self._wanted():
                made = await maker.made(task)
                if made is None:
                    if self._bound().models[0] != model:  # the lockfile was edited: these go into another batch
                        self._more = True
                        if maker.spool.rows:
                            await self._make(maker)
                        return
                    self._alone.add(task.key)
                    continue
                line, usd = made
                if not maker.spool.has_room(line):
                    if not await self._make(maker) or self._is_full():
                        self._more = True
                        return
                    line = maker.begin(task)
                if not self._may_spend(maker.usd + usd):
                    self._more = True
                    break
                maker.add(task, line, usd)
            if maker.spool.rows:
                await self._make(maker)
            elif self._more and not self.journal.open:
                self._more = False
                self.summary.stopped = spent(self.summary.usd, self._max_usd or 0.0)
        finally:
            maker.spool.kept.close()

    def _bound(self) -> Binding:
        """Whom its alias resolves to by now.

        Raises:
            ConfigurationError: it takes no batches.
        """
        binding = lockfiles.resolve(self.service._lockfile(), self.asking.model, self.profile)
        if binding != self._binding:
            endpoint_for(self.service, binding)
            self._binding = binding
        return binding

    async def _wanted(self) -> AsyncIterator[Task]:
        """What is in no batch yet, and is to be in one."""
        loop = asyncio.get_running_loop()
        looked = loop.time()
        for task in self.tasks():
            if self._entry(task.key, task.asked) not in self._out and task.key not in self._alone:
                yield task
            if loop.time() - looked > _PATIENCE:
                await asyncio.sleep(0)
                looked = loop.time()

    def _is_full(self) -> bool:
        return self._most is not None and len(self.journal.open) >= self._most

    def _may_spend(self, usd: float) -> bool:
        if self._max_usd is None:
            return True
        if self.summary.unpriced:
            raise unpriced()
        waiting = sum(self._dearest * it.count if it.usd is None else it.usd for it in self.journal.open)
        return self.summary.usd + waiting + usd <= self._max_usd

    def _longest(self) -> int | None:
        """The tokens of the longest answer, of those that there were before; `None` where nobody wants to know."""
        if self._max_usd is None:
            return None
        there = self.output.sample.all() if self.output is not None else []
        return max((it.completion for it in there), default=0)

    async def _make(self, maker: Maker) -> bool:
        """Have the vendor make a batch, each step noted before the next one is taken; whether it has, or may have."""
        batches, spool, tag = maker.batches, maker.spool, maker.tag
        usd = maker.usd if self._max_usd is not None else None
        whose = await self._desk.whose(maker.model)
        shard = self.journal.plan(tag, maker.model, *whose, spool.rows, usd, redoes=self._with_asked, **maker.kept)
        for entry in spool.rows:
            self._out.add(self._entry(entry.key, entry.asked))
        file = spool.finish()
        try:
            upload = await batches.upload(tag, file)
            if upload is not None:
                self.journal.note(tag, "uploaded", upload=upload)
            self.journal.note(tag, "creating")
            id = await batches.create(tag, upload, file)
        except ProviderError as error:
            return await self._was_not_made(shard, error, batches)
        self.journal.note(tag, "created", batch=id)
        self.summary.batches[id] = 0
        self._failures = 0
        self._told(f"The batch {id} is made, of {shard.count:,} rows.")
        return True

    async def _was_not_made(self, shard: Shard, error: ProviderError, batches: Batches) -> bool:
        status = error.status_code
        may_be_there = shard.step == "creating" and (status is None or status == 408 or status >= 500)
        is_full = batches.says_full(str(error))
        is_full |= status == 429 and not error.out_of_credit
        self._failures += 0 if is_full else 1
        if not may_be_there:
            await self._drop(shard, batches, str(error))
        if not (is_passing(error) or is_full) or self._failures >= _ATTEMPTS:
            raise error
        self._told(f"{error} {'It is looked for' if may_be_there else 'It is tried again'}.")
        if not may_be_there:
            await self._hold(shard.count, error.retry_after or 0.0, smaller=is_full and self._turned_away > 0)
        return may_be_there
