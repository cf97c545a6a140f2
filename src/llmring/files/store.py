"""What is known of registered files and of their copies: in memory, and from one run to the next in one file.

The file is the user's alone, written whole or not at all, and one process at a time changes it. It holds no key and no
content: paths, digests, the vendors' ids, and of a key a digest with a salt of its own. Where it cannot be written,
what is known is known to this process alone.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

from ..exceptions import ConfigurationError, LLMRingError
from ..lockfile.locking import exclusive
from ..private import read_privately, write_privately
from .contents import Content, State
from .handles import FileHandle, Upload

__all__ = ["Entry", "Store"]

T = TypeVar("T")

logger = logging.getLogger("llmring")

_VERSION = 1
_PATIENCE = 5.0
"""Seconds that another process may take to write."""
_MOST = 1000
"""Files that are known; of those with copies at vendors, any number."""
_CONTENTS = 20
"""Of a file that changes again and again, so many are known whose copies may still be somewhere."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A registered file.

    Attributes:
        id: of its handle.
        name: that models are told.
        content: what it held when it was last looked at.
        path: where it is; `None` for bytes.
        media_type: as the caller gave it; `None` finds it.
        data: the bytes themselves.
        earlier: digests of what it held before.
    """

    id: str
    name: str
    content: Content
    path: str | None = None
    media_type: str | None = None
    data: bytes | None = field(default=None, repr=False)
    earlier: tuple[str, ...] = ()

    @property
    def handle(self) -> FileHandle:
        """The part that names it."""
        file = {
            "handle": self.id,
            "sha256": self.content.sha256,
            "filename": self.name,
            "media_type": self.content.media_type,
            "size": self.content.size,
        }
        return FileHandle(type="file", file=file)

    def holding(self, content: Content) -> Entry:
        """The same file, which holds something else now."""
        if content.sha256 == self.content.sha256:
            return replace(self, content=content)
        earlier = dict.fromkeys([*self.earlier, self.content.sha256])
        earlier.pop(content.sha256, None)
        return replace(self, content=content, earlier=tuple(earlier)[-_CONTENTS:])


class _Known:
    def __init__(self) -> None:
        self.salt = secrets.token_hex(32)
        self.entries: dict[str, Entry] = {}
        self.uploads: list[Upload] = []


class Store:
    """What is known. All of it blocks, for a moment: call it in a thread. Threads may share one.

    Args:
        path: the file; `None` keeps it in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        # By process: a fork while a thread holds one would leave the child one that nobody lets go.
        self._locks: dict[int, threading.Lock] = {}
        self._known = _Known()
        # Bytes are in no file.
        self._data: dict[str, bytes] = {}
        self._read = path is None

    @property
    def _lock(self) -> threading.Lock:
        return self._locks.setdefault(os.getpid(), threading.Lock())

    def entries(self) -> list[Entry]:
        """All files."""
        with self._lock:
            self._look()
            return [*map(self._whole, self._known.entries.values())]

    def find(self, id: str, sha256: str | None) -> Entry | None:
        """The file of a handle; else one that held that content when it was last looked at."""
        with self._lock:
            for again in (False, True):
                self._look(again=again)
                if (entry := self._known.entries.get(id)) is not None:
                    return self._whole(entry)
            found = (it for it in self._known.entries.values() if it.content.sha256 == sha256)
            return next(map(self._whole, found), None)

    def put(self, entry: Entry) -> Entry:
        """Know a file; the same path, and the same bytes under the same name, keep their handle."""

        def change(known: _Known) -> Entry:
            before = next((it for it in known.entries.values() if _is_same(it, entry)), None)
            made = entry
            if before is not None:
                made = replace(before, media_type=entry.media_type, name=entry.name).holding(entry.content)
            known.entries[made.id] = made
            _prune(known)
            return made

        made = self._change(change)
        if entry.data is not None:
            self._data[made.id] = entry.data
        return replace(made, data=entry.data)

    def holds(self, entry: Entry, content: Content) -> Entry:
        """Know that a file holds something else now."""

        def change(known: _Known) -> Entry:
            made = known.entries.get(entry.id, entry).holding(content)
            known.entries[made.id] = made
            return made

        return self._whole(self._change(change))

    def drop(self, id: str) -> bool:
        """Forget a file, unless there are copies of what it holds or held; whether it is forgotten."""

        def change(known: _Known) -> bool:
            if (entry := known.entries.get(id)) is not None:
                contents = (entry.content.sha256, *entry.earlier)
                if any(it.sha256 in contents and not it.is_over for it in known.uploads):
                    return False
                del known.entries[id]
            return True

        if dropped := self._change(change):
            self._data.pop(id, None)
        return dropped

    def account(self, digest_with: Callable[[Callable[[bytes], str]], str]) -> str:
        """A digest of an account, with the salt of this store."""
        with self._lock:
            self._look()
            salt = bytes.fromhex(self._known.salt)
        return digest_with(lambda said: blake2b(said, key=salt, digest_size=16).hexdigest())

    def upload(self, issuer: str, account: str, sha256: str, media_type: str, *, again: bool = False) -> Upload | None:
        """The copy of a content that an issuer has, and has not dropped.

        Args:
            issuer, account, sha256, media_type: whose, and of what.
            again: look what other processes have done.
        """
        with self._lock:
            self._look(again=again)
            wanted = (issuer, account, sha256, media_type)
            found = (it for it in self._known.uploads if _key(it) == wanted and not it.is_over)
            return next(found, None)

    def uploads(self, *contents: str) -> list[Upload]:
        """All copies of these contents that are known, and not over."""
        with self._lock:
            self._look(again=True)
            return [it for it in self._known.uploads if it.sha256 in contents and not it.is_over]

    def add(self, upload: Upload) -> Upload | None:
        """Know a copy, unless another one was made meanwhile, which is given instead; `None` where nobody knows a file
        of that content any more, and this one neither."""

        def change(known: _Known) -> Upload | None:
            known.uploads = [it for it in known.uploads if not it.is_over]
            if (made := next((it for it in known.uploads if _key(it) == _key(upload)), None)) is not None:
                return made
            if all(upload.sha256 not in (it.content.sha256, *it.earlier) for it in known.entries.values()):
                return None
            known.uploads.append(upload)
            return upload

        return self._change(change)

    def remove(self, *uploads: Upload) -> None:
        """Copies are gone."""
        gone = {(it.issuer, it.id) for it in uploads}

        def change(known: _Known) -> None:
            known.uploads = [it for it in known.uploads if (it.issuer, it.id) not in gone]

        self._change(change)

    def _whole(self, entry: Entry) -> Entry:
        return replace(entry, data=self._data.get(entry.id))

    def _look(self, *, again: bool = False) -> None:
        """Read the file, if it has not been."""
        if self._path is not None and (again or not self._read):
            try:
                self._known, self._read = _parsed(read_privately(self._path)) or self._known, True
            except ConfigurationError as error:
                self._leave(error)

    def _change(self, change: Callable[[_Known], T]) -> T:
        with self._lock:
            if self._path is not None:
                try:
                    # Its folder is to be there for the lock.
                    for folder in (self._path.parent.parent, self._path.parent):
                        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                    with exclusive(self._path, patience=_PATIENCE):
                        self._look(again=True)
                        made = change(self._known)
                        if self._path is not None:
                            write_privately(self._path, _dumped(self._known))
                    return made
                except (OSError, LLMRingError) as error:
                    self._leave(error)
            return change(self._known)

    def _leave(self, error: Exception) -> None:
        """From here on, memory has it."""
        logger.warning("%s cannot be used (%s): what is uploaded is known to this process alone", self._path, error)
        self._path, self._read = None, True


