"""What the commands write: data and answers to standard output, remarks to standard error, plain where it must be."""

from __future__ import annotations

import io
import math
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

import typer

from ..exceptions import LLMRingError

__all__ = [
    "Closed",
    "columns",
    "complain",
    "confirm",
    "dollars",
    "note",
    "paint",
    "printable",
    "say",
    "stream",
    "tell",
    "unforeseen",
    "unwritable",
    "warn",
]


_CONTROL = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}
_OURS = f"\x1b{os.urandom(8).hex()}["
"""What `paint` begins a colour with until it is written, so that nothing from outside passes for one of ours."""


class Closed(io.TextIOBase):
    """Standard output where the shell has closed it. What is written there is an error, whoever writes it."""

    def write(self, _: str) -> int:
        """Refuse it."""
        raise LLMRingError("Standard output is closed. To have nothing printed: >/dev/null")


def say(text: str = "") -> None:
    """A line of standard output."""
    _write(f"{text}\n")


def stream(text: str) -> None:
    """A piece of what a model says, shown at once. To what is no terminal it goes as it is."""
    _write(printable(text) if _is_terminal(sys.stdout) else text)


def tell(text: str = "") -> None:
    """What was done, for the person at the terminal; programs ask for `--json`."""
    _write(f"{text}\n", err=True)


def note(text: str = "") -> None:
    """A remark for the person at the terminal, which is no part of the data."""
    _write(f"{paint(text, dim=True, err=True)}\n", err=True)


def warn(text: str) -> None:
    """Something to look at that stops nothing."""
    _write(f"{paint('Warning:', fg='yellow', err=True)} {text}\n", err=True)


def complain(text: str) -> None:
    """What went wrong, and what to do."""
    _write(f"{paint('Error:', fg='red', err=True)} {text}\n", err=True)


def printable(text: str) -> str:
    """The text without what would steer the terminal: control characters, but for tabs and ends of lines."""
    return text.translate(_CONTROL)


def unforeseen(error: Exception) -> str:
    """What to say of an error that is none of ours; where it happened too, if `LLMRING_DEBUG` is set."""
    if os.environ.get("LLMRING_DEBUG"):
        import traceback

        return "".join(traceback.format_exception(error)).rstrip()
    return f"{type(error).__name__}: {error}\nThis was not foreseen. LLMRING_DEBUG=1 shows where it happened."


def unwritable(error: OSError) -> str:
    """What to say where nothing more goes to standard output."""
    return f"Standard output cannot be written: {error.strerror}."


def confirm(question: str, *, otherwise: str) -> None:
    """Ask on the terminal, and go on only after a yes.

    Args:
        question: what is about to be done.
        otherwise: the command that does it without asking.

    Raises:
        LLMRingError: there is no terminal to ask on.
        typer.Exit: the answer was no; with the status 1.
    """
    if not sys.stdin or not sys.stdin.isatty():
        raise LLMRingError(f"Nothing was changed: there is no terminal to ask on. To go on without: {otherwise}")
    if not typer.confirm(printable(question), err=True):
        note("Nothing was changed.")
        raise typer.Exit(1)


def paint(text: str, *, err: bool = False, **style: Any) -> str:
    """The text in colour where that is wanted: on a terminal, unless `NO_COLOR` is set. It is for `say` and `tell`.

    Args:
        text: what to colour.
        err: whether it goes to standard error.
        **style: as `typer.style` takes it.
    """
    if not text or os.environ.get("NO_COLOR") or not _is_terminal(sys.stderr if err else sys.stdout):
        return text
    return typer.style(printable(text), **style).replace("\x1b[", _OURS)


def _is_terminal(target: TextIO | None) -> bool:
    return target is not None and target.isatty()


def _write(text: str, *, err: bool = False) -> None:
    """Write to standard output or standard error. A terminal gets nothing that steers it but our own colours."""
    target: TextIO | None = sys.stderr if err else sys.stdout
    if target is None:
        return
    if _is_terminal(target):
        text = "\x1b[".join(printable(part) for part in text.split(_OURS))
    try:
        typer.echo(text, nl=False, err=err, color=True)  # for it would take what looks like colours out of the data
    except OSError as error:
        if err:
            return  # whoever was to hear of it has gone
        if isinstance(error, BrokenPipeError):
            raise
        raise LLMRingError(unwritable(error)) from None


def columns(rows: Iterable[Sequence[str]], *, indent: str = "") -> str:
    """Rows as lines, their cells in columns."""
    table = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        indent + "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )


def dollars(amount: float) -> str:
    """An amount as a price tag: cents for what costs some, as many digits as it takes for less."""
    if amount >= 0.1 or not amount:
        return f"${amount:.2f}"
    digits = max(6, 1 - math.floor(math.log10(amount)))
    return f"${amount:.{digits}f}".rstrip("0")
