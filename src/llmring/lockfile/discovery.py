"""Which file is the lockfile."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["FILE_NAME", "PATH_VARIABLE", "find_lockfile"]

FILE_NAME = "llmring.lock"
PATH_VARIABLE = "LLMRING_LOCKFILE_PATH"


def find_lockfile(path: str | os.PathLike[str] | None = None, *, start: Path | None = None) -> Path | None:
    """The lockfile: `path`, else `LLMRING_LOCKFILE_PATH`, else `llmring.lock` in `start` or its nearest parent.

    Args:
        path: a file chosen by the caller; `~` is expanded.
        start: where the search begins; the working directory if it is `None`.

    Returns:
        A path given by the caller or the environment comes back whether the file exists or not: loading it
        then says so. `None` where nothing was given and nothing found.
    """
    chosen = path if path is not None else os.environ.get(PATH_VARIABLE) or None
    if chosen is not None:
        return Path(os.path.expanduser(chosen))
    here = Path(os.path.abspath(start or os.curdir))
    for folder in (here, *here.parents):
        candidate = folder / FILE_NAME
        if os.path.isfile(candidate):
            return candidate
    return None
