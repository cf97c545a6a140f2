"""What is typed and pressed: lines, several lines as one, pasted text, with a history; Ctrl-C, and what ends it all."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from ...exceptions import InvalidRequestError
from ...private import state_folder, write_privately
from ..terminal import printable
from ..transcript import VARIABLE, is_kept

try:
    import readline
    import termios
except ImportError:  # Windows
    readline = None  # type: ignore[assignment]
    termios = None  # type: ignore[assignment]

KEPT = 1000
"""Entries that are kept."""
_QUOTES = '"""'
_FENCES = (_QUOTES, "```")
_CONTINUED = "... "
_PASTED_WITHIN = 0.02
"""Seconds: who types takes longer to begin the next line."""
_ENDS = [getattr(signal, name) for name in ("SIGHUP", "SIGTERM") if hasattr(signal, name)]  # Windows has but one


class Keyboard:
    """Reads what a person says. `complete` has the words that may stand where one is typed, given the line up to it and
    its beginning."""

    def __init__(self, history: History | None, complete: Callable[[str, str], list[str]]) -> None:
        self._history = history
        self._takes_pastes = False
        self.trouble: str | None = None
        with contextlib.suppress(AttributeError):  # what is no text would end the conversation; `read` refuses it
            sys.stdin.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
        if readline is not None:
            self._set_up(complete)

    def read(self, prompt: str) -> str:
        '''What is said next, without the marks that hold several lines together.

        A line that ends in a backslash goes on in the next one. From a line that begins with """ to one that ends with
        it, or from ``` to ```, everything is one text; the marks of code stay, because they are Markdown. Pasted lines
        are one text too.

        Raises:
            EOFError: the person is done (Ctrl-D).
            KeyboardInterrupt: what was typed is to be forgotten (Ctrl-C).
            InvalidRequestError: it is no text: it has bytes of another encoding than the terminal's.
        '''
        text = self._whole(self._line(_marked(prompt)))
        if wrong := next((it for it in text if "\ud800" <= it <= "\udfff"), None):
            raise InvalidRequestError(
                f"That was no {sys.stdin.encoding} text: its character {text.index(wrong) + 1} is the byte "
                f"0x{ord(wrong) & 0xFF:02x}. Nothing was asked. Set the terminal's encoding to that of LANG, or paste "
                "text that is"
            )
        self._remember(text)
        return text

    def confirm(self, question: str) -> bool:
        """Whether the person says yes."""
        try:
            return input(f"{printable(question)} [y/N] ").strip().lower() in ("y", "yes")
        except (EOFError, KeyboardInterrupt):
            sys.stdout.write("\n")
            return False

    def _whole(self, text: str) -> str:
        """The text with the lines that it goes on in; Ctrl-D in the middle ends it, too."""
        fence = next((it for it in _FENCES if text.lstrip().startswith(it)), None)
        with contextlib.suppress(EOFError):
            while fence is not None and text.count(fence) % 2:
                text += "\n" + self._line(_CONTINUED)
            while fence is None and text.endswith("\\"):
                text = text[:-1] + "\n" + self._line(_CONTINUED)
        return text.strip().removeprefix(_QUOTES).removesuffix(_QUOTES).strip("\n") if fence == _QUOTES else text

    def _line(self, prompt: str) -> str:
        """A line, or several where they were pasted."""
        text = input(prompt)
        while not self._takes_pastes and _more_is_waiting():
            text += "\n" + input()
        return text

    def _set_up(self, complete: Callable[[str, str], list[str]]) -> None:
        assert readline is not None
        editline = "libedit" in (readline.__doc__ or "")
        readline.set_auto_history(False)
        readline.set_completer_delims(" ")
        readline.set_completer(_completer(complete))
        readline.parse_and_bind("bind ^I rl_complete" if editline else "tab: complete")
        if not editline and os.environ.get("TERM", "dumb") != "dumb":
            # Python switches it off for its own prompt, which cannot take several lines.
            readline.parse_and_bind("set enable-bracketed-paste on")
            self._takes_pastes = True
        if self._history is not None:
            try:
                for entry in self._history.load():
                    _recall(entry)
            except OSError as error:
                self._give_up_history(error)

    def _remember(self, text: str) -> None:
        if not text.strip():
            return
        _recall(text)
        if self._history is not None:
            try:
                self._history.add(text)
            except OSError as error:
                self._give_up_history(error)

    def _give_up_history(self, error: OSError) -> None:
        self._history = None
        self.trouble = f"No history is kept: {error.filename}: {error.strerror}. --no-history asks for none."


