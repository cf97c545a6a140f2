"""`llmring lock validate`, `convert` and `schema`: the lockfile as a document."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ..exceptions import ConfigurationError, LockfileError
from ..lockfile import convert as convert_in_place
from ..lockfile import create, load, parse
from ..lockfile.files import read
from ..lockfile.parsing import decode, holds_json
from ..lockfile.places import holds_comments
from ..lockfile.rendering import converted, rendered
from ..lockfile.writing import Backup, backup_path
from .project import argument, lockfile_path
from .terminal import is_utf8, note, say, say_json, stream, warn, with_escapes, working

Format = Literal["toml", "json"]


def validate(
    file: Annotated[Path | None, argument("FILE", "Instead of this folder's lockfile.")] = None,
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
        counted = ", ".join(
            f"{len(it.bindings)} {'alias' if len(it.bindings) == 1 else 'aliases'} in the profile {name}"
            for name, it in lockfile.profiles.items()
        )
        note(f"{path} is valid: {counted}.", dim=False)


def _print_json(path: Path | None, error: LockfileError | None) -> None:
    described: dict[str, Any] = {"file": None if path is None else str(path), "valid": error is None, "error": None}
    if error is not None:
        line, column = getattr(error, "line", None), getattr(error, "column", None)
        described["error"] = {"message": str(error), "line": line, "column": column}
    say_json(described)


def convert(
    file: Annotated[Path | None, argument("FILE", "Instead of this folder's lockfile.")] = None,
    to: Annotated[
        Format | None,
        typer.Option("--to", help="Not given: what the name of the output ends in, else the other format."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it, instead of printing it.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a file that is there; it is kept as FILE.bak.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --output: print what was written, as one JSON object.")
    ] = False,
) -> None:
    """Print the lockfile in the other format, or write it.

    Every key is kept, those that llmring does not know too. JSON has no comments: they are lost on the way there.
    Both formats are read under any name, but a name that ends in .json is for JSON.

    \b
    Example:
      llmring lock convert
      llmring lock convert --output llmring.json
      llmring lock convert --to json --output llmring.lock --force --json
    """
    if as_json and output is None:
        raise typer.BadParameter("it goes with --output; for the lockfile itself: --to json", param_hint="--json")
    path = Path(os.path.expanduser(file)) if file is not None else lockfile_path()
    content = read(path)
    lockfile, text = parse(content, path), decode(content, path)
    is_json = holds_json(text, path)
    to_json = _wants_json(to, output, otherwise=not is_json)
    if is_json != to_json:
        text, _, changes = converted(lockfile.data, to_json=to_json)
        _warn(decode(content, path), changes, to_json=to_json)
    if output is None:
        stream(with_escapes(text) if to_json and not is_utf8(sys.stdout.encoding) else text)
        return
    output = Path(os.path.expanduser(output))
    is_there = os.path.exists(output)  # which, unlike Path.exists, never raises
    if is_there and not force:
        raise ConfigurationError(
            f"{output} is there already and stays as it is. "
            f"To replace it, and keep it as {backup_path(output).name}: --force"
        )
    backup = Backup(output, text.encode())
    with working(f"Writing {output.name}"):
        if is_there and output.samefile(path):
            convert_in_place(path, to_json=to_json, keep=backup)
        else:
            create(output, text, force=force, keep=backup)
    kept = backup.kept
    if as_json:
        kept_as = None if kept is None else str(kept)
        say_json({"file": str(output), "format": "json" if to_json else "toml", "kept_as": kept_as})
        return
    note(f"Wrote {output} as {'JSON' if to_json else 'TOML'}", dim=False)
    if kept:
        note(f"Kept what was there as {kept}", dim=False)


def _wants_json(to: Format | None, output: Path | None, *, otherwise: bool) -> bool:
    suffix = output.suffix if output is not None else ""
    if suffix == ".json" and to == "toml":
        raise typer.BadParameter(f"{output} ends in .json, and a file of that name is read as JSON", param_hint="--to")
    if to is not None:
        return to == "json"
    return {".json": True, ".toml": False}.get(suffix, otherwise)


def _warn(text: str, changes: list[str], *, to_json: bool) -> None:
    if to_json and holds_comments(text):
        warn("JSON has no comments: those of the file are not in it.")
    for change in changes:
        note(f"{change}.")


def schema() -> None:
    """Print the JSON Schema of the lockfile.

    A new lockfile begins with a line that names the schema's file beside it, for editors with Taplo, such as VS
    Code with Even Better TOML; `llmring lock init` writes that file. This renews it, or makes it for an older
    lockfile, whose first line then is: #:schema ./llmring.schema.json

    \b
    Example:
      llmring lock schema > llmring.schema.json
    """
    say(rendered().rstrip())
