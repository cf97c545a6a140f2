"""Rows of files: JSON Lines, CSV and Parquet, standard input, and globs of them, read as they are asked for.

Files of object stores are `stores.py`'s.
"""

from __future__ import annotations

import contextlib
import csv
import glob
import gzip
import io
import json
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, cast

from ..exceptions import ConfigurationError, LLMRingError
from ..references import shown
from . import stores

__all__ = ["FORMATS", "Row", "RowError", "Rows"]

FORMATS: Final = ("jsonl", "csv", "tsv", "parquet")
_SUFFIXES: Final = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
STDIN = "-"
_PIPED = "standard input"
_LONGEST = 1 << 26
"""Characters of one field of CSV."""


class RowError(LLMRingError):
    """A row cannot be read, or nothing can be asked about it. Nothing was asked.

    What to do: mend the row that the message names, or what is asked about it.
    """


class Row(NamedTuple):
    """A row.

    Attributes:
        number: from 1, over all files.
        place: the file and, where it has lines, the line.
        data: its fields.
    """

    number: int
    place: str
    data: dict[str, Any]

    def wrong(self, what: str) -> RowError:
        """The error for what is wrong with it."""
        return RowError(f"row {self.number} ({self.place}): {what}")


class Rows:
    """The rows of files, which can be read again and again; what comes through a pipe is kept in a file meanwhile.

    Args:
        sources: paths, globs, the same of `s3://` and `gs://`, and `-` for standard input. What is named twice is read
            once.
        format: one of `FORMATS`, for all of them; not given: as their names say, and JSON Lines through a pipe.
        limit: read no more rows than that.
        written: files that answers go to: no glob means them.

    Attributes:
        count: how many there are, as far as they were read.
        limit: as above.

    Raises:
        ConfigurationError: there is no such file, or nobody knows its format.
    """

    def __init__(
        self,
        sources: Sequence[str],
        format: str | None = None,
        limit: int | None = None,
        written: Sequence[Path] = (),
    ) -> None:
        self.count = 0
        self.limit = self._until = limit
        self._spooled: dict[str, IO[bytes]] = {}
        found: dict[str, str] = {}
        for source in sources:
            for it in _found(source, written):
                found.setdefault(_identity(it), it)
        self._files = [(it, _format(it, format)) for it in found.values()]

    def __iter__(self) -> Iterator[Row]:
        number = 0
        for path, format in self._files:
            if number == self._until:
                return
            for place, data in self._read(path, format):
                number += 1
                self.count = max(self.count, number)
                yield Row(number, place, data)
                if number == self._until:
                    return  # what is behind it may be of any kind

    def end(self) -> None:
        """Give no more of them than were read: what comes later is not of these."""
        self._until = self.count

    def spool(self, path: Path) -> None:
        """Be ready for another process, in another folder: what comes through a pipe is in a file from here on."""
        if any(it == STDIN for it, _ in self._files):
            with self._opened(STDIN, STDIN) as piped, open(path, "wb") as file:
                shutil.copyfileobj(piped, file)
        whole = (it if stores.is_far(it) else os.path.abspath(path if it == STDIN else it) for it, _ in self._files)
        self._files = [(it, format) for it, (_, format) in zip(whole, self._files, strict=True)]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_spooled": {}}

    def close(self) -> None:
        """Let go of what came through a pipe."""
        for file in self._spooled.values():
            file.close()

    def _read(self, path: str, format: str) -> Iterator[tuple[str, dict[str, Any]]]:
        name = _PIPED if path == STDIN else path
        with self._opened(path, name) as file:
            yield from _READERS[format](file, name)

    @contextmanager
    def _opened(self, path: str, name: str) -> Iterator[IO[bytes]]:
        try:
            with self._whole(path) as file:
                if path.lower().endswith(".gz"):
                    with gzip.open(file) as unpacked:
                        yield cast(IO[bytes], unpacked)
                else:
                    yield file
        except (OSError, EOFError, zlib.error) as error:
            raise ConfigurationError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}.") from None

    def _whole(self, path: str) -> AbstractContextManager[IO[bytes]]:
        """A file that can be read again and again; what comes through a pipe is kept for that."""
        if stores.is_far(path):
            return stores.opened(path)
        if path != STDIN and os.path.isfile(path):
            return open(path, "rb")
        if path not in self._spooled:
            self._spooled[path] = tempfile.TemporaryFile()  # noqa: SIM115 - it stays for as long as the rows
            with contextlib.nullcontext(sys.stdin.buffer) if path == STDIN else open(path, "rb") as piped:
                shutil.copyfileobj(piped, self._spooled[path])
        self._spooled[path].seek(0)
        return io.BufferedReader(io.FileIO(os.dup(self._spooled[path].fileno())))


def _found(source: str, written: Sequence[Path]) -> list[str]:
    if source == STDIN:
        return [source]
    if stores.is_far(source):
        return stores.found(source)
    path = os.path.expanduser(source)
    if os.path.isdir(path):
        raise ConfigurationError(f"{shown(source)} is a folder. Its files are {os.path.join(path, '*')!r}.")
    if os.path.exists(path):
        if _is_one_of(path, written):
            raise ConfigurationError(f"{path} would be read and written at once; name another file for the answers: -o")
        return [path]
    there = [it for it in sorted(glob.glob(path, recursive=True)) if not os.path.isdir(it)]
    if found := [it for it in there if not _is_one_of(it, written)]:
        return found
    what = "no file fits" if glob.has_magic(source) else "there is no file"
    raise ConfigurationError(f"{what} {shown(source)}.")


