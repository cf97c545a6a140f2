"""The store that is a file: several processes of one machine share it, and it outlives them."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from .asks import MICRO, Ask, Record, Told
from .rules import step
from .stores import Stepped, Unusable, microseconds

__all__ = ["SQLiteStore"]

T = TypeVar("T")

_BUSY = 0.8
"""Seconds that a step waits for those of other processes."""
_STEPS = 512
"""After how many of them what has had its time is removed."""


class SQLiteStore:
    """Records in a SQLite file, each a row: its key, its table as JSON, and when it may be forgotten, in microseconds.

    A step is one transaction, in a thread of the store's own: no event loop stands still for another process.

    Args:
        path: of the file; it is made where there is none, and only its owner may read it. Its folder must be there.

    Raises:
        Unusable: the path is none.
    """

    kind = "sqlite"

    def __init__(self, path: str) -> None:
        if not path or path == ":memory:":
            raise Unusable("it names no file: write sqlite:PATH")
        # As it is now: a process that goes to another folder still means this file.
        self._path = Path(path).expanduser().absolute()
        self._process = os.getpid()
        self._thread = ThreadPoolExecutor(1, "llmring-state")
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._steps = 0

    def now(self) -> int:
        """The time of the machine, which all who share the file have."""
        return microseconds()

    async def step(self, told: Sequence[Told], asks: Sequence[Ask]) -> Stepped:
        """As `Store` has it."""
        return await self._apart(lambda it: self._step(it, told, asks))

    async def entries(self) -> Mapping[str, Record]:
        """As `Store` has it."""

        def read(connection: sqlite3.Connection) -> Mapping[str, Record]:
            rows = connection.execute("SELECT key, record FROM state WHERE until >= ?", (self.now(),))
            return {key: json.loads(record) for key, record in rows}

        return await self._apart(read)

    async def remove(self, keys: Iterable[str]) -> None:
        """As `Store` has it."""
        rows = [(key,) for key in keys]
        await self._apart(lambda it: it.executemany("DELETE FROM state WHERE key = ?", rows))

    async def close(self) -> None:
        """Close the file."""

        if self._process == os.getpid():
            await asyncio.get_running_loop().run_in_executor(self._thread, self._shut)
            self._thread.shutdown(wait=False)

    async def _apart(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do something with the file, in its thread."""

        def done() -> T:
            try:
                return work(self._open())
            except sqlite3.DatabaseError as error:
                if not isinstance(error, sqlite3.OperationalError):  # it is no such file, or was one
                    self._shut()
                raise

        return await asyncio.get_running_loop().run_in_executor(self._thread, done)

    def _shut(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        # Whoever takes the file away, or another to its place, means what is there now, as other processes do.
        if self._connection is not None and self._file == _file_at(self._path):
            return self._connection
        self._shut()
        # Before SQLite makes it for everybody to read.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(self._path, timeout=_BUSY, isolation_level=None)
        try:
            with suppress(sqlite3.OperationalError):  # another process does it, or the file's system has no such thing
                connection.execute("PRAGMA journal_mode = WAL")
            # What was told just before the machine lost its power may be lost; nothing is when a process ends.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, record TEXT NOT NULL, until INTEGER NOT NULL)"
                " WITHOUT ROWID"
            )
        except BaseException:
            connection.close()
            raise
        self._connection, self._file = connection, _file_at(self._path)
        return connection

    def _step(self, connection: sqlite3.Connection, told: Sequence[Told], asks: Sequence[Ask]) -> Stepped:
        connection.execute("BEGIN IMMEDIATE")
        try:
            now, records = self.now(), dict[str, Record]()

            def record_of(key: str) -> Record:
                if key not in records:
                    records[key] = self._read(connection, key, now)
                return records[key]

            moved: list[int] = []
            verdicts = step(record_of, now, told, asks, moved)
            kept = [(key, json.dumps(it), it["x"]) for key, it in records.items() if it.get("x", 0) >= now]
            connection.executemany("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", kept)
            self._steps += 1
            if self._steps >= _STEPS:
                self._steps = 0
                connection.execute("DELETE FROM state WHERE until < ?", (now - MICRO,))
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        return Stepped(now, moved, verdicts)

    def _read(self, connection: sqlite3.Connection, key: str, now: int) -> Record:
        row = connection.execute("SELECT record FROM state WHERE key = ? AND until >= ?", (key, now)).fetchone()
        return json.loads(row[0]) if row else {}


def _file_at(path: Path) -> tuple[int, int] | None:
    """Which file is there; `None`: none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
