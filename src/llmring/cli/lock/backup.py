"""A copy of a file that is to be replaced."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from ...lockfile.writing import copy


class Backup:
    """Keeps what a write replaces, beside it, with its permissions; but nothing worthless, such as what takes its
    place. `kept` is the copy."""

    def __init__(self, path: Path, *worthless: bytes) -> None:
        self._path = path
        self._worthless = worthless
        self.kept: Path | None = None

    def __call__(self, path: Path, content: bytes) -> None:
        """Keep the content of a file; where it changed since it was kept, anew in the place of the first copy."""
        if content not in self._worthless:
            self.kept = self.kept or backup_path(self._path)
            copy(path, content, self.kept)


def backup_path(path: Path) -> Path:
    """A name for a copy that is free: earlier ones stay. It is beside the file that a link leads to."""
    path = Path(os.path.realpath(path)) if os.path.islink(path) else path
    names = (path.with_name(f"{path.name}.bak{number or ''}") for number in itertools.count())
    return next(name for name in names if not os.path.lexists(name))
