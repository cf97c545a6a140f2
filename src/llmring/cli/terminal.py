"""What the commands write: data and answers to standard output, remarks to standard error, plain where it must be."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import typer

from ..exceptions import LLMRingError

__all__ = ["columns", "confirm", "dollars", "note", "paint", "say", "stream", "unforeseen", "warn"]


def say(text: str = "") -> None:
    """A line of standard output."""
    typer.echo(text)


def stream(text: str) -> None:
    """A piece of a line, shown at once."""
    typer.echo(text, nl=False)


def note(text: str = "") -> None:
    """A remark for the person at the terminal, which is no part of the data."""
    typer.echo(paint(text, dim=True, err=True), err=True)


def warn(text: str) -> None:
    """Something to look at that stops nothing."""
    typer.echo(f"{paint('Warning:', fg='yellow', err=True)} {text}", err=True)


def unforeseen(error: Exception) -> str:
    """What to say of an error that is none of ours; where it happened too, if `LLMRING_DEBUG` is set."""
    if os.environ.get("LLMRING_DEBUG"):
        import traceback

        return "".join(traceback.format_exception(error)).rstrip()
    return f"{type(error).__name__}: {error}\nThis was not foreseen. LLMRING_DEBUG=1 shows where it happened."


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
    if not typer.confirm(question, err=True):
        note("Nothing was changed.")
        raise typer.Exit(1)


def paint(text: str, *, err: bool = False, **style: Any) -> str:
    """The text in colour where that is wanted: on a terminal, unless `NO_COLOR` is set.

    Args:
        text: what to colour.
        err: whether it goes to standard error.
        **style: as `typer.style` takes it.
    """
    target = sys.stderr if err else sys.stdout
    if not text or os.environ.get("NO_COLOR") or not target.isatty():
        return text
    return typer.style(text, **style)


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
    return f"${amount:.2f}" if amount >= 0.1 or not amount else f"${amount:.6f}".rstrip("0")
