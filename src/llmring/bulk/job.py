"""A file of rows through a model, into a file of answers: looked over first, and gone on with where it ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .. import catalog
from ..exceptions import ConfigurationError, ProviderError
from ..schemas import LLMRequest, Usage
from .lines import OutputError
from .rows import Row

if TYPE_CHECKING:
    from ..talking import Talks
    from .asking import Asking
    from .output import Output
    from .results import MapResult
    from .rowmap import RowMap
    from .rows import Rows
    from .sampling import Sampled

__all__ = ["Job", "Summary", "Survey", "Task", "is_free", "line_of", "spent", "unpriced"]


@dataclass(frozen=True, slots=True)
class Task:
    """A row that is to be asked about.

    Attributes:
        row: as it was read.
        request: what is asked.
        key, asked: by which its answer is known.
    """

    row: Row
    request: LLMRequest
    key: str
    asked: str


@dataclass(slots=True)
class Summary:
    """What a run did.

    Attributes:
        rows: that there are; `None` where they were not counted.
        done_before: rows that were done, or had failed for good, before it began.
        failed_before: those of them that had failed.
        answered, failed: rows of this run.
        prompt_tokens, completion_tokens: of its answers.
        usd: what they cost, as far as they have a price.
        unpriced: answers without one.
        models: answers by the model that gave them.
        ends: answers by how they ended: `"stop"`, `"length"`, ...
        refused: how often a provider said that it was too fast.
        seconds: how long it took.
        stopped: why it ended before the last row; `None` where it did not.
    """

    rows: int | None = None
    done_before: int = 0
    failed_before: int = 0
    answered: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    unpriced: int = 0
    models: dict[str, int] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    seconds: float = 0.0
    stopped: str | None = None

    @property
    def left(self) -> int | None:
        """Rows that are not done, and have not failed."""
        if self.rows is None:
            return None
        return max(0, self.rows - self.done_before - self.answered - self.failed)  # some are of batches of other rows


@dataclass(slots=True)
class Survey:
    """What a run would take.

    Attributes:
        model: the `provider:model` that would serve.
        rows: that there are.
        to_ask: of them.
        failed_before: of them; they are not taken up.
        without_picture: of those to ask, where a field was said to have one.
        sample: how many answers that are there it goes by.
        prompt_tokens: of what would be asked, as estimated; and as far off as those were that are in the sample.
        completion_tokens: as those of the sample had; without one at most `max_tokens`, else a guess.
        guessed: whether the length of answers is a guess.
        usd: what it would cost; `None` where the model has no price.
        reason: why it has none.
        dearest: what one row may cost, for a beginning.
        seconds: how long it would take, roughly.
    """

    model: str
    rows: int = 0
    to_ask: int = 0
    failed_before: int = 0
    without_picture: int = 0
    sample: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    guessed: bool = True
    usd: float | None = None
    reason: str | None = None
    dearest: float = 0.0
    seconds: float = 0.0


class Job:
    """One run.

    Args:
        service: that asks.
        rows: about which.
        asking: what.
        output: where answers go; `None`: `show` has them.
        show: is given each line that is written, or would be.
        profile: instead of the service's.
        concurrency, attempts: see `LLMRing.map`.
        max_usd: begin nothing more when that much is spent, what is under way counted as dear as the dearest so far.

    Attributes:
        summary: what it has done so far.
        map: the map that is under way; `None` before.
    """

    def __init__(
        self,
        service: Talks,
        rows: Rows,
        asking: Asking,
        output: Output | None,
        *,
        show: Callable[[dict[str, Any]], None] = lambda _: None,
        profile: str | None = None,
        concurrency: int = 64,
        attempts: int = 5,
        max_usd: float | None = None,
    ) -> None:
        self.service = service
        self.rows = rows
        self.asking = asking
        self.output = output
        self.show = show
        self.profile = profile
        self.summary = Summary()
        self.map: RowMap[Task] | None = None
        self._concurrency = concurrency
        self._attempts = attempts
        self._max_usd = max_usd
        self._dearest = 0.0
        self._given = 0
        self._settled = asyncio.Event()

    def says(self) -> list[str]:
        """What there is to be said of it besides, for a picture of it."""
        return []

    def tasks(self) -> Iterator[Task]:
        """What is still to be asked.

        Raises:
            RowError: a row cannot be read, or does not have what it takes.
        """
        for task, _ in self.looked_at():
            if task is not None:
                yield task

    def looked_at(self) -> Iterator[tuple[Task | None, tuple[LLMRequest, Sampled] | None]]:
        """Each row: what is still to be asked about it, and what is asked where the answer is of the sample.

        Raises:
            RowError: a row cannot be read, or does not have what it takes.
        """
        if self.output is not None:
            self.output.again()
        for row in self.rows:
            request = self.asking.request(row)
            key, asked = self.asking.key_of(row, request)
            was = self.output.sampled(key, asked) if self.output is not None else None
            wanted = (key, asked) if self.output is None else self.output.wants(key, asked)
            task = Task(row, request, *wanted) if wanted is not None else None
            if task is not None or was is not None:
                yield task, (request, was) if was is not None else None

    async def run(self, survey: Survey) -> Summary:
        """Ask about all that is to be asked.

        Args:
            survey: of the rows, which were all looked at.

        Raises:
            ConfigurationError: nobody knows what it costs, and something was said of that.
            OutputError: an answer could not be written. What was written stays.
            LLMRingError: what every row would meet; the same.
        """
        summary, loop = self.summary, asyncio.get_running_loop()
        self._begins(survey)
        began = loop.time()
        rows = self.tasks() if self._max_usd is None else self._within(self._max_usd)
        self.map = self.service.map(
            rows,
            lambda it: it.request,
            concurrency=self._concurrency,
            ordered=False,
            attempts=self._attempts,
            profile=self.profile,
        )
        unwritten: OutputError | None = None
        try:
            async for result in self.map:
                self._settled.set()
                try:
                    self._keep(line_of(result.row, result))
                except OutputError as error:
                    # What is under way is paid for, and may find room.
                    unwritten = unwritten or error
                    self.map.stop()
        finally:
            await self.map.aclose()
            summary.seconds = loop.time() - began
            summary.refused = self.map.progress.refused
            if self.output is not None and unwritten is None:
                self.output.tidy()
        if unwritten is not None:
            raise unwritten
        return summary

    def _begins(self, survey: Survey) -> None:
        """Note what there is to do, before anybody is asked."""
        summary = self.summary
        summary.rows, summary.done_before = survey.rows, survey.rows - survey.to_ask
        summary.failed_before = survey.failed_before
        self._dearest = survey.dearest
        if self._max_usd is not None and survey.reason is not None and not is_free(self.service, survey.model):
            raise ConfigurationError(f"--max-cost cannot be kept: {survey.reason}. Nothing was asked.")

    async def _within(self, most: float) -> AsyncIterator[Task]:
        """The same, as long as there is something to spend."""
        for task in self.tasks():
            while True:
                running = self._given - self.summary.answered - self.summary.failed
                if self.summary.unpriced:
                    raise unpriced()
                if self.summary.usd + (running + 1) * self._dearest <= most:
                    break
                if not running:
                    self.summary.stopped = spent(self.summary.usd, most)
                    return
                self._settled.clear()
                await self._settled.wait()
            self._given += 1
            yield task

    def _keep(self, line: dict[str, Any]) -> None:
        """Write what came of a row, and count it."""
        summary, is_answer = self.summary, "error" not in line
        if self.output is not None:
            (self.output.answer if is_answer else self.output.failure)(line)
        self.show(line)
        if is_answer:
            summary.answered += 1
            for counts, it in ((summary.models, line["model"]), (summary.ends, str(line.get("finish_reason")))):
                counts[it] = counts.get(it, 0) + 1
        else:
            summary.failed += 1
        usage: Usage | None = line.get("usage")
        if usage is not None:
            summary.prompt_tokens += usage["prompt_tokens"]
            summary.completion_tokens += usage["completion_tokens"]
        if line["cost"] is not None:
            summary.usd += line["cost"]
            self._dearest = max(self._dearest, line["cost"])
        elif is_answer and not is_free(self.service, line["model"]):
            summary.unpriced += 1


def unpriced() -> ConfigurationError:
    """What is raised where nobody knows what is spent."""
    return ConfigurationError(
        "--max-cost cannot be kept: the model that answered has no price that is known. Without it, "
        "nothing is asked any more; what was answered is written."
    )


def spent(usd: float, most: float) -> str:
    """Why a run ends whose money is spent."""
    return f"${usd:.4f} are spent, and another may not fit into ${most:g}"


def is_free(service: Talks, model: str) -> bool:
    """Whether nobody sends a bill for a model."""
    return catalog.is_own_host(model.partition(":")[0], service._address(model))


def line_of(task: Task, result: MapResult[Any], batch: str | None = None) -> dict[str, Any]:
    """What is written of a row that was asked about by itself, or in a batch."""
    cost = result.cost
    line: dict[str, Any] = {"key": task.key, "row": task.row.number, "asked": task.asked}
    line |= _answer(result) if result.response is not None else _failure(result)
    line["cost"] = cost.total if cost is not None else None
    line["attempts"] = result.attempts
    return line | ({"seconds": round(result.seconds, 3)} if batch is None else {"batch": batch})


def _answer(result: MapResult[Any]) -> dict[str, Any]:
    response = result.response
    assert response is not None
    line: dict[str, Any] = {}
    if response.parsed is not None:
        line["parsed"] = response.parsed
    else:
        line["answer"] = response.content
    if response.tool_calls:
        line["tool_calls"] = response.tool_calls
    line |= {"finish_reason": response.finish_reason, "model": response.model}
    line["response_model"] = response.response_model
    return line | {"usage": response.usage}


def _failure(result: MapResult[Any]) -> dict[str, Any]:
    error = result.error
    line: dict[str, Any] = {"error": {"class": type(error).__name__, "message": str(error)}}
    if isinstance(error, ProviderError):
        line["model"] = f"{error.provider}:{error.model}"
        line["error"]["status"] = error.status_code
        if error.partial is not None:
            line |= {"partial": error.partial.content, "usage": error.partial.usage}
    return line
