"""`llmring lock validate`: whether the file can be used."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...exceptions import LockfileError
from ..printing import say_json
from ..project import lockfile_path
from ..terminal import tell

if TYPE_CHECKING:
    from ...lockfile import Lockfile

__all__ = ["validate"]


def validate(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="Instead of this folder's lockfile.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say whether the lockfile is valid, and where it is not.

    Reads the file and nothing else; `llmring lock check` looks at models, providers and the source code too. The
    status is 1 if the file is not valid.

    \b
    Example:
      llmring lock validate
      llmring lock validate config/models.lock --json
    """
    from ...lockfile import load

    path = Path(os.path.expanduser(file)) if file is not None else None
    try:
        path = path or lockfile_path()
        lockfile = load(path)
    except LockfileError as error:
        if not as_json:
            raise
        _print_json(path, error)
        raise typer.Exit(1) from None
    if as_json:
        _print_json(path, None)
    else:
        tell(f"{path} is valid: {_counted(lockfile)}.")


def _print_json(path: Path | None, error: LockfileError | None) -> None:
    described: dict[str, Any] = {"file": None if path is None else str(path), "valid": error is None, "error": None}
    if error is not None:
        line, column = getattr(error, "line", None), getattr(error, "column", None)
        described["error"] = {"message": str(error), "line": line, "column": column}
    say_json(described)


def _counted(lockfile: Lockfile) -> str:
    return ", ".join(
        f"{len(profile.bindings)} {'alias' if len(profile.bindings) == 1 else 'aliases'} in the profile {name}"
        for name, profile in lockfile.profiles.items()
    )
