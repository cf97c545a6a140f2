"""`llmring lock check`: whether a project and its lockfile fit."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ...checking import CODES, Finding, Report
from ...checking import check as examine
from ..project import argument, lockfile_path
from ..terminal import note, paint, say, say_json, working


def check(
    paths: Annotated[list[Path] | None, argument("PATH", "The source code, instead of the lockfile's folder.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail it too.")] = False,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", metavar="CODE", help="Leave a kind of finding out; repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check the lockfile, and the source code that relies on it. For CI: it asks nobody over the network.

    The file is valid, and no key of it looks like a slip (key-misspelt); its models are known to the catalogue and
    stay in service; their providers are there with their SDKs, and say where they are (address-missing); no key goes
    over plain http to another machine (key-over-http), or to a provider whose it is not by its name (key-foreign);
    requests can be made with its params, and no parameter stands beside them (params-misplaced); the packages that it
    extends are installed; every alias that the Python code asks llmring for is bound in every profile; and, once a
    file of the project imports llmring, every bound alias is named in a string of the code or in a file beside it. The
    status is 1 on an error, with --strict on a warning too. A line of code with the comment "# llmring: ignore" is
    passed over; "# llmring: uses NAME" says of an alias what the code does not say as a string.

    \b
    Example:
      llmring lock check
      llmring lock check src --strict
      llmring lock check --ignore alias-unused --json
    """
    for code in ignore or ():
        if code not in CODES:
            raise typer.BadParameter(f"{code} is none of: {', '.join(CODES)}", param_hint="--ignore")
    path = lockfile_path()
    with working("Reading the source code"):
        report = examine(path, [Path(os.path.expanduser(it)) for it in paths] if paths else None)
    findings = [finding for finding in report.findings if finding.code not in (ignore or ())]
    report = Report(findings, report.files)
    failed = bool(report.count("error") or (strict and report.count("warning")))
    if as_json:
        _print_json(path, report, failed=failed)
    else:
        _print(path, report)
    if failed:
        raise typer.Exit(1)


def _print(path: Path, report: Report) -> None:
    for finding in report.findings:
        severity = paint(finding.severity, fg="red" if finding.severity == "error" else "yellow")
        say(f"{_where(finding)}: {severity}: {finding.message} [{finding.code}]")
        say(f"    {finding.advice}")
    looked_at = f"{_relative(path)} and {_counted(report.files, 'source file')}"
    if not report.findings:
        note(f"Nothing found in {looked_at}.")
    else:
        errors, warnings = report.count("error"), report.count("warning")
        note(f"{_counted(errors, 'error')} and {_counted(warnings, 'warning')} in {looked_at}.")


def _print_json(path: Path, report: Report, *, failed: bool) -> None:
    described = {
        "file": str(path),
        "passed": not failed,
        "errors": report.count("error"),
        "warnings": report.count("warning"),
        "source_files": report.files,
        "findings": [
            {
                "code": it.code,
                "severity": it.severity,
                "message": it.message,
                "advice": it.advice,
                "file": _relative(it.spot.path),
                "line": it.spot.line or None,
                "column": it.spot.column or None,
                "cell": it.spot.cell or None,
            }
            for it in report.findings
        ],
    }
    say_json(described)


def _where(finding: Finding) -> str:
    return str(replace(finding.spot, path=Path(_relative(finding.spot.path))))


def _relative(path: Path) -> str:
    """A path as it is clicked on in a terminal: relative where it lies below the working directory."""
    try:
        return str(Path(os.path.abspath(path)).relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
