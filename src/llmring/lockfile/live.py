"""A lockfile that is followed: an edit is in force for whoever asks next."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from llmring.exceptions import LockfileError

from .parsing import parse
from .reading import read

if TYPE_CHECKING:
    from .model import Lockfile

__all__ = ["LiveLockfile"]

_log = logging.getLogger("llmring.lockfile")

_FINE = 0.1
"""Seconds within which two edits can bear the same timestamp, where timestamps have fractions of a second."""
_COARSE = 2.5
"""The same where they have none: network drives count in seconds, some file systems in steps of two."""
_INODE = 3
"""Where the file's number stands among its marks."""


class LiveLockfile:
    """A lockfile, read again when its file changes. May be used from several threads.

    A broken edit is logged once, as a warning of the logger `llmring.lockfile` with its line and column, and the
    last good file stays in force; so it does while the file is gone. Whether the file is rewritten, replaced by
    another one, or deleted and restored makes no difference.

    Two edits can leave the same timestamp and size. So the content is compared, too, until so much time has passed
    since a change was seen that the next one must bear another timestamp. No clock is relied on to agree with that of
    the file system, which on a network drive is another computer's.

    A file that somebody is still writing can end between two bindings and look whole. So a file that was written into
    a moment ago, and lacks names that it had, waits as long. One that was moved to its place is whole at once.

    Attributes:
        path: the file that is followed.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(os.path.abspath(path))
        self._name = str(self.path)
        self._lock = threading.Lock()
        self._lockfile: Lockfile | None = None
        self._content: bytes | None = None  # what `_lockfile` was read from,
        self._inode: int | None = None  # and the file that held it
        self._problem: bytes | str | None = None  # the content or the error that was reported last
        self._seen: tuple[int, ...] | None = None  # the file's marks when a change was last seen,
        self._settles = 0.0  # from when on they can be relied on,
        self._settled: tuple[int, ...] | None = None  # and the marks once they are

    def current(self) -> Lockfile:
        """The file as it is now, or as it was when it was last good. One `stat` where nothing has changed.

        Raises:
            LockfileError: it has not been good yet: not there, broken, of another version, or with a secret.
        """
        try:
            status = os.stat(self._name)
        except OSError:
            return self._look(None)
        mark = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
        if mark == self._settled and self._lockfile is not None:
            return self._lockfile
        return self._look(mark)

    def _look(self, mark: tuple[int, ...] | None) -> Lockfile:
        with self._lock:
            now = time.monotonic()
            if mark != self._seen or not self._settles:
                self._seen, self._settles = mark, now + (_COARSE if _is_coarse(mark) else _FINE)
            is_settled = now > self._settles
            try:
                is_underway = not is_settled and mark is not None and self._was_written_into(mark)
                self._take(read(self.path), mark, is_settled=is_settled, is_underway=is_underway)
            except LockfileError as error:
                if self._lockfile is None:
                    raise
                self._report(error, is_settled=is_settled)
            self._settled = mark if is_settled else None
            assert self._lockfile is not None
            return self._lockfile

    def _take(self, content: bytes, mark: tuple[int, ...] | None, *, is_settled: bool, is_underway: bool) -> None:
        if content == self._content:
            self._problem = None
        elif self._lockfile is None or (content != self._problem and (content or is_settled)):
            try:
                lockfile = parse(content, self.path)
            except LockfileError as error:
                if self._lockfile is None:
                    raise
                self._problem = content
                _log.warning("%s. The last good one stays in force", error)
                return
            if is_underway and self._looks_cut(content, lockfile):
                return
            self._lockfile, self._content, self._problem = lockfile, content, None
        else:
            return
        self._inode = mark[_INODE] if mark is not None else None

    def _was_written_into(self, mark: tuple[int, ...]) -> bool:
        """Whether the last that happened to the file in force is that somebody wrote into it, a moment ago.

        To move or link a file changes its ctime alone (which on Windows is when it was made). A clock that is ahead of
        the file system's, or behind it, only makes the moment longer or shorter, never longer than a change takes to
        settle.
        """
        written, changed, _, inode = mark
        is_recent = time.time() - written / 1e9 < (_COARSE if _is_coarse(mark) else _FINE)
        return inode == self._inode and (changed == written or sys.platform == "win32") and is_recent

    def _looks_cut(self, content: bytes, lockfile: Lockfile) -> bool:
        """Whether it may be the first part of a file: of the one in force, or of one with all of its names."""
        assert self._lockfile is not None
        assert self._content is not None
        return self._content.startswith(content) or not _names(self._lockfile) <= _names(lockfile)

    def _report(self, error: LockfileError, *, is_settled: bool) -> None:
        if is_settled and self._problem != str(error):
            self._problem = str(error)
            _log.warning("%s. The last good one stays in force", error)


def _is_coarse(mark: tuple[int, ...] | None) -> bool:
    return mark is not None and mark[0] % 1_000_000_000 == 0


def _names(lockfile: Lockfile) -> set[tuple[str, ...]]:
    """All that a request can ask for by name: aliases in their profiles, providers and packages."""
    bound = {(name, alias) for name, profile in lockfile.profiles.items() for alias in profile.bindings}
    others = {("provider", name) for name in lockfile.providers} | {("package", name) for name in lockfile.extends}
    return bound | others | {(name,) for name in lockfile.profiles}
