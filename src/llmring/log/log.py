"""The log's file: written by a listener, read by whoever asks."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from ..events import Event, Failed, Finished, Left
from ..exceptions import ConfigurationError, LLMRingError
from ..lockfile.locking import exclusive
from ..private import state_folder
from ..schemas import Usage
from .entries import Entry, Share, digest, entry_of, sayable, unanswered

__all__ = ["Log", "Total", "default_path"]

By = Literal["day", "alias", "model"]

_VERSION = 1
_PATIENCE = 10.0
"""Seconds that one process waits for another to finish writing."""
_TABLES = """
CREATE TABLE requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    request_id TEXT NOT NULL UNIQUE,
    time REAL NOT NULL,
    alias TEXT NOT NULL,
    profile TEXT,
    model TEXT NOT NULL,
    outcome TEXT NOT NULL,
    finish_reason TEXT,
    error TEXT,
    streamed INTEGER NOT NULL,
    seconds REAL NOT NULL,
    first_chunk REAL,
    retries INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    params TEXT NOT NULL,
    messages TEXT NOT NULL,
    answer TEXT NOT NULL,
    reasoning TEXT,
    tool_calls TEXT,
    follows INTEGER,
    reached TEXT NOT NULL
);
CREATE INDEX requests_by_time ON requests (time);
CREATE INDEX requests_by_reached ON requests (reached);
CREATE TABLE served (
    request INTEGER NOT NULL REFERENCES requests (id) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    model TEXT NOT NULL,
    response_model TEXT,
    service_tier TEXT,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    total_tokens INTEGER,
    cache_read_tokens INTEGER,
    cache_write_tokens INTEGER,
    reasoning_tokens INTEGER,
    cost REAL,
    unpriced TEXT,
    PRIMARY KEY (request, place)
) WITHOUT ROWID;
"""
_COUNTS = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)
_GROUPS: dict[By, str] = {
    "day": "date(requests.time, 'unixepoch', 'localtime')",
    "alias": "requests.alias",
    "model": "coalesce(served.model, requests.model)",
}


def default_path() -> Path:
    """The log of the user: `log.db` in `$XDG_STATE_HOME/llmring`, or where the system keeps such things."""
    return state_folder() / "log.db"


@dataclass(frozen=True, slots=True)
class Total:
    """What several requests come to.

    Attributes:
        group: the day, alias and model that they have in common, as far as they were asked for.
        requests: how many; one that two models served counts for each of them.
        failed: how many of them ended in an error.
        prompt_tokens, completion_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens: as in `Usage`.
        cost: US dollars, of what is priced.
        unpriced: how many answers have no price.
    """

    group: dict[By, str]
    requests: int
    failed: int
    prompt_tokens: int
    completion_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost: float
    unpriced: int


class Log:
    """A log in one SQLite file, for its owner alone. Processes may write it at once.

    As a listener of events (`LLMRing(on_event=Log())`) it writes each request when it is over, in a thread of its own.

    Args:
        path: the file; not given: `default_path()`. It is made when something is written.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = default_path() if path is None else Path(os.path.abspath(os.path.expanduser(path)))
        self._writers: dict[int, ThreadPoolExecutor] = {}

    async def __call__(self, event: Event) -> None:
        """Write the request that an event ends, in a thread."""
        if isinstance(event, Finished | Failed | Left):
            await asyncio.get_running_loop().run_in_executor(self._writer(), self.write, event)

    def write(self, event: Event) -> None:
        """Write the request that an event ends, at once: a listener for programs that have nothing else to do."""
        if isinstance(event, Finished | Failed | Left):
            self.add(entry_of(event))

    def _writer(self) -> ThreadPoolExecutor:
        """One thread for each process: what was over first is written first, and the next turn finds it."""
        process = os.getpid()
        if (writer := self._writers.get(process)) is None:
            made = ThreadPoolExecutor(1, thread_name_prefix="llmring-log")
            writer = self._writers.setdefault(process, made)
        return writer

    def add(self, entry: Entry) -> int:
        """Write an entry, and give its number."""
        new = unanswered(entry.messages)
        with self._open(write=True) as file, file:
            file.execute("BEGIN IMMEDIATE")
            row = None
            if new:
                row = file.execute(
                    "SELECT id FROM requests WHERE reached = ? ORDER BY id DESC LIMIT 1", [digest(entry.messages[:new])]
                ).fetchone()
            messages = entry.messages[new:] if row is not None else entry.messages
            values: dict[str, Any] = {
                **{it: getattr(entry, it) for it in ("request_id", "time", "alias", "profile", "model", "outcome")},
                **{it: getattr(entry, it) for it in ("finish_reason", "error", "streamed", "seconds", "first_chunk")},
                **{it: getattr(entry, it) for it in ("retries", "attempts", "answer", "reasoning")},
                "params": _json(entry.params),
                "messages": _json(messages),
                "tool_calls": _json(entry.tool_calls) if entry.tool_calls else None,
                "follows": row[0] if row is not None else None,
                "reached": digest(entry.messages, entry),
            }
            number = file.execute(_insert("requests", values), sayable(values.values())).lastrowid
            for place, share in enumerate(entry.served):
                usage = cast("dict[str, int]", share.usage or {})
                of = {
                    "request": number,
                    "place": place,
                    **{it: getattr(share, it) for it in ("model", "response_model", "service_tier")},
                    **{it: usage.get(it) for it in _COUNTS},
                    "cost": share.cost,
                    "unpriced": share.unpriced,
                }
                file.execute(_insert("served", of), sayable(of.values()))
        assert number is not None
        return number

    def entries(
        self,
        *,
        search: str | None = None,
        model: str | None = None,
        alias: str | None = None,
        since: float | None = None,
        limit: int | None = None,
    ) -> list[Entry]:
        """The entries, the latest first.

        Args:
            search: text in what was asked or answered, in letters of either case.
            model: a `provider:model`, or a part of one.
            alias: an alias.
            since: seconds since 1970.
            limit: at most so many.
        """
        where, values = _filter(model, alias, since)
        if search:
            where.append("(instr(folded(answer), ?) OR instr(folded(messages), ?))")
            folded = search.casefold()
            values += [folded, json.dumps(folded, ensure_ascii=False)[1:-1]]
        with self._read() as file:
            if file is None:
                return []
            rows = file.execute(
                f"SELECT * FROM requests WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?",  # noqa: S608 - ours
                sayable([*values, -1 if limit is None else limit]),
            ).fetchall()
            return [_entry(file, row) for row in rows]

    def entry(self, number: int) -> Entry | None:
        """The entry of that number; `None` where there is none."""
        with self._read() as file:
            if file is None:
                return None
            row = file.execute("SELECT * FROM requests WHERE id = ?", sayable([number])).fetchone()
            return _entry(file, row) if row is not None else None

    def conversation(self, number: int) -> list[Entry]:
        """The entry of that number, and those that its conversation went on from, oldest first."""
        found: list[Entry] = []
        at: int | None = number
        while at is not None and (entry := self.entry(at)) is not None:
            found.append(entry)
            at = entry.follows if entry.follows is not None and entry.follows < at else None
        return found[::-1]

    def totals(
        self,
        by: Sequence[By] = ("day", "alias", "model"),
        *,
        model: str | None = None,
        alias: str | None = None,
        since: float | None = None,
    ) -> list[Total]:
        """What the requests of each group come to, in the order of their groups.

        Args:
            by: what those of a group have in common; nothing puts all into one.
            model, alias, since: as for `entries`.
        """
        where, values = _filter(model, alias, since)
        groups = [_GROUPS[it] for it in by]
        sums = [f"coalesce(sum(served.{it}), 0)" for it in _COUNTS if it != "total_tokens"]
        query = (
            f"SELECT {', '.join([*groups, 'count(DISTINCT requests.id)'])}, "  # noqa: S608 - all of it is ours
            "count(DISTINCT CASE WHEN outcome = 'failed' THEN requests.id END), "
            f"{', '.join(sums)}, coalesce(sum(served.cost), 0), count(served.unpriced) "
            f"FROM requests LEFT JOIN served ON served.request = requests.id WHERE {' AND '.join(where)}"
        )
        if groups:
            query += f" GROUP BY {', '.join(groups)} ORDER BY {', '.join(groups)}"
        with self._read() as file:
            rows = file.execute(query, sayable(values)).fetchall() if file is not None else []
        found = [Total(dict(zip(by, row, strict=False)), *tuple(row)[len(groups) :]) for row in rows]
        return [it for it in found if it.requests]

    def delete(self, *numbers: int) -> int:
        """Take entries out of the log for good; how many there were."""
        marks = ", ".join("?" * len(numbers))
        return self._delete(f"id IN ({marks})", numbers)

    def clear(self, *, before: float | None = None) -> int:
        """Take all entries out of the log for good, or those that are older; how many there were.

        Args:
            before: seconds since 1970.
        """
        return self._delete("time < ?", [before]) if before is not None else self._delete("1", [])

    def _delete(self, where: str, values: Sequence[Any]) -> int:
        if not self.path.exists():
            return 0
        with self._open(write=True) as file:
            with file:
                count = file.execute(f"DELETE FROM requests WHERE {where}", sayable(values)).rowcount  # noqa: S608 - ours
            file.execute("VACUUM")
            file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return count

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection | None]:
        if not self.path.exists():
            yield None
            return
        with self._open() as file:
            yield file

    @contextmanager
    def _open(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        """A connection for a short while: so threads share none, and a fork inherits none."""
        try:
            if write:
                _make(self.path)
            file = sqlite3.connect(self.path, timeout=_PATIENCE)
            try:
                file.row_factory = sqlite3.Row
                file.create_function("folded", 1, _folded, deterministic=True)
                _prepare(file, self.path)
                yield file
            finally:
                file.close()
        except (sqlite3.Error, OSError) as error:
            said = error.strerror if isinstance(error, OSError) else error
            raise LLMRingError(f"The log {self.path} cannot be used: {said}. To begin another, move it away.") from None


def _make(path: Path) -> None:
    """Make the file, for its owner alone, as what SQLite puts beside it will be."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        if hasattr(os, "geteuid"):
            status = os.fstat(handle)
            if status.st_uid != os.geteuid():
                raise ConfigurationError(f"The log {path} belongs to somebody else, so nothing is written there.")
            if status.st_mode & 0o077:
                os.fchmod(handle, 0o600)
    finally:
        os.close(handle)


def _prepare(file: sqlite3.Connection, path: Path) -> None:
    (version,) = file.execute("PRAGMA user_version").fetchone()
    if version > _VERSION:
        raise ConfigurationError(f"The log {path} was written by a newer llmring; upgrade this one, or move it away.")
    if version < _VERSION:
        # SQLite does not wait for another process that changes the journal, too: it says that the file is locked.
        with exclusive(path.resolve(), patience=_PATIENCE), file:
            file.execute("PRAGMA journal_mode = WAL")
            file.execute("BEGIN IMMEDIATE")
            (version,) = file.execute("PRAGMA user_version").fetchone()  # another process may have made them by now
            if version < _VERSION:
                for statement in filter(str.strip, _TABLES.split(";")):
                    file.execute(statement)
                file.execute(f"PRAGMA user_version = {_VERSION}")
    file.execute("PRAGMA synchronous = NORMAL")
    file.execute("PRAGMA foreign_keys = ON")
    # What is deleted is gone, and not only out of sight.
    file.execute("PRAGMA secure_delete = ON")


def _filter(model: str | None, alias: str | None, since: float | None) -> tuple[list[str], list[Any]]:
    where, values = ["1"], list[Any]()
    if model:
        where.append(
            "(instr(requests.model, ?) OR EXISTS "
            "(SELECT 1 FROM served AS own WHERE own.request = requests.id AND instr(own.model, ?)))"
        )
        values += [model, model]
    if alias:
        where.append("requests.alias = ?")
        values.append(alias)
    if since is not None:
        where.append("requests.time >= ?")
        values.append(since)
    return where, values


def _entry(file: sqlite3.Connection, row: sqlite3.Row) -> Entry:
    said = dict(row)
    said.pop("reached")
    shares = file.execute("SELECT * FROM served WHERE request = ? ORDER BY place", [row["id"]]).fetchall()
    return Entry(
        **said
        | {
            "streamed": bool(row["streamed"]),
            "params": json.loads(row["params"]),
            "messages": json.loads(row["messages"]),
            "tool_calls": json.loads(row["tool_calls"]) if row["tool_calls"] else None,
            "served": [_share(it) for it in shares],
        }
    )


def _share(row: sqlite3.Row) -> Share:
    counts = {it: row[it] for it in _COUNTS if row[it] is not None}
    usage = cast("Usage", counts) if counts else None
    return Share(row["model"], row["response_model"], row["service_tier"], usage, row["cost"], row["unpriced"])


def _insert(table: str, values: dict[str, Any]) -> str:
    return f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})"  # noqa: S608 - ours


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _folded(text: str | None) -> str | None:
    return text.casefold() if text is not None else None
