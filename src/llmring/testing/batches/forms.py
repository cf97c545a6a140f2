"""What the vendors' ways of batches have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

from ..exchange import Problem, RecordedRequest, Reply
from ..wires.answer import dumps
from ..wires.files import Cabinet
from ..wires.places import Place
from ..wires.shapes import parsed
from .script import BatchLimits, BatchScript
from .work import Answered, Batch, BatchRow

__all__ = ["Answer", "Desk", "Page", "Vendor", "lines", "overflows", "page", "text_of_lines"]

Answer = Callable[[BatchRow, RecordedRequest], Answered]


class Desk(Protocol):
    """What a vendor's module needs of the desk."""

    limits: dict[str, BatchLimits]

    def begin(self, vendor: str, prefix: str, request: RecordedRequest, rows: list[BatchRow]) -> Batch:
        """A batch of these rows, as the next script says."""
        ...

    def next_script(self) -> BatchScript:
        """How the next batch goes."""
        ...

    def skip_script(self) -> None:
        """Have the next script used up by a batch that was not to be."""
        ...

    def waiting(self, vendor: str, account: str, model: str | None = None) -> list[BatchRow]:
        """The rows of an account that wait in batches that have not ended."""
        ...

    def running(self, vendor: str, account: str) -> int:
        """How many batches of an account have not ended."""
        ...


class Vendor(Protocol):
    """What each vendor's module has."""

    LIMITS: BatchLimits

    def create(self, desk: Desk, request: RecordedRequest, place: Place, files: Cabinet) -> Batch | Problem:
        """The batch that is asked for, or why there is none."""
        ...

    def close(self, batch: Batch, files: Cabinet) -> None:
        """Put the results of a batch that has just ended where the vendor puts them."""
        ...

    def told(self, batch: Batch) -> dict[str, Any]:
        """What the vendor says of it."""
        ...

    def listed(self, batches: list[Batch], query: dict[str, str]) -> dict[str, Any] | Problem:
        """A page of them; they are given newest first."""
        ...

    def changed(self, batch: Batch, action: str) -> Reply | Problem | None:
        """What is said to `cancel`, `delete` and `download`, `None` where there is no such thing."""
        ...

    def missing(self, id: str) -> Problem:
        """Who has no such batch."""
        ...


class Page(NamedTuple):
    """Some of a list, and whether there is more."""

    items: list[Batch]
    more: bool


def page(batches: list[Batch], after: str | None, limit: str | None, usual: int, most: int) -> Page | None:
    """Those after that id, as many as are wanted; `None` for a cursor or a limit that is none."""
    count = usual if limit is None else int(limit) if limit.isdecimal() else 0
    ids = [it.id for it in batches]
    if not 1 <= count <= most or after not in (None, *ids):
        return None
    begin = 0 if after is None else ids.index(after) + 1
    return Page(batches[begin : begin + count], begin + count < len(batches))


def lines(data: bytes) -> list[tuple[int, Any]]:
    """What each line of a file says, with its number from 1; `None` for one that is no JSON. Blank ones are none."""
    out: list[tuple[int, Any]] = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.strip():
            out.append((number, parsed(line)[0]))
    return out


def text_of_lines(batch: Batch, values: Iterable[Any]) -> bytes:
    """The results as a file of lines, in the order and as whole as the script says."""
    written = [dumps(value) + b"\n" for value in values]
    if batch.script.order == "reversed":
        written.reverse()
    if batch.script.results == "cut" and written:
        written[-1] = written[-1][: len(written[-1]) // 2]
    return b"".join(written)


def overflows(desk: Desk, vendor: str, account: str, model: str, rows: list[BatchRow]) -> bool:
    """Whether more tokens of a model would wait than the vendor takes."""
    most = desk.limits[vendor].enqueued
    return most is not None and sum(map(_tokens, [*desk.waiting(vendor, account, model), *rows])) > most


def _tokens(row: BatchRow) -> int:
    """What stands for the tokens of a request: its words."""
    return RecordedRequest(None, "POST", row.path, {}, {}, b"", row.body).words
