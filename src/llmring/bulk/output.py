"""The file of answers: each is appended as it comes, and the file is the memory of what was done.

A line is written at once, in one piece, and is in the system's hands then: a process that is killed loses none. What
had been written of a line by a machine that stopped is taken away by the next run, or kept if it is whole.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

from .keys import Keys
from .lines import Lines, OutputError
from .sampling import Sample, Sampled

__all__ = ["Output", "failed_beside"]


def _is_of(key: str, question: str) -> bool:
    """Whether a row is known by what is asked about it."""
    return key.partition("#")[0] == question


def failed_beside(path: Path) -> Path:
    """The file of what failed for good, beside a file of answers: `labels.failed.jsonl`."""
    return path.with_name(f"{path.name.removesuffix('.jsonl')}.failed.jsonl")


class Output:
    """A file of answers, with that of failures beside it, for one run.

    Args:
        path: of the answers.
        whom: a digest of whom is asked now.
        retry_failed: take up what failed for good.
        redo_changed: ask again what was asked otherwise, or of others.

    Attributes:
        path: of the answers.
        answered, failed: how many of each are there.
        done, changed, given_up: of the rows that were gone through, how many are answered, how many of these were asked
            otherwise, and how many had failed for good.
        redoes_changed: as above.
        sample: of the answers that were there.

    Raises:
        OutputError: another run writes it, or it holds something else.
    """

    def __init__(self, path: Path, whom: str, *, retry_failed: bool = False, redo_changed: bool = False) -> None:
        self.path = path
        self.whom = whom
        self.redoes_changed = redo_changed
        self._answers = Lines(path)
        self._failures: Lines | None = None
        self._done = Keys()
        self._asked = Keys()
        self._questions = Keys()  # of answers that a field of their row names
        self._given_up = Keys()
        self._times: dict[str, int] = {}
        self._seen = Keys()
        self._twice = False
        self._mends_failures = False
        self.answered = self.failed = 0
        self.done = self.changed = self.given_up = 0
        self.sample = Sample()
        try:
            self._read()
            if failed_beside(path).exists():
                self._failures = Lines(failed_beside(path))
                self._read_failures(retry_failed)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        """A copy elsewhere says what is wanted; the files stay here."""
        return self.__dict__ | {"_answers": None, "_failures": None}

    def take(self, line: dict[str, Any], *, keep: bool = True) -> None:
        """Write a line that a run left beside, unless it is here; or else only know of it.

        Raises:
            OutputError: it cannot be written.
        """
        key, asked = line["key"], f"{line['key']}\n{line.get('asked')}"
        if "error" not in line and asked not in self._asked:
            self._mends_failures |= self._failures is not None
            if keep:
                self.answer(line)
            self._know(line)
        elif "error" in line and key not in self._done and key not in self._given_up:
            if keep:
                self.failure(line)
            self._given_up.add(key)
        self.answered, self.failed = len(self._done), len(self._given_up)

    def _read(self) -> None:
        for line in self._answers:
            key = line["key"]
            self._twice |= key in self._done
            self._know(line)
            self.sample.take(line)
        self.answered = len(self._done)

    def _know(self, line: dict[str, Any]) -> None:
        key, asked = line["key"], str(line.get("asked"))
        question = asked.rpartition(".")[0]
        self._done.add(key)
        self._asked.add(f"{key}\n{asked}")
        if not _is_of(key, question):
            self._questions.add(question)

    def _read_failures(self, retry: bool) -> None:
        assert self._failures is not None
        for line in self._failures:
            if line["key"] in self._done or retry:
                self._mends_failures = True
            else:
                self._given_up.add(line["key"])
        self.failed = len(self._given_up)

    def wants(self, key: str, asked: str) -> tuple[str, str] | None:
        """The key and the digest under which a row is to be asked; `None` where it is done, or has failed for good.

        Raises:
            OutputError: what is asked is answered, and would be paid for twice.
        """
        if key in self._seen:  # the same row once more
            first, count = key, self._times.get(key, 1)
            while key in self._seen:
                count += 1
                key = f"{first}#{count}"
            self._times[first] = count
        self._seen.add(key)
        return self.lacks(key, asked)

    def lacks(self, key: str, asked: str) -> tuple[str, str] | None:
        """The same of a row that is there once, whatever was asked for before."""
        whole = f"{asked}.{self.whom}"
        if key in self._given_up:
            self.given_up += 1
            return None
        if key in self._done:
            is_other = f"{key}\n{whole}" not in self._asked
            self.done, self.changed = self.done + 1, self.changed + is_other
            return (key, whole) if self.redoes_changed and is_other else None
        if asked in (self._questions if _is_of(key, asked) else self._done):
            raise OutputError(
                f"{self.path} has the answer to what would be asked first, by another key: it would be paid for twice. "
                "Name the same field as before (--key), or none if none was named; or another file: -o"
            )
        return key, whole

    def sampled(self, key: str, asked: str) -> Sampled | None:
        """The answer to a row as it would be asked, if it is of the sample."""
        return self.sample.of(key, f"{asked}.{self.whom}")

    @property
    def repeated(self) -> int:
        """Keys that several of the rows have that were gone through."""
        return len(self._times)

    def again(self) -> None:
        """The rows are gone through once more, from the first."""
        self._seen, self._times = Keys(), {}
        self.done = self.changed = self.given_up = 0

    def holds(self, key: str, asked: str) -> bool:
        """Whether what was asked under a key is answered."""
        return f"{key}\n{asked}" in self._asked

    def has_failed(self, key: str) -> bool:
        """Whether a row had failed for good before, and was not taken up."""
        return key in self._given_up

    def answer(self, line: dict[str, Any]) -> None:
        """Write an answer.

        Raises:
            OutputError: it cannot be written.
        """
        self._answers.add(line)
        self._twice |= line["key"] in self._done
        self._mends_failures |= line["key"] in self._given_up

    def supersede(self) -> None:
        """Note that an answer of this run is to be there instead of another one of this run."""
        self._twice = True

    def failure(self, line: dict[str, Any]) -> None:
        """Write what failed for good.

        Raises:
            OutputError: it cannot be written.
        """
        if self._failures is None:
            self._failures = Lines(failed_beside(self.path))
        self._failures.add(line)

    def sync(self) -> None:
        """Have the disk hold all that was written."""
        self._answers.sync()
        if self._failures is not None:
            self._failures.sync()

    def tidy(self) -> None:
        """Leave of two answers to a row the later one, and of failures those that still are.

        Raises:
            OutputError: there was no room for that.
        """
        if self._failures is not None and self._mends_failures:
            last = {line["key"]: number for number, line in enumerate(self._failures)}
            done = Keys()
            for line in self._answers:
                done.add(line["key"])
            kept = (
                line
                for number, line in enumerate(self._failures)
                if last[line["key"]] == number and line["key"] not in done
            )
            self._failures.keep(kept)
            if not os.path.getsize(self._failures.path):
                os.unlink(self._failures.path)
        if self._twice:
            seen, latest = Keys(), {}
            for number, line in enumerate(self._answers):
                if line["key"] in seen:
                    latest[line["key"]] = number
                seen.add(line["key"])
            self._answers.keep(
                line for number, line in enumerate(self._answers) if latest.get(line["key"], number) == number
            )

    def close(self) -> None:
        """Let go of the files."""
        self._answers.close()
        if self._failures is not None:
            self._failures.close()
