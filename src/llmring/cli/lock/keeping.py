"""A copy of a file that is to be replaced."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from ...exceptions import LockfileError

__all__ = ["backup", "keep"]


def keep(path: Path, *worthless: bytes) -> Path | None:
    """A copy, beside it, of a file that is to be replaced.

    Args:
        path: the file; it need not be there.
        worthless: contents that nobody would miss, such as what takes their place.

    Returns:
        The copy; `None` where none was needed.

    Raises:
        LockfileError: it could not be made.
    """
    import shutil

    target = backup(path)
    try:
        if not os.path.isfile(path) or path.read_bytes() in worthless:
            return None
        shutil.copy2(path, target)
    except OSError as error:
        raise LockfileError(
            f"{path} stays as it is, because no copy of it can be made: {target}: {error.strerror}", path=path
        ) from None
    return target


def backup(path: Path) -> Path:
    """A name for a copy that is free: earlier copies stay."""
    names = (path.with_name(f"{path.name}.bak{number or ''}") for number in itertools.count())
    return next(name for name in names if not os.path.lexists(name))
