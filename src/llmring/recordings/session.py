"""A session: which exchanges have been replayed, what may be recorded, and what is blotted out on the way."""

from __future__ import annotations

import os
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from pydantic_core import from_json

from ..exceptions import ConfigurationError
from ..references import shown
from . import files
from .errors import RecordingMissError
from .exchanges import Exchange
from .meaning import difference, likeness, loosened, question
from .redaction import Redaction, Redactor

if TYPE_CHECKING:
    from ..testing import Fault

__all__ = ["RECORD", "USED", "Mode", "Session", "Tape", "active", "named_by", "tape_of"]

Mode = Literal["missing", "all", "none"]
RECORD = "LLMRING_RECORD"
"""The environment variable that says what a `record:` binding does."""
USED = "LLMRING_REPLAY_USED"
"""The one that names a file in which is noted what has been replayed."""
_COMPARED = 2000
"""Exchanges that are looked at for the nearest one."""


class Tape:
    """What a file holds at one moment.

    Attributes:
        path: of the file.
        exchanges: in its order.
    """

    def __init__(self, path: Path, exchanges: Sequence[Exchange]) -> None:
        self.path = path
        self.exchanges = exchanges
        self._by_key: dict[bytes, list[Exchange]] = {}
        self._loosely: dict[tuple[Any, ...], dict[bytes, list[Exchange]]] = {}
        for it in exchanges:
            self._by_key.setdefault(it.key, []).append(it)

    def of(self, key: bytes) -> Sequence[Exchange]:
        """The exchanges of that meaning."""
        return self._by_key.get(key, ())

    def like(self, key: bytes, ignored: tuple[Callable[[bytes], bytes], ...]) -> Sequence[Exchange]:
        """Those that differ in days, times and ids alone, or in what is ignored."""
        table = self._loosely.get(ignored)
        if table is None:
            table = self._loosely[ignored] = {}
            for it in self.exchanges:
                table.setdefault(loosened(it.key, ignored), []).append(it)
        return table.get(loosened(key, ignored), ())


class _Process:
    """What all of a process share: the files as they were read last, and the session that is in force."""

    def __init__(self) -> None:
        self._tapes: dict[Path, tuple[files.State | None, Tape]] = {}
        self.sessions: list[Session] = []

    def tape(self, path: Path) -> Tape:
        """What a file holds now."""
        state = files.state_of(path)
        kept = self._tapes.get(path)
        if kept is None or kept[0] != state or state is None:
            kept = self._tapes[path] = (state, Tape(path, files.read(path)))
        return kept[1]


_PROCESS = _Process()
"""The state of a process."""


