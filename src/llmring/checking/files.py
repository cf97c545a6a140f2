"""Which files are a project's source code."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..exceptions import ConfigurationError

__all__ = ["source_files"]

_SUFFIXES = (".py", ".ipynb")
_NEVER = frozenset({"node_modules", "__pycache__", "site-packages"})
_BUILT = frozenset({"build", "dist"})
_PATIENCE = 60.0
"""Seconds that git may take for its list."""


def source_files(roots: Iterable[Path]) -> list[Path]:
    """The Python files and notebooks at or below some paths, in order, each once.

    What git ignores is left out where git is there; everywhere hidden folders, virtual environments and installed
    packages are, and without git also what was built. A file that is named itself is always taken.

    Raises:
        ConfigurationError: a path is not there.
    """
    found: set[Path] = set()
    for root in roots:
        if root.is_dir():
            found.update(_tracked(root) or _walked(root))
        elif root.exists():
            found.add(root)
        else:
            raise ConfigurationError(
                f"There is no {root} to look for aliases in. Name a file or a folder that is there"
            )
    return sorted(found)


def _tracked(root: Path) -> list[Path]:
    """What git knows or would add below a folder; an empty list where git cannot say."""
    command = ["git", "-C", str(root), "-c", "core.fsmonitor=false", "ls-files", "-z", "--cached", "--others"]
    try:
        listed = subprocess.run(  # noqa: S603
            [*command, "--exclude-standard"], capture_output=True, timeout=_PATIENCE, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    names = [os.fsdecode(name) for name in listed.split(b"\0") if name.endswith((b".py", b".ipynb"))]
    skipped: dict[Path, bool] = {root: False}
    return [path for name in names if not _is_skipped((path := root / name).parent, skipped) and path.is_file()]


def _is_skipped(folder: Path, known: dict[Path, bool]) -> bool:
    if folder not in known:
        known[folder] = _is_skipped(folder.parent, known) or _is_foreign(folder.parent, folder.name)
    return known[folder]


def _walked(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        place = Path(folder)
        folders[:] = [name for name in folders if name not in _BUILT and not _is_foreign(place, name)]
        yield from (path for name in names if name.endswith(_SUFFIXES) and (path := place / name).is_file())


def _is_foreign(parent: Path, name: str) -> bool:
    return name.startswith(".") or name in _NEVER or (parent / name / "pyvenv.cfg").exists()
