"""`llmring lock check` and `upgrade`: whether a project and its lockfile fit, and from models that end to others."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import unified_diff
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import lockfile as lockfiles
from ..catalog import ModelInfo, model_info
from ..checking import CODES, Finding, Report
from ..checking import check as examine
from ..checking.findings import Ending, endings
from ..lockfile import Lockfile, changes, load, parse
from ..lockfile.files import read
from ..lockfile.parsing import decode
from .amounts import dollars
from .project import argument, lockfile_path
from .terminal import again, confirm, note, paint, say, say_json, warn, working


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
    requests can be made with its params, and no parameter stands beside them (params-misplaced), nor a key in another's
    table (key-misplaced); the packages that it extends are installed; a question can be made of each template beside it
    (template-invalid, template-unbound); every alias that the Python code asks llmring for is bound in every profile;
    and, once a file of the project imports llmring, every bound alias is named in a string of the code or in a file
    beside it. The status is 1 on an error, with --strict on a warning too. A line of code with the comment
    "# llmring: ignore" is passed over; "# llmring: uses NAME" says of an alias what the code does not say as a string.

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
        say_json(data_of(path, report, failed=failed))
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


def data_of(path: Path, report: Report, *, failed: bool) -> dict[str, Any]:
    """What a check has found, as `--json` prints it."""
    return {
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


def upgrade(
    profile: Annotated[
        str | None, typer.Option("--profile", "-p", metavar="NAME", help="Only this profile, instead of all.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of the diff; never asks.")
    ] = False,
) -> None:
    """Move bindings off models that end.

    A model ends if its vendor has retired it, says when it will, or advises against it; the newest model of the same
    family takes its place. First it says what becomes of the prices and the window, and which params the new model
    gets too, and shows the diff; the file changes after a yes or with --yes. With no terminal to ask on, the status
    is 1 and nothing changes. A model whose successor is not plain stays, and is named.

    \b
    Example:
      llmring lock upgrade
      llmring lock upgrade --dry-run
      llmring lock upgrade --profile dev --yes
    """
    path = lockfile_path()
    lockfile = load(path)
    found = list(endings(lockfile, profile))
    moves = {it.reference: it.successor for it in found if it.successor is not None}
    applied = bool(moves) and yes and not dry_run
    if as_json:
        if applied:
            _move(path, moves, profile)
        said = {"file": str(path), "changed": applied, "models": [_described(it, lockfile) for it in found]}
        say_json(said)
        if moves and not applied and not dry_run:
            raise typer.Exit(1)
        return
    _explain(found, lockfile)
    if not moves:
        note(f"Nothing to move in {path}.")
        return
    _show_diff(path, moves, profile)
    if dry_run:
        return
    if not yes:
        confirm(f"Change {path} so?", otherwise=again("lock", "upgrade", profile=profile))
    _move(path, moves, profile)
    note(f"Changed {path}.")


def _move(path: Path, moves: Mapping[str, str], profile: str | None) -> None:
    with working(f"Writing {path.name}"):
        lockfiles.replace_models(path, moves, profile=profile)


def _explain(found: Sequence[Ending], lockfile: Lockfile) -> None:
    for it in found:
        if it.successor is not None:
            note(f"{it.reference} {_end(it.model)}; {it.successor} follows{_changes(it, lockfile)}.")
        else:
            where = ", ".join(f"{alias} ({profile})" for profile, alias in it.bindings)
            warn(
                f"{it.reference} {_end(it.model)}, and the catalogue names no successor. It serves {where}. To choose "
                f"another one: llmring models --provider {it.model.provider}"
            )


def _end(model: ModelInfo) -> str:
    if model.retires is None:
        return "is deprecated"
    return f"{'ended' if model.retired else 'ends'} on {model.retires}"


def _changes(it: Ending, lockfile: Lockfile) -> str:
    """What is to be known of a move: its prices and its window, and the params that the new model gets too."""
    new = model_info(it.successor or "")
    said = [*_prices(it.model, new), *_window(it.model, new), *_params(it, lockfile)]
    return f" ({'; '.join(said)})" if said else ""


def _prices(old: ModelInfo, new: ModelInfo) -> Iterator[str]:
    prices = old.input_price, old.output_price, new.input_price, new.output_price
    if None not in prices:
        before_in, before_out, after_in, after_out = (dollars(price or 0) for price in prices)
        yield f"{before_in} in and {before_out} out become {after_in} and {after_out}, for a million tokens"


def _window(old: ModelInfo, new: ModelInfo) -> Iterator[str]:
    before, after = old.context_window, new.context_window
    if before and after and before != after:
        verb = "shrinks" if after < before else "grows"
        yield f"its window {verb} from {before:,} to {after:,} tokens"


def _params(it: Ending, lockfile: Lockfile) -> Iterator[str]:
    carried = dict.fromkeys(name for profile, alias in it.bindings for name in _carried(lockfile, profile, alias))
    if carried:
        yield f"it gets the params {', '.join(carried)} too, which were chosen for the old one"


def _carried(lockfile: Lockfile, profile: str, alias: str) -> Mapping[str, Any]:
    """The params of a binding: they were chosen for the old model, and another generation may refuse them."""
    return lockfile.profiles[profile].bindings[alias].params


def _show_diff(path: Path, moves: Mapping[str, str], profile: str | None) -> None:
    content = read(path)
    before = decode(content, path)
    after, _ = changes.with_replacements(before, parse(content, path), moves, profile)
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for line in unified_diff(before.splitlines(), after.splitlines(), str(path), str(path), lineterm="", n=2):
        say(paint(line, fg=colours.get(line[0])))


def _described(it: Ending, lockfile: Lockfile) -> dict[str, Any]:
    """What is to be known of a move, for a program: prices in dollars for a million tokens."""
    new = model_info(it.successor) if it.successor is not None else None
    figures = ("input_price", "output_price", "context_window")
    return {
        "model": it.reference,
        "retires": it.model.retires.isoformat() if it.model.retires is not None else None,
        "retired": it.model.retired,
        "successor": it.successor,
        **{name: {"before": getattr(it.model, name), "after": getattr(new, name, None)} for name in figures},
        "bindings": [
            {"profile": profile, "alias": alias, "params": dict(_carried(lockfile, profile, alias))}
            for profile, alias in it.bindings
        ],
    }
