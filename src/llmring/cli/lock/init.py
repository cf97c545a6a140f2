"""`llmring lock init`: a lockfile for what this machine can use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...exceptions import ConfigurationError, LLMRingError
from ..printing import say_json
from ..project import WrittenOption
from ..terminal import columns, dollars, note, paint, tell, warn
from .keeping import Copies, backup

if TYPE_CHECKING:
    from ...lockfile import Lockfile
    from ..machine import Found

__all__ = ["init"]


def init(
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            "-f",
            metavar="PATH",
            envvar="LLMRING_LOCKFILE_PATH",
            help="Where to write it, instead of llmring.lock here. Ending in .json: as JSON.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a file that is there; it is kept as PATH.bak.")
    ] = False,
    as_json: WrittenOption = False,
) -> None:
    """Write a lockfile for the providers that this machine can use.

    Looks for API keys in the environment and the keyring, and for an Ollama server. Binds the aliases fast,
    balanced and deep to current models of what it finds, each with the others standing by.

    \b
    Example:
      llmring lock init
      llmring lock init --file config/llmring.lock --force --json
    """
    from ...lockfile import create, find_lockfile
    from ..machine import look
    from ..progress import working
    from ..standing import KEYRING_WAITS
    from ..template import render

    path = Path(os.path.expanduser(file or "llmring.lock"))
    if os.path.isfile(path) and not force:  # which, unlike Path.is_file, never raises
        option = f" --file {path}" if file else ""
        raise ConfigurationError(
            f"{path} is there already and stays as it is. To add an alias: llmring bind ALIAS provider:model. "
            f"To replace it, and keep it as {backup(path).name}: llmring lock init{option} --force"
        )
    with working("Looking around"):
        found = look()
    if any(it.standing.keyring.waits for it in found):
        note(KEYRING_WAITS)
    text = render(found, as_json=path.suffix == ".json")
    copies = Copies(path, text.encode(), render([]).encode())
    with working(f"Writing {path.name}"):
        lockfile = create(path, text, force=force, keep=copies)
        schema = _write_schema(path)
    kept = copies.kept
    if as_json:
        _say_written(path, kept, lockfile)
        return
    _report(found)
    tell()
    tell(f"{paint('Wrote', bold=True, err=True)} {path.absolute()}{_with(schema)}")
    if kept:
        tell(f"{paint('Kept', bold=True, err=True)} what was there as {kept.absolute()}")
    used = find_lockfile()
    if used is None or used.resolve() != path.resolve():
        tell(f"It is not the lockfile of this folder. To use it: export LLMRING_LOCKFILE_PATH={path.absolute()}")
    _advise(found)


def _say_written(path: Path, kept: Path | None, lockfile: Lockfile) -> None:
    say_json(
        {
            "file": str(path.absolute()),
            "kept_as": None if kept is None else str(kept.absolute()),
            "profile": lockfile.default_profile,
            "aliases": {alias: list(it.models) for alias, it in lockfile.profile().bindings.items()},
        }
    )


def _write_schema(path: Path) -> Path | None:
    """Writes the schema that the new file names beside it. A file of that name that is no such is kept, with a warning.

    Returns:
        Where it is; `None` where it could not be written.
    """
    from ...lockfile.schema import write_beside

    try:
        return write_beside(path)
    except LLMRingError as error:
        warn(str(error))
        return None


def _with(schema: Path | None) -> str:
    return "" if schema is None else f", and {schema.name}, with which editors check it"


def _report(found: list[Found]) -> None:
    from ..template import PURPOSE, bound

    tell(paint("Found", bold=True, err=True))
    tell(columns([(one.standing.name, one.state) for one in found], indent="  "))
    bindings = bound(found)
    tell()
    if not bindings:
        tell("Nothing to bind yet; the file says how to go on.")
        return
    tell(paint("Bound", bold=True, err=True))
    rows = []
    for role, (first, *rest) in bindings.items():
        rows += [(role, PURPOSE[role]), ("", f"{first}{_price(first)}")]
        rows += [("", f"stand-by: {', '.join(rest)}")] if rest else []
    tell(columns(rows, indent="  "))
    tell(
        "These are the vendors' current models for the purpose. SDKs that are installed come first, local servers last;"
    )
    tell("to change that, edit the file or use llmring bind.")


def _price(reference: str) -> str:
    from ...catalog import model_info

    info = model_info(reference)
    if info.input_price is None or info.output_price is None:
        return ""
    return f" ({dollars(info.input_price)} in, {dollars(info.output_price)} out for a million tokens)"


def _advise(found: list[Found]) -> None:
    from ...providers.packages import how_to_install

    ready = [one.standing for one in found if one.models]
    steps = [how_to_install(it) for it in dict.fromkeys(one.package for one in ready if one.version is None)]
    if ready:
        steps.append('llmring chat "Hello" --model fast')
    else:
        steps.append("export ANTHROPIC_API_KEY=...   (or another of the variables above), or start Ollama")
        steps.append("llmring lock init --force")
    tell()
    tell(paint("Next", bold=True, err=True))
    tell("\n".join(f"  {step}" for step in steps))
