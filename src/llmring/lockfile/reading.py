"""Reading a lockfile from its file."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from llmring.exceptions import LockfileError, LockfileNotFoundError, LockfileParseError
from llmring.tracebacks import bare

from .discovery import PATH_VARIABLE
from .parsing import parse

if TYPE_CHECKING:
    from .model import Lockfile

__all__ = ["LARGEST", "load", "plain", "read"]

LARGEST = 16 * 1024 * 1024
"""Bytes. What is larger is no lockfile."""
_NONE = (errno.EINVAL, errno.EFBIG)
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def load(path: str | os.PathLike[str]) -> Lockfile:
    """The lockfile in a file, TOML or JSON.

    Raises:
        LockfileNotFoundError: there is no such file.
        LockfileParseError: it is broken, cannot be read, or holds a secret; with line and column.
        LockfileVersionError: it has a version that this release does not read.
    """
    path = Path(path)
    try:
        return parse(read(path), path)
    except LockfileError as error:
        raise bare(error)  # noqa: B904 - it is the same error


def read(path: Path) -> bytes:
    """The bytes of a file, or the error that says why there are none."""
    try:
        return plain(path)
    except FileNotFoundError:
        origin = f" ({PATH_VARIABLE} names it)" if _is_from_environment(path) else ""
        raise LockfileNotFoundError(
            f"There is no lockfile {path}{origin}. To make it: llmring lock init --file {path}", path=path
        ) from None
    except OSError as error:
        step = ""
        if error.errno in _NONE:
            step = f", as no lockfile is. Move it away, or name another file: {PATH_VARIABLE}=PATH"
        raise LockfileParseError(f"{path} cannot be read: {error.strerror}{step}", path=path) from None


def plain(path: Path) -> bytes:
    """The bytes of a plain file of at most `LARGEST` bytes. It waits for nobody, as a pipe would have it.

    Raises:
        OSError: it cannot be read, or is none; `strerror` says what it is instead.
    """
    _refuse(os.stat(path))  # to open a pipe or a device can have effects of its own
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags), "rb") as file:
        _refuse(os.fstat(file.fileno()))
        content = file.read(LARGEST + 1)
    if content is None:  # some files of the system are said to be plain, and have one wait
        raise OSError(errno.EINVAL, "it is a pipe")
    _refuse_size(len(content))
    return content


def _refuse(status: os.stat_result) -> None:
    """Raises the error for what is no plain file of a lockfile's size."""
    kind = next((name for is_kind, name in _KINDS if is_kind(status.st_mode)), None)
    if kind is not None:
        raise OSError(errno.EINVAL, f"it is {kind}")
    _refuse_size(status.st_size)


def _refuse_size(size: int) -> None:
    if size > LARGEST:
        raise OSError(errno.EFBIG, f"it is larger than {LARGEST // 1024 // 1024} MiB")


def _is_from_environment(path: Path) -> bool:
    named = os.environ.get(PATH_VARIABLE)
    return bool(named) and os.path.abspath(os.path.expanduser(str(named))) == os.path.abspath(path)
