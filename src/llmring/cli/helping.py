"""Help that breaks between words, however narrow the terminal is."""

from __future__ import annotations

import shutil
from typing import Any

from typer.core import TyperCommand

_WIDEST = 80
_HYPHEN = "\u2011"
_NARROW = 60
"""Columns from which on there is room for two beside each other."""


class Command(TyperCommand):
    """A command whose help has the width of the terminal, and whose line in a list is never shortened."""

    def get_help(self, ctx: Any) -> str:
        """The help, laid out."""
        fit(ctx)
        return super().get_help(ctx)

    def get_usage(self, ctx: Any) -> str:
        """The line above a usage error."""
        fit(ctx)
        return super().get_usage(ctx)

    def get_short_help_str(self, limit: int = 0) -> str:
        """Its line, whole."""
        return line_of(self.help)


def line_of(text: str | None) -> str:
    """What a list says of a command: the first sentence of its help."""
    return " ".join((text or "").partition("\n\n")[0].split())


def fit(ctx: Any) -> None:
    """Have a context lay its help out for the terminal that there is.

    The class of its formatter is that of the installed Typer, under which it goes by several names.
    """
    width = min(shutil.get_terminal_size().columns, _WIDEST) - 2
    base: Any = type(ctx).formatter_class

    class Fitted(base):  # type: ignore[misc]
        def __init__(self, **_: Any) -> None:
            super().__init__(width=width)

        def write_dl(self, rows: Any, *args: Any, **settings: Any) -> None:
            if width < _NARROW:  # what is explained above what it is
                settings["col_max"] = 3
            super().write_dl([(first, _kept(second)) for first, second in rows], *args, **settings)

        def write_text(self, text: str) -> None:
            super().write_text(_kept(folded(text, width - self.current_indent)))

        def getvalue(self) -> str:
            return str(super().getvalue()).replace(_HYPHEN, "-")

    ctx.formatter_class = Fitted


def _kept(text: str) -> str:
    """The text with hyphens at which no line is broken: they are in the names of options."""
    return text.replace("-", _HYPHEN)


def folded(text: str, width: int) -> str:
    """The text with each command of its example in lines that fit, as a shell takes them."""
    paragraphs = text.split("\n\n")
    for number, paragraph in enumerate(paragraphs):
        if paragraph.startswith("\b\n"):
            paragraphs[number] = "\n".join(_folded(line, width) for line in paragraph.split("\n"))
    return "\n\n".join(paragraphs)


def _folded(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    indent = line[: len(line) - len(line.lstrip())]
    rows, row = [], indent
    for word in _words(line.strip()):
        if row.strip() and len(row) + len(word) + 3 > width:
            rows.append(f"{row} \\")
            row = indent + "  "
        row += f" {word}" if row.strip() else word
    return "\n".join([*rows, row])


def _words(line: str) -> list[str]:
    """The words of a command; what stands in quotes is one."""
    words: list[str] = []
    quote = ""
    for word in line.split(" "):
        if quote:
            words[-1] += f" {word}"
        else:
            words.append(word)
        for character in word:
            if character in "\"'" and quote in ("", character):
                quote = "" if quote else character
    return words
