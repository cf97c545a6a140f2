"""Which files are a project's: its source code, and the texts beside it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..exceptions import ConfigurationError, LockfileError
from ..lockfile.git import git
from .texts import is_text

__all__ = ["Files", "project_files"]

_SUFFIXES = (".py", ".ipynb")
_NEVER = frozenset({"node_modules", "__pycache__", "site-packages"})
_BUILT = frozenset({"build", "dist"})


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a project, each once and in order.

    Attributes:
        source: Python files and notebooks.
        texts: settings, scripts and documents, which may name an alias too.
    """

    source: list[Path]
    texts: list[Path]


def project_files(roots: Iterable[Path]) -> Files:
    """The files at or below some paths.

    What git ignores is left out where git is there; everywhere hidden folders, virtual environments and installed
    packages are, and without git also what was built. A file that is named itself is always taken.

    Raises:
        ConfigurationError: a path is not there.
    """
    found: set[Path] = set()
    named: set[Path] = set()
    for root in roots:
        if os.path.isdir(root):
            tracked = _tracked(root)
            found.update(_walked(root) if tracked is None else tracked)
        elif os.path.exists(root):
            named.add(root)
        else:
            raise ConfigurationError(
                f"There is no {root} to look for aliases in. Name a file or a folder that is there"
            )
    texts = {path for path in found | named if is_text(path.name)}
    return Files(sorted((found | named) - texts), sorted(texts))


def _tracked(root: Path) -> list[Path] | None:
    """What git knows or would add below a folder; `None` where git cannot say, or ignores the folder itself."""
    if _git(root, "check-ignore", "--quiet", ".") is not None:
        return None
    listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if listed is None:
        return None
    skipped: dict[Path, bool] = {root: False}
    paths = [root / name for name in map(os.fsdecode, listed.split(b"\0")) if _is_wanted(os.path.basename(name))]
    return [path for path in paths if not _is_skipped(path.parent, skipped) and os.path.isfile(path)]


def _git(root: Path, *arguments: str) -> bytes | None:
    """What git says of a folder; `None` where it is not there, knows no repository, or says no."""
    try:
        done = git(Path(os.path.abspath(root)), *arguments)
    except LockfileError:
        return None
    return done.stdout if done.returncode == 0 else None


def _is_skipped(folder: Path, known: dict[Path, bool]) -> bool:
    if folder not in known:
        known[folder] = _is_skipped(folder.parent, known) or _is_foreign(folder.parent, folder.name)
    return known[folder]


def _walked(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        place = Path(folder)
        folders[:] = [name for name in folders if name not in _BUILT and not _is_foreign(place, name)]
        paths = [place / name for name in names if _is_wanted(name)]
        yield from (path for path in paths if os.path.isfile(path))


def _is_wanted(name: str) -> bool:
    return name.endswith(_SUFFIXES) or is_text(name)


def _is_foreign(parent: Path, name: str) -> bool:
    return name.startswith(".") or name in _NEVER or os.path.exists(parent / name / "pyvenv.cfg")
