"""The requests of a batch, one line after the other, in a file that is sent as it is: within the vendor's limits."""

from __future__ import annotations

from typing import BinaryIO, NamedTuple

from ..providers.batching import Scratch

__all__ = ["Entry", "Spool"]


class Entry(NamedTuple):
    """A row of a batch.

    Attributes:
        number, key, asked: as in a line of the output.
    """

    number: int
    key: str
    asked: str


class Spool:
    """A batch as it grows. What it holds is on the disk; of each row, its key is in memory.

    Args:
        requests, most: requests and bytes that it may have.
        head, between, tail: what its lines stand in.

    Attributes:
        rows: in it.
        size: bytes of it, as it would be sent.
        kept: what will be sent.
    """

    def __init__(
        self, requests: int, most: int, head: bytes = b"", between: bytes = b"\n", tail: bytes = b"\n"
    ) -> None:
        self.rows: list[Entry] = []
        self.kept = Scratch()
        self.kept.write(head)
        self.size = len(head) + len(tail)
        self._requests = requests
        self._bytes = most
        self._between = between
        self._tail = tail

    def has_room(self, line: bytes) -> bool:
        """Whether another request fits."""
        more = len(line) + (len(self._between) if self.rows else 0)
        return len(self.rows) < self._requests and self.size + more <= self._bytes

    def add(self, entry: Entry, line: bytes) -> None:
        """Append a request, which fits."""
        if self.rows:
            self.kept.write(self._between)
            self.size += len(self._between)
        self.kept.write(line)
        self.size += len(line)
        self.rows.append(entry)

    def finish(self) -> BinaryIO:
        """The file, whole, at its beginning."""
        self.kept.write(self._tail)
        return self.kept.read()
