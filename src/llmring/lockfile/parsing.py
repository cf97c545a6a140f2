"""From the bytes of a file to a `Lockfile`, or to an error that says where and what to do.

A good file needs no `places`: they are imported with the first error that needs its line.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..exceptions import LockfileParseError, LockfileVersionError
from ..references import shown
from . import places
from .model import Lockfile, Misfit, OtherVersion
from .secrets import refuse_secrets
from .validation import kind, validated

if TYPE_CHECKING:
    from pathlib import Path

    from .model import Place

__all__ = ["decode", "holds_json", "parse"]

_CONFLICT = re.compile(r"^(?:<<<<<<< |>>>>>>> )", re.MULTILINE)
_LINE = re.compile(r"(Begin it with:|Write:|Add:|as in| or) (\w+) = ")
"""A line that a message advises, as TOML has it."""


def parse(content: bytes, path: Path | None = None) -> Lockfile:
    """The lockfile that the bytes hold, TOML or JSON.

    Args:
        content: UTF-8, with or without a byte order mark.
        path: where it comes from, for messages and for `Lockfile.path`.

    Raises:
        LockfileParseError: it is broken, a field has the wrong form, or it holds a secret.
        LockfileVersionError: it has a version that this release does not read.
    """
    text = decode(content, path)
    try:
        data = _data(text, path)
        refuse_secrets(text, data)
        return replace(validated(data), path=path, is_json=holds_json(text, path))
    except Misfit as misfit:
        raise _misplaced(misfit, text, path) from None
    except RecursionError:
        raise _error("Its tables are nested too deeply", path, None) from None


def decode(content: bytes, path: Path | None = None) -> str:
    """The text of the bytes, line endings and a byte order mark left as they are."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        spot = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise _error("This is not UTF-8 text. Save the file as UTF-8", path, spot) from None


def holds_json(text: str, path: Path | None = None) -> bool:
    """Whether the text is meant as JSON. No TOML document begins with a brace."""
    return text.removeprefix("\ufeff").lstrip().startswith("{") or (path is not None and path.suffix == ".json")


def _data(text: str, path: Path | None) -> dict[str, Any]:
    """The tables of the text, before anything is asked about what they say."""
    source = text.removeprefix("\ufeff")
    if conflict := _CONFLICT.search(source):
        raise _error(
            "A merge ended in conflict here, and its marks still stand in the file. Keep the one side, the other, or "
            f"both, and delete the marks; or take one whole: git checkout --ours (or --theirs) {path or 'FILE'}",
            path,
            (source.count("\n", 0, conflict.start()) + 1, 1),
        )
    if not source.strip():
        raise _error("The file is empty. A new one is written by: llmring lock init --force", path, (1, 1))
    try:
        return _json_data(text, path) if holds_json(text, path) else tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise _toml_error(error, source, path) from None
    except ValueError as error:
        # Python itself refuses an integer of thousands of digits, and says neither where it stands nor what to do.
        if number := re.search(r"\d[\d_]{4000,}", source):
            raise Misfit(
                "This number has more digits than can be read. Write a shorter one",
                offset=number.start() + len(text) - len(source),
            ) from None
        raise _error(f"A value cannot be read: {error}", path, None) from None


def _json_data(text: str, path: Path | None) -> dict[str, Any]:
    import json

    repeated: list[str] = []

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) < len(pairs):
            names = [name for name, _ in pairs]
            repeated.extend(name for name in table if names.count(name) > 1)
        return table

    try:
        data = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=collect)
    except json.JSONDecodeError as error:
        raise _error(f"This is not valid JSON: {error.msg}", path, (error.lineno, error.colno)) from None
    if not isinstance(data, dict):
        raise _error(f"A lockfile is an object, not {kind(data)}", path, (1, 1))
    if repeated:
        raise _repetition(text, repeated[0])
    return data


def _repetition(text: str, name: str) -> Misfit:
    seen: set[Place] = set()
    for entry in places.scan(text, is_json=True):
        if entry.place in seen:
            return Misfit(f"The key {shown(entry.place[-1])} stands here twice. Keep one", offset=entry.start)
        seen.add(entry.place)
    return Misfit(f"The key {shown(name)} stands twice in one object. Keep one")


def _toml_error(error: tomllib.TOMLDecodeError, source: str, path: Path | None) -> LockfileParseError:
    # Python 3.14 gives the place as attributes, those before it only in the message.
    message = str(error)
    found = re.search(r" \((?:at line (\d+), column (\d+)|at end of document)\)$", message)
    spot = (int(found[1]), int(found[2])) if found and found[1] else places.line_and_column(source, len(source))
    return _error(f"This is not valid TOML: {message[: found.start()] if found else message}", path, spot)


def _misplaced(misfit: Misfit, text: str, path: Path | None) -> LockfileParseError | LockfileVersionError:
    offset, is_json = misfit.offset, holds_json(text, path)
    if offset is None:
        offset = places.locate(places.scan(text, is_json=is_json), misfit.place)
    message = _LINE.sub(r'\1 "\2": ', str(misfit)) if is_json else str(misfit)
    error = _error(message, path, places.line_and_column(text, offset))
    if isinstance(misfit, OtherVersion):
        return LockfileVersionError(str(error), path=path, line=error.line, column=error.column)
    return error


def _error(message: str, path: Path | None, spot: tuple[int, int] | None) -> LockfileParseError:
    line, column = spot or (None, None)
    where = str(path or "lockfile") + (f":{line}:{column}" if spot else "")
    return LockfileParseError(f"{where}: {message}", path=path, line=line, column=column)
