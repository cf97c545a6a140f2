"""How a file is written: all of it or nothing.

New content goes to a file beside, which then changes places with the old one. What comes out is compared with what the
new content was made from: a save by somebody who takes no lock, such as an editor, is put back, and the edit made
again. Where a system cannot exchange two files, the comparison comes before the move, and a save between the two is
lost. A writer that is killed can leave its file beside; the next write sweeps it away.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import os
import stat
import sys
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from ..exceptions import LockfileError, LockfileParseError
from .files import read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Backup", "backup_path", "copy", "replace", "target_of", "written"]

if sys.platform != "win32":
    import fcntl


_SUFFIX = ".llmring-tmp"


def target_of(path: Path) -> Path:
    """The file that a write to a path goes to, links resolved.

    Raises:
        LockfileError: the path is a link to a file elsewhere that is not there. Whoever made the link, which may have
            come with a repository, would choose where a file is made.
    """
    real = Path(os.path.realpath(path))
    if os.path.islink(path) and not os.path.lexists(real) and str(real.parent) != os.path.realpath(path.parent):
        raise LockfileError(
            f"{path} is a link to {real}, where there is no file, and a link is followed to a file that is there. "
            f"To write it here: rm {path}",
            path=path,
        )
    return real


def replace(path: Path, content: bytes, *, before: bytes | None) -> bool:
    """The file's new content, at once. Its permissions and owner stay. Call it with the file held `exclusive`ly.

    Args:
        path: the file, symbolic links resolved.
        content: all of it.
        before: what the file holds until then; `None` where it is not there yet.

    Returns:
        Whether it was written. It is not if somebody who takes no lock, such as an editor, changed it meanwhile.

    Raises:
        LockfileError: it could not be written; the file is as it was.
    """
    try:
        status = None if before is None else os.stat(path)
        if status and not os.access(path, os.W_OK):
            raise LockfileError(_closed(path), path=path)
        _sweep(path)
        with written(path, content, status) as temporary:
            return _made(temporary, path) if before is None else _moved(temporary, path, content, before)
    except FileNotFoundError:
        if before is not None and os.path.isdir(path.parent):
            return False
        raise LockfileError(f"{path} could not be written: its folder is not there any more", path=path) from None
    except OSError as error:
        raise LockfileError(
            f"{path} could not be written: {error.strerror}. It is as it was{_step(error, path)}", path=path
        ) from error


def copy(path: Path, content: bytes, name: Path) -> None:
    """A file beside another one, with that one's permissions, owner and times: whole, or not there at all.

    Raises:
        LockfileError: it could not be made.
    """
    try:
        status = os.stat(path)
        with written(path, content, status, times=(status.st_atime_ns, status.st_mtime_ns)) as temporary:
            os.replace(temporary, name)
    except OSError as error:
        raise LockfileError(
            f"{path} stays as it is, because no copy of it can be made: {name}: {error.strerror}{_step(error, path)}",
            path=path,
        ) from error


def _made(temporary: str, path: Path) -> bool:
    """Give a new file its name, unless another one has taken it."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError:  # there are drives without links
        if os.path.lexists(path):
            return False
        os.rename(temporary, path)
    return True


def _moved(temporary: str, path: Path, content: bytes, before: bytes) -> bool:
    """Give a new file the place of the old one, unless that one holds something else by now."""
    if read(path) != before:
        return False
    if not _exchange(temporary, path):
        os.replace(temporary, path)
        return True
    inside: bytes | None = content
    out = _content(temporary)
    if out == before:
        return True
    while True:  # somebody has just saved that; it goes back, as does what they have saved since
        _exchange(temporary, path)
        newer = _content(temporary)
        if newer == inside:
            return False
        inside, out = out, newer


def _content(name: str) -> bytes | None:
    """What a file holds; `None` where it is no lockfile that could be read, such as a pipe."""
    try:
        return read(Path(name))
    except LockfileParseError:
        return None


def _exchange(one: str, other: Path) -> bool:
    """Two files change names in one step; `False` where the system cannot do that, or the drive.

    Raises:
        FileNotFoundError: one of them is gone.
    """
    call = _exchanger()
    if call is None:
        return False
    sys.audit("os.rename", one, other, -1, -1)
    number = call(os.fsencode(one), os.fsencode(other))
    if number == errno.ENOENT:
        raise FileNotFoundError(number, os.strerror(number), one)
    return not number


@functools.cache
def _exchanger() -> Callable[[bytes, bytes], int] | None:
    """What exchanges two files and returns the number of its error, 0 for none: Linux has it, and macOS."""
    name = {"linux": "renameat2", "darwin": "renamex_np"}.get(sys.platform)
    if name is None:
        return None
    import ctypes

    try:
        rename = getattr(ctypes.CDLL(None, use_errno=True), name)
    except (OSError, AttributeError):  # an old C library
        return None
    here = (ctypes.c_int(-100),) if name == "renameat2" else ()  # AT_FDCWD
    exchange = ctypes.c_uint(2)  # RENAME_EXCHANGE, RENAME_SWAP

    def call(one: bytes, other: bytes) -> int:
        failed = rename(*here, ctypes.c_char_p(one), *here, ctypes.c_char_p(other), exchange)
        return ctypes.get_errno() if failed else 0

    return call


