"""Which file is the lockfile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["FILE_NAME", "PATH_VARIABLE", "find_lockfile", "none_found"]

FILE_NAME = "llmring.lock"
PATH_VARIABLE = "LLMRING_LOCKFILE_PATH"


def find_lockfile(path: str | os.PathLike[str] | None = None, *, start: Path | None = None) -> Path | None:
    """The lockfile: `path`, else `LLMRING_LOCKFILE_PATH`, else `llmring.lock` in `start` or its nearest parent.

    The search ends at the top of the repository (where `.git` is) or at the home folder. A file above `start` counts if
    it belongs to the user or to root, one in `start` also if it belongs to whoever `start` does: in a folder that many
    may write to, another user's file decides nothing.

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
    return next((file for file, is_ours in _candidates(start) if is_ours), None)


def none_found() -> str:
    """That the search found nothing, in a sentence, and which file of another user's it passed over."""
    said = f"There is no {FILE_NAME} in {os.getcwd()} or above it"
    if passed := [file for file, is_ours in _candidates(None) if not is_ours]:
        from shlex import quote

        said += (
            f" ({passed[0]} is another user's, and is not used; to use it all the same: "
            f"export {PATH_VARIABLE}={quote(str(passed[0]))})"
        )
    return said


def _candidates(start: Path | None) -> Iterator[tuple[Path, bool]]:
    """The files of that name at and above a folder, and whether each may be used."""
    here = Path(os.path.abspath(start or os.curdir))
    home = os.path.realpath(os.path.expanduser("~"))
    for folder in (here, *here.parents):
        file = folder / FILE_NAME
        if os.path.exists(file):  # what is no file is an error when it is read
            yield file, _is_ours(file, folder if folder == here else None)
        if os.path.lexists(folder / ".git") or os.path.realpath(folder) == home:
            return


def _is_ours(file: Path, folder: Path | None) -> bool:
    """Whether a file, and the link that it may be, belong to the user, to root, or to the owner of the folder."""
    if not hasattr(os, "geteuid"):  # Windows
        return True
    try:
        owners = {os.geteuid(), 0, *([os.stat(folder).st_uid] if folder is not None else [])}
        return {os.lstat(file).st_uid, os.stat(file).st_uid} <= owners
    except OSError:
        return False