class Session:
    """What is replayed and recorded within it. A `with` block has it in force for the whole process.

        with Session(fault=Fault.cut_after(2)) as session:
            await program()
        assert not session.unused()

    Where none is in force, each service has one of its own, with nothing but the environment's settings.

    Args:
        record: what a `record:` binding does where the recording has no answer: `"missing"` asks the model and records
            it, `"none"` is an error. `"all"` asks always, and what it hears takes the place of what was recorded of
            the same request. Not given: `LLMRING_RECORD`, else `"missing"`.
        repeat: an exchange that has been replayed is replayed again, where there is no other for the request.
        redact: what is blotted out of all that is recorded, and of what is looked for: texts are regular expressions,
            functions get each text and return it as it may be seen. What has the form of a key always is.
        ignore: regular expressions of what may differ between a request and its recording, beside days, times of day
            and UUIDs.
        fault: how what is replayed is bent, as the practice server would bend it: one or several.
        pace: 1.0 replays chunks as they came, 2.0 in half the time; 0, as here, without waiting.
        test: the test that is under way. It is recorded with the exchange, and has its own exchanges first.
        folder: the project's; not given: where the lockfile is, else the working directory.

    Attributes:
        fault, pace, repeat, test, folder: as above; they may be changed at any time.
        replayed, recorded: the exchanges, in the order in which they were asked for, each with its file.
        missed: the errors for requests that nothing was recorded of.
    """

    def __init__(
        self,
        record: Mode | None = None,
        *,
        repeat: bool = False,
        redact: Iterable[str | re.Pattern[str] | Redactor] = (),
        ignore: Iterable[str | re.Pattern[str]] = (),
        fault: Fault | Sequence[Fault] = (),
        pace: float = 0.0,
        test: str | None = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        self._record = None if record is None else _mode(record, "record")
        self.repeat = repeat
        self.fault = fault
        self.pace = pace
        self.test = test
        self.folder = Path(folder) if folder is not None else None
        self.redaction = Redaction(redact)
        self._ignored = tuple(_blotting(it) for it in ([ignore] if isinstance(ignore, str) else ignore))
        self.replayed: list[tuple[Path, Exchange]] = []
        self.recorded: list[tuple[Path, Exchange]] = []
        self.missed: list[RecordingMissError] = []
        self._lock = threading.RLock()
        self._used: dict[Path, set[tuple[bytes, int]]] = {}
        self._mine: dict[Path, set[bytes]] = {}
        self._waiting: dict[tuple[Path, bytes, str | None], tuple[Tape, deque[Exchange]]] = {}
        self._note = os.environ.get(USED, "")
        self._bent: deque[Fault | Sequence[Fault]] = deque()

    def __enter__(self) -> Self:
        _PROCESS.sessions.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _PROCESS.sessions.remove(self)

    def bend(self, fault: Fault | Sequence[Fault], times: int = 1) -> None:
        """Bend the next answers that are replayed, so many, as `fault` does all."""
        self._bent.extend([fault] * times)

    def next_fault(self) -> Fault | Sequence[Fault]:
        """How the next answer is bent."""
        try:
            return self._bent.popleft()
        except IndexError:
            return self.fault

    def anew(self) -> Session:
        """Another one with the same settings, in which nothing has been replayed; it asks and records nothing."""
        made = Session("none", repeat=True, pace=self.pace, test=self.test, folder=self.folder)
        made.redaction, made._ignored = self.redaction, self._ignored
        return made

    @property
    def files(self) -> list[Path]:
        """Those of which something was asked, or recorded."""
        with self._lock:
            return [*dict.fromkeys([*self._used, *(it[0] for it in self._waiting)])]

    @property
    def mode(self) -> Mode:
        """What a `record:` binding does."""
        if self._record is not None:
            return self._record
        said = os.environ.get(RECORD, "").strip().lower()
        return _mode(said, RECORD) if said else "missing"

    def take(self, path: Path, key: bytes, model: str | None = None, *, hint: str = "") -> Exchange | None:
        """The next exchange of a request, which is replayed with it.

        Args:
            path: of the file.
            key: what is asked, as `key_of` has it.
            model: who must have answered it; `None`: anybody.
            hint: what to do about a miss; where there is none, a miss is `None`.

        Raises:
            RecordingMissError: there is none.
        """
        with self._lock:
            tape = _PROCESS.tape(path)
            found = self._next(tape, key, model)
            if found is not None:
                self._used.setdefault(path, set()).add(found.mark)
                self.replayed.append((path, found))
            elif hint:
                error = self._miss(tape, key, model, hint)
                self.missed.append(error)
                raise error
        if found is not None and self._note:
            note(self._note, found)
        return found

    def _next(self, tape: Tape, key: bytes, model: str | None) -> Exchange | None:
        place = tape.path, key, model
        used = self._used.get(tape.path, set())
        kept = self._waiting.get(place)
        if kept is None or kept[0] is not tape:
            kept = self._waiting[place] = (tape, deque(self._preferred(tape.of(key), model)))
        waiting = kept[1]
        while waiting:
            if (found := waiting.popleft()).mark not in used:
                return found
        alike = self._preferred(tape.like(key, self._ignored), model)
        if (free := next((it for it in alike if it.mark not in used), None)) is not None:
            return free
        same = self._preferred(tape.of(key), model) or alike
        return same[-1] if self.repeat and same else None

    def _preferred(self, exchanges: Sequence[Exchange], model: str | None) -> list[Exchange]:
        """Those of a model: first the test's own, then nobody's, then others'."""
        found = [it for it in exchanges if model is None or it.model == model]
        if self.test is not None:
            found.sort(key=lambda it: 0 if it.test == self.test else 1 if it.test is None else 2)
        return found

    def add(self, path: Path, exchange: Exchange) -> None:
        """Write down what was asked and answered just now.

        Raises:
            RecordingError: it cannot be.
        """
        anew = self.mode == "all"

        def change(before: Sequence[Exchange]) -> Sequence[Exchange]:
            with self._lock:
                after = _with(before, exchange, self._mine.get(path, set()) if anew else None)
            at = next(place for place, it in enumerate(after) if it is exchange)
            exchange.occurrence = sum(it.line == exchange.line for it in after[:at])
            return after

        files.changed(path, change)
        with self._lock:
            self._mine.setdefault(path, set()).add(exchange.line)
            self._used.setdefault(path, set()).add(exchange.mark)
            self.recorded.append((path, exchange))
        if self._note:
            note(self._note, exchange)

    def unused(self, *paths: str | os.PathLike[str]) -> list[tuple[Path, Exchange]]:
        """What was recorded and not asked for; of a session with a test, what that test has recorded.

        Args:
            paths: the files; not given: those of which something was asked.
        """
        wanted = [*map(Path, paths)] or self.files
        with self._lock:
            return [
                (path, it)
                for path in wanted
                for it in _PROCESS.tape(path.resolve()).exchanges
                if it.mark not in self._used.get(path.resolve(), ()) and it.test == self.test
            ]

    def _miss(self, tape: Tape, key: bytes, model: str | None, hint: str) -> RecordingMissError:
        of = f" of {model}" if model is not None else ""
        if same := self._preferred(tape.of(key), model) or self._preferred(tape.like(key, self._ignored), model):
            lines = ", ".join(str(it.number) for it in same[:5])
            return RecordingMissError(
                f"{tape.path} has {len(same)} answer{'s' * (len(same) > 1)}{of} to this request (line {lines}), and "
                f"all have been replayed. Ask as often as was recorded, or have a Session with repeat=True; {hint}"
            )
        others = [it for it in tape.exchanges if model is None or it.model == model] or tape.exchanges
        if not others:
            there = "is nothing to be replayed in the" if tape.path.exists() else "is no"
            return RecordingMissError(f"There {there} recording {tape.path}; {hint}")
        request = from_json(key)
        near = _nearest(others, key, request)
        return RecordingMissError(
            f"{tape.path} has no answer{of} to this request ({shown(question(request))}). The nearest recording is "
            f"line {near.number}, of {near.model}:\n{difference(near.request, request)}\nAsk as was recorded; {hint}"
        )


def _with(before: Sequence[Exchange], new: Exchange, mine: set[bytes] | None) -> list[Exchange]:
    """A file's exchanges with a new one, in an order that stays when it is recorded anew.

    Args:
        before: them.
        new: the new one.
        mine: lines that stay; those of the same request that are none of these give way. `None`: all stay.
    """
    stale = [
        place
        for place, it in enumerate(before)
        if mine is not None and it.key == new.key and (it.test, it.model) == (new.test, new.model)
        if it.line not in mine
    ]
    after = [it for place, it in enumerate(before) if place not in stale]
    if stale:
        at = stale[0]
    elif new.test is None:
        at = len(after)
    else:
        # A test's are together, and tests are in order: who records at the same time leaves no trace.
        at = max((place + 1 for place, it in enumerate(after) if it.test == new.test), default=-1)
        if at < 0:
            later = (place for place, it in enumerate(after) if it.test is not None and it.test > new.test)
            at = next(later, len(after))
    return [*after[:at], new, *after[at:]]


def _nearest(exchanges: Sequence[Exchange], key: bytes, request: Mapping[str, Any]) -> Exchange:
    """The one whose request has most in common with another."""
    words = set(key.split())
    some = sorted(exchanges[:_COMPARED], key=lambda it: len(words ^ set(it.key.split())))[:8]
    return max(some, key=lambda it: likeness(it.request, request))


def _mode(said: str, where: str) -> Mode:
    if said not in get_args(Mode):
        raise ConfigurationError(f"{where} is {shown(said)}; it takes {', '.join(get_args(Mode))}.")
    return said  # type: ignore[return-value]


def _blotting(pattern: str | re.Pattern[str]) -> Callable[[bytes], bytes]:
    try:
        compiled = re.compile(pattern)
    except (re.error, TypeError) as error:
        raise ConfigurationError(f"{shown(pattern)} is no regular expression to ignore: {error}.") from None
    return lambda key: compiled.sub("*", key.decode(errors="replace")).encode()


def active(otherwise: Session) -> Session:
    """The session in force: the innermost of those that are entered, else the one given."""
    return _PROCESS.sessions[-1] if _PROCESS.sessions else otherwise


def note(path: str, exchange: Exchange) -> None:
    """Note in a file that an exchange has been replayed, or recorded just now."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, f"{named_by(exchange)}\n".encode())
    finally:
        os.close(handle)


def named_by(exchange: Exchange) -> str:
    """A name for an exchange, for a note of it."""
    return f"{blake2b(exchange.line, digest_size=16).hexdigest()}-{exchange.occurrence}"


def tape_of(path: Path) -> Tape:
    """What a file holds now.

    Raises:
        RecordingError: it cannot be read.
    """
    return _PROCESS.tape(path)
