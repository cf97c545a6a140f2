"""The files of recordings: where they may be, read within bounds, added to by several processes at once."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ..exceptions import LLMRingError
from ..lockfile.locking import exclusive
from ..references import shown
from .errors import RecordingError
from .exchanges import Exchange

__all__ = ["MAX_BYTES", "SUFFIX", "changed", "here", "place", "read", "state_of"]

SUFFIX = ".jsonl"
MAX_BYTES = 64 * 2**20
"""Of a file."""
_MAX_LINES = 100_000

State = tuple[int, int, int]


def place(written: str, folder: Path) -> Path:
    """Where a recording is.

    Args:
        written: as a binding has it.
        folder: the project's, from which it counts.

    Raises:
        RecordingError: it is no file of recordings, or outside the project's folder.
    """
    if not written.endswith(SUFFIX) or len(written) <= len(SUFFIX):
        raise RecordingError(
            f"{shown(written)} names no recording: write a file that ends in {SUFFIX}, as in "
            "replay:tests/recordings/chat.jsonl"
        )
    folder = folder.resolve()
    # Where it leads, whatever links are on the way: a lockfile may be a stranger's.
    try:
        path = (folder / written).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise RecordingError(f"{shown(written)} names no recording: {error}") from None
    if not path.is_relative_to(folder):
        raise RecordingError(
            f"The recording {shown(written)} is outside of the project's folder, {folder}, where alone recordings are "
            "read and written. Move it there, or the lockfile up."
        )
    return path


def here() -> Path:
    """The project's folder, where nothing else says which one it is."""
    return Path.cwd()


def state_of(path: Path) -> State | None:
    """What changes when a file does; `None` where there is none."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, error) from None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _unreadable(path: Path, error: OSError) -> RecordingError:
    return RecordingError(f"The recording {path} cannot be read: {error.strerror or error}.")


def read(path: Path) -> list[Exchange]:
    """What a file holds; nothing where there is none.

    Raises:
        RecordingError: it cannot be read, is larger than a recording may be, or a line of it is no exchange.
    """
    try:
        # What is no file, as a pipe, would be waited for.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise RecordingError(f"The recording {path} cannot be read: it is no file.")
            data = file.read(MAX_BYTES + 1) if status.st_size <= MAX_BYTES else None
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(path, error) from None
    if data is None or len(data) > MAX_BYTES:
        raise RecordingError(
            f"The recording {path} has more than {MAX_BYTES // 2**20} MiB. Divide it, as by parts of the tests."
        )
    return _exchanges(data, path)


def _exchanges(data: bytes, path: Path) -> list[Exchange]:
    lines = data.split(b"\n")
    if len(lines) > _MAX_LINES:
        raise RecordingError(f"The recording {path} has more than {_MAX_LINES} lines. Divide it.")
    found: list[Exchange] = []
    seen: dict[bytes, int] = {}
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if line:
            exchange = Exchange.read(line, number, path)
            exchange.occurrence = seen[line] = seen.get(line, -1) + 1
            found.append(exchange)
    return found


def changed(path: Path, change: Callable[[Sequence[Exchange]], Sequence[Exchange]]) -> None:
    """Change what a file holds, one process at a time; what is added at its end is written there, and no more.

    Args:
        path: the file; it is made with its folder where there is none.
        change: what it is to hold, of what it holds.

    Raises:
        RecordingError: it cannot be read or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(path):
            before = read(path)
            after = change(before)
            if [it.line for it in after[: len(before)]] == [it.line for it in before]:
                _append(path, after[len(before) :])
            else:
                _replace(path, after)
    except OSError as error:
        raise RecordingError(f"The recording {path} cannot be written: {error.strerror or error}.") from None
    except RecordingError:
        raise
    except LLMRingError as error:
        raise RecordingError(f"The recording {path} cannot be written: {error}") from None


def _append(path: Path, added: Sequence[Exchange]) -> None:
    if not added:
        return
    data = b"".join(it.line + b"\n" for it in added)
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
    with os.fdopen(handle, "rb+", buffering=0) as file:
        # A line that was edited by hand may lack its end.
        if size := file.seek(0, os.SEEK_END):
            file.seek(size - 1)
            if file.read(1) != b"\n":
                data = b"\n" + data
        if (written := os.write(handle, data)) != len(data):
            file.truncate(size)
            raise OSError(f"only {written} of {len(data)} bytes could be written")


def _replace(path: Path, all_of_it: Sequence[Exchange]) -> None:
    handle, made = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(it.line + b"\n" for it in all_of_it)
        mode = stat.S_IMODE(os.stat(path).st_mode) if path.exists() else 0o644
        os.chmod(made, mode)
        os.replace(made, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(made)
        raise
