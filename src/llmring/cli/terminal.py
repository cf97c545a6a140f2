"""What the commands write: data to standard output, notes, warnings and failures to standard error.

All that is written for people goes through `printable`, whoever said it. What a stream's encoding lacks is written as
an escape, and that is said once.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import itertools
import math
import os
import re
import shlex
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

import typer

from ..exceptions import LLMRingError

_HIDDEN = (
    "[\0-\x08\x0b-\x1f\x7f-\x9f"  # what steers a terminal
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # what turns the direction of writing, and shows other words
    "\xad\u115f\u1160\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"  # what cannot be seen
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_IDLE = (
    "(?<![\u0300-\u1fff\u2100-\U0010ffff])[\u200c\u200d]+"
    "|[\u200c\u200d]+(?![\u0300-\u1fff\u200c\u200d\u2100-\U0010ffff])"
)
"""Joiners that join nothing: they belong between letters of many scripts, and into pictures of families."""
_LOG = "LLMRING_LOG"
_LEVELS = ("debug", "info", "warning", "error", "off")
_LINE_ENDS = {0x2028: "\n", 0x2029: "\n"}
_QUIET = 1.0
"""Seconds before a command that is at work says so."""
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
    _write(text, as_it_is=not _is_terminal(sys.stdout))


class Line:
    """The line of standard output that an answer is in the middle of: a remark on the same terminal ends it first."""

    def __init__(self) -> None:
        self.is_open = False

    def stream(self, text: str) -> None:
        """A piece of what a model says; see `stream`."""
        stream(text)
        self.is_open = not text.endswith("\n")

    def end(self) -> None:
        """End it, if it is open."""
        if self.is_open:
            say()
        self.is_open = False

    def make_way(self) -> None:
        """End it for a remark, where both are on a terminal; elsewhere the answer is data, and stays as it is."""
        if _is_terminal(sys.stdout) and _is_terminal(sys.stderr):
            self.end()


def say_table(rows: Iterable[Sequence[str]], *right: int) -> None:
    """Rows in columns below their headings, which are the first row. `right` are columns that end below each other."""
    heading, *lines = columns(rows, *right).splitlines()
    say("\n".join([paint(heading, bold=True), *lines]))


def say_json(data: dict[str, Any] | list[Any]) -> None:
    """Data for programs, as JSON that every parser reads."""
    say(json_text(data))


def note(text: str = "", *, dim: bool = True) -> None:
    """A remark for the person at the terminal, which is no part of the data; what was done is not dim."""
    text = fitted(text)
    _write(f"{paint(text, dim=True, err=True) if dim else text}\n", err=True)


def warn(text: str) -> None:
    """Something to look at that stops nothing."""
    _say_at_once("Warning:", "yellow", text)


def fail(text: str) -> None:
    """What went wrong, and what to do."""
    _say_at_once("Error:", "red", text)


def _say_at_once(word: str, colour: str, text: str) -> None:
    said = fitted(f"{word} {text}")
    _write(f"{paint(word, fg=colour, err=True)}{said[len(word) :]}\n", err=True)


def fitted(text: str, used: int = 0) -> str:
    """The text in lines as wide as standard error is, where that is a terminal; see `wrapped`."""
    return wrapped(text, _width(), used) if _is_terminal(sys.stderr) else text


def _width() -> int:
    """Columns of standard error, where standard output may be a pipe."""
    if not os.environ.get("COLUMNS"):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if width := os.get_terminal_size(sys.stderr.fileno()).columns:
                return width
    return shutil.get_terminal_size().columns


def wrapped(text: str, width: int, used: int = 0) -> str:
    """The text in lines of at most so many cells, broken between words; a line that is indented goes on indented.

    What is longer than a line is left whole, and so is a command ("to make it: llmring lock init") that a line has room
    for, since it is to be copied.

    Args:
        text: what is to be said.
        width: of the terminal.
        used: cells of the first line that are not free.
    """
    lines = []
    for line in text.split("\n"):
        lines.append(line if used + cells(line) <= width else _broken(line, width, used))
        used = 0
    return "\n".join(lines)


def _broken(line: str, width: int, used: int) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    rows: list[str] = []
    row = indent
    for word in _units(line.strip().split(" "), width - cells(indent)):
        before = used if not rows else 0
        if row.strip() and before + cells(row) + 1 + cells(word) > width >= cells(indent) + cells(word):
            rows.append(row.rstrip())
            row = indent
        row += f" {word}" if row.strip() else word
    return "\n".join([*rows, row])


def _units(words: Sequence[str], width: int) -> Iterator[str]:
    """Words, and commands as one, as far as they fit a line."""
    at = 0
    while at < len(words):
        end = at + 1
        if words[at] == "llmring" and at and words[at - 1].endswith(":"):
            while end < len(words) and not words[end - 1].endswith((".", ",", ";")):
                end += 1
            if cells(" ".join(words[at:end])) > width:
                end = at + 1
        yield " ".join(words[at:end])
        at = end


def printable(text: str) -> str:
    """The text without what would steer the terminal, turn the direction of writing, or hide; tabs and lines stay."""
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text  # most is, and the expressions take longer to compile than all else that a command does to start
    return re.sub(_IDLE, "", re.sub(_HIDDEN, "", text.translate(_LINE_ENDS)))


class Escapes:
    """Has standard output and standard error write what their encoding lacks as an escape."""

    def __init__(self) -> None:
        self._were_needed = False
        codecs.register_error("llmring", self._escaped)
        for target in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError):
                target.reconfigure(errors="llmring")  # type: ignore[union-attr]

    def explain(self) -> None:
        """Say, if anything was written as an escape, that it was, and what to do."""
        if self._were_needed:
            found = [it.encoding for it in (sys.stdout, sys.stderr) if it is not None and not is_utf8(it.encoding)]
            names = " and ".join(dict.fromkeys(found))
            note(f"What {names} does not have was written as \\u and a number. For all of it: PYTHONIOENCODING=utf-8")

    def _escaped(self, error: UnicodeError) -> tuple[str, int]:
        if not isinstance(error, UnicodeEncodeError):
            raise error
        if not is_utf8(error.encoding):  # which lacks halves of characters alone
            self._were_needed = True
        # As JSON and TOML have them.
        codes = map(ord, error.object[error.start : error.end])
        return "".join(f"\\u{it:04x}" if it < 0x10000 else f"\\U{it:08x}" for it in codes), error.end


def is_utf8(encoding: str | None) -> bool:
    """Whether an encoding has every character; `None` is that of no stream."""
    return encoding is None or codecs.lookup(encoding).name.startswith("utf")


def hear_warnings(show: Callable[[str], None] = warn, before: Callable[[], None] = lambda: None) -> None:
    """Show what the library warns of, such as moving on to a stand-by, as the other remarks are written.

    `before` is called before each.

    With `LLMRING_LOG`, what it says from that level on: what is no warning with its time and its level.
    """
    import logging  # which most commands do without

    said = logged_from() or "warning"
    level: int = logging.CRITICAL + 1 if said == "off" else getattr(logging, said.upper())

    class Remarks(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            before()
            text = record.getMessage() + (f" ({record.exc_info[1]})" if record.exc_info else "")
            if record.levelno >= logging.WARNING:
                show(text)
            else:
                clock = time.strftime("%H:%M:%S", time.localtime(record.created))
                note(f"{clock}.{record.msecs:03.0f} {record.levelname.lower()}: {text}")

    logger = logging.getLogger("llmring")
    logger.handlers[:] = [Remarks(level)]
    logger.setLevel(level if level < logging.WARNING else logging.NOTSET)
    logger.propagate = False


def logged_from() -> str | None:
    """The level from which on the library's log is shown, as `LLMRING_LOG` says; `None` where it says nothing.

    Raises:
        LLMRingError: it says no level.
    """
    said = os.environ.get(_LOG, "").strip().lower()
    if said and said not in _LEVELS:
        raise LLMRingError(f"{_LOG} is {said!r}; it takes {', '.join(_LEVELS[:-1])} or {_LEVELS[-1]}.")
    return said or None


def unexpected(error: Exception) -> str:
    """What to say of an error that is none of ours; where it happened too, if `LLMRING_DEBUG` is set."""
    if os.environ.get("LLMRING_DEBUG"):
        return "".join(traceback.format_exception(error)).rstrip()
    return f"{type(error).__name__}: {error}\nThis was not foreseen. LLMRING_DEBUG=1 shows where it happened."


def unwritable(error: OSError) -> str:
    """What to say where nothing more goes to standard output."""
    return f"Standard output cannot be written: {error.strerror}."


def again(*words: str, **options: str | None) -> str:
    """A command with the options that it was given, as a shell takes it, which does not ask."""
    given = [it for name, value in options.items() if value is not None for it in (f"--{name}", value)]
    return shlex.join(["llmring", *words, *given, "--yes"])


def confirm(question: str, *, otherwise: str) -> None:
    """Ask on the terminal, and go on only after a yes; where there is none, name the command that does not ask."""
    if not sys.stdin or not sys.stdin.isatty():
        raise LLMRingError(f"Nothing was changed: there is no terminal to ask on. To go on without: {otherwise}")
    if not typer.confirm(printable(question), err=True):
        note("Nothing was changed.")
        raise typer.Exit(1)


def paint(text: str, *, err: bool = False, **style: Any) -> str:
    """The text in colour where that is wanted: on a terminal, unless `NO_COLOR` is set. It is for `say` and `note`."""
    if not text or os.environ.get("NO_COLOR") or not _is_terminal(sys.stderr if err else sys.stdout):
        return text
    return typer.style(printable(text), **style).replace("\x1b[", _OURS)


def _is_terminal(target: TextIO | None) -> bool:
    return target is not None and target.isatty()


def _write(text: str, *, err: bool = False, as_it_is: bool = False) -> None:
    """Write to standard output or standard error: nothing that steers a terminal but our own colours."""
    target: TextIO | None = sys.stderr if err else sys.stdout
    if target is None:
        return
    if not as_it_is:
        text = "\x1b[".join(printable(part) for part in text.split(_OURS))
    try:
        # Not told of a colour, it would take what looks like one out of the data; nor of a file, take its own encoding.
        typer.echo(text, file=target, nl=False, color=True)
    except OSError as error:
        if err:
            return  # whoever was to hear of it has gone
        if isinstance(error, BrokenPipeError):
            raise
        raise LLMRingError(unwritable(error)) from None


def columns(rows: Iterable[Sequence[str]], *right: int, indent: str = "") -> str:
    """Rows of as many cells each as lines, the cells in columns. `right` are columns that end below each other."""
    table = [[" ".join(printable(cell).split("\n")) for cell in row] for row in rows]
    widths = [max(map(cells, column)) for column in zip(*table, strict=True)]
    lines = []
    for row in table:
        padded = []
        for number, (cell, width) in enumerate(zip(row, widths, strict=True)):
            blanks = " " * (width - cells(cell))
            padded.append(blanks + cell if number in right else cell + blanks)
        lines.append(indent + "   ".join(padded).rstrip())
    return "\n".join(lines)


def cells(text: str) -> int:
    """How many cells of a terminal a text takes: letters of Chinese, Japanese and Korean and most pictures take two."""
    if text.isascii():
        return len(text)
    from unicodedata import category, east_asian_width

    return sum(
        0 if category(it) in ("Mn", "Me", "Cf") else 2 if east_asian_width(it) in ("W", "F") else 1 for it in text
    )


def json_text(data: Any, *, is_for_people: bool = False, indent: int | None = 2) -> str:
    """Data as the text of JSON that every parser reads, in ASCII, which goes through every pipe and terminal.

    What JSON cannot say becomes what comes nearest: numbers that are none, or infinite, are null, dates are strings.
    For people, letters stand as they are where standard output has them all.
    """
    import json

    may_be_read = is_for_people and is_utf8(sys.stdout.encoding)
    try:
        text = json.dumps(_sayable(data), indent=indent, ensure_ascii=not may_be_read, default=str, allow_nan=False)
    except RecursionError:
        raise LLMRingError("What was to be printed is nested too deeply for JSON that others can read.") from None
    halves = not text.isascii() and any("\ud800" <= it <= "\udfff" for it in text)
    return with_escapes(text) if halves else text


def with_escapes(text: str) -> str:
    """The text of JSON in ASCII, laid out as it is."""
    import json

    return "".join(it if it.isascii() else json.dumps(it)[1:-1] for it in text)


def _sayable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sayable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_sayable(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show on standard error what is being done, from the second second on. Shows nothing where that is no terminal."""
    hear_warnings()
    if sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    shown = threading.Thread(target=_show, args=(printable(what), done), daemon=True)
    shown.start()
    try:
        yield
    finally:
        done.set()
        shown.join()


def _show(what: str, done: threading.Event) -> None:
    """In a thread, so that it moves while an SDK is imported. A remark is written over it."""
    if done.wait(_QUIET):
        return
    for dots in itertools.cycle((".  ", ".. ", "...")):
        print(f"\r{what} {dots}\r", end="", file=sys.stderr, flush=True)  # noqa: T201
        if done.wait(0.4):
            break
    print(f"\r{' ' * (cells(what) + 4)}\r", end="", file=sys.stderr, flush=True)  # noqa: T201
