"""The journal of batches, beside the file of answers: what was done with each, noted before the next step is taken.

    planned ──► uploaded ──► creating ──► created ──► collected ──► tidied
       └───────────┴────────────┴───────────┴──► dropped: the vendor has none, or took none of it

A line is on the disk when `note` comes back. So whatever ends the process, the next one knows what may be there.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple, Self

from ..bulk.keys import Keys
from ..bulk.lines import Lines, OutputError
from ..private import state_folder, write_privately
from .spool import Entry

__all__ = [
    "Journal",
    "Shard",
    "counted",
    "journal_beside",
    "known_journals",
    "read_only",
]

_SUFFIX = ".batches.jsonl"
_VERSION = 1


@dataclass(slots=True)
class Shard:
    """A batch, or what may become one.

    Attributes:
        tag: its name, here and at the vendor.
        at: when it was planned, in seconds since 1970.
        model: the `provider:model` that is asked.
        issuer, account: where it is asked, and a digest of with whose key.
        count: rows in it.
        usd: what it may cost; `None` where nobody asked.
        redoes: whether its answers are to be there instead of older ones.
        step: how far it is, as the journal has it.
        batch, upload: the vendor's ids of it, and of its file.
        files: ids of files that are to be deleted.
        cancelled: whether it was taken back.
        dropped: whether the vendor has none, or took none of it.
    """

    tag: str
    at: float
    model: str
    issuer: str
    account: str
    count: int
    usd: float | None = None
    redoes: bool = False
    step: str = "planned"
    batch: str | None = None
    upload: str | None = None
    files: tuple[str, ...] = ()
    cancelled: bool = False
    dropped: bool = False
    place: tuple[int, int] = field(default=(0, 0), repr=False)

    @property
    def is_open(self) -> bool:
        """Whether answers of it may still come."""
        return self.step not in ("collected", "tidied", "dropped")


def counted(shards: Sequence[Shard]) -> str:
    """So many batches, and what is in them."""
    rows = sum(it.count for it in shards)
    return f"{len(shards)} batch{'es' if len(shards) != 1 else ''} with {rows:,} rows at the vendor"


class Journal(Lines):
    """The batches of one file of answers. It is locked for this process.

    Args:
        path: its own.
        output: the file of answers, where it is begun.

    Attributes:
        shards: all of them by their tags, in order.
        salt: of its digests.
        output: the file of answers.

    Raises:
        OutputError: another run has it, it holds something else, or it is of another file of answers.
    """

    def __init__(self, path: Path, output: Path | None = None) -> None:
        super().__init__(path)
        try:
            self.shards, self.salt, self.output = _read(path)
            if not self.salt:
                self.salt = secrets.token_hex(16)
                os.chmod(path, 0o600)
                _sync_folder(path.parent)
                self._begin(output or self.output)
            elif output is not None and _real(output).name != self.output.name:
                if self.output.exists():
                    raise OutputError(f"{path} is the journal of {self.output}. Name another file: -o")
                self._begin(output)
        except BaseException:
            self.close()
            raise
        _remember(path)

    def _begin(self, output: Path) -> None:
        self.output = _real(output)
        self.note("", "begun", version=_VERSION, salt=self.salt, output=self.output.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def open(self) -> list[Shard]:
        """The batches of which answers may still come."""
        return [it for it in self.shards.values() if it.is_open]

    def plan(
        self,
        tag: str,
        model: str,
        issuer: str,
        account: str,
        rows: Sequence[Entry],
        usd: float | None,
        *,
        redoes: bool = False,
        **more: Any,
    ) -> Shard:
        """Note a batch that is to be made.

        Args:
            tag, model, issuer, account, usd, redoes: see `Shard`.
            rows: of it, in order.
            more: what its answers are read by.

        Raises:
            OutputError: it cannot be written.
        """
        shard = Shard(tag, time.time(), model, issuer, account, len(rows), usd, redoes)
        start = self._size
        said = {"model": model, "issuer": issuer, "account": account, "usd": usd, "redoes": redoes}
        self.note(shard.tag, "planned", **said, **more, rows=rows)
        shard.place = start, self._size - start
        self.shards[shard.tag] = shard
        return shard

    def note(self, tag: str, step: str, **more: Any) -> None:
        """Note a step; it is on the disk when this comes back.

        Raises:
            OutputError: it cannot be written.
        """
        self.add({"key": tag, "step": step, "at": round(time.time(), 3), **more})
        self.sync()
        if (shard := self.shards.get(tag)) is not None:
            _apply(shard, {"step": step, **more})

    def known(self) -> frozenset[str]:
        """The vendors' ids of batches that this one knows, and the other journals of this user."""
        found = {it.batch for it in self.shards.values()}
        for other in known_journals():
            if other.absolute() != self.path.absolute():
                with contextlib.suppress(OutputError):
                    found.update(it.batch for it in read_only(other).shards.values())
        return frozenset(it for it in found if it)

    def plan_of(self, shard: Shard) -> dict[str, Any]:
        """What was noted when it was planned, with its `rows`."""
        return _plan(self.path, shard)

    def keys(self, *, with_asked: bool) -> Keys:
        """The keys of all rows in open batches; with what was asked about them, or without."""
        found = Keys()
        for shard in self.open:
            for _, key, asked in self.plan_of(shard)["rows"]:
                found.add(f"{key}\n{asked}" if with_asked else key)
        return found


