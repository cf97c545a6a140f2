"""Whether a project and its lockfile fit: models, providers, packages, and the aliases that the source code names.

    from llmring.checking import check

    report = check(Path("llmring.lock"), [Path("src")])

Nothing is imported, nobody is asked over the network.
"""

from __future__ import annotations

from .findings import CODES, Finding, Severity, Spot
from .project import Report, check, check_lockfile

__all__ = ["CODES", "Finding", "Report", "Severity", "Spot", "check", "check_lockfile"]