def _prune(known: _Known) -> None:
    """Without the oldest files that nobody has a copy of, where there are very many."""
    copied = {it.sha256 for it in known.uploads if not it.is_over}
    bare = [it.id for it in known.entries.values() if copied.isdisjoint((it.content.sha256, *it.earlier))]
    for id in bare[: max(0, len(known.entries) - _MOST)]:
        del known.entries[id]


def _key(upload: Upload) -> tuple[str, str, str, str]:
    return upload.issuer, upload.account, upload.sha256, upload.media_type


def _is_same(one: Entry, other: Entry) -> bool:
    if one.path is not None or other.path is not None:
        return one.path == other.path
    return (one.content.sha256, one.name) == (other.content.sha256, other.name)


def _dumped(known: _Known) -> bytes:
    entries = []
    for entry in known.entries.values():
        table = asdict(replace(entry, data=None))
        del table["data"]
        entries.append(table)
    data = {
        "llmring": "files",
        "version": _VERSION,
        "salt": known.salt,
        "files": entries,
        "uploads": [asdict(it) for it in known.uploads],
    }
    return json.dumps(data, indent=1).encode(errors="surrogatepass") + b"\n"


def _parsed(content: bytes | None) -> _Known | None:
    """What the file says; `None` where there is none, or it is of no form that is known here.

    Raises:
        ConfigurationError: it is of a later release's form.
    """
    try:
        said: Any = json.loads(content or b"")
        if said["llmring"] == "files" and said["version"] > _VERSION:
            raise ConfigurationError(f"it is of version {said['version']}, which a later release of llmring wrote")
        if said["llmring"] != "files" or said["version"] != _VERSION:
            return None
        known = _Known()
        known.salt = said["salt"]
        bytes.fromhex(known.salt)
        known.entries = {it.id: it for it in map(_entry, said["files"])}
        known.uploads = [Upload(**it) for it in said["uploads"]]
    except (ValueError, TypeError, LookupError, AttributeError):
        return None
    return known


def _entry(table: dict[str, Any]) -> Entry:
    content = dict(table["content"])
    state = State(**content["state"]) if content.get("state") else None
    return Entry(**{**table, "content": Content(**{**content, "state": state}), "earlier": tuple(table["earlier"])})
