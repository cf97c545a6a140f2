"""`llmring map`: rows of files through a model, into a file of answers."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .. import batches
from .. import lockfile as lockfiles
from ..bulk import Asking, Job, Output, Rows, Summary, Survey, survey
from ..bulk.output import failed_beside
from ..bulk.shards import take_up
from ..bulk.stores import is_far
from ..clusters import RayJob
from ..exceptions import ConfigurationError, LLMRingError
from ..service import LLMRing
from .amounts import dollars
from .batches import at_vendor, journal_of, told_of
from .chat import response_format
from .parameters import MaxTokensOption, ReasoningOption, SchemaOption, TemperatureOption, fields_of
from .pictures_of_maps import picture
from .project import ProfileOption, default_model, lockfile_if_any, offers
from .rebinding import watched, whom
from .templates import chosen
from .terminal import hear_warnings, json_text, logged_from, note, say, warn, working
from .trust import Service
from .words_of_maps import CTRL_C, tell_how_it_ended, tell_what_is_asked, tell_what_is_there, told

_INTERRUPTED = 130

Format = Literal["jsonl", "csv", "tsv", "parquet"]


def map_rows(
    rows: Annotated[
        list[str],
        typer.Argument(
            metavar="ROWS...",
            help="Files of rows, as JSON Lines, CSV or Parquet, globs of them, s3:// or gs://; - is standard input.",
            show_default=False,
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="ALIAS",
            help="An alias or a provider:model. Not given: as for llmring chat.",
            autocompletion=offers("names"),
        ),
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option("--prompt", metavar="TEXT", help="What to ask, with the row's fields as {field}; a brace is {{."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where answers go, and the next run goes on."),
    ] = None,
    profile: ProfileOption = None,
    system: Annotated[
        str | None, typer.Option("--system", "-s", metavar="TEXT", help="A system prompt, with {field}s, too.")
    ] = None,
    image: Annotated[
        str | None,
        typer.Option("--image", "-i", metavar="FIELD", help="The field with a picture's path, address or bytes."),
    ] = None,
    messages: Annotated[
        str | None, typer.Option("--messages", metavar="FIELD", help="The field with whole messages, as JSON.")
    ] = None,
    schema: SchemaOption = None,
    template: Annotated[
        str | None,
        typer.Option(
            "--template",
            "-t",
            metavar="NAME",
            help="Ask by llmring.templates/NAME.toml, its $names filled in from the row's fields.",
            autocompletion=offers("templates"),
        ),
    ] = None,
    reasoning: ReasoningOption = None,
    max_tokens: MaxTokensOption = None,
    temperature: TemperatureOption = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="KEY VALUE", help="Any other parameter, as for llmring chat; repeatable."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="FIELD", help="The field that a row is known by. Not given: by what is asked."),
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option("--format", metavar="jsonl|csv|tsv|parquet", help="What the rows are, if their names do not say."),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", min=1, help="Only the first N rows.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Ask nobody: say how many rows and tokens, what it costs, how long.")
    ] = False,
    max_cost: Annotated[
        float | None,
        typer.Option("--max-cost", metavar="USD", min=0.0, help="Ask nothing that might take this run beyond that."),
    ] = None,
    concurrency: Annotated[
        int,
        typer.Option("--concurrency", metavar="N", min=1, help="The most requests at once; it begins with up to 16."),
    ] = 64,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option("--engine", metavar="local|ray", help="Who asks: this process, or workers of Ray."),
    ] = "local",
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", metavar="N", min=1, help="How many of Ray; --concurrency is each one's. Not given: one a CPU."
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask about rows that failed for good, too.")
    ] = False,
    redo_changed: Annotated[
        bool,
        typer.Option("--redo-changed", help="Ask again about rows that were asked otherwise, or of other models."),
    ] = False,
    batch: Annotated[
        bool,
        typer.Option("--batch", help="Through the vendor's batch endpoint: half the price, within a day. Needs -o."),
    ] = False,
) -> None:
    """Ask about each row of files, as fast as the provider lets.

    With -o, each answer is one line of JSON, written as it comes; the same command goes on where it was ended,
    however that was: what is written is not asked again. What failed for good is beside it, in labels.failed.jsonl for
    labels.jsonl. Without -o, the lines go to standard output. Ctrl-C finishes what is under way; once more, and it ends
    at once.

    \b
    Example:
      llmring map reviews.jsonl --model labeller --prompt 'Label this review: {text}' --limit 20
      llmring map reviews.csv --prompt 'Label: {text}' --schema label.json -o labels.jsonl --dry-run
      llmring map reviews.csv --prompt 'Label: {text}' --schema label.json -o labels.jsonl --max-cost 5
      llmring map 'scans/*.parquet' --image path --prompt 'What does it say?' -o texts.jsonl
      llmring map reviews.jsonl --template label -o labels.jsonl --retry-failed
      llmring map reviews.jsonl --template label -o labels.jsonl --batch
      llmring map 's3://bucket/reviews/*.parquet' --template label -o labels.jsonl --engine ray --workers 32
    """
    if output is not None and is_far(str(output).replace(":/", "://", 1)):
        raise typer.BadParameter("answers are appended to a file: name one on a disk", param_hint="-o")
    if workers is not None and engine != "ray":
        raise typer.BadParameter("it goes with --engine ray", param_hint="--workers")
    if output is None and (retry_failed or redo_changed):
        raise typer.BadParameter("it goes with -o", param_hint="--retry-failed" if retry_failed else "--redo-changed")
    if batch and engine == "ray":
        raise typer.BadParameter(
            "a batch is the vendor's to work on; it goes without --engine ray", param_hint="--batch"
        )
    if batch and output is None and not dry_run:
        raise typer.BadParameter("it goes with -o", param_hint="--batch")
    fields = fields_of(
        option or (), "--option", reasoning_effort=reasoning, max_tokens=max_tokens, temperature=temperature
    )
    if schema is not None:
        fields["response_format"] = response_format(schema)
    form = chosen(template) if template is not None else None
    model = model or (form.model if form is not None else None) or default_model(profile)
    binding = lockfiles.resolve(lockfile_if_any(), model, profile)
    asking = Asking(
        model, prompt=prompt, system=system, image=image, messages=messages, template=form, fields=fields, key=key
    )
    written = [output, failed_beside(output)] if output is not None else []
    try:
        read = Rows(rows, format, limit, written)
    except ConfigurationError as error:
        if output is None or output.suffix or output.exists():
            raise
        hint = f"-o is the file of answers here; a parameter of the request is --option {output} VALUE."
        raise ConfigurationError(f"{error} {hint}") from None
    try:
        kept = None
        if output is not None and not (dry_run and not output.exists()):
            kept = Output(output, whom(binding), retry_failed=retry_failed, redo_changed=redo_changed)
        journal = None
        try:
            if kept is not None:
                take_up(kept, keep=not dry_run)
            if output is not None and not dry_run:
                journal = journal_of(output, batch)
            run = _Run(read, asking, kept, binding, profile, concurrency, max_cost, batch)
            if journal is not None:
                run.make = partial(batches.BatchJob, journal=journal, binding=binding, told=run.note)
            elif engine == "ray":
                run.make = partial(RayJob, workers=workers)
            hear_warnings(run.warn, run.before_log)
            status = asyncio.run(run.look() if dry_run else run.whole())
        finally:
            for it in (kept, journal):
                if it is not None:
                    it.close()
    finally:
        read.close()
    raise typer.Exit(status)


class _Run:
    """One run of the command."""

    def __init__(
        self,
        rows: Rows,
        asking: Asking,
        output: Output | None,
        binding: lockfiles.Binding,
        profile: str | None,
        concurrency: int,
        max_cost: float | None,
        in_batches: bool,
    ) -> None:
        self._in_batches = in_batches
        self._rows = rows
        self._asking = asking
        self._output = output
        self._binding = binding
        self._profile = profile
        self._concurrency = concurrency
        self._max_cost = max_cost
        self.make: Callable[..., Job] = Job
        self._presses = 0
        self._task: asyncio.Task[Any] | None = None
        self._job: Job | None = None
        self._warned: set[str] = set()
        self.make_way: Callable[[], None] = lambda: None

    def warn(self, text: str) -> None:
        """A warning of the library's, once: ten thousand rows would say the same."""
        start = text.partition(":")[0]
        if start not in self._warned:
            self._warned.add(start)
            self.make_way()
            warn(f"{text} (Said once; so it may be with other rows.)")

    def before_log(self) -> None:
        """A line of the log is about to be written, or a warning, which may have been said before."""
        if logged_from() in ("debug", "info"):
            self.make_way()

    def _job_of(self, service: LLMRing) -> Job:
        what = service, self._rows, self._asking, self._output
        how: dict[str, Any] = {"show": self._show, "profile": self._profile, "concurrency": self._concurrency}
        return self.make(*what, **how, max_usd=self._max_cost)

    def note(self, text: str) -> None:
        self.make_way()
        note(text, dim=False)

    def _show(self, line: dict[str, Any]) -> None:
        if self._output is None:
            if sys.stdout is not None and sys.stdout.isatty():
                self.make_way()
            say(json_text(line, is_for_people=True, indent=None))

    async def look(self) -> int:
        """Say what it would take."""
        async with Service(profile=self._profile) as service:
            found = await self._looked(self._job_of(service), price=True)
            if self._in_batches:
                found = batches.at_batch_rate(service, found, batches.endpoint_for(service, self._binding))
        said = asdict(found)
        del said["dearest"]
        said |= {"done": found.rows - found.to_ask, "concurrency": self._concurrency}
        there = at_vendor(self._output.path) if self._output is not None else []
        if self._in_batches:
            said["at_vendor"] = sum(it.count for it in there)
        note(told(found), dim=False)
        if there:
            note(told_of(there, self._in_batches), dim=False)
        say(json_text(said))
        return 0

    async def whole(self) -> int:
        """Ask."""
        self._task = asyncio.current_task()
        with _Interrupts(self._interrupted):
            try:
                async with Service(profile=self._profile) as service:
                    return await self._asked(service)
            except asyncio.CancelledError:
                if self._presses < 2:
                    raise
                self._say(self._job.summary if self._job is not None else Summary(), "ended by Ctrl-C")
                return _INTERRUPTED

    async def _looked(self, job: Job, *, price: bool) -> Survey:
        with working("Looking at the rows"):
            found = await survey(job, self._binding, self._concurrency, price=price)
        hear_warnings(self.warn, self.before_log)
        tell_what_is_asked(self._asking, found)
        if self._output is not None:
            tell_what_is_there(self._output, self._asking, self._rows, found)
        return found

    async def _asked(self, service: LLMRing) -> int:
        if self._in_batches:
            batches.endpoint_for(service, self._binding)
        job = self._job = self._job_of(service)
        found = await self._looked(job, price=self._max_cost is not None)
        if self._presses:
            return _INTERRUPTED
        try:
            with picture(job, found) as self.make_way, watched(self._asking.model, self._profile, self._rebound):
                await job.run(found)
        except LLMRingError as error:
            self._say(job.summary, str(error))
            for it in getattr(error, "__notes__", ()):
                note(it, dim=False)
            raise
        if self._presses:
            job.summary.stopped = CTRL_C
        self._say(job.summary, job.summary.stopped)
        tell_how_it_ended(job.summary, self._output)
        if self._presses:
            return _INTERRUPTED
        return 1 if job.summary.failed or job.summary.left else 0

    def _rebound(self, binding: lockfiles.Binding) -> None:
        if self._output is not None:
            self._output.whom = whom(binding)
        self.note(f"{self._asking.model} is bound otherwise now: {', '.join(binding.models)} from here on.")

    def _say(self, summary: Summary, stopped: str | None) -> None:
        summary.stopped = stopped
        said = asdict(summary) | {"left": summary.left}
        said["seconds"], said["usd"] = round(summary.seconds, 3), round(summary.usd, 9)
        if self._output is None:
            spent = f", {dollars(summary.usd)}" if summary.usd else ""
            note(f"{summary.answered} answered, {summary.failed} failed{spent}", dim=False)
        else:
            say(json_text(said))

    def _interrupted(self) -> None:
        self._presses += 1
        job = self._job
        if self._presses == 1 and job is not None and job.map is not None:
            job.map.stop()
            self.note(f"Finishing the {job.map.progress.running} requests under way. Ctrl-C again ends at once.")
        elif self._task is not None:
            self._presses = 2
            self._task.cancel()


class _Interrupts:
    """Has Ctrl-C call a function of the event loop, where the system lets it."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def __enter__(self) -> None:
        if sys.platform != "win32":
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._call)

    def __exit__(self, *_: object) -> None:
        if sys.platform != "win32":
            asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
