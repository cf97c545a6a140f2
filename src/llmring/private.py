"""Files that are the user's alone, in a folder of their own: what llmring remembers from one run to the next."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .lockfile import writing

__all__ = ["read_privately", "state_folder", "write_privately"]


def state_folder() -> Path:
    """`$XDG_STATE_HOME/llmring`, or where the system keeps such things."""
    folder = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(folder):  # the XDG specification: a relative one is to be ignored
        local = os.environ.get("LOCALAPPDATA") if os.name == "nt" else None
        folder = local or os.path.expanduser("~/.local/state")
    return Path(folder) / "llmring"


def write_privately(path: Path, content: bytes) -> None:
    """All of a file or nothing of it, with access for its owner alone; its folders are made."""
    for folder in (path.parent.parent, path.parent):  # the mode is that of the last one alone
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with writing.written(path, content, mode=0o600) as beside:
        os.replace(beside, path)


def read_privately(path: Path) -> bytes | None:
    """What a file holds that only its owner, who is the user, can have written; `None` where there is none such."""
    try:
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            status = os.fstat(file.fileno())
            is_own = not hasattr(os, "geteuid") or (status.st_uid == os.geteuid() and not status.st_mode & 0o022)
            return file.read() if is_own and stat.S_ISREG(status.st_mode) else None
    except OSError:
        return None
