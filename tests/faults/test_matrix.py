"""Each cell of the matrix is a test; all of them run at once, before the first."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from .cells import Cell, cells, run
from .ground import ground

CELLS = cells()


@pytest.fixture(scope="module", autouse=True)
def _matrix() -> Iterator[None]:
    with ground() as practice:
        asyncio.run(run(practice, CELLS))
        yield


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.id)
def test_cell(cell: Cell) -> None:
    assert cell.seconds > 0
    assert not cell.faults
