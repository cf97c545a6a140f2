"""The rows that are to be asked about, in blocks: read once, on the machine of the command, as workers take them."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from .desk import GO_ON

if TYPE_CHECKING:
    from ..bulk import Asking, Output, Rows

__all__ = ["blocks", "source"]


def blocks(rows: Rows, asking: Asking, output: Output | None, size: int) -> Iterator[list[Any]]:
    """Rows that are to be asked about, each with its key and the digest of what is asked; of a rerun, the same.

    Raises:
        RowError: a row cannot be read any more.
    """
    wanted = _wanted(rows, asking, output)
    while block := [*islice(wanted, size)]:
        yield block


def _wanted(rows: Rows, asking: Asking, output: Output | None) -> Iterator[Any]:
    for row in rows:
        key, asked = asking.key_of(row, asking.request(row))
        if (found := (key, asked) if output is None else output.wants(key, asked)) is not None:
            yield row, *found


def source(module: Any, desk: Any, rows: Rows, asking: Asking, output: Output | None, size: int) -> Any:
    """It as Ray reads it: one row of Ray's is a block of ours, so that fields may be of any kind."""

    def read() -> Iterator[Any]:
        import pyarrow

        if output is not None:
            output.again()
        for block in blocks(rows, asking, output, size):
            if module.get(desk.stage.remote()) != GO_ON:
                return
            yield pyarrow.table({"block": [pickle.dumps(block)]})

    class Source(module.data.Datasource):  # type: ignore[misc]
        def estimate_inmemory_data_size(self) -> None:
            return None

        def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[Any]:
            unknown = module.data.block.BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
            return [module.data.ReadTask(read, unknown)]

    return Source()
