"""Answers that several processes write, each block of rows to a file of its own, until they are in the file of answers.

Beside `labels.jsonl` there is a folder `labels.jsonl.d` while a run has workers, and in it one for the run:

    lock          held by each worker for as long as it lives, so that the next run knows when the last one has gone
    DIGEST.jsonl  what came of a block of rows, by the digest of their keys: who does the block again finds it
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable
from hashlib import blake2b
from itertools import filterfalse
from pathlib import Path
from typing import Final
from uuid import uuid4

from .lines import Lines, OutputError
from .output import Output

if sys.platform != "win32":
    import fcntl

__all__ = ["Shards", "beside", "take_up"]

_LOCK: Final = "lock"
_RUN: Final = re.compile(r"[0-9a-f]{12}")
_PATIENCE: Final = 60.0
"""Seconds in which the workers of a run that was killed are gone."""


def beside(path: Path) -> Path:
    """The folder of what is not yet in a file of answers."""
    return path.with_name(f"{path.name}.d")


class Shards:
    """The folder of one run: for whoever began it, and for its workers.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = -1

    @classmethod
    def made(cls, within: Path) -> Shards:
        """One for a new run.

        Raises:
            OutputError: it cannot be made.
        """
        made = cls(within.absolute() / uuid4().hex[:12])
        try:
            made.folder.mkdir(parents=True)
            (made.folder / _LOCK).touch()
        except OSError as error:
            raise OutputError(f"{made.folder} cannot be made: {error.strerror}.") from None
        return made

    def enter(self) -> None:
        """Be one of its workers, until this process ends.

        Raises:
            OutputError: it is not to be seen from here, or the next run has begun.
        """
        try:
            self._lock = os.open(self.folder / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
            if not _hold(self._lock, shared=True):
                raise OSError
            os.stat(self.folder / _LOCK)  # whoever has taken it away did so before it let go of it
        except OSError:
            raise OutputError(
                f"{self.folder} is not to be seen from the machine {os.uname().nodename}. Answers are kept there until "
                "they are handed over, so that none is paid for twice: name a place that all machines share: -o"
            ) from None

    def of(self, keys: Iterable[str]) -> Path:
        """The file of a block of rows."""
        digest = blake2b("\n".join(keys).encode(errors="surrogatepass"), digest_size=12)
        return self.folder / f"{digest.hexdigest()}.jsonl"

    def drop(self, name: str) -> None:
        """Take a file away, if it is one: what it holds is in the file of answers."""
        with contextlib.suppress(OSError):
            os.unlink(self.folder / name)

    def remove(self) -> None:
        """Take all of it away, and the folder around it if that was the last."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()


def take_up(output: Output, patience: float = _PATIENCE, *, keep: bool = True) -> None:
    """Put into a file of answers what runs that were ended have left beside it.

    Args:
        output: the file.
        patience: seconds to wait for workers of such a run.
        keep: whether to write at all; else the file only knows of it, and it stays where it is.

    Raises:
        OutputError: it cannot be written, or workers of such a run are still at work.
    """
    runs = sorted(it for it in beside(output.path).glob("*") if _RUN.fullmatch(it.name) and it.is_dir())
    for folder in filterfalse(Path.is_symlink, runs):  # a link leads to what is no run's
        shards = Shards(folder)
        _wait_for_workers(folder, patience)
        for shard in filterfalse(Path.is_symlink, sorted(folder.glob("*.jsonl"))):
            lines = Lines(shard)
            try:
                for line in lines:
                    line.pop("result", None)
                    output.take(line, keep=keep)
            finally:
                lines.close()
        if keep:
            shards.remove()


def _wait_for_workers(folder: Path, patience: float) -> None:
    """Until nobody holds the lock; nobody can from then on."""
    lock = folder / _LOCK
    try:
        fd = os.open(lock, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        until = time.monotonic() + patience
        while not _hold(fd):
            if time.monotonic() > until:
                raise OutputError(f"Workers of a run that has ended are still at work in {folder}. End them, or wait.")
            time.sleep(0.1)
        os.unlink(lock)
    finally:
        os.close(fd)


def _hold(fd: int, *, shared: bool = False) -> bool:
    if sys.platform != "win32":
        try:
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
