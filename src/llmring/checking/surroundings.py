"""What a source file has around it: the project's own modules, and which of them have to do with llmring."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..lockfile.reading import plain

__all__ = ["Surroundings"]

_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+([.\w]+)[ \t]+import[ \t]*\(?([^#\n]*)|import[ \t]+([^#\n]+))", re.MULTILINE
)
_WORD = re.compile(rb"\w+")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A project, as its files see it.

    Attributes:
        packages: the names of its own modules and packages.
        users: those of its files that import llmring, or something of a file that does.
        aliases: the names to be noticed in any string.
    """

    packages: frozenset[str] = frozenset()
    users: frozenset[Path] = frozenset()
    aliases: frozenset[str] = field(default=frozenset())

    @classmethod
    def of(cls, files: Iterable[Path], aliases: Iterable[str] = ()) -> Surroundings:
        """Those of a project's source files. A file that cannot be read imports nothing."""
        imports = {file: _imported(file) for file in files}
        packages = {part for file in imports for part in (file.stem, file.parent.name) if part.isidentifier()}
        users: set[Path] = set()
        names = {"llmring"}
        while more := [file for file in imports if file not in users and not names.isdisjoint(imports[file])]:
            users.update(more)
            names.update(file.parent.name if file.stem == "__init__" else file.stem for file in more)
        return cls(frozenset(packages), frozenset(users), frozenset(aliases))


def _imported(file: Path) -> set[str]:
    """The names that may be modules among what a file imports, and the modules that it imports from."""
    try:
        content = plain(file)
    except OSError:
        return set()
    if file.suffix == ".ipynb":
        return {"llmring"} if b"llmring" in content else set()
    found: set[str] = set()
    for module, names, modules in _IMPORT.findall(content):
        parts = _WORD.findall(module)
        words = [*parts[:1], *parts[-1:], *_WORD.findall(names), *_WORD.findall(modules)]
        found.update(word.decode(errors="replace") for word in words)
    return found
