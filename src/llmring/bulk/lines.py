"""Files of JSON Lines that are appended to: each line whole, or not there."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..exceptions import LLMRingError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["InUseError", "Lines", "OutputError"]

_BLOCK = 1 << 16
_OTHERS = {".csv", ".tsv", ".parquet", ".pq", ".xlsx", ".gz", ".zst", ".bz2", ".xz", ".zip"}


class OutputError(LLMRingError):
    """The file of answers cannot be used or written. What it holds is whole.

    What to do: what the message says, such as making room on the disk; then run it again, and it goes on.
    """


class InUseError(OutputError):
    """Another run writes it."""


class Lines:
    """A file of JSON Lines that is appended to by this process alone.

    Raises:
        OutputError: it cannot be opened or locked, or holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.suffix.lower() in _OTHERS:
            raise OutputError(f"{path}: answers are lines of JSON, and are appended; name it .jsonl: -o")
        self._open()
        self._size = self._mended()

    def _open(self) -> None:
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
                if is_file:
                    raise InUseError(
                        f"{self.path} is being written by another run. Wait for it, or name another file: -o"
                    )
                raise OutputError(f"{self.path} is no file: name another file: -o")
            self._fd = fd
            if self._is_in_place():
                return
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
            OutputError: there is no room for it, or the like, and nothing of it is in the file; or that has been moved.
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
        if not self._is_in_place():
            raise OutputError(
                f"{self.path} was moved or deleted while this run wrote it. What it held is in the file that was "
                "there: put that back, and run it again."
            )

    def _is_in_place(self) -> bool:
        with contextlib.suppress(OSError):
            return os.path.samestat(os.fstat(self._fd), os.stat(self.path))
        return False

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
