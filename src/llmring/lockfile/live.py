"""A lockfile that is followed: an edit is in force for whoever asks next."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from pathlib import Path

from ..exceptions import LockfileError
from .files import read
from .model import Binding, Lockfile, Profile, ProviderSettings
from .parsing import parse

__all__ = ["LiveLockfile"]

_log = logging.getLogger("llmring.lockfile")

_FINE = 0.1
"""Seconds within which two edits can bear the same timestamp, where timestamps have fractions of a second."""
_COARSE = 2.5
"""The same where they have none: network drives count in seconds, some file systems in steps of two."""
_INODE = 3
"""Where the file's number stands among its marks."""


@dataclass(frozen=True, slots=True)
class _Whole:
    """A good file that nobody was writing any more: its bytes, what they say, and the file's number."""

    content: bytes
    lockfile: Lockfile
    inode: int | None


class LiveLockfile:
    """A lockfile, read again when its file changes. May be used from several threads.

    While an edit is broken, or the file is gone, the last good one stays in force. What stays so is logged once, as a
    warning of the logger `llmring.lockfile` with its line and column. Whether the file is rewritten, replaced by
    another one, or deleted and restored makes no difference.

    Two edits can leave the same timestamp and size. So the content is compared, too, until so much time has passed
    since a change was seen that the next one must bear another timestamp. No clock is relied on to agree with that of
    the file system, which on a network drive is another computer's.

    A file that somebody is still writing can end between two bindings and look whole. So what a file says that was
    written into a moment ago is in force at once, but what it lacks stays as long. A file that was moved to its place
    is whole at once.

    Attributes:
        path: the file that is followed.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(os.path.abspath(path))
        self._name = str(self.path)
        # One for each process: at a fork, another thread of the parent may hold its own.
        self._locks: dict[int, threading.Lock] = {}
        self._lockfile: Lockfile | None = None  # what is in force,
        self._whole: _Whole | None = None  # and the last one that was whole
        self._latest: tuple[bytes, Lockfile | LockfileError] | None = None  # a content's digest, and what came of it
        self._underway: bytes | None = None  # the content that was laid over the whole one
        self._reported: bytes | str | None = None  # the content or the error that was reported last
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
        with self._locks.setdefault(os.getpid(), threading.Lock()):
            now = time.monotonic()
            if mark != self._seen or not self._settles:
                self._seen, self._settles = mark, now + (_COARSE if _is_coarse(mark) else _FINE)
            is_settled = now > self._settles
            is_underway = not is_settled and mark is not None and self._was_written_into(mark)
            try:
                content = read(self.path)
            except LockfileError as error:
                self._stay(error, str(error), is_settled=is_settled)
            else:
                self._take(content, mark, is_settled=is_settled, is_underway=is_underway)
            self._settled = mark if is_settled else None
            assert self._lockfile is not None
            return self._lockfile

    def _take(self, content: bytes, mark: tuple[int, ...] | None, *, is_settled: bool, is_underway: bool) -> None:
        """Puts in force what the content says: all that it says, and once it is whole nothing else."""
        found = self._parsed(content)
        if isinstance(found, LockfileError):
            self._stay(found, content, is_settled=is_settled)
            return
        whole, self._reported = self._whole, None
        if whole is None or not is_underway:
            self._whole = _Whole(content, found, mark[_INODE] if mark is not None else None)
            self._lockfile, self._underway = found, None
        elif content != self._underway:
            # What the whole file begins with says nothing new, and may end in the middle of a number.
            is_beginning = whole.content.startswith(content)
            self._lockfile = whole.lockfile if is_beginning else _overlaid(found, whole.lockfile)
            self._underway = content

    def _parsed(self, content: bytes) -> Lockfile | LockfileError:
        """What the content says or what is wrong with it, found out once."""
        if self._whole is not None and content == self._whole.content:
            return self._whole.lockfile
        digest = sha256(content).digest()  # the error is the caller's, and what is beside it may hold a key
        if self._latest is None or self._latest[0] != digest:
            try:
                self._latest = digest, parse(content, self.path)
            except LockfileError as error:
                self._latest = digest, error
        return self._latest[1]

    def _was_written_into(self, mark: tuple[int, ...]) -> bool:
        """Whether the last that happened to the whole file is that somebody wrote into it, a moment ago.

        To move or link a file changes its ctime alone (which on Windows is when it was made). A clock that is ahead of
        the file system's, or behind it, only makes the moment longer or shorter, never longer than a change takes to
        settle.
        """
        written, changed, _, inode = mark
        is_recent = time.time() - written / 1e9 < (_COARSE if _is_coarse(mark) else _FINE)
        is_same = self._whole is not None and inode == self._whole.inode
        return is_same and (changed == written or sys.platform == "win32") and is_recent

    def _stay(self, error: LockfileError, problem: bytes | str, *, is_settled: bool) -> None:
        """Leaves in force what is; a problem that stays is reported, once.

        Raises:
            LockfileError: nothing is in force yet.
        """
        if self._lockfile is None:
            raise error.with_traceback(None)
        if is_settled and self._reported != problem:
            self._reported = problem
            _log.warning("%s. The last good one stays in force", error)


def _is_coarse(mark: tuple[int, ...] | None) -> bool:
    return mark is not None and mark[0] % 1_000_000_000 == 0


def _overlaid(new: Lockfile, old: Lockfile) -> Lockfile:
    """What `new` says, and of `old` the aliases, profiles, packages and settings of providers that `new` lacks.

    A binding is taken from one of the two as it stands, and so is a provider's table, for a mixture could send a key
    to the host of another: from `new`, unless it lacks a key of the old one, and may be half of what it will be. Of a
    binding that goes for those that say how it is served: without its budget it would be another.
    """
    profiles = {
        name: _merged(name, new.profiles.get(name), old.profiles.get(name)) for name in {**new.profiles, **old.profiles}
    }
    providers = {
        name: _settings(new.providers.get(name), old.providers.get(name)) for name in {**new.providers, **old.providers}
    }
    return replace(
        new,
        default_profile=new.default_profile if "default_profile" in new.data else old.default_profile,
        profiles=profiles,
        providers=providers,
        state=new.state or old.state,
        extends=tuple(dict.fromkeys((*new.extends, *old.extends))),
    )


def _merged(name: str, new: Profile | None, old: Profile | None) -> Profile:
    bindings = [profile.bindings if profile is not None else {} for profile in (new, old)]
    kept = {alias: it for alias, it in bindings[1].items() if _lacks_policy(bindings[0].get(alias), it)}
    return Profile(name, {**bindings[0], **kept})


def _lacks_policy(new: Binding | None, old: Binding) -> bool:
    """Whether a binding is gone, or says less of how it is served: it may be half of what it will be."""
    if new is None or old.policy is None:
        return new is None
    names = [it.name for it in fields(old.policy) if getattr(old.policy, it.name)]
    return new.policy is None or not all(getattr(new.policy, name) for name in names)


def _settings(new: ProviderSettings | None, old: ProviderSettings | None) -> ProviderSettings:
    if new is None or old is None:
        return new or old or ProviderSettings()
    return old if _said(old) - _said(new) else new


def _said(settings: ProviderSettings) -> set[str]:
    """What a table has a value for."""
    named = {it.name for it in fields(ProviderSettings) if getattr(settings, it.name)}
    return named.union(f"headers.{header}" for header in settings.headers)
