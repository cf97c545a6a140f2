"""Batches that are at their vendors: looked at again and again, looked for where it is not known, and collected."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..bulk.job import Job, Summary, Task, line_of
from ..bulk.keys import Keys
from ..bulk.lines import OutputError
from ..bulk.results import MapResult
from ..bulk.rows import Row
from ..exceptions import (
    LLMRingError,
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderError,
    ProviderResponseError,
    is_passing,
)
from ..providers import batching
from .desk import Desk
from .journal import Journal, Shard, counted
from .prices import cost_in_batch
from .reading import Reader
from .spool import Entry
from .terms import pause_between_looks

if TYPE_CHECKING:
    from ..lockfile import Binding
    from ..providers.batching import Batches, Result, Standing

__all__ = ["BatchSummary", "Follower"]

_LONGEST = 12
"""So many times as long as the first is the longest pause between two looks."""
_SETTLED, _AT_LEAST = 6, 30.0
"""First pauses after which a batch that a vendor does not list was not made; and seconds, where a pause is seconds."""


@dataclass(slots=True)
class BatchSummary(Summary):
    """What a run did.

    Attributes:
        batches: of this run, with how many answers came of each.
        in_batches: rows that were answered in them.
        at_vendor: rows of batches that are still there.
    """

    batches: dict[str, int] = field(default_factory=dict)
    in_batches: int = 0
    at_vendor: int = 0


class Follower(Job):
    """One run.

    Args:
        journal: of its output; what is known of batches before it.
        binding: whom its alias resolves to; `None`: nothing new is asked.
        told: is given each step, in words.
        pause: seconds between two looks, for a beginning; they grow to twelve times that.
        most_rows: of one batch; not given: as many as the vendor takes.
        more: as `Job` has it.
    """

    summary: BatchSummary

    def __init__(
        self,
        *args: Any,
        journal: Journal,
        binding: Binding | None = None,
        told: Callable[[str], None] = lambda _: None,
        pause: float | None = None,
        most_rows: int | None = None,
        **more: Any,
    ) -> None:
        super().__init__(*args, **more)
        self.summary = BatchSummary()
        self.journal = journal
        self._binding = binding
        self._told = told
        self._first_pause = pause if pause is not None else pause_between_looks()
        self._desk = Desk(self.service, journal.salt)
        # Rows that are over, those that are in a batch, and those that are asked by themselves.
        self._over, self._alone = Keys(), Keys()
        self._with_asked = self.output is not None and self.output.redoes_changed
        self._out = journal.keys(with_asked=self._with_asked)
        # Whether there are rows for more batches; and how many of both there may be, if not as many as the vendor lets.
        self._more = binding is not None
        self._most: int | None = None
        self._most_rows = self._largest = most_rows
        # How often in a row the vendor had no room, and how often it failed.
        self._turned_away = self._failures = 0
        self._looked: dict[str, float] = {}
        self._said: set[str] = set()
        self._done: dict[str, int] = {}
        self._asked_to_wait = 0.0

    def says(self) -> list[str]:
        """How its batches stand, for a picture of it."""
        if not self.journal.open:
            return []
        done = f", {sum(self._done.values()):,} of them done there" if any(self._done.values()) else ""
        return [f"{counted(self.journal.open)}{done}"]

    def tasks(self) -> Iterator[Task]:
        """What is still to be asked, also if it is under way in a batch."""
        return (it for it in super().tasks() if self._entry(it.key, it.asked) not in self._over)

    def _entry(self, key: str, asked: str) -> str:
        return f"{key}\n{asked}" if self._with_asked else key

    def _tell_what_stays(self) -> None:
        self.summary.at_vendor = sum(it.count for it in self.journal.open)
        if self.journal.open:
            costs = [it.usd for it in self.journal.open if it.usd is not None]
            most = f" (${sum(costs):.4g} at most)" if len(costs) == len(self.journal.open) else ""
            self._told(
                f"{counted(self.journal.open)}, billed whether they are collected or not{most}. The "
                "same command goes on with that; llmring batch collect takes what is done by then, and "
                "llmring batch cancel ends it: only what is answered until then is billed."
            )

    async def collect(self) -> Summary:
        """Write the answers of what is done now, and wait for nothing. It takes no rows: the journal knows them."""
        async with self._desk:
            await self._tidy()
            await self._look_at_all()
        if self.output is not None:
            self.output.tidy()
        self.summary.at_vendor = sum(it.count for it in self.journal.open)
        return self.summary

    async def _hold(self, count: int, seconds: float, *, smaller: bool) -> None:
        """Make no more at once than are there now; if there is none, wait, and make smaller ones."""
        self._most = max(1, len(self.journal.open))
        if not self.journal.open:
            self._most_rows = max(1, count // 2) if smaller else self._most_rows
            self._turned_away += 1
            await asyncio.sleep(max(seconds, self._first_pause * min(2**self._turned_away, _LONGEST)))

    def _make_room(self) -> None:
        """Where a batch is over, have the vendor take more and larger ones than it had room for."""
        self._turned_away = 0
        self._most = None if self._most is None else self._most + 1
        if self._most_rows is not None:
            self._most_rows = self._most_rows * 2 if self._largest is None else min(self._most_rows * 2, self._largest)

    async def _drop(self, shard: Shard, batches: Batches, why: str) -> None:
        """Note that a batch is none, and delete its file, so that none can be made of it later."""
        files: tuple[str, ...] = (shard.upload,) if shard.upload else ()
        if not files:
            with suppress(ProviderError):
                files = await batches.uploaded(shard.tag)
        self.journal.note(shard.tag, "dropped", why=why, files=files)
        self._free()
        await self._tidy()

    def _free(self) -> None:
        """Have the rows that are in no batch any more put into another."""
        self._out = self.journal.keys(with_asked=self._with_asked)
        self._more = self._binding is not None

    async def _tidy(self) -> None:
        """Delete what is left at the vendor of batches that are over."""
        for shard in self.journal.shards.values():
            if not shard.is_open and shard.step != "tidied":
                with suppress(LLMRingError):
                    if not shard.files or await (await self._desk.of(shard)).tidy(shard.files):
                        self.journal.note(shard.tag, "tidied")

    # Batches that are at the vendor

    async def _wait(self) -> None:
        """Until one of them is over."""
        pause = self._first_pause
        while self.journal.open and not await self._look_at_all():
            await asyncio.sleep(max(pause, self._asked_to_wait))
            pause = min(pause * 1.5, self._first_pause * _LONGEST)

    async def _look_at_all(self) -> bool:
        """Look at each; whether one of them is over."""
        is_over, self._asked_to_wait, self._done = False, 0.0, {}
        failure: LLMRingError | None = None
        for shard in self.journal.open:
            try:
                is_over |= await self._look(shard)
            except OutputError:
                raise
            except LLMRingError as error:
                if isinstance(error, ProviderError) and is_passing(error):
                    self._asked_to_wait = max(self._asked_to_wait, error.retry_after or 0.0)
                    self._say_once(shard.tag, f"{error} It is asked again.")
                else:
                    failure = failure or error  # once the others were looked at
        if failure is not None:
            raise failure
        return is_over

    def _say_once(self, tag: str, text: str) -> None:
        if tag not in self._said:
            self._said.add(tag)
            self._told(text)

    async def _look(self, shard: Shard) -> bool:
        batches = await self._desk.of(shard)
        if shard.batch is None:
            return await self._find(shard, batches)
        try:
            standing = await batches.look(shard.batch)
        except ProviderError as error:
            if error.status_code != 404:
                raise
            await self._desk.check_key(shard)
            if not self._is_settled(shard):
                return False
            error.args = (
                f"The batch {shard.batch} of {shard.count:,} rows is not at {batches.name} any more. "
                f"{self._advice(shard)}",
            )
            raise
        self._said.discard(shard.tag)
        if standing.state == "ended":
            await self._collect(shard, batches, standing)
            return True
        if standing.state != "failed":
            self._done[shard.batch] = standing.done or 0
            return False
        await self._drop(shard, batches, standing.error or "")
        if standing.full and self._binding is not None:
            self._told(f"The batch {standing.id} waits for others to be over: {standing.error}")
            await self._hold(shard.count, 0.0, smaller=True)
            return True
        raise ProviderResponseError(
            f"{batches.name} took none of the {shard.count:,} rows of the batch {standing.id}: {standing.error} "
            "Nothing of it was asked.",
            provider=batches.name,
            model=shard.model.partition(":")[2],
        )

    def _is_settled(self, shard: Shard) -> bool:
        """Whether a vendor has been asked for a batch for so long that it would know it."""
        now = asyncio.get_running_loop().time()
        pause = self._first_pause
        least = max(_SETTLED * pause, _AT_LEAST) if pause >= 1 else _SETTLED * pause
        return now - self._looked.setdefault(shard.tag, now) >= least

    def _advice(self, shard: Shard) -> str:
        command = shlex.join(["llmring", "batch", "cancel", str(self.journal.output), "--batch", shard.batch or ""])
        return f"To have what it lacks asked once more, and paid for: {command}"

    async def _find(self, shard: Shard, batches: Batches) -> bool:
        """Look for a batch of which it is not known whether it was made."""
        is_settled = self._is_settled(shard)
        if shard.step != "creating":
            await self._drop(shard, batches, "it was not made")
            return True
        try:
            id = await batches.find(shard.tag, shard.at, shard.count, self.journal.known)
        except batching.Unsure:
            self._say_once(
                shard.tag,
                f"Whether a batch of {shard.count:,} rows was made at {batches.name} is known when those that are "
                "under way there have ended. Until then, its rows wait, so that nothing is paid for twice.",
            )
            return False
        if id is not None:
            self.journal.note(shard.tag, "created", batch=id)
            self._told(f"The batch {id} was made before: {shard.count:,} rows.")
        elif is_settled:
            await self._desk.check_key(shard)
            await self._drop(shard, batches, "it was not made")
            return True
        return False

    async def _collect(self, shard: Shard, batches: Batches, standing: Standing) -> None:
        """Write what came of a batch; what did not is asked by itself, or in another one where it was taken back."""
        plan = self.journal.plan_of(shard)
        rows = [Entry(*it) for it in plan["rows"]]
        reader = Reader(await self._desk.provider(shard.model), shard.model, plan, self.service.max_bytes)
        answered, left, newer = self.summary.answered, bytearray(b"\1" * len(rows)), self._newer(shard)
        try:
            async for result in batches.results(standing, lenient=shard.cancelled):
                number = _number(result.name, shard.tag)
                if number is not None and number < len(rows) and left[number]:
                    is_settled = rows[number].key in newer
                    left[number] = not (
                        is_settled or await self._settled_by(rows[number], result, reader, batches, standing.id)
                    )
        except ProviderError as error:
            if not is_passing(error):
                error.args = (f"{error} {self._advice(shard)}",)
            raise
        for number, is_left in enumerate(left):
            if is_left and not shard.cancelled:
                self._alone.add(rows[number].key)
        assert self.output is not None
        self.output.sync()
        files = [it for it in (shard.upload, *standing.outputs) if it]
        self.journal.note(shard.tag, "collected", files=files)
        if shard.cancelled:
            self._free()
        self._make_room()
        got = self.summary.answered - answered
        self.summary.batches[standing.id] = self.summary.batches.get(standing.id, 0) + got
        self.summary.in_batches += got
        rest = f", {sum(left):,} are to be asked again" if any(left) else ""
        self._told(
            f"The batch {standing.id} is over ({standing.words}): {got:,} of {shard.count:,} rows answered{rest}."
        )
        await self._tidy()

    def _newer(self, shard: Shard) -> Keys:
        """The keys of rows of which there are answers that were asked for after a batch, to be there instead."""
        assert self.output is not None
        found, is_after = Keys(), False
        for other in self.journal.shards.values():
            if is_after and other.redoes and not other.dropped:
                for _, key, asked in self.journal.plan_of(other)["rows"]:
                    if f"{key}\n{asked}" in self._over or self.output.holds(key, asked):
                        found.add(key)
            is_after |= other is shard
        return found

    async def _settled_by(self, entry: Entry, result: Result, reader: Reader, batches: Batches, id: str) -> bool:
        """Write what came of a row; whether that is for good."""
        assert self.output is not None
        whole = f"{entry.key}\n{entry.asked}"
        if whole in self._over or self.output.holds(entry.key, entry.asked):
            return True
        if result.gone is not None:
            return False
        response = error = None
        try:
            response = await reader.response(result)
        except LLMRingError as failure:
            if not _is_for_good(failure, reader):
                return False
            error = failure
            if self.output.has_failed(entry.key):
                return True
        task = Task(Row(entry.number, "", {}), reader.request, entry.key, entry.asked)

        def cost(answer: Any) -> Any:
            return cost_in_batch(self.service, answer, batches.endpoint)

        self._keep(
            line_of(task, MapResult(entry.number, task, reader.request, response, error, 1, 0.0, cost), batch=id)
        )
        if response is not None and entry.key in self._over:
            self.output.supersede()
        self._over.add(entry.key)
        self._over.add(whole)
        return True


def _number(name: str, tag: str) -> int | None:
    """Which row of a batch an answer is of; `None` where it is of none."""
    own, _, number = name.rpartition("-")
    return int(number) if own == tag and number.isdecimal() and len(number) < 10 else None


def _is_for_good(error: LLMRingError, reader: Reader) -> bool:
    """Whether a row has failed: neither may it pass, nor would every row meet it, nor is it to be asked once more."""
    if reader.asks_again and isinstance(error, ProviderResponseError) and error.misfits:
        return False
    of_all = isinstance(error, ModelNotFoundError | ProviderAuthenticationError)
    return isinstance(error, ProviderError) and not (of_all or error.out_of_credit or is_passing(error))
