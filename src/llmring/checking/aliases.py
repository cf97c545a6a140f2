"""The aliases that the source code names, beside those that the lockfile has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..lockfile import Binding, Lockfile, reachable
from ..lockfile.checks import shown
from ..lockfile.extends import as_listed
from ..lockfile.resolution import nearest
from . import advice
from .bindings import Source
from .findings import Finding, Severity
from .models import Mention
from .source import Use
from .texts import names_in_file

__all__ = ["Aliases", "bound_in", "unbound", "unused"]


@dataclass(frozen=True, slots=True)
class Aliases:
    """Which aliases each profile has.

    Attributes:
        lockfile: whose they are.
        by_profile: the profile's own aliases, and those of packages as `package:alias`.
        broken: packages whose aliases cannot be had.
    """

    lockfile: Lockfile
    by_profile: Mapping[str, Mapping[str, Binding]]
    broken: Collection[str]

    @classmethod
    def of(cls, lockfile: Lockfile, broken: Collection[str]) -> Aliases:
        """Those of a lockfile, without those of the packages that are broken."""
        sound = replace(lockfile, extends=tuple(it for it in lockfile.extends if it not in broken))
        return cls(lockfile, {profile: reachable(sound, profile) for profile in lockfile.profiles}, broken)

    def lacking(self, use: Use) -> list[str]:
        """The profiles in which a name that is meant as an alias is none."""
        if self._is_direct(use) or use.name.partition(":")[0] in self.broken:
            return []
        meant = [it for it in self.by_profile if use.profile in (None, it)]
        return [it for it in meant if not self._has(it, use.name)]

    def models(self, uses: Iterable[Use]) -> Iterator[Mention]:
        """The models that the code names without an alias, and those that it gets from packages."""
        packaged: set[str] = set()
        for use in uses:
            if use.kind == "model" or (use.kind in ("needs", "wonders") and self._is_direct(use)):
                yield Mention(use.name, use.spot, "Name another model there, or an alias.")
            elif use.kind == "needs" and use.name not in packaged:
                packaged.add(use.name)
                mend = f"To bind another one to the package's alias: {advice.bind(self.lockfile, use.name)}"
                models = [model for binding in self._shipped(use.name) for model in binding.models]
                yield from (Mention(model, use.spot, mend) for model in dict.fromkeys(models))

    def _has(self, profile: str, name: str) -> bool:
        aliases, listed = self.by_profile[profile], as_listed(self.lockfile, name)
        return name in aliases or any(as_listed(self.lockfile, it) == listed for it in aliases)

    def _shipped(self, name: str) -> Iterator[Binding]:
        name = as_listed(self.lockfile, name)
        for profile, aliases in self.by_profile.items():
            if name in aliases and name not in self.lockfile.profiles[profile].bindings:
                yield aliases[name]

    def _is_direct(self, use: Use) -> bool:
        """Whether a name is a `provider:model` and no alias."""
        package = as_listed(self.lockfile, use.name).partition(":")[0]
        is_alias = any(self._has(profile, use.name) for profile in self.by_profile)
        return ":" in use.name and not is_alias and package not in self.lockfile.extends


def unbound(aliases: Aliases, uses: Sequence[Use]) -> Iterator[Finding]:
    """The aliases that some profile lacks, each once, where the code names it first; and profiles that are not there.

    An alias that the program binds itself is none of them. One that it only asks about is a warning.
    """
    bound_by_program = {use.name for use in uses if use.kind == "binds"}
    said: set[tuple[str, str]] = set()
    for use in sorted(uses, key=lambda use: (use.kind != "needs", use.spot)):
        if use.kind == "profile" and use.name not in aliases.lockfile.profiles:
            message = f"The lockfile has no profile {shown(use.name)}."
            step = f"There are: {', '.join(aliases.lockfile.profiles)}. To add it: llmring lock profile add NAME"
            yield Finding("profile-unknown", "error", use.spot, message, step)
        elif use.kind in ("needs", "wonders") and use.name not in bound_by_program:
            lacking = [profile for profile in aliases.lacking(use) if (use.name, profile) not in said]
            said.update((use.name, profile) for profile in lacking)
            if lacking:
                yield _lack(aliases, use, lacking)


def unused(source: Source, uses: Iterable[Use], texts: Iterable[Path] = ()) -> Iterator[Finding]:
    """Aliases that nothing names, neither the code nor a text beside it.

    Those that override a package's are the package's to use.
    """
    bound = bound_in(source.lockfile)
    used = {use.name for use in uses if use.kind != "profile"}.intersection(bound)
    for text in texts:
        if text != source.path and len(used) < len(bound):
            used |= names_in_file(text, bound.keys() - used)
    for alias, profiles in bound.items():
        if alias not in used and as_listed(source.lockfile, alias).partition(":")[0] not in source.lockfile.extends:
            steps = "; ".join(advice.unbind(source.lockfile, alias, it) for it in profiles)
            message = f"No file of the project names the alias {shown(alias)}."
            spot = source.alias_spot(profiles[0], alias)
            yield Finding("alias-unused", "warning", spot, message, f"To take it out: {steps}")


def bound_in(lockfile: Lockfile) -> dict[str, list[str]]:
    """The aliases that a lockfile binds, each with the profiles in which it does."""
    found: dict[str, list[str]] = {}
    for profile in lockfile.profiles.values():
        for alias in profile.bindings:
            found.setdefault(alias, []).append(profile.name)
    return found


def _lack(aliases: Aliases, use: Use, profiles: Sequence[str]) -> Finding:
    names = {alias for profile in profiles for alias in aliases.by_profile[profile]}
    listed = " and ".join(f'"{profile}"' for profile in profiles)
    where = f"the profile{'s' if len(profiles) > 1 else ''} {listed}"
    message = f"The alias {shown(use.name)} is not bound in {where}{nearest(use.name, names)}"
    steps = "; ".join(advice.bind(aliases.lockfile, use.name, it) for it in profiles)
    severity: Severity = "error" if use.kind == "needs" else "warning"
    return Finding("alias-unbound", severity, use.spot, message, f"To bind it: {steps}")
