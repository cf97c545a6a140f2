"""`llmring template list` and `show`: the templates that `llmring chat --template` takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from ..exceptions import ConfigurationError, LockfileNotFoundError
from ..lockfile import find_lockfile
from ..lockfile.files import plain
from ..templates import FOLDER, Template, folder_of, listed, read
from .project import argument, lockfile_path
from .terminal import note, say, say_json, say_table, warn


def chosen(name: str) -> Template:
    """The template that was asked for.

    Raises:
        ConfigurationError: there is none, or it is broken.
    """
    if (lockfile := find_lockfile()) is None:
        raise LockfileNotFoundError(
            f"A template stands beside the lockfile, in {FOLDER}, and there is no lockfile here"
        )
    return read(lockfile, name)


def values_of(pairs: Sequence[Any]) -> dict[str, str]:
    """What `--var NAME VALUE` said."""
    for name, _ in pairs:
        if name == "input":
            raise typer.BadParameter("the input is the prompt itself, or what comes through a pipe", param_hint="--var")
    return dict(pairs)


def list_templates(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the templates beside the lockfile.

    A template is a file llmring.templates/NAME.toml beside the lockfile: a prompt, with $input for what is asked and
    $names of its own, a system prompt, a model, params, and defaults of its names. It is looked over as the lockfile
    is; lock check checks it. It sets no vendor's own parameters, and has nothing sent anywhere but to its model.

    \b
    Example:
      llmring template list
      llmring template list --json
    """
    path = lockfile_path()
    found: list[dict[str, Any]] = []
    for name in listed(path):
        try:
            found.append(_described(read(path, name)))
        except ConfigurationError as error:
            warn(str(error))
    if as_json:
        say_json(found)
        return
    if not found:
        note(f"There is no template in {folder_of(path)}. One is a file such as {FOLDER}/translate.toml:")
        note('  prompt = "Translate into $language: $input"\n  defaults = { language = "French" }', dim=False)
        return
    rows = [(it["name"], it["model"] or "", ", ".join(it["names"]), it["description"] or "") for it in found]
    say_table([("TEMPLATE", "MODEL", "NAMES", "WHAT IT IS FOR"), *rows])


def show(
    name: Annotated[str, argument("NAME", "The template.", "templates")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a template as its file has it.

    \b
    Example:
      llmring template show translate
    """
    found = read(lockfile_path(), name)
    if as_json:
        say_json(_described(found))
        return
    note(str(found.path))
    say(plain(found.path).decode().rstrip())


def _described(template: Template) -> dict[str, Any]:
    return asdict(template) | {"path": str(template.path), "names": template.names}
