"""The lockfile that a command is about, and the options that choose it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..exceptions import LockfileNotFoundError

if TYPE_CHECKING:
    from ..lockfile import Lockfile

__all__ = ["ProfileOption", "lockfile_path", "open_lockfile"]

ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile", "-p", metavar="NAME", envvar="LLMRING_PROFILE", help="Instead of the file's default profile."
    ),
]


def lockfile_path() -> Path:
    """The lockfile of the working directory.

    Raises:
        LockfileNotFoundError: there is none.
    """
    from ..lockfile import find_lockfile

    path = find_lockfile()
    if path is None:
        raise LockfileNotFoundError(
            f"There is no llmring.lock in {Path.cwd()} or above it. To make it: llmring lock init"
        )
    return path


def open_lockfile() -> Lockfile:
    """The lockfile of the working directory, read."""
    from ..lockfile import load

    return load(lockfile_path())