def _identity(path: str) -> str:
    return path if path == STDIN or stores.is_far(path) else os.path.realpath(path)


def _is_one_of(path: str, files: Sequence[Path]) -> bool:
    return any(it.exists() and os.path.samefile(path, it) for it in files)


def _format(path: str, given: str | None) -> str:
    if given is not None:
        return given
    if path == STDIN:
        return "jsonl"
    suffix = Path(path.lower().removesuffix(".gz")).suffix
    if suffix not in _SUFFIXES:
        raise ConfigurationError(
            f"{path} does not say what it is by its name ({', '.join(_SUFFIXES)}); name its format: "
            f"--format {'|'.join(FORMATS)}"
        )
    return _SUFFIXES[suffix]


def _of_lines(file: IO[bytes], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(file, 1):
        text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not text.strip():
            continue
        place = f"{name}:{number}"
        try:
            data = json.loads(text.decode())
        except RecursionError:
            raise RowError(f"{place} is nested too deeply.") from None
        except UnicodeDecodeError as error:
            raise RowError(_no_text(place, line, error)) from None
        except ValueError as error:
            raise RowError(
                f"{place} is no JSON: {error}. {_hint(text, is_piped=name == _PIPED and number == 1)}"
            ) from None
        if not isinstance(data, dict):
            raise RowError(f'{place} is {_kind(data)}; a row is an object, such as {{"text": "..."}}. {_hint(text)}')
        yield place, data


def _hint(line: bytes, *, is_piped: bool = False) -> str:
    """What a line that is no row may be a part of."""
    if line.lstrip().startswith(b"["):
        return "JSON Lines has one object on each line; of one large array: jq -c '.[]'"
    if line.strip() == b"{":
        return "JSON Lines has one object on each line; of one over several: jq -c ."
    return "Rows of another kind are named: --format csv" if is_piped else "JSON Lines has one object on each line."


def _of_table(delimiters: str) -> Callable[[IO[bytes], str], Iterator[tuple[str, dict[str, Any]]]]:
    """A file has the first of these delimiters that is in its first line: Excel writes others in many countries."""

    def read(file: IO[bytes], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
        csv.field_size_limit(_LONGEST)
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        reader, skipped = csv.reader(text, strict=True), 0
        try:
            while (first := next(text, "")).isspace():
                skipped += 1
            delimiter = next((it for it in delimiters if it in first), delimiters[0])
            reader = csv.reader(chain([first], text), delimiter=delimiter, strict=True)
            names = next(reader, [])
            if (twice := next((it for it in names if it and names.count(it) > 1), None)) is not None:
                raise RowError(f"{name} has two columns {shown(twice)}.")
            begins = reader.line_num + 1
            for cells in reader:
                place, begins = f"{name}:{skipped + begins}", reader.line_num + 1
                if not cells:
                    continue
                if len(cells) != len(names):
                    raise RowError(
                        f"{place} has {len(cells)} fields, and the first line names {len(names)}: "
                        f"{', '.join(names[:20])}."
                    )
                if any(cell and not it for it, cell in zip(names, cells, strict=True)):
                    raise RowError(f"{place} has something in a column that the first line does not name.")
                yield place, {it: cell for it, cell in zip(names, cells, strict=True) if it}
        except csv.Error as error:
            raise RowError(f"{name}:{reader.line_num} is no CSV: {error}.") from None
        except UnicodeDecodeError as error:
            raise RowError(_no_text(f"{name}, after line {reader.line_num},", error.object, error)) from None
        finally:
            text.detach()

    return read


def _no_text(place: str, data: bytes, error: UnicodeDecodeError) -> str:
    if data.startswith(b"\x1f\x8b"):
        return f"{place} is compressed; have its name end in .gz"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return f"{place} is UTF-16; write it as UTF-8: iconv -f UTF-16 -t UTF-8"
    return f"{place} is no UTF-8 text: {error.reason}. Of Western Europe's older files: iconv -f CP1252 -t UTF-8"


def _of_parquet(file: IO[bytes], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise ConfigurationError("Parquet is read by pyarrow, which is not installed: pip install pyarrow") from None
    number = 0
    try:
        for batch in ParquetFile(file).iter_batches(batch_size=1024):
            for data in batch.to_pylist():
                number += 1
                yield f"{name}, row {number}", data
    except ArrowException as error:
        raise RowError(f"{name} cannot be read as Parquet: {error}") from None


_READERS: Final[dict[str, Callable[[IO[bytes], str], Iterator[tuple[str, dict[str, Any]]]]]] = {
    "jsonl": _of_lines,
    "csv": _of_table(",;\t"),
    "tsv": _of_table("\t"),
    "parquet": _of_parquet,
}


def _kind(value: Any) -> str:
    kinds = {str: "text", list: "an array", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")
