"""The Python of a notebook, without what only IPython understands."""

from __future__ import annotations

import ast
import json
import re
import warnings

__all__ = ["Cells", "code_of"]

# `%pip install x`, `!ls`, `?name`, `name?`, `files = !ls`, `x = %sql ...`
_IPYTHON = re.compile(r"([ \t]*)(?:[%!?]|[\w.*]+\?{1,2}\s*$|\w[\w \t,.\[\]'\"]*=[ \t]*[%!](?!=))")
# These run the Python that follows them: `%time answer = f()`, `%%capture`
_TIMED_LINE = re.compile(r"(\s*)%time(?:it)?\s(?!\s*-)")
_PYTHON_CELL = re.compile(r"%%(?:time|timeit|capture|prun)\b")


class Cells:
    """The code of a notebook's cells as one text.

    Attributes:
        code: the text; a cell that is no Python even so is left out of it.
        places: the cell, counted from 1, and the line in it of each of its lines.
        faults: the cell, the line and the complaint of each cell that was left out.
    """

    def __init__(self) -> None:
        self.places: list[tuple[int, int]] = []
        self.faults: list[tuple[int, int, str]] = []
        self._lines: list[str] = []

    @property
    def code(self) -> bytes:
        """The text, encoded."""
        return "\n".join(self._lines).encode(errors="replace")

    def add(self, number: int, source: str) -> None:
        """Takes the code of one cell."""
        lines = [_as_python(line) for line in re.split(r"\r\n|\r|\n", _without_cell_magic(source))]
        fault = _fault("\n".join(lines))
        if fault is not None:
            self.faults.append((number, *fault))
            return
        self._lines += lines
        self.places += [(number, line) for line in range(1, len(lines) + 1)]


def code_of(content: bytes) -> Cells:
    """The Python of a notebook.

    Raises:
        ValueError: it is no notebook.
    """
    try:
        cells = json.loads(content)["cells"]
        sources = [(n, "".join(it["source"])) for n, it in enumerate(cells, 1) if it["cell_type"] == "code"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(type(error).__name__) from None
    found = Cells()
    for number, source in sources:
        found.add(number, source)
    return found


def _without_cell_magic(source: str) -> str:
    """A cell without its `%%magic`, and without all the rest where that is no Python."""
    if not source.lstrip().startswith("%%"):
        return source
    return _PYTHON_CELL.sub("#", source, count=1) if _PYTHON_CELL.match(source.lstrip()) else ""


def _as_python(line: str) -> str:
    """A line with something harmless in the place of IPython's own syntax; what follows stays in its column."""
    if timed := _TIMED_LINE.match(line):
        return f"{timed[1]}{'0;'.ljust(timed.end() - len(timed[1]))}{line[timed.end() :]}"
    magic = _IPYTHON.match(line)
    return f"{magic[1]}pass" if magic else line


def _fault(code: str) -> tuple[int, str] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(code)
    except SyntaxError as error:
        return error.lineno or 0, error.msg
    except (ValueError, RecursionError, MemoryError) as error:
        return 0, str(error)
    return None
