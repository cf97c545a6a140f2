"""`llmring lock diff`: what changed in the lockfile, and what that does to prices and windows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...exceptions import LockfileError
from ..figures import remark
from ..printing import say_json
from ..progress import working
from ..project import lockfile_path
from ..terminal import columns, note, paint, say
from .changes import FIGURES, Priced, as_data, details, key_of_place, price_changes, setting_values

if TYPE_CHECKING:
    from ...lockfile import Lockfile
    from .comparing import Comparison, Kind

__all__ = ["diff"]

_SIGN = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}


def diff(
    since: Annotated[
        str,
        typer.Argument(metavar="REV | FILE", help="A git revision, REV:PATH for another file of it, or a lockfile."),
    ] = "HEAD",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a pull request.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 if anything changed.")] = False,
) -> None:
    """Show what changed in the lockfile, and what that costs.

    Since a git revision, or compared with another file: alias by alias and profile by profile, with what it does to
    the price of a million tokens in and out, and to the context window. Comments and order are no change. A file that
    was moved is found under its old name.

    \b
    Example:
      llmring lock diff
      llmring lock diff main --markdown
      llmring lock diff HEAD~3:config/llmring.lock
      llmring lock diff ../other/llmring.lock --exit-code
    """
    from ...lockfile import load
    from .comparing import compare

    path = lockfile_path()
    after = load(path)
    with working("Asking git"):
        before, origin = _older(path, since)
    comparison = compare(before, after)
    if as_json:
        say_json({"file": str(path), "since": origin, **as_data(comparison, before, after)})
    elif markdown:
        from .markdown import render

        say(render(comparison, before, after, name=path.name, since=since))
    elif comparison:
        _print(comparison, before, after, path.name, origin)
    else:
        note(f"{path} says the same as {_called(origin)}.")
    if exit_code and comparison:
        raise typer.Exit(1)


def _older(path: Path, since: str) -> tuple[Lockfile | None, dict[str, Any]]:
    """The file to compare with, `None` where there was none yet, and where it is from."""
    from ...lockfile import load, parse
    from ...lockfile.revisions import at_revision, is_revision

    file = os.path.expanduser(since)
    if os.path.isfile(file):
        if is_revision(path, since):
            raise LockfileError(
                f'"{since}" is a file and a git revision. For the file: llmring lock diff ./{since}. '
                f"For the revision: llmring lock diff {since}^0"
            )
        return load(file), {"file": file, "revision": None, "commit": None}
    then = at_revision(path, since)
    origin = {"file": then.file, "revision": then.name, "commit": then.commit}
    if then.content is None:
        note(f"{path.name} was not there at {since}: all of it is new.")
        return None, origin
    try:
        return parse(then.content, Path(f"{since.partition(':')[0]}:{then.file}")), origin
    except LockfileError as error:
        raise LockfileError(
            f"The older lockfile cannot be read. {str(error).rstrip('.')}. "
            "To compare with another revision: llmring lock diff REV"
        ) from None


def _called(origin: dict[str, Any]) -> str:
    """Where the older file is from, in words."""
    if origin["revision"] is None:
        return str(origin["file"])
    short = origin["commit"][:10]
    return f"{origin['revision']}{f' ({short})' if not origin['revision'].startswith(short) else ''}"


def _print(comparison: Comparison, before: Lockfile | None, after: Lockfile, name: str, origin: dict[str, Any]) -> None:
    say(paint(f"{name} since {_called(origin)}", bold=True))
    for profile in comparison.profiles:
        say()
        say(_signed(profile.kind, f"profile {profile.name}", sign=profile.kind != "changed"))
        for priced in price_changes(profile, before, after):
            say(f"  {_signed(priced.change.kind, priced.change.alias)}")
            say(columns(_rows(priced), indent="      "))
    if comparison.settings:
        say()
        say("settings")
    for change in comparison.settings:
        say(f"  {_signed(change.kind, f'{key_of_place(change.place)}: {setting_values(change)}')}")


def _signed(kind: Kind, text: str, *, sign: bool = True) -> str:
    mark, colour = _SIGN[kind]
    return paint(f"{mark} {text}", fg=colour) if sign else text


def _rows(priced: Priced) -> list[tuple[str, str]]:
    """What there is to say of an alias: for one whose model stayed, only what did not."""
    kind = priced.change.kind
    rows = []
    if kind != "changed" or priced.model.before != priced.model.after:
        rows += [("model", str(priced.model)), *((name, str(priced.figure(name))) for name in FIGURES)]
    if kind != "removed":
        rows += [(name, str(move) if kind == "changed" else str(move.after)) for name, move in details(priced.change)]
        rows += [("remark", said)] if priced.after is not None and (said := remark(priced.after)) else []
    return rows
