"""Reading a lockfile from its file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from llmring.exceptions import LockfileNotFoundError, LockfileParseError

from .discovery import PATH_VARIABLE
from .parsing import parse

if TYPE_CHECKING:
    from .model import Lockfile

__all__ = ["load", "read"]


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
    """The bytes of a file, or the error that says why there are none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        origin = f" ({PATH_VARIABLE} names it)" if _is_from_environment(path) else ""
        raise LockfileNotFoundError(
            f"There is no lockfile {path}{origin}. To make it: llmring lock init --file {path}", path=path
        ) from None
    except OSError as error:
        reason = "it is a folder" if os.path.isdir(path) else error.strerror  # which, unlike Path.is_dir, never raises
        raise LockfileParseError(f"{path} cannot be read: {reason}", path=path) from None


def _is_from_environment(path: Path) -> bool:
    named = os.environ.get(PATH_VARIABLE)
    return bool(named) and os.path.abspath(os.path.expanduser(str(named))) == os.path.abspath(path)
