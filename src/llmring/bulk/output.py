"""The file of answers: each is appended as it comes, and the file is the memory of what was done.

A line is written at once, in one piece, and is in the system's hands then: a process that is killed loses none. What
had been written of a line by a machine that stopped is taken away by the next run, or kept if it is whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..exceptions import LLMRingError
from .keys import Keys
from .sampling import Sample, Sampled

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["Output", "OutputError", "failed_beside"]

_BLOCK = 1 << 16


class OutputError(LLMRingError):
    """The file of answers cannot be used or written. What it holds is whole.

    What to do: what the message says, such as making room on the disk; then run it again, and it goes on.
    """


_OTHERS = {".csv", ".tsv", ".parquet", ".pq", ".xlsx", ".gz", ".zst", ".bz2", ".xz", ".zip"}


class Lines:
    """A file of JSON Lines that is appended to by this process alone.

    Raises:
        OutputError: it cannot be opened or locked, or holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.suffix.lower() in _OTHERS:
            raise OutputError(f"{path}: answers are lines of JSON, and are appended; name it .jsonl: -o")
        self._fd = self._open()
        self._size = self._mended()

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        while True:
            try:
                fd = os.open(self.path, flags, 0o666)
            except OSError as error:
                raise OutputError(f"{self.path} cannot be written: {error.strerror}.") from None
            try:
                is_file, is_ours = stat.S_ISREG(os.fstat(fd).st_mode), _locked(fd)
            except OSError as error:
                os.close(fd)
                raise OutputError(
                    f"{self.path} cannot be locked, and two runs would mix: {error.strerror}. Name one on a disk of "
                    "this machine: -o"
                ) from None
            if not (is_file and is_ours):
                os.close(fd)
                what = "is being written by another run. Wait for it, or" if is_file else "is no file:"
                raise OutputError(f"{self.path} {what} name another file: -o")
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(fd), os.stat(self.path)):
                    return fd
            os.close(fd)  # whoever had it has put another in its place

    def _mended(self) -> int:
        """See to the end of the last line; gives where the next one begins."""
        size = os.lseek(self._fd, 0, os.SEEK_END)
        tail = b""
        start = size
        while start and b"\n" not in tail:
            length = min(_BLOCK, start)
            start -= length
            os.lseek(self._fd, start, os.SEEK_SET)
            tail = os.read(self._fd, length) + tail
        last = tail.rpartition(b"\n")[2]
        if not last:
            return size
        with contextlib.suppress(ValueError, RecursionError):
            if isinstance(json.loads(last), dict):
                self._size = size
                self._put(b"\n")
                return size + 1
        size -= len(last)
        if not last.lstrip().startswith(b"{") and last.strip(b"\0"):
            raise OutputError(f"{self.path} holds something else than answers; name another file: -o")
        os.ftruncate(self._fd, size)
        return size

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """What it holds."""
        with open(self.path, "rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    data = json.loads(line)
                    if not isinstance(data["key"], str):
                        raise TypeError
                except (ValueError, TypeError, KeyError, RecursionError):
                    raise OutputError(
                        f"{self.path}:{number} is no line of a run's; name another file (-o), or take it out."
                    ) from None
                yield data

    def add(self, data: dict[str, Any]) -> None:
        """Append a line.

        Raises:
            OutputError: there is no room for it, or the like; nothing of it is in the file.
        """
        self._put(_encoded(data))

    def _put(self, line: bytes) -> None:
        os.lseek(self._fd, self._size, os.SEEK_SET)
        try:
            left = memoryview(line)
            while left:
                left = left[os.write(self._fd, left) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._size)
            raise OutputError(
                f"{self.path} cannot be written: {error.strerror}. What it holds is whole; make room, and run it again."
            ) from None
        self._size += len(line)

    def keep(self, wanted: Iterator[dict[str, Any]]) -> None:
        """Have it hold these lines and no others, or, if that fails, all that it holds now. Nothing is added after."""
        real = Path(os.path.realpath(self.path))  # a link stays one
        beside = real.with_name(f".{real.name}.{os.getpid()}")
        try:
            with open(beside, "wb") as file:
                file.writelines(_encoded(it) for it in wanted)
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(OSError):
                os.chmod(beside, os.fstat(self._fd).st_mode & 0o777)
            os.replace(beside, real)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise OutputError(f"{self.path} cannot be written anew: {error.strerror}.") from None

    def sync(self) -> None:
        """Have the disk hold it.

        Raises:
            OutputError: it does not.
        """
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {error.strerror}.") from None

    def close(self) -> None:
        """Have the disk hold it, and let go of it."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.fsync(self._fd)
            os.close(self._fd)
            self._fd = -1


def _encoded(data: dict[str, Any]) -> bytes:
    try:
        text = json.dumps(data, ensure_ascii=False, default=str)
        return text.encode() + b"\n"
    except UnicodeEncodeError:  # half a character
        return json.dumps(data, default=str).encode() + b"\n"


def failed_beside(path: Path) -> Path:
    """The file of what failed for good, beside a file of answers: `labels.failed.jsonl`."""
    return path.with_name(f"{path.name.removesuffix('.jsonl')}.failed.jsonl")


class Output:
    """A file of answers, with that of failures beside it, for one run.

    Args:
        path: of the answers.
        whom: a digest of whom is asked now.
        retry_failed: take up what failed for good.
        redo_changed: ask again what was asked otherwise, or of others.

    Attributes:
        path: of the answers.
        answered, failed: how many of each are there.
        changed: how many answers are of a time when others were asked.
        redoes_changed: as above.
        sample: of the answers that were there.

    Raises:
        OutputError: another run writes it, or it holds something else.
    """

    def __init__(self, path: Path, whom: str, *, retry_failed: bool = False, redo_changed: bool = False) -> None:
        self.path = path
        self.whom = whom
        self.redoes_changed = redo_changed
        self._answers = Lines(path)
        self._failures: Lines | None = None
        self._done = Keys()
        self._asked = Keys()
        self._given_up = Keys()
        self._times: dict[str, int] = {}
        self._seen = Keys()
        self._twice = False
        self._mends_failures = False
        self.answered = self.failed = self.changed = 0
        self.sample = Sample()
        try:
            self._read()
            if failed_beside(path).exists():
                self._failures = Lines(failed_beside(path))
                self._read_failures(retry_failed)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        """A copy elsewhere says what is wanted; the files stay here."""
        return self.__dict__ | {"_answers": None, "_failures": None}

    def take(self, line: dict[str, Any]) -> None:
        """Write a line that a run left beside, unless it is here.

        Raises:
            OutputError: it cannot be written.
        """
        key, asked = line["key"], f"{line['key']}\n{line.get('asked')}"
        if "error" not in line and asked not in self._asked:
            self._mends_failures |= self._failures is not None
            self.answer(line)
            self._done.add(key)
            self._asked.add(asked)
        elif "error" in line and key not in self._done and key not in self._given_up:
            self.failure(line)
            self._given_up.add(key)
        self.answered, self.failed = len(self._done), len(self._given_up)

    def _read(self) -> None:
        for line in self._answers:
            key = line["key"]
            self._twice |= key in self._done
            self._done.add(key)
            self._asked.add(f"{key}\n{line.get('asked')}")
            self.changed += not str(line.get("asked", "")).endswith(f".{self.whom}")
            self.sample.take(line)
        self.answered = len(self._done)

    def _read_failures(self, retry: bool) -> None:
        assert self._failures is not None
        for line in self._failures:
            if line["key"] in self._done or retry:
                self._mends_failures = True
            else:
                self._given_up.add(line["key"])
        self.failed = len(self._given_up)

    def wants(self, key: str, asked: str) -> tuple[str, str] | None:
        """The key and the digest under which a row is to be asked; `None` where it is done, or has failed for good."""
        if key in self._seen:  # the same row once more
            count = self._times[key] = self._times.get(key, 1) + 1
            key = f"{key}#{count}"
        self._seen.add(key)
        return self.lacks(key, asked)

    def lacks(self, key: str, asked: str) -> tuple[str, str] | None:
        """The same of a row that is there once, whatever was asked for before."""
        whole = f"{asked}.{self.whom}"
        if key in self._given_up:
            return None
        if key in self._done and not (self.redoes_changed and f"{key}\n{whole}" not in self._asked):
            return None
        return key, whole

    def sampled(self, key: str, asked: str) -> Sampled | None:
        """The answer to a row as it would be asked, if it is of the sample."""
        return self.sample.of(key, f"{asked}.{self.whom}")

    @property
    def repeated(self) -> int:
        """Keys that several of the rows have that were gone through."""
        return len(self._times)

    def again(self) -> None:
        """The rows are gone through once more, from the first."""
        self._seen, self._times = Keys(), {}

    def holds(self, key: str, asked: str) -> bool:
        """Whether what was asked under a key is answered."""
        return f"{key}\n{asked}" in self._asked

    def has_failed(self, key: str) -> bool:
        """Whether a row had failed for good before, and was not taken up."""
        return key in self._given_up

    def answer(self, line: dict[str, Any]) -> None:
        """Write an answer.

        Raises:
            OutputError: it cannot be written.
        """
        self._answers.add(line)
        self._twice |= line["key"] in self._done
        self._mends_failures |= line["key"] in self._given_up

    def supersede(self) -> None:
        """Note that an answer of this run is to be there instead of another one of this run."""
        self._twice = True

    def failure(self, line: dict[str, Any]) -> None:
        """Write what failed for good.

        Raises:
            OutputError: it cannot be written.
        """
        if self._failures is None:
            self._failures = Lines(failed_beside(self.path))
        self._failures.add(line)

    def sync(self) -> None:
        """Have the disk hold all that was written."""
        self._answers.sync()
        if self._failures is not None:
            self._failures.sync()

    def tidy(self) -> None:
        """Leave of two answers to a row the later one, and of failures those that still are.

        Raises:
            OutputError: there was no room for that.
        """
        if self._failures is not None and self._mends_failures:
            last = {line["key"]: number for number, line in enumerate(self._failures)}
            done = Keys()
            for line in self._answers:
                done.add(line["key"])
            kept = (
                line
                for number, line in enumerate(self._failures)
                if last[line["key"]] == number and line["key"] not in done
            )
            self._failures.keep(kept)
            if not os.path.getsize(self._failures.path):
                os.unlink(self._failures.path)
        if self._twice:
            latest = {line["key"]: number for number, line in enumerate(self._answers)}
            self._answers.keep(line for number, line in enumerate(self._answers) if latest[line["key"]] == number)

    def close(self) -> None:
        """Let go of the files."""
        self._answers.close()
        if self._failures is not None:
            self._failures.close()


if sys.platform == "win32":

    def _locked(fd: int) -> bool:
        os.lseek(fd, 1 << 62, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:

    def _locked(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
