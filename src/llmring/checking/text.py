"""A lockfile with its text, which says where each thing is written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..lockfile import Lockfile, parse
from ..lockfile.files import read
from ..lockfile.parsing import decode, holds_json
from ..lockfile.places import Entry, line_and_column, locate, scan
from .findings import Spot

__all__ = ["Text"]


@dataclass(frozen=True)
class Text:
    """A lockfile with its text, which says where each thing is written."""

    lockfile: Lockfile
    path: Path
    text: str

    @classmethod
    def read(cls, path: Path) -> Text:
        """Reads a lockfile.

        Raises:
            LockfileError: there is none, or it is not valid.
        """
        content = read(path)
        return cls(parse(content, path), path, decode(content, path))

    @cached_property
    def _entries(self) -> list[Entry]:
        return scan(self.text, is_json=holds_json(self.text, self.path))

    def spot(self, *place: str | int, key: bool = False) -> Spot:
        """Where something is written, or its key, by the keys and indices that lead to it."""
        return Spot(self.path, *line_and_column(self.text, locate(self._entries, place, key=key)))

    def spot_in_binding(self, profile: str, alias: str, *place: str | int) -> Spot:
        """Where something of a binding is written: `"alias"`, `"params"`, or a model, as `"models", 0`."""
        index = list(self.lockfile.profiles[profile].bindings).index(alias)
        return self.spot("profiles", profile, "bindings", index, *place)