@contextlib.contextmanager
def written(
    path: Path,
    content: bytes,
    like: os.stat_result | None = None,
    *,
    mode: int = 0o666,
    times: tuple[int, int] | None = None,
) -> Iterator[str]:
    """A new file beside, which holds the content and is on the disk. It goes again, unless it has been moved.

    Args:
        path: the file that it is for.
        content: all of it.
        like: whose permissions and owner it gets; `None` is a new file's.
        mode: the permissions of a new file, but for the umask.
        times: of its last access and change, in nanoseconds; not given: now.
    """
    name = os.path.join(path.parent, f"{_prefix(path)}{os.urandom(4).hex()}{_SUFFIX}")
    handle = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o600 if like else mode)
    try:
        with open(handle, "wb") as file:
            file.write(content)
            file.flush()
            if like and sys.platform != "win32":
                with contextlib.suppress(PermissionError):
                    os.fchown(handle, like.st_uid, like.st_gid)
                os.fchmod(handle, stat.S_IMODE(like.st_mode))
            if os.utime in os.supports_fd:
                # By a clock with fine steps: with the system's own, it could be the time of the move, as of a file that
                # somebody has written into since.
                now = time.time_ns()
                with contextlib.suppress(OSError):  # only the owner may, and on some drives another is
                    os.utime(handle, ns=times or (now, now))
            os.fsync(handle)
        yield name
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def _prefix(path: Path) -> str:
    """What the names of a lockfile's temporary files begin with: no other lockfile's do."""
    return f".{path.name}-{zlib.crc32(os.fsencode(path)):08x}-"


def _sweep(path: Path) -> None:
    """Without the temporary files of writers that were killed: whoever holds the lock is the only one writing.

    Should another user be writing, their move finds nothing to move, and they write anew.
    """
    prefix = _prefix(path)
    with contextlib.suppress(OSError):
        for name in os.listdir(path.parent):
            if name.startswith(prefix) and name.endswith(_SUFFIX):
                os.unlink(os.path.join(path.parent, name))


def _closed(path: Path) -> str:
    """What to say of a file that may not be written into."""
    if _is_immutable(path):
        return f"{path} is immutable, for everybody. To edit it: {_MUTABLE} {path}"
    if sys.platform != "win32" and os.statvfs(path).f_flag & os.ST_RDONLY:
        return f"{path} lies on a drive that is mounted read-only. {_STEPS[errno.EROFS]}"
    return f"{path} is read-only. To edit it: chmod u+w {path}"


_MUTABLE = "sudo chflags nouchg,noschg" if sys.platform == "darwin" else "sudo chattr -i -a"
_STEPS = {
    errno.EBUSY: "It is mounted by itself, as by `docker run -v FILE:FILE`, so no other file can take its place. Mount "
    "its folder instead",
    errno.EROFS: "Mount it for writing, or edit the file where it comes from",
    errno.ENOSPC: "The disk is full. Make room on it, and try again",
    errno.EFBIG: "The process, or the drive, takes no larger file (ulimit -f)",
    getattr(errno, "EDQUOT", -1): "Your share of the disk is used up. Make room, and try again",
}


def _step(error: OSError, path: Path) -> str:
    """What to do about a write that failed, as the end of a message."""
    if error.errno in (errno.EPERM, errno.EACCES):
        folder = path.parent
        if _is_immutable(folder):
            return f". Its folder is immutable, for everybody. To change that: {_MUTABLE} {folder}"
        return (
            "" if os.access(folder, os.W_OK) else f". Its folder takes no new file. To change that: chmod u+w {folder}"
        )
    found = _STEPS.get(error.errno or 0)
    return f". {found}" if found else ""


def _is_immutable(path: Path) -> bool:
    """Whether not even its owner may write it: by its attributes, as `chattr +i` and `chflags uchg` set them."""
    flags = getattr(os.stat(path), "st_flags", 0)
    if flags & (stat.UF_IMMUTABLE | stat.SF_IMMUTABLE):
        return True
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_RDONLY)
            try:
                found = fcntl.ioctl(handle, 0x80086601, bytes(8))  # FS_IOC_GETFLAGS
                return bool(int.from_bytes(found, sys.byteorder) & 0x30)  # FS_IMMUTABLE_FL, FS_APPEND_FL
            finally:
                os.close(handle)
    return False


class Backup:
    """Keeps what a write replaces, beside it, with its permissions; but nothing worthless, such as what takes its
    place. `kept` is the copy."""

    def __init__(self, path: Path, *worthless: bytes) -> None:
        self._path = path
        self._worthless = worthless
        self.kept: Path | None = None

    def __call__(self, path: Path, content: bytes) -> None:
        """Keep the content of a file; where it changed since it was kept, anew in the place of the first copy."""
        if content not in self._worthless:
            self.kept = self.kept or backup_path(self._path)
            copy(path, content, self.kept)


def backup_path(path: Path) -> Path:
    """A name for a copy that is free: earlier ones stay. It is beside the file that a link leads to."""
    path = Path(os.path.realpath(path)) if os.path.islink(path) else path
    names = (path.with_name(f"{path.name}.bak{number or ''}") for number in itertools.count())
    return next(name for name in names if not os.path.lexists(name))
