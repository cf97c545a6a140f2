"""What the lockfile itself says: its packages, and the models that it binds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..exceptions import LockfileError, LockfileParseError, LockfileVersionError
from ..lockfile import Lockfile, package_lockfile, parse
from ..lockfile.extends import missing
from ..lockfile.parsing import decode, holds_json
from ..lockfile.places import Entry, Place, line_and_column, locate, scan
from ..lockfile.reading import read
from . import advice
from .findings import Finding, Spot
from .models import Mention

__all__ = ["Source", "mentions", "unresolved_packages"]


@dataclass(frozen=True)
class Source:
    """A lockfile with its text, which says where each thing is written."""

    lockfile: Lockfile
    path: Path
    text: str

    @classmethod
    def read(cls, path: Path) -> Source:
        """Reads a lockfile.

        Raises:
            LockfileError: there is none, or it is not valid.
        """
        content = read(path)
        return cls(parse(content, path), path, decode(content, path))

    @cached_property
    def _entries(self) -> list[Entry]:
        return scan(self.text, is_json=holds_json(self.text, self.path))

    def spot(self, *place: str | int) -> Spot:
        """Where something is written, by the keys and indices that lead to it."""
        return Spot(self.path, *line_and_column(self.text, locate(self._entries, place)))

    def key_spot(self, *place: str | int) -> Spot:
        """Where the key of something is written."""
        return Spot(self.path, *line_and_column(self.text, locate(self._entries, place, key=True)))

    def alias_spot(self, profile: str, alias: str) -> Spot:
        """Where an alias is bound."""
        return self.spot(*self._binding(profile, alias), "alias")

    def model_spot(self, profile: str, alias: str, index: int) -> Spot:
        """Where a model of a binding is written."""
        return self.spot(*self._binding(profile, alias), "models", index)

    def params_spot(self, profile: str, alias: str) -> Spot:
        """Where the params of a binding are written."""
        return self.spot(*self._binding(profile, alias), "params")

    def _binding(self, profile: str, alias: str) -> Place:
        return ("profiles", profile, "bindings", list(self.lockfile.profiles[profile].bindings).index(alias))


def mentions(source: Source) -> Iterator[Mention]:
    """The models that the file binds, each where it is written."""
    for profile in source.lockfile.profiles.values():
        for binding in profile.bindings.values():
            mend = f"To bind another one: {advice.bind(source.lockfile, binding.alias, profile.name)}"
            for index, model in enumerate(binding.models):
                spot = source.model_spot(profile.name, binding.alias, index)
                yield Mention(model, spot, mend, bound=True)


def unresolved_packages(source: Source) -> Iterator[tuple[str, Finding]]:
    """The packages of `[extends]` whose aliases cannot be had, each with the finding that says so."""
    for index, package in enumerate(source.lockfile.extends):
        try:
            package_lockfile(package)
        except (LockfileParseError, LockfileVersionError) as error:
            message, step = str(error), "Install another version of the package, or take it out of [extends]."
        except LockfileError:
            message, step = missing(package)
        else:
            continue
        spot = source.spot("extends", "packages", index)
        yield package, Finding("extends-unresolved", "error", spot, message, step)