@contextlib.contextmanager
def without_echo() -> Iterator[None]:
    """Keys that are pressed meanwhile do not show, and wait for the next prompt; Ctrl-C is heard."""
    if termios is None or not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    quiet = [*before]
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _recall(entry: str) -> None:
    """Have the arrow keys bring it back, unless it cannot be shown at a prompt."""
    if readline is not None:
        with contextlib.suppress(ValueError):  # half of a character, or a null
            readline.add_history(entry)


def _marked(prompt: str) -> str:
    """The prompt in bold, in a way that readline still knows how wide it is."""
    prompt = printable(prompt)
    if readline is None or os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb":
        return prompt
    return f"\001\033[1m\002{prompt}\001\033[0m\002"


def _more_is_waiting() -> bool:
    """Whether the next line has been sent already, faster than anybody types."""
    try:
        return bool(select.select([sys.stdin], [], [], _PASTED_WITHIN)[0])
    except (OSError, ValueError):  # Windows waits for sockets only
        return False


def _completer(complete: Callable[[str, str], list[str]]) -> Callable[[str, int], str | None]:
    found: list[str] = []

    def completed(word: str, number: int) -> str | None:
        assert readline is not None
        if number == 0:
            found[:] = complete(readline.get_line_buffer()[: readline.get_begidx()], word)
        return found[number] if number < len(found) else None

    return completed


def terminal_restorer() -> Callable[[], None]:
    """What gives the terminal back as it is now, with its cursor, from the middle of whatever is being done."""
    if termios is None or not sys.stdin.isatty():
        return lambda: None
    before = termios.tcgetattr(sys.stdin)

    def restore() -> None:
        with contextlib.suppress(OSError, ValueError, termios.error):  # it may be gone
            if os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp():  # else it is another program's by now
                termios.tcsetattr(sys.stdin, termios.TCSANOW, before)
                os.write(sys.stdout.fileno(), b"\033[?25h\033[?2004l")

    return restore


def history_path() -> Path | None:
    """The file of the history: `LLMRING_HISTORY`, else in the user's state folder; `None` where it is switched off."""
    if not is_kept():
        return None
    named = os.environ.get(VARIABLE, "").strip()
    return Path(os.path.expanduser(named)) if named else state_folder() / "history"


class History:
    """Lines that were typed, oldest first, in a file for its owner alone. An entry is a line of JSON, as a question may
    have several."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> list[str]:
        """The entries; none if there is no file yet. What is no entry is left out."""
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        entries = []
        for line in lines[-KEPT:]:
            with contextlib.suppress(ValueError):
                if isinstance(entry := json.loads(line), str):
                    entries.append(entry)
        if len(lines) > 2 * KEPT:
            self._shorten(lines[-KEPT:])
        return entries

    def add(self, entry: str) -> None:
        """Keep an entry. One write appends it, so that several conversations may share the file."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        line = json.dumps(entry).encode() + b"\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            if hasattr(os, "fchmod") and os.fstat(descriptor).st_mode & 0o077:
                os.fchmod(descriptor, 0o600)
            os.write(descriptor, line)
        finally:
            os.close(descriptor)

    def _shorten(self, lines: list[bytes]) -> None:
        write_privately(self._path, b"\n".join(lines) + b"\n")


class Interrupts:
    """Ctrl-C does one thing at a time, and that once: what is pressed in a hurry, or between two things, does nothing.

    Without that, a second press would end what tidies up after the first.
    """

    def __init__(self) -> None:
        self._action: Callable[[], object] | None = None

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """From here on, Ctrl-C does only what `doing` says."""
        before = signal.signal(signal.SIGINT, self._pressed)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    @contextlib.contextmanager
    def doing(self, action: Callable[[], object] | None) -> Iterator[None]:
        """Ctrl-C does this meanwhile; `None` is nothing."""
        before, self._action = self._action, action
        try:
            yield
        finally:
            self._action = before

    def _pressed(self, *_: object) -> None:
        action, self._action = self._action, None
        if action is not None:
            action()


@contextlib.contextmanager
def on_termination(action: Callable[[], object]) -> Iterator[None]:
    """When the program is told to end meanwhile, by the closing of its window or by `kill`, do this first.

    It then ends as if nothing had been done. Where a signal for that is ignored, as under nohup, it stays so. One that
    comes in the instant before readline waits for a key is heard with the next key. There may be no terminal any more.
    """
    heard = [it for it in _ENDS if signal.getsignal(it) is signal.SIG_DFL]

    def end(told: int, _: object) -> None:
        for it in heard:
            signal.signal(it, signal.SIG_IGN)  # the shell and the system may both send one
        try:
            action()
        finally:
            signal.signal(told, signal.SIG_DFL)
            signal.raise_signal(told)

    for it in heard:
        signal.signal(it, end)
    try:
        yield
    finally:
        for it in heard:
            signal.signal(it, signal.SIG_DFL)
