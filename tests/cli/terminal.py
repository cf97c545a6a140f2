"""A terminal for the tests: a program on a pseudo-terminal, what it wrote, and what a person would see of it."""

from __future__ import annotations

import codecs
import contextlib
import os
import pty
import re
import select
import subprocess
import termios
import time
from itertools import groupby
from types import TracebackType

from ..program import PROGRAM, TAKE_TERMINAL

__all__ = ["Screen", "Terminal"]

PATIENCE = 60.0
"""Seconds; a busy machine is no finding."""
_TOKEN = re.compile(
    r"\x1b\[([?\d;]*)([@-~])|\x1b\](?:[^\x07\x1b])*(?:\x07|\x1b\\)|([\r\n\b\t\x07])|([^\x1b])", re.DOTALL
)
_UNFINISHED = re.compile(r"\x1b(?:\[[?\d;]*|\][^\x07\x1b]*)?\Z")


class Screen:
    """What a terminal of that size shows, and what has scrolled out of it.

    Attributes:
        rows: the cells of every line: the character, and the style that it is written in as an escape sequence.
        reflows: whether it breaks long lines anew when it gets another size.
    """

    @property
    def width(self) -> int:
        """Cells of a line."""
        return self._width

    def __init__(self, width: int, height: int) -> None:
        self.rows: list[list[tuple[str, str]]] = [[]]
        self.reflows = True
        self._continued: set[int] = set()
        self._width, self._height = width, height
        self._row = self._column = 0
        self._style = ""
        self._rest = ""

    def feed(self, text: str) -> str:
        """Take what a program writes, and give the plain text of it."""
        text = self._rest + text
        unfinished = _UNFINISHED.search(text)
        self._rest = unfinished[0] if unfinished else ""
        plain = []
        for numbers, command, control, character in _TOKEN.findall(
            text.removesuffix(self._rest) if unfinished else text
        ):
            if command:
                self._obey(command, numbers)
            elif control:
                self._move(control)
                plain.append(control)
            elif character:
                self._put(character)
                plain.append(character)
        return "".join(plain).replace("\r", "")

    def lines(self) -> list[str]:
        """Every line, plain, without what is empty at the end."""
        return "\n".join("".join(cell for cell, _ in row).rstrip() for row in self.rows).rstrip().split("\n")

    def styled(self) -> str:
        """Every line with its colours, as escape sequences."""
        lines = []
        for row in self.rows:
            runs = groupby(row, key=lambda cell: cell[1])
            lines.append("".join(f"\x1b[0m{style}{''.join(cell for cell, _ in run)}" for style, run in runs))
        return "\n".join(lines).rstrip()

    def resize(self, width: int, height: int) -> None:
        """Give it another size: its long lines are broken anew, as most terminals have it, or cut, as some do."""
        if self.reflows:
            self._reflow(width)
        elif width < self._width:
            for row in self.rows:
                del row[width:]
            self._column = min(self._column, width - 1)
        self._width, self._height = width, height

    def text(self) -> list[str]:
        """Every line as it would be copied: those that the terminal broke in one piece."""
        lines: list[str] = []
        for number, row in enumerate(self.rows):
            written = "".join(cell for cell, _ in row)
            if number in self._continued:
                lines[-1] += written
            else:
                lines.append(written)
        return [line.rstrip() for line in lines]

    def _reflow(self, width: int) -> None:
        rows: list[list[tuple[str, str]]] = []
        continued: set[int] = set()
        place = 0, 0
        for number, row in enumerate(self.rows):
            if number in self._continued:
                begin = len(rows) - 1, len(rows[-1])
                rows[-1] = rows[-1] + row
            else:
                begin = len(rows), 0
                rows.append([*row])
            at = begin[1] + self._column
            first = begin[0]
            while len(rows[-1]) > width:
                rest = rows[-1][width:]
                del rows[-1][width:]
                continued.add(len(rows))
                rows.append(rest)
            if number == self._row:
                place = min(first + at // width, len(rows) - 1), at % width
                if first + at // width > len(rows) - 1:  # behind the last cell of a full row
                    place = len(rows) - 1, width
        self.rows, self._continued, (self._row, self._column) = rows, continued, place

    def _put(self, character: str) -> None:
        if self._column >= self._width:
            self._column = 0
            self._down()
            self._continued.add(self._row)
        row = self.rows[self._row]
        row += [(" ", "")] * (self._column + 1 - len(row))
        row[self._column] = character, self._style
        self._column += 1

    def _down(self) -> None:
        self._row += 1
        if self._row == len(self.rows):
            self.rows.append([])

    def _move(self, control: str) -> None:
        match control:
            case "\r":
                self._column = 0
            case "\n":
                self._down()
            case "\b":
                self._column = max(0, self._column - 1)
            case "\t":
                self._column = (self._column // 8 + 1) * 8

    def _obey(self, command: str, numbers: str) -> None:
        if numbers.startswith("?"):
            return
        count = max(1, int(numbers.partition(";")[0] or 1)) if command != "m" else 0
        row = self.rows[self._row]
        match command:
            case "m":
                self._style = "" if numbers in ("", "0") else f"{self._style}\x1b[{numbers}m"
            case "A":  # no further than to the top of what is visible
                self._row = max(self._row - count, len(self.rows) - self._height, 0)
            case "B":
                self._row = min(self._row + count, len(self.rows) - 1)
            case "C":
                self._column += count
            case "D":
                self._column = max(0, self._column - count)
            case "G":
                self._column = count - 1
            case "K" if numbers == "2":
                row.clear()
            case "K":
                del row[self._column :]
            case "J":
                del row[self._column :]
                del self.rows[self._row + 1 :]
            case "P":
                del row[self._column : self._column + count]
            case "@":
                row[self._column : self._column] = [(" ", "")] * count
            case _:
                raise AssertionError(f"this terminal does not know {command!r} ({numbers!r})")


class Terminal:
    """The installed program on a terminal of its own. Use it as a context manager.

    Attributes:
        screen: what a person sees.
        raw: all that was written.
    """

    def __init__(self, *args: str, width: int = 160, height: int = 24, **environment: str) -> None:
        self.screen = Screen(width, height)
        self.raw = ""
        self._plain = ""
        self._read_to = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (height, width))
        self._process = subprocess.Popen(
            [PROGRAM, *args],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            # In a session whose terminal it is, Ctrl-C is a signal.
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "", "LINES": "", TAKE_TERMINAL: "1", **environment},
        )
        os.close(theirs)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def type(self, text: str) -> float:
        """Press keys; Return is `\\r`, and `\\udcXX` a byte. Gives the time on the clock of `time.monotonic()`."""
        self._read_to = len(self._plain)
        keys = text.encode(errors="surrogateescape")
        while keys:
            # A terminal holds few keys at a time, and what the program writes meanwhile must be taken.
            readable, writable, _ = select.select([self._ours], [self._ours], [], PATIENCE)
            if readable:
                self._read()
            if writable:
                keys = keys[os.write(self._ours, keys[:512]) :]
        return time.monotonic()

    def say(self, text: str) -> float:
        """Type a line and end it."""
        return self.type(f"{text}\r")

    def interrupt(self, text: str) -> None:
        """Press Ctrl-C at a prompt, and wait for this text.

        Python loses one that comes in the instant before it waits for a key, as a test's can: it is pressed again.
        """
        for _ in range(int(PATIENCE)):
            self.type("\x03")
            with contextlib.suppress(AssertionError):
                return self._wait_for(text, 1.0)
        raise AssertionError(f"no {text!r} after Ctrl-C in:\n{self._plain}")

    def expect(self, *texts: str) -> str:
        """Wait until these texts have been written, one after the other, since the last `type` or `expect`.

        Gives what was written up to there.
        """
        begun = self._read_to
        for text in texts:
            self._wait_for(text)
        return self._plain[begun : self._read_to]

    def resize(self, height: int, width: int) -> None:
        """Give the window another size, and the program a moment to notice."""
        while self._read(0):
            pass
        self.screen.resize(width, height)
        termios.tcsetwinsize(self._ours, (height, width))
        time.sleep(0.1)

    def settle(self) -> None:
        """Wait until nothing has been written for half a second."""
        while self._read(0.5):
            pass

    def hang_up(self) -> int:
        """Take the terminal away, as closing its window does, and give the program's status."""
        os.close(self._ours)
        self._ours = os.open(os.devnull, os.O_RDONLY)
        return self._process.wait(PATIENCE)

    def terminate(self) -> int:
        """Tell the program to end, as `kill` and a shutdown do, and give its status."""
        self._process.terminate()
        return self.ended()

    def echoes(self) -> bool:
        """Whether what is typed is shown, as a shell needs it."""
        return bool(termios.tcgetattr(self._ours)[3] & termios.ECHO)

    def ended(self) -> int:
        """Wait for the end of the program, and give its status."""
        while self._read():
            pass
        return self._process.wait(PATIENCE)

    def _wait_for(self, text: str, patience: float = PATIENCE) -> None:
        deadline = time.monotonic() + patience
        while (at := self._plain.find(text, self._read_to)) < 0:
            left = deadline - time.monotonic()
            if left <= 0 or not self._read(left):
                raise AssertionError(f"no {text!r} in:\n{self._plain[self._read_to :]}")
        self._read_to = at + len(text)

    def _read(self, seconds: float = PATIENCE) -> bool:
        """Take what is written within that time; whether there was anything."""
        if not select.select([self._ours], [], [], seconds)[0]:
            return False
        piece = b""
        with contextlib.suppress(OSError):  # the other end is closed
            piece = os.read(self._ours, 65536)
        text = self._decoder.decode(piece)
        self.raw += text
        self._plain += self.screen.feed(text)
        return bool(piece)
