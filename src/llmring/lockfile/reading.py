"""Reading a lockfile from its file."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from llmring.exceptions import LockfileNotFoundError, LockfileParseError

from .discovery import PATH_VARIABLE
from .parsing import parse

if TYPE_CHECKING:
    from .model import Lockfile

__all__ = ["LARGEST", "load", "read"]

LARGEST = 16 * 1024 * 1024
"""Bytes. What is larger is no lockfile."""
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
    return parse(read(path), path)


def read(path: Path) -> bytes:
    """The bytes of a file, or the error that says why there are none. It waits for nobody, as a pipe would have it."""
    try:
        _refuse_what_is_none(path, os.stat(path))  # to open a pipe or a device can have effects of its own
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
        with open(os.open(path, flags), "rb") as file:
            _refuse_what_is_none(path, os.fstat(file.fileno()))
            content = file.read(LARGEST + 1)
    except FileNotFoundError:
        origin = f" ({PATH_VARIABLE} names it)" if _is_from_environment(path) else ""
        raise LockfileNotFoundError(
            f"There is no lockfile {path}{origin}. To make it: llmring lock init --file {path}", path=path
        ) from None
    except OSError as error:
        raise LockfileParseError(f"{path} cannot be read: {error.strerror}", path=path) from None
    if len(content) > LARGEST:
        raise _too_large(path)
    return content


def _refuse_what_is_none(path: Path, status: os.stat_result) -> None:
    """Raises the error for what is no file of a lockfile's size."""
    kind = next((name for is_kind, name in _KINDS if is_kind(status.st_mode)), None)
    if kind is not None:
        raise LockfileParseError(
            f"{path} cannot be read: it is {kind}, and a lockfile is a plain file. Move it away, or name another file: "
            f"{PATH_VARIABLE}=PATH",
            path=path,
        )
    if status.st_size > LARGEST:
        raise _too_large(path)


def _too_large(path: Path) -> LockfileParseError:
    return LockfileParseError(
        f"{path} cannot be read: it is larger than {LARGEST // 1024 // 1024} MiB, as no lockfile is. Move it away, or "
        f"name another file: {PATH_VARIABLE}=PATH",
        path=path,
    )


def _is_from_environment(path: Path) -> bool:
    named = os.environ.get(PATH_VARIABLE)
    return bool(named) and os.path.abspath(os.path.expanduser(str(named))) == os.path.abspath(path)