class Known(NamedTuple):
    """What a journal knows: its batches, its salt, and the file of answers."""

    shards: dict[str, Shard]
    salt: str
    output: Path


def _read(path: Path) -> Known:
    """What a journal knows. An end that was torn off is passed by."""
    shards: dict[str, Shard] = {}
    salt, place, output = "", 0, _output_beside(path)
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            start, place = place, place + len(line)
            if not line.endswith(b"\n"):
                break
            try:
                said = json.loads(line)
                tag, step = said["key"], said["step"]
                if step == "begun":
                    if said["version"] != _VERSION:
                        raise OutputError(f"{path} was written by another version of llmring. Go on with that one.")
                    salt, begun = bytes.fromhex(said["salt"]).hex(), path.with_name(said["output"])
                    output = begun if journal_beside(begun) == path else output  # both may have been renamed
                elif step == "planned":
                    names = said["model"], said["issuer"], said["account"]
                    if not all(isinstance(it, str) for it in names) or any(len(it) != 3 for it in said["rows"]):
                        raise TypeError
                    shards[tag] = Shard(
                        tag, said["at"], *names, len(said["rows"]), said["usd"], said.get("redoes", False)
                    )
                    shards[tag].place = start, len(line)
                elif isinstance(said.get("batch", ""), str):
                    _apply(shards[tag], said)
                else:
                    raise TypeError
            except (ValueError, TypeError, KeyError, RecursionError):
                raise OutputError(f"{path}:{number} is no line of a journal of batches.") from None
    return Known(shards, salt, output)


def _apply(shard: Shard, said: dict[str, Any]) -> None:
    step = said["step"]
    if step == "cancelled":
        shard.cancelled = True
        return
    shard.step, shard.dropped = step, shard.dropped or step == "dropped"
    shard.batch = said.get("batch", shard.batch)
    shard.upload = said.get("upload", shard.upload)
    shard.files = tuple(said.get("files", shard.files))


def _plan(path: Path, shard: Shard) -> dict[str, Any]:
    with open(path, "rb") as file:
        file.seek(shard.place[0])
        plan: dict[str, Any] = json.loads(file.read(shard.place[1]))
        return plan


def read_only(path: Path) -> Known:
    """What a journal knows, also while a run writes it.

    Raises:
        OutputError: it cannot be read, or is none.
    """
    try:
        return _read(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be read: {error.strerror}.") from None


def journal_beside(path: Path) -> Path:
    """The journal of a file of answers: `labels.batches.jsonl`, beside the file itself where that is a link; of a
    journal, itself."""
    path = _real(path)
    if path.name.endswith(_SUFFIX):
        return path
    return path.with_name(f"{path.name.removesuffix('.jsonl')}{_SUFFIX}")


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _output_beside(journal: Path) -> Path:
    """The file of answers that a journal is of, unless it says another."""
    return journal.with_name(f"{journal.name.removesuffix(_SUFFIX)}.jsonl")


def _sync_folder(folder: Path) -> None:
    """Have the disk know of a new file."""
    if os.name != "nt":
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _folder() -> Path:
    return state_folder() / "batches"


def _remember(path: Path) -> None:
    """Have `known_journals` give it, where there is a place to note that in."""
    where = str(path.absolute())
    name = blake2b(where.encode(errors="surrogateescape"), digest_size=12).hexdigest()
    with contextlib.suppress(OSError):
        if not (_folder() / name).exists():
            write_privately(_folder() / name, where.encode(errors="surrogateescape"))


def known_journals() -> Iterator[Path]:
    """All journals that were begun by this user, as far as they are still there."""
    for note in sorted(_folder().glob("*")):
        path = None
        with contextlib.suppress(OSError, ValueError):  # a folder that may not be written, or no note
            found = Path(os.fsdecode(note.read_bytes()))
            if found.exists():
                path = found
            else:
                note.unlink(missing_ok=True)
        if path is not None:
            yield path
