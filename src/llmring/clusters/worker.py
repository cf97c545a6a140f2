"""An actor of Ray's: it asks about the rows of blocks, and keeps each answer before its block is handed on."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import inspect
import logging
import os
import pickle
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from ..bulk import MapResult, Row, RowMap
from ..bulk.asking import digest
from ..bulk.job import Task, is_free, line_of
from ..bulk.lines import InUseError, Lines, OutputError
from ..bulk.shards import Shards
from ..exceptions import ConfigurationError, LLMRingError
from .desk import FINISH, STOP

if TYPE_CHECKING:
    from ..bulk import Asking, Output

__all__ = ["Done", "Setup", "Worker"]

_EACH: Final = 0.5
"""Seconds between two looks at the desk."""
_PATIENCE: Final = 60.0
"""Seconds in which whoever had a block before has let go of it."""
_AT_ONCE: Final = 16
"""Rows for which a worker asks for money together."""


@dataclass(frozen=True)
class Setup:
    """What a worker is made of.

    Attributes:
        service: what `LLMRing` is made with, but for its lockfile and its keys.
        lockfile: where it is, and its text for a machine where it is not; `None` where there is none.
        folder: of the run, where answers are kept.
        place: the working directory, which paths in rows are in, where there is such a one.
        concurrency, attempts, profile: see `LLMRing.map`.
        usd: whether there is a bound to what may be spent.
        dearest: what a row may cost, for a beginning.
        asking: what is asked about a row of files; `None`: `build` says it about a row of a data set.
        build: as above.
        key: the field that a row of a data set is known by.
        output: what of a data set is done.
        seal: a secret of the run, by which its own pickles are known in a folder where others may write.
    """

    service: Mapping[str, Any]
    lockfile: tuple[Path, bytes] | None
    folder: Path
    place: str
    concurrency: int
    attempts: int
    profile: str | None
    usd: bool = False
    dearest: float = 0.0
    asking: Asking | None = None
    build: Callable[[Any], Any] | None = None
    key: Callable[[Any, Any], tuple[str, str]] | None = None
    output: Output | None = None
    seal: bytes = field(default_factory=lambda: os.urandom(32), repr=False)

    def sealed(self, value: Any) -> str:
        """A value as text, for a file that others may write, too."""
        packed = _pickled(value)
        return base64.b85encode(hmac.digest(self.seal, packed, "sha256") + packed).decode()

    def opened(self, text: str) -> Any:
        """What `sealed` has made.

        Raises:
            ValueError: this run did not.
        """
        data = base64.b85decode(text)
        if not hmac.compare_digest(hmac.digest(self.seal, data[32:], "sha256"), data[:32]):
            raise ValueError("it is of no worker of this run")
        return pickle.loads(data[32:])  # noqa: S301 - our own

    def is_own(self, line: dict[str, Any]) -> bool:
        """Whether what is told of a line is to be believed."""
        try:
            return self.asking is not None or self.opened(line["result"]) is not None
        except (KeyError, TypeError, ValueError):
            return False


@dataclass(frozen=True)
class Done:
    """What is handed on of a block.

    Attributes:
        name: of the file that has it, too.
        lines: of its rows, those that were asked about.
        fault: what every row would meet.
    """

    name: str
    lines: list[dict[str, Any]]
    fault: Exception | None = None


@dataclass(eq=False)
class _Block:
    shard: Lines
    lines: list[dict[str, Any]]
    left: int
    over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(eq=False)
class _Item:
    task: Task
    block: _Block


class Worker:
    """As `ray.data.Dataset.map_batches` has it.

    Args:
        setup: what it is made of.
        desk: of the run.
    """

    def __init__(self, setup: Setup, desk: Any) -> None:
        self._setup = setup
        self._desk = desk
        self._who = uuid4().hex
        self._map: RowMap[_Item] | None = None
        self._rows: asyncio.Queue[_Item] = asyncio.Queue()
        self._waiting: set[_Block] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._fault: Exception | None = None
        self._is_over = False
        self._warnings: dict[str, str] = {}
        # What may be spent, and was.
        self._spent = 0.0
        self._dearest = setup.dearest
        self._running = self._allowed = 0
        self._settled = asyncio.Event()

    async def __call__(self, batch: Any) -> AsyncIterator[dict[str, list[bytes]]]:
        """What comes of blocks of rows."""
        try:
            if self._map is None:
                self._begin()
            tasks = await self._tasks_of(batch)
            done = await self._whole(tasks)
        except Exception as error:
            done = Done("", [], error)
        try:
            handed = _pickled(done)
        except Exception:
            handed = _pickled(Done(done.name, done.lines, LLMRingError(str(done.fault))))
        yield {"done": [handed]}

    def _begin(self) -> None:
        from .. import LLMRing

        setup = self._setup
        with contextlib.suppress(OSError):
            os.chdir(setup.place)
        shards = Shards(setup.folder)
        shards.enter()
        self._shards = shards
        logging.getLogger("llmring").addHandler(_Heard(self._warnings))
        self._place = tempfile.TemporaryDirectory(prefix="llmring-", ignore_cleanup_errors=True)
        self._service = LLMRing(_lockfile(setup.lockfile, Path(self._place.name)), **setup.service)
        self._map = self._service.map(
            self._taken(),
            lambda it: it.task.request,
            concurrency=setup.concurrency,
            ordered=False,
            attempts=setup.attempts,
            profile=setup.profile,
        )
        self._tasks = [asyncio.create_task(self._read(self._map)), asyncio.create_task(self._talk(self._map))]

    async def _tasks_of(self, batch: Any) -> list[Task]:
        """The rows of a batch that are to be asked about."""
        setup = self._setup
        if (asking := setup.asking) is not None:
            rows = [it for block in batch["block"].to_pylist() for it in pickle.loads(block)]  # noqa: S301 - our own
            return [Task(row, asking.request(row), key, asked) for row, key, asked in rows]
        assert setup.build is not None
        assert setup.key is not None
        tasks: list[Task] = []
        times: Counter[str] = Counter()
        for data in batch.to_pylist():
            request = setup.build(data)
            if inspect.isawaitable(request):
                request = await request
            key, asked = setup.key(data, request)
            times[key] += 1
            known = key if times[key] == 1 else f"{key}#{times[key]}", asked
            wanted = known if setup.output is None else setup.output.lacks(*known)
            if wanted is not None:
                tasks.append(Task(Row(0, "the data set", data), request, *wanted))
        return tasks

    async def _whole(self, tasks: list[Task]) -> Done:
        """Ask about what is not there yet."""
        # Where the same is asked of two rows, each has an answer of its own, and what is told of it is its own.
        path = self._shards.of(f"{it.key}\n{it.row.number or digest(it.row.data)}" for it in tasks)
        if not tasks or (self._is_over and not path.exists()):
            return Done("", [], self._fault)
        shard = await _opened(path)
        try:
            lines = {(line["key"], line["row"]): line for line in shard if self._setup.is_own(line)}
            missing = [it for it in tasks if (it.key, it.row.number or None) not in lines]
            block = _Block(shard, [*lines.values()], len(missing))
            if missing and not self._is_over:
                self._waiting.add(block)
                for task in missing:
                    self._rows.put_nowait(_Item(task, block))
                await block.over.wait()
        finally:
            await asyncio.to_thread(shard.close)
        return Done(path.name, block.lines, self._fault)

    async def _taken(self) -> AsyncIterator[_Item]:
        while True:
            item = await self._rows.get()
            if self._setup.usd and not await self._affords():
                await self._desk.end.remote(FINISH)
                return
            self._running += 1
            yield item

    async def _affords(self) -> bool:
        """Whether another row may be asked about; waits for those under way, which may have been cheaper."""
        while not self._allowed:
            self._settled.clear()
            more = await self._desk.may.remote(self._who, self._spent, self._running, self._dearest, _AT_ONCE)
            if more < 0:
                return False
            self._allowed = more
            if not more:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._settled.wait(), _EACH)
        self._allowed -= 1
        return True

    async def _read(self, answers: RowMap[_Item]) -> None:
        """Keep each answer as it comes."""
        try:
            async for result in answers:
                try:
                    self._keep(result)
                except OutputError as error:
                    # What is under way is paid for, and may find room.
                    self._fault = self._fault or error
                    answers.stop()
        except Exception as error:
            self._fault = self._fault or error
        finally:
            self._is_over = True
            for block in self._waiting:
                block.over.set()
            await answers.aclose()

    def _keep(self, result: MapResult[_Item]) -> None:
        item, block = result.row, result.row.block
        line = line_of(item.task, result)
        if self._setup.asking is None:
            whole = (item.task.row.data, result.request, result.response, result.error)
            line["row"] = None
            line["result"] = self._setup.sealed(whole)
        self._running -= 1
        if line["cost"] is not None:
            self._spent += line["cost"]
            self._dearest = max(self._dearest, line["cost"])
        elif self._setup.usd and result.response is not None and not is_free(self._service, line["model"]):
            assert self._map is not None
            self._map.stop()
        self._settled.set()
        block.left -= 1
        try:
            block.shard.add(line)
            block.lines.append(line)
        finally:
            if not block.left:
                self._waiting.discard(block)
                block.over.set()

    async def _talk(self, answers: RowMap[_Item]) -> None:
        """Say how it stands, and hear whether to go on."""
        while not self._is_over:
            if not self._running and self._rows.empty():
                self._allowed = 0  # whoever has rows may have them
            stage = await self._report(answers)
            if stage == STOP:
                await answers.aclose()
            elif stage == FINISH:
                answers.stop()
            await asyncio.sleep(_EACH)
        self._allowed = 0
        await self._report(answers)

    async def _report(self, answers: RowMap[_Item]) -> int:
        held = self._running + self._allowed
        stage: int = await self._desk.report.remote(self._who, answers.progress, self._warnings, self._spent, held)
        return stage


def _pickled(value: Any) -> bytes:
    from ray import cloudpickle  # which knows classes of the program itself, as of a parsed answer

    packed: bytes = cloudpickle.dumps(value)
    return packed


class _Heard(logging.Handler):
    """Keeps what is warned of, each once, for whoever began the run."""

    def __init__(self, warnings: dict[str, str]) -> None:
        super().__init__(logging.WARNING)
        self._warnings = warnings

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        self._warnings.setdefault(text.partition(":")[0], text)


async def _opened(path: Path) -> Lines:
    """The file of a block, once whoever had it before has let go of it."""
    until = asyncio.get_running_loop().time() + _PATIENCE
    while True:
        try:
            return Lines(path)
        except InUseError:
            if asyncio.get_running_loop().time() > until:
                raise
        await asyncio.sleep(0.1)


def _lockfile(given: tuple[Path, bytes] | None, place: Path) -> Path | None:
    """The lockfile: the same that the command has, or, where that is elsewhere, a copy in a place of one's own."""
    if given is None:
        return None
    path, text = given
    with contextlib.suppress(OSError):
        if path.read_bytes() == text:
            return path
    (place / path.name).write_bytes(text)
    return place / path.name


def settings_of(service: Any) -> tuple[dict[str, Any], tuple[Path, bytes] | None]:
    """What a service is made with, for one on another machine, and its lockfile.

    Raises:
        ConfigurationError: it has what stays in this process.
    """
    registry = service._registry
    if registry._registered or any(it is not None for it in registry._keys.values()):
        raise ConfigurationError(
            "Keys and providers that were given to this LLMRing stay in its process. Workers take keys from the "
            "environment that they are started in, and providers from installed packages."
        )
    lockfile = service._lockfile()
    path = lockfile.path if lockfile is not None else None
    made = {
        "profile": service._profile(None),
        "aliases": {alias: list(binding.models) for alias, binding in service._own.items()} or None,
        **{it: getattr(service, it) for it in ("timeout", "max_retries", "deadline", "max_bytes", "check_context")},
    }
    return made, (path, path.read_bytes()) if path is not None else None
