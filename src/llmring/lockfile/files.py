"""The lockfile as a file: which one it is, and what is in it."""

from __future__ import annotations

import errno
import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .. import concealment
from ..exceptions import LockfileError, LockfileNotFoundError, LockfileParseError
from ..references import FILE_NAME
from .parsing import parse

if TYPE_CHECKING:
    from .model import Lockfile

__all__ = ["LARGEST", "find_lockfile", "load", "none_found", "plain", "read"]

_PATH_VARIABLE = "LLMRING_LOCKFILE_PATH"
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
    chosen = path if path is not None else os.environ.get(_PATH_VARIABLE) or None
    if chosen is not None:
        return Path(os.path.expanduser(chosen))
    return next((file for file, is_ours in _candidates(start) if is_ours), None)


def none_found() -> str:
    """That the search found nothing, in a sentence, and which file of another user's it passed over."""
    said = f"There is no {FILE_NAME} in {os.getcwd()} or above it"
    if passed := [file for file, is_ours in _candidates(None) if not is_ours]:
        said += (
            f" ({passed[0]} is another user's, and is not used; to use it all the same: "
            f"export {_PATH_VARIABLE}={shlex.quote(str(passed[0]))})"
        )
    return said


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
        raise concealment.bare(error)  # noqa: B904 - it is the same error


def read(path: Path) -> bytes:
    """The bytes of a file, or the error that says why there are none."""
    try:
        return plain(path)
    except FileNotFoundError:
        origin = f" ({_PATH_VARIABLE} names it)" if _is_from_environment(path) else ""
        raise LockfileNotFoundError(
            f"There is no lockfile {path}{origin}. To make it: llmring lock init --file {path}", path=path
        ) from None
    except OSError as error:
        step = ""
        if error.errno in _NONE:
            step = f", as no lockfile is. Move it away, or name another file: {_PATH_VARIABLE}=PATH"
        raise LockfileParseError(f"{path} cannot be read: {error.strerror}{step}", path=path) from None


def plain(path: Path) -> bytes:
    """The bytes of a plain file of at most `LARGEST` bytes. It waits for nobody, as a pipe would have it.

    Raises:
        OSError: it cannot be read, or is none; `strerror` says what it is instead.
    """
    _refuse(os.stat(path))  # to open a pipe or a device can have effects of its own
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags), "rb") as file:
        _refuse(status := os.fstat(file.fileno()))
        # As much is reserved as is asked for. Some files of the system say that they are empty, and are not.
        content = file.read(status.st_size + 1)
        while content and len(content) <= LARGEST and (more := file.read(64 * 1024)):
            content += more
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
    named = os.environ.get(_PATH_VARIABLE)
    return bool(named) and os.path.abspath(os.path.expanduser(str(named))) == os.path.abspath(path)


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
