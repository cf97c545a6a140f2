"""How a file is written: by one process at a time, and all of it or nothing.

The lock is the folder in which the file lies: no edit replaces it, nothing has to be put beside the file, and the
kernel releases it when its holder dies.

New content goes to a file that has no name, where the system has those (Linux). It gets one only to be moved to the
old one's place at once, and gets it in a folder for temporary files, if one is on the same file system. So a writer
that is killed leaves nothing beside the file. Without such files or such a folder it can leave its temporary file
there; what was left anywhere is swept away by the next write.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import time
import zlib
from typing import TYPE_CHECKING

from llmring.exceptions import LockfileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["PATIENCE", "exclusive", "replace"]

PATIENCE = 30.0
"""Seconds to wait for another process to finish its edit."""
_POLL = 0.002
_SUFFIX = ".llmring-tmp"


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Nobody else edits the file meanwhile: no other process and no other thread.

    Args:
        path: the file, symbolic links resolved. It need not be there yet; its folder must be.

    Raises:
        LockfileError: somebody else has been editing it for `PATIENCE` seconds, or no lock can be had.
    """
    try:
        handle = _lockable(path)
    except OSError as error:
        raise LockfileError(f"{path} cannot be locked for an edit: {error.strerror}", path=path) from error
    try:
        deadline = time.monotonic() + PATIENCE
        while not _try_lock(handle):
            if time.monotonic() > deadline:
                raise LockfileError(
                    f"Another process has been editing {path} for {PATIENCE:.0f} seconds. Try again", path=path
                )
            time.sleep(_POLL)
        try:
            yield
        finally:
            _unlock(handle)
    finally:
        os.close(handle)


def replace(path: Path, content: bytes, *, before: bytes | None) -> bool:
    """The file's new content, at once. Its permissions and owner stay. Call it with the file held `exclusive`ly.

    Args:
        path: the file, symbolic links resolved.
        before: what the file holds until then; `None` where that does not matter.

    Returns:
        Whether it was written. It is not if somebody who takes no lock, such as an editor, changed it meanwhile.

    Raises:
        LockfileError: it could not be written; the file is as it was.
    """
    try:
        status = os.stat(path) if os.path.exists(path) else None
        if status and not os.access(path, os.W_OK):
            raise LockfileError(f"{path} is read-only. To edit it: chmod u+w {path}", path=path)
        _sweep(path)
        return _replace(path, content, before, status)
    except OSError as error:
        raise LockfileError(f"{path} could not be written: {error.strerror}. It is as it was", path=path) from error


def _replace(path: Path, content: bytes, before: bytes | None, status: os.stat_result | None) -> bool:
    name = f"{_prefix(path)}{os.urandom(4).hex()}{_SUFFIX}"
    temporary = os.path.join(path.parent, name)
    try:
        nameless = _nameless(path.parent)
        handle = _named(temporary) if nameless is None else nameless
        try:
            _fill(handle, content, status)
            if before is not None and path.read_bytes() != before:
                return False
            if nameless is not None:
                temporary = _link(nameless, path, name)
        finally:
            os.close(handle)
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    return True


def _nameless(folder: Path) -> int | None:
    flag = getattr(os, "O_TMPFILE", 0)
    if not flag or not os.path.exists("/proc/self/fd"):
        return None
    try:
        return os.open(folder, flag | os.O_WRONLY, 0o666)
    except OSError:
        return None


def _link(handle: int, path: Path, name: str) -> str:
    """A name for a file that has none: away from the lockfile if it can be moved from there."""
    *elsewhere, beside = _folders(path)
    for folder in elsewhere:
        with contextlib.suppress(OSError):
            return _linked(handle, os.path.join(folder, name))
    return _linked(handle, os.path.join(beside, name))


def _linked(handle: int, name: str) -> str:
    # Python follows the link in /proc only when it is given a folder, which an absolute path ignores.
    os.link(f"/proc/self/fd/{handle}", name, src_dir_fd=handle, follow_symlinks=True)
    return name


def _folders(path: Path) -> list[str]:
    """Where a temporary file can be, the lockfile's own folder last."""
    elsewhere = [os.environ.get("TMPDIR") or "/tmp", os.path.expanduser("~/.cache")]  # noqa: S108
    return [*(elsewhere if sys.platform == "linux" else ()), str(path.parent)]


def _prefix(path: Path) -> str:
    """What the names of a lockfile's temporary files begin with: no other lockfile's do."""
    return f".{path.name}-{zlib.crc32(os.fsencode(path)):08x}-"


def _named(path: str) -> int:
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o666)


def _fill(handle: int, content: bytes, status: os.stat_result | None) -> None:
    with open(handle, "wb", closefd=False) as file:
        file.write(content)
    if status and sys.platform != "win32":
        with contextlib.suppress(PermissionError):
            os.fchown(handle, status.st_uid, status.st_gid)
        os.fchmod(handle, stat.S_IMODE(status.st_mode))
    if os.utime in os.supports_fd:
        # By a clock with fine steps: with the system's own, it could be the time of the move, as of a file that
        # somebody has written into since.
        now = time.time_ns()
        with contextlib.suppress(OSError):  # only the owner may, and on some drives another is
            os.utime(handle, ns=(now, now))
    os.fsync(handle)


def _sweep(path: Path) -> None:
    """Without the temporary files of writers that were killed: whoever holds the lock is the only one writing."""
    prefix = _prefix(path)
    for folder in _folders(path):
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                if name.startswith(prefix) and name.endswith(_SUFFIX):
                    os.unlink(os.path.join(folder, name))


def _lockable(path: Path) -> int:
    """A handle to lock: the folder's, or where a folder cannot be locked that of a file kept for the purpose."""
    if sys.platform != "win32":
        with contextlib.suppress(PermissionError):
            handle = os.open(path.parent, os.O_RDONLY)
            try:
                _try_lock(handle)
            except OSError:  # a network drive
                os.close(handle)
            else:
                return handle
    return _lock_file(path)


def _lock_file(path: Path) -> int:
    """One file per lockfile in the system's folder for temporary ones; it stays, empty."""
    import hashlib
    import tempfile

    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:24]
    place = os.path.join(tempfile.gettempdir(), f"llmring-{name}.lock")
    try:
        return os.open(place, os.O_RDWR)  # without O_CREAT, which is refused for another user's file there
    except FileNotFoundError:
        return os.open(place, os.O_RDWR | os.O_CREAT, 0o666)


if sys.platform == "win32":

    def _try_lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(handle: int) -> None:
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
