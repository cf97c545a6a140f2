"""One process at a time edits the files of a folder.

The lock is a file in a folder that only its owner may open, so that nobody else can make a writer wait, and nothing
lies beside the lockfile. It is named after the folder that is written in, by whatever path that was reached.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
import sys
import time
from typing import TYPE_CHECKING

from ..exceptions import LockfileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["PATIENCE", "HeldError", "exclusive"]

_log = logging.getLogger("llmring.lockfile")

PATIENCE = 30.0
"""Seconds to wait for a process to finish its edit."""
_SAID_AFTER = 1.0
"""Seconds that one process is waited for before that is said."""
_POLL = 0.002, 0.02
"""Seconds between two looks at a lock that is held: at first, and at most."""


class HeldError(LockfileError):
    """Another process was editing the file for as long as there was patience."""


@contextlib.contextmanager
def exclusive(path: Path, *, patience: float | None = None) -> Iterator[None]:
    """No other process of this user edits the file meanwhile, and no other thread.

    Args:
        path: the file, symbolic links resolved. It need not be there yet; its folder must be.
        patience: seconds to wait for all who edit it before; not given: `PATIENCE` for each of them.

    Raises:
        HeldError: somebody else has been editing it for so long.
        LockfileError: no lock can be had.
    """
    try:
        place = _place(path)
        handle = _acquired(path, place, patience)
    except OSError as error:
        raise LockfileError(f"{path} cannot be locked for an edit: {error.strerror}", path=path) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows keeps a file that is open
            os.unlink(place)
        _unlock(handle)
        os.close(handle)


def _place(path: Path) -> str:
    """The file that is locked for an edit in the folder of a path."""
    status = os.stat(path.parent)
    name = f"{status.st_dev:x}-{status.st_ino:x}.lock"
    for home in _homes():
        with contextlib.suppress(OSError):
            return os.path.join(_own(home), name)
    raise LockfileError(
        f"{path} cannot be locked for an edit: no folder can be kept for locks in {' or '.join(_homes())}. Make one of "
        "them writable",
        path=path,
    )


def _homes() -> list[str]:
    """Where locks may lie: the same place for all processes of a user, whatever their environment says."""
    if sys.platform == "win32":
        import tempfile

        return [os.path.join(tempfile.gettempdir(), "llmring")]
    return [f"/tmp/llmring-{os.geteuid()}", os.path.expanduser("~/.local/state/llmring/locks")]  # noqa: S108


def _own(folder: str) -> str:
    """The folder, made if it is not there, in which nobody else may make a file."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    if sys.platform != "win32":
        status = os.lstat(folder)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise PermissionError(errno.EPERM, "it is another user's", folder)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)
    return folder


def _acquired(path: Path, place: str, patience: float | None) -> int:
    """A handle of the lock, once it is had."""
    begun = time.monotonic()
    while True:
        handle = os.open(place, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            _wait_for(handle, path, PATIENCE if patience is None else patience - (time.monotonic() - begun))
            if _is_at(handle, place):
                with contextlib.suppress(OSError):
                    os.write(handle, f"{os.getpid():<10}".encode())
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # whoever had it has taken the file away, and the next one has another


def _wait_for(handle: int, path: Path, patience: float) -> None:
    """Wait until the one who holds the lock lets it go; after a second, say who that is."""
    begun, pause, is_said = time.monotonic(), _POLL[0], False
    while not _try_lock(handle):
        waited = time.monotonic() - begun
        if waited > patience:
            raise HeldError(
                f"{_holder(handle)} has been editing {path} for {waited:.1f} seconds. Try again, or end it", path=path
            )
        if waited > _SAID_AFTER and not is_said:
            is_said = True
            _log.warning("%s is editing %s; waiting for it", _holder(handle), path)
        time.sleep(pause)
        pause = min(2 * pause, _POLL[1])


def _is_at(handle: int, place: str) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), os.stat(place))
    return False


def _holder(handle: int) -> str:
    """Who holds the lock, as a message begins with it."""
    try:
        os.lseek(handle, 0, os.SEEK_SET)
        return f"The process {int(os.read(handle, 10))}"
    except (OSError, ValueError):
        return "Another process"


if sys.platform == "win32":
    _AT = 1 << 20
    """What is locked: a byte behind what the file says, which could not be read otherwise."""

    def _try_lock(handle: int) -> bool:
        os.lseek(handle, _AT, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        os.lseek(handle, 0, os.SEEK_SET)
        return True

    def _unlock(handle: int) -> None:
        os.lseek(handle, _AT, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

else:

    def _try_lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)
