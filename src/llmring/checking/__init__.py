"""Whether a project and its lockfile fit: models, providers, packages, and the aliases that the source code names.

    from llmring.checking import check

    report = check(Path("llmring.lock"), [Path("src")])

Nothing is imported, nobody is asked over the network.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..exceptions import LockfileParseError, LockfileVersionError
from ..lockfile import Binding, Lockfile, reachable
from ..lockfile.extends import as_listed
from ..lockfile.resolution import nearest
from ..references import shown
from .abilities import loose_patterns, unfit
from .files import Files, names_in_file, project_files
from .findings import CODES, Finding, Mention, Severity, Spot, check_models
from .lockfile import bind, broken_packages, doubts, mentions, unbind
from .policies import misled
from .source import Project, Use, uses_in
from .templates import of_templates
from .text import Text

__all__ = ["CODES", "Finding", "Report", "Severity", "Spot", "check", "check_lockfile"]


@dataclass(frozen=True, slots=True)
class Report:
    """What a check has found.

    Attributes:
        findings: those of the lockfile first, then those of the source files, each in the order of their places.
        files: how many source files were looked at.
    """

    findings: Sequence[Finding]
    files: int = 0

    def count(self, severity: Severity) -> int:
        """How many of a severity there are."""
        return sum(finding.severity == severity for finding in self.findings)


def check(path: Path, roots: Iterable[Path] | None = None) -> Report:
    """Checks a lockfile, and the source code that relies on it.

    Args:
        path: the lockfile.
        roots: files and folders with the source code; `None` is the lockfile's folder.

    Raises:
        LockfileNotFoundError: there is no lockfile.
        ConfigurationError: a root is not there.
    """
    return _check(path, project_files([path.parent] if roots is None else roots))


def check_lockfile(path: Path) -> Report:
    """Checks a lockfile as `check` does it, without regard to any source code.

    Raises:
        LockfileNotFoundError: there is none.
    """
    return _check(path, None)


def _check(path: Path, files: Files | None) -> Report:
    try:
        text = Text.read(path)
    except (LockfileParseError, LockfileVersionError) as error:
        return Report([_invalid(path, error)])
    broken = dict(broken_packages(text))
    findings = [*broken.values()]
    mentioned = list(mentions(text))
    for found in of_templates(text):
        mentioned.append(found) if isinstance(found, Mention) else findings.append(found)
    uses: list[Use] = []
    if files is not None:
        aliases = _Aliases.of(text.lockfile, broken)
        project = Project.of(files.source, _bound_in(text.lockfile))
        for file in files.source:
            named, unreadable = uses_in(file, project)
            uses += named
            findings += unreadable
        findings += _unbound(aliases, uses)
        if project.users:  # a project without any code for llmring has not begun to use its aliases
            findings += _unused(text, uses, files.texts)
        mentioned += aliases.models(uses)
        findings += loose_patterns(text, mentioned)
    registered = {use.name for use in uses if use.kind == "registers"}
    findings += doubts(text, registered)
    findings += misled(text)
    findings += unfit(text, uses)
    findings += check_models(text.lockfile, mentioned, registered)
    findings.sort(key=lambda finding: (finding.spot.path != path, finding.spot))
    return Report(findings, len(files.source) if files is not None else 0)


def _invalid(path: Path, error: LockfileParseError | LockfileVersionError) -> Finding:
    line, column = getattr(error, "line", None) or 0, getattr(error, "column", None) or 0
    spot = Spot(path, line, column)
    message = str(error).removeprefix(f"{spot}: ")
    return Finding("lockfile-invalid", "error", spot, message, "Once it is mended: llmring lock validate")


@dataclass(frozen=True, slots=True)
class _Aliases:
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
    def of(cls, lockfile: Lockfile, broken: Collection[str]) -> _Aliases:
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
            if use.kind == "model" or (use.kind in ("needs", "asks") and self._is_direct(use)):
                yield Mention(use.name, use.spot, "Name another model there, or an alias.")
            elif use.kind == "needs" and use.name not in packaged:
                packaged.add(use.name)
                fix = f"To bind another one to the package's alias: {bind(self.lockfile, use.name)}"
                models = [model for binding in self._shipped(use.name) for model in binding.models]
                yield from (Mention(model, use.spot, fix) for model in dict.fromkeys(models))

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


def _unbound(aliases: _Aliases, uses: Sequence[Use]) -> Iterator[Finding]:
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
        elif use.kind in ("needs", "asks") and use.name not in bound_by_program:
            lacking = [profile for profile in aliases.lacking(use) if (use.name, profile) not in said]
            said.update((use.name, profile) for profile in lacking)
            if lacking:
                yield _lack(aliases, use, lacking)


def _lack(aliases: _Aliases, use: Use, profiles: Sequence[str]) -> Finding:
    names = {alias for profile in profiles for alias in aliases.by_profile[profile]}
    listed = " and ".join(f'"{profile}"' for profile in profiles)
    where = f"the profile{'s' if len(profiles) > 1 else ''} {listed}"
    message = f"The alias {shown(use.name)} is not bound in {where}{nearest(use.name, names)}"
    steps = "; ".join(bind(aliases.lockfile, use.name, it) for it in profiles)
    severity: Severity = "error" if use.kind == "needs" else "warning"
    return Finding("alias-unbound", severity, use.spot, message, f"To bind it: {steps}")


def _unused(text: Text, uses: Iterable[Use], texts: Iterable[Path]) -> Iterator[Finding]:
    """Aliases that nothing names, neither the code nor a text beside it.

    Those that override a package's are the package's to use.
    """
    bound = _bound_in(text.lockfile)
    used = {use.name for use in uses if use.kind not in ("profile", "registers")}.intersection(bound)
    for beside in texts:
        if beside != text.path and len(used) < len(bound):
            used |= names_in_file(beside, bound.keys() - used)
    for alias, profiles in bound.items():
        if alias not in used and as_listed(text.lockfile, alias).partition(":")[0] not in text.lockfile.extends:
            steps = "; ".join(unbind(text.lockfile, alias, it) for it in profiles)
            message = f"No file of the project names the alias {shown(alias)}."
            spot = text.spot_in_binding(profiles[0], alias, "alias")
            yield Finding("alias-unused", "warning", spot, message, f"To take it out: {steps}")


def _bound_in(lockfile: Lockfile) -> dict[str, list[str]]:
    """The aliases that a lockfile binds, each with the profiles in which it does."""
    found: dict[str, list[str]] = {}
    for profile in lockfile.profiles.values():
        for alias in profile.bindings:
            found.setdefault(alias, []).append(profile.name)
    return found
