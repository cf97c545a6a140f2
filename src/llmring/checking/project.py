"""The check of a project: the lockfile by itself, and the source code against it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..exceptions import LockfileParseError, LockfileVersionError
from .aliases import Aliases, bound_in, unbound, unused
from .bindings import Source, mentions, unresolved_packages
from .files import Files, project_files
from .findings import Finding, Severity, Spot
from .keys import misplaced_params, misspelt_keys
from .models import check_models
from .params import unusable_params
from .providers import doubtful_providers, loose_keys
from .source import Unreadable, Use, uses_in
from .surroundings import Surroundings

__all__ = ["Report", "check", "check_lockfile"]


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
        source = Source.read(path)
    except (LockfileParseError, LockfileVersionError) as error:
        return Report([_invalid(path, error)])
    broken = dict(unresolved_packages(source))
    findings = [*broken.values(), *misspelt_keys(source), *misplaced_params(source), *unusable_params(source)]
    findings += [*doubtful_providers(source), *loose_keys(source)]
    mentioned = list(mentions(source))
    if files is not None:
        aliases = Aliases.of(source.lockfile, broken)
        around = Surroundings.of(files.source, bound_in(source.lockfile))
        uses, unreadable = _uses(files.source, around)
        findings += [*unreadable, *unbound(aliases, uses)]
        if around.users:  # a project without any code for llmring has not begun to use its aliases
            findings += unused(source, uses, files.texts)
        mentioned += aliases.models(uses)
    findings += check_models(source.lockfile, mentioned)
    findings.sort(key=lambda finding: (finding.spot.path != path, finding.spot))
    return Report(findings, len(files.source) if files is not None else 0)


def _invalid(path: Path, error: LockfileParseError | LockfileVersionError) -> Finding:
    line, column = getattr(error, "line", None) or 0, getattr(error, "column", None) or 0
    spot = Spot(path, line, column)
    message = str(error).removeprefix(f"{spot}: ")
    return Finding("lockfile-invalid", "error", spot, message, "Once it is mended: llmring lock validate")


def _uses(files: Iterable[Path], around: Surroundings) -> tuple[list[Use], list[Finding]]:
    uses: list[Use] = []
    unreadable: list[Finding] = []
    for file in files:
        try:
            uses += uses_in(file, around)
        except Unreadable as error:
            uses += error.uses
            spot = Spot(file, error.line, 1 if error.line else 0, cell=error.cell)
            what = "The cell" if error.cell else "The file"
            message = f"{what} was passed over: {error}."
            unreadable.append(Finding("source-unreadable", "warning", spot, message, "Mend it, or check other paths."))
    return uses, unreadable
