"""The history of what was typed, in a file of its owner's."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from ..state import state_folder, write_privately

__all__ = ["VARIABLE", "History", "history_path"]

VARIABLE = "LLMRING_HISTORY"
"""The environment variable that names the file, or says `off`."""
KEPT = 1000
"""Entries that are kept."""


def history_path() -> Path | None:
    """The file of the history: `LLMRING_HISTORY`, else in the user's state folder; `None` where it is switched off."""
    named = os.environ.get(VARIABLE, "").strip()
    if named:
        return None if named.lower() in ("off", "0", "no", "none", "false") else Path(os.path.expanduser(named))
    return state_folder() / "history"


class History:
    """Lines that were typed, oldest first. An entry is a line of JSON, because a question may have many lines.

    Args:
        path: the file, made at the first entry with access for its owner alone.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> list[str]:
        """The entries; none if there is no file yet. What is no entry is left out.

        Raises:
            OSError: the file cannot be read.
        """
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        entries = []
        for line in lines[-KEPT:]:
            with contextlib.suppress(ValueError):
                if isinstance(entry := json.loads(line), str):
                    entries.append(entry)
        if len(lines) > 2 * KEPT:
            self._shorten(lines[-KEPT:])
        return entries

    def add(self, entry: str) -> None:
        """Keep an entry. One write appends it, so that several conversations may share the file.

        Raises:
            OSError: the file cannot be written.
        """
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        line = json.dumps(entry).encode() + b"\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            if hasattr(os, "fchmod") and os.fstat(descriptor).st_mode & 0o077:
                os.fchmod(descriptor, 0o600)
            os.write(descriptor, line)
        finally:
            os.close(descriptor)

    def _shorten(self, lines: list[bytes]) -> None:
        write_privately(self._path, b"\n".join(lines) + b"\n")
