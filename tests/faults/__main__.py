"""`python -m tests.faults`: the matrix as a table, with the seconds that each cell took."""

from __future__ import annotations

import asyncio
import logging
import sys

from .cells import Cell, cells, run
from .ground import PROVIDERS, ground


def main() -> int:
    """Print the table, then what is not as it should be; 1 if anything is."""
    logging.disable()
    all_cells = cells()
    with ground() as practice:
        asyncio.run(run(practice, all_cells))
    print(f"{'':20}{''.join(f'{wire:>18}' for wire in PROVIDERS)}   outcome (streamed)")
    print(f"{'':20}{'streamed   whole  ' * len(PROVIDERS)}")
    by_row: dict[str, list[Cell]] = {}
    for cell in all_cells:
        by_row.setdefault(cell.row.name, []).append(cell)
    for name, row in by_row.items():
        print(f"{name:20}{''.join(map(_short, row))}   {row[0].expected}")
    failed = [cell for cell in all_cells if cell.faults]
    for cell in failed:
        print(f"{cell.id}: {'; '.join(cell.faults)}", file=sys.stderr)
    slowest = max(cell.seconds for cell in all_cells)
    print(f"{len(all_cells) - len(failed)} of {len(all_cells)} cells hold; the slowest took {slowest:.2f} s.")
    return 1 if failed else 0


def _short(cell: Cell) -> str:
    return f"{'FAIL' if cell.faults else '':>4}{cell.seconds:5.2f}"


if __name__ == "__main__":
    sys.exit(main())
