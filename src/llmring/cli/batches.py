"""`llmring batch`: the batches that `llmring map --batch` has made, at their vendors."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import batches
from ..bulk import Output, Summary
from ..bulk.lines import InUseError
from ..exceptions import ConfigurationError, LLMRingError
from ..providers.batching import Unsure
from .project import argument
from .terminal import hear_warnings, json_text, note, say, say_json, say_table, warn
from .trust import Service

FileArgument = Annotated[
    Path | None, argument("FILE", "The file of answers, or its journal. Not given: all of yours on this machine.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print a JSON array.")]


def journal_of(output: Path, in_batches: bool) -> batches.Journal | None:
    """The journal of a run's batches; `None` where it asks by single requests.

    Raises:
        ConfigurationError: batches are at the vendor, and their rows would be paid for twice; or the file is called as
            a journal is.
    """
    if batches.journal_beside(output) == output:
        raise ConfigurationError(f"{output} is what a journal of batches is called. Name another file: -o")
    if in_batches:
        return batches.Journal(batches.journal_beside(output), output)
    if there := at_vendor(output):
        raise ConfigurationError(
            f"{batches.counted(there)}, made for {output}. To go on with that: --batch. To take what is done: "
            f"{_command('collect', output)}. To end it: {_command('cancel', output)}"
        )
    return None


def at_vendor(output: Path) -> list[batches.Shard]:
    """The batches of a file of answers that are not over."""
    path = batches.journal_beside(output)
    return [it for it in batches.read_only(path).shards.values() if it.is_open] if path.exists() else []


def told_of(there: list[batches.Shard], in_batches: bool) -> str:
    """What a dry run says of the batches that are not over."""
    rest = (
        "what is in them is not asked again" if in_batches else "a run without --batch is refused until they are over"
    )
    return f"{batches.counted(there)}: {rest}."


def _command(name: str, output: Path) -> str:
    return shlex.join(["llmring", "batch", name, str(output)])


def list_batches(file: FileArgument = None, as_json: JsonOption = False) -> None:
    """List the batches that are at vendors, and how they stand.

    Of a FILE, those that are over are listed, too. `llmring batch` does the same.

    \b
    Example:
      llmring batch list
      llmring batch list labels.jsonl --json
    """
    rows = asyncio.run(_standing(file))
    if as_json:
        say_json(rows)
    elif rows:
        table = [("FILE", "BATCH", "MODEL", "ROWS", "DONE", "STATE")]
        for it in rows:
            done = "" if it["done"] is None else f"{it['done']:,}"
            table.append((it["file"], it["batch"] or "-", it["model"], f"{it['rows']:,}", done, it["state"]))
        say_table(table, 3, 4)
    if not rows:
        note("There are none." if file is not None else "None is at a vendor. To make some: llmring map --batch")


async def _standing(file: Path | None) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = []
    async with Service() as service:
        for path in _journals(file):
            try:
                known = batches.read_only(path)
            except LLMRingError as error:
                if file is not None:
                    raise
                warn(str(error))
                continue
            async with batches.Desk(service, known.salt) as desk:
                for shard in known.shards.values():
                    if shard.is_open or file is not None:
                        row = {
                            "file": str(known.output),
                            "batch": shard.batch,
                            "model": shard.model,
                            "rows": shard.count,
                        }
                        said.append(row | await _state(desk, shard) | {"journal": str(path), "tag": shard.tag})
    return said


async def _state(desk: batches.Desk, shard: batches.Shard) -> dict[str, Any]:
    if not shard.is_open:
        words = "collected" if shard.batch is not None and not shard.dropped else "not made"
        return {"state": words, "done": None}
    if shard.batch is None:
        return {"state": "not known: the next run looks for it", "done": None}
    try:
        standing = await (await desk.of(shard)).look(shard.batch)
    except LLMRingError as error:
        warn(str(error))
        return {"state": "not known", "done": None}
    words = f"{standing.words}, to be collected" if standing.state == "ended" else standing.words
    return {"state": words, "done": standing.done}


def collect(file: FileArgument = None) -> None:
    """Write the answers of the batches that are done.

    Each goes to the file that it was made for; none is waited for. It takes no rows: the journal beside FILE knows
    them. What came back without an answer is asked by the next `llmring map`. For each file, a summary is printed, as a
    line of JSON.

    \b
    Example:
      llmring batch collect
      llmring batch collect labels.jsonl
    """
    hear_warnings()
    raise typer.Exit(_of_each(file, _collect))


def _of_each(file: Path | None, work: Callable[[Path], int]) -> int:
    """Give each journal to a function; where that are several, what is wrong with one holds up no other."""
    status = 0
    for path in _journals(file):
        try:
            status |= work(path)
        except LLMRingError as error:
            if file is not None:
                raise
            warn(str(error) if str(path) in str(error) else f"{path}: {error}")
            status = 1
    return status


def _collect(path: Path) -> int:
    with _journal(path) as journal, Output(journal.output, "") as output:
        summary = asyncio.run(_collected(journal, output))
    said = {"file": str(journal.output)} | asdict(summary)
    for name in ("rows", "done_before", "failed_before", "refused", "seconds", "stopped"):
        del said[name]
    say(json_text(said, indent=None))
    return 1 if summary.failed else 0


async def _collected(journal: batches.Journal, output: Output) -> Summary:
    async with Service() as service:
        job = batches.BatchJob(service, (), None, output, journal=journal, told=lambda it: note(it, dim=False))
        summary = await job.collect()
        if journal.open:
            note(f"{batches.counted(journal.open)}; they are not over yet.", dim=False)
        return summary


def cancel(
    file: Annotated[Path | None, argument("FILE", "The file of answers, or its journal.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="In place of FILE: all of yours on this machine.")] = False,
    batch: Annotated[
        str | None, typer.Option(metavar="ID", help="One of FILE's alone, as `llmring batch list` names it.")
    ] = None,
) -> None:
    """End batches; what is answered by then is kept.

    It is billed, too, and `llmring batch collect` writes it. The rows that are left are asked by the next
    `llmring map`.

    \b
    Example:
      llmring batch cancel labels.jsonl
      llmring batch cancel labels.jsonl --batch batch_abc123
    """
    if file is None and (batch is not None or not everything):
        raise typer.BadParameter("name the file, or --all", param_hint="FILE")
    raise typer.Exit(_of_each(file, lambda path: _cancel(path, batch)))


def _journal(path: Path) -> batches.Journal:
    try:
        return batches.Journal(path)
    except InUseError:
        raise InUseError(
            f"A run waits for the batches of {path}, and collects them. End it first, with Ctrl-C there: they stay at "
            "the vendor, and the same command as now goes on with them."
        ) from None


def _cancel(path: Path, batch: str | None) -> int:
    with _journal(path) as journal:
        there = [it for it in journal.open if batch in (None, it.batch)]
        if batch is not None and not there:
            raise ConfigurationError(f"{batch} is none of those at the vendor that {path} knows: llmring batch list")
        return asyncio.run(_cancelled(journal, there))


async def _cancelled(journal: batches.Journal, there: list[batches.Shard]) -> int:
    status = 0
    async with Service() as service, batches.Desk(service, journal.salt) as desk:
        if not there:
            note(f"{journal.path}: none is at a vendor.", dim=False)
        for shard in there:
            try:
                said, is_over = await desk.cancel(shard, journal)
            except (LLMRingError, Unsure) as error:
                said, is_over = str(error) or f"whether {shard.tag} was made is not known yet; try again later", False
            status |= not is_over
            (note if is_over else warn)(said)
    return status


def _journals(file: Path | None) -> Iterator[Path]:
    if file is None:
        yield from batches.known_journals()
        return
    path = batches.journal_beside(file)
    if not path.exists():
        raise ConfigurationError(f"{file} has no batches: there is no {path}.")
    yield path
