"""What the conversation shows, apart from the answers themselves."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from ...exceptions import LLMRingError
from ..terminal import printable, unforeseen
from .answer import Answer

__all__ = ["THEME", "Screen"]

THEME = Theme({"markdown.code": "bold cyan"})
"""Nothing that needs a dark terminal."""


class Screen:
    """The terminal.

    Args:
        console: where Rich writes; not given: standard output.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(theme=THEME, highlight=False, markup=False, emoji=False)

    def answer(self, waiting: str) -> Answer:
        """An answer that is about to arrive.

        Args:
            waiting: what to say until it does.
        """
        return Answer(self.console, waiting)

    def say(self, text: str = "") -> None:
        """What a command was asked for."""
        self._write(Text(printable(text)))

    def note(self, text: str) -> None:
        """A remark beside the conversation."""
        self._write(Text(printable(text), "dim"))

    def warn(self, text: str) -> None:
        """Something to look at that stops nothing."""
        self._write(Text.assemble(("Warning:", "yellow"), " ", printable(text)))

    def fail(self, error: Exception) -> None:
        """What went wrong, and what to do."""
        text = str(error) if isinstance(error, LLMRingError) else unforeseen(error)
        self._write(Text.assemble(("Error:", "red"), " ", printable(text)))

    def _write(self, text: Text) -> None:
        # The terminal breaks the lines: a command that is copied from them stays in one piece.
        self.console.print(text, soft_wrap=True)

    def table(self, rows: Iterable[Sequence[str]]) -> None:
        """Rows in columns; what does not fit is wrapped."""
        table = Table.grid(padding=(0, 3, 0, 0))
        for row in rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        self.console.print(Padding(table, (0, 0, 0, 2)))

    def show_warnings(self) -> None:
        """Have what the library warns of shown here, such as moving on to a stand-by."""
        logger = logging.getLogger("llmring")
        logger.handlers[:] = [_Warnings(self)]
        logger.propagate = False


class _Warnings(logging.Handler):
    def __init__(self, screen: Screen) -> None:
        super().__init__(logging.WARNING)
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        self._screen.warn(record.getMessage())
