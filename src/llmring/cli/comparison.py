"""What two lockfiles differ in: alias by alias, profile by profile, and every other setting."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..lockfile import Binding, Lockfile, Profile

__all__ = ["AliasChange", "Comparison", "Kind", "ProfileChange", "SettingChange", "compare"]

Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class AliasChange:
    """An alias whose binding is another one. `before` is `None` for a new alias, `after` for one that is gone."""

    alias: str
    before: Binding | None
    after: Binding | None

    @property
    def kind(self) -> Kind:
        """What became of the alias."""
        return _kind(self.before, self.after)


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """A profile that is new, gone, or has other bindings; with its aliases that changed, in the files' order."""

    name: str
    kind: Kind
    aliases: tuple[AliasChange, ...]


@dataclass(frozen=True, slots=True)
class SettingChange:
    """Any other value of the file, by the keys that lead to it; `None` where there was, or is, none."""

    place: tuple[str, ...]
    before: Any
    after: Any

    @property
    def kind(self) -> Kind:
        """What became of the setting."""
        return _kind(self.before, self.after)

    @property
    def key(self) -> str:
        """`providers.groq.base_url`: the keys as TOML writes them with dots."""
        return ".".join(key if re.fullmatch(r"[\w-]+", key, re.ASCII) else json.dumps(key) for key in self.place)


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that changed. It is false where nothing did; comments, order and layout are no change."""

    profiles: tuple[ProfileChange, ...]
    settings: tuple[SettingChange, ...]

    def __bool__(self) -> bool:
        return bool(self.profiles or self.settings)


def compare(before: Lockfile | None, after: Lockfile) -> Comparison:
    """What changed; `before` is `None` where there was no file yet."""
    old, new = (before.profiles if before is not None else {}), after.profiles
    profiles = (_profile(name, old.get(name), new.get(name)) for name in _names(old, new))
    old_settings = _settings(before) if before is not None else {}
    new_settings = _settings(after)
    return Comparison(
        tuple(change for change in profiles if change is not None),
        tuple(
            SettingChange(place, old_settings.get(place), new_settings.get(place))
            for place in _names(old_settings, new_settings)
            if old_settings.get(place) != new_settings.get(place)
        ),
    )


def _profile(name: str, before: Profile | None, after: Profile | None) -> ProfileChange | None:
    old, new = (profile.bindings if profile is not None else {} for profile in (before, after))
    aliases = tuple(
        AliasChange(alias, old.get(alias), new.get(alias))
        for alias in _names(old, new)
        if old.get(alias) != new.get(alias)
    )
    kind = _kind(before, after)
    return ProfileChange(name, kind, aliases) if aliases or kind != "changed" else None


def _settings(lockfile: Lockfile) -> dict[tuple[str, ...], Any]:
    """Every value of the file but its bindings, by its place."""
    leaves = {place: value for place, value in _leaves(lockfile.data) if not _is_of_a_profile(place)}
    said = {("default_profile",): lockfile.default_profile, ("extends", "packages"): list(lockfile.extends) or None}
    return leaves | said


def _is_of_a_profile(place: tuple[str, ...]) -> bool:
    return place == ("profiles",) or (place[0] == "profiles" and (len(place) == 2 or place[2] in ("name", "bindings")))


def _leaves(table: Mapping[str, Any], place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*place, key))
        else:
            yield (*place, key), value


def _names(old: Mapping[Any, Any], new: Mapping[Any, Any]) -> list[Any]:
    """In the order of the newer file, then what only the older one has."""
    return list(dict.fromkeys((*new, *old)))


def _kind(before: object, after: object) -> Kind:
    if before is None:
        return "added"
    return "removed" if after is None else "changed"
