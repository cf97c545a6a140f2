"""`llmring aliases`: what is bound."""

from __future__ import annotations

from typing import Annotated

import typer

from .project import ProfileOption, bindings_in, open_lockfile
from .terminal import columns, note, say, say_json, say_table


def list_aliases(
    profile: ProfileOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Stand-bys, params, profile and file too.")] = False,
) -> None:
    """Show which model serves which alias.

    With --json, an object of the models by alias; with --verbose too, an object that says everything.

    \b
    Example:
      llmring aliases
      llmring aliases --profile dev --verbose
      llmring aliases --json | jq -r .chatbot
    """
    lockfile = open_lockfile()
    chosen = lockfile.profile(profile)
    bindings = bindings_in(lockfile, chosen)
    if as_json:
        described = {
            "file": str(lockfile.path),
            "profile": chosen.name,
            "profiles": list(lockfile.profiles),
            "aliases": {
                alias: {"model": it.models[0], "stand_bys": list(it.models[1:]), "params": dict(it.params)}
                for alias, it in bindings.items()
            },
        }
        say_json(described if verbose else {alias: it.models[0] for alias, it in bindings.items()})
        return
    if verbose:
        say(columns([("File", str(lockfile.path)), ("Profile", f"{chosen.name} (of {', '.join(lockfile.profiles)})")]))
        say()
    if not bindings:
        note(
            f'No aliases in the profile "{chosen.name}" of {lockfile.path}. Bind one: llmring bind ALIAS provider:model'
        )
        return
    rows = [("ALIAS", "MODEL", "STAND-BYS", "PARAMS")]
    for alias, binding in bindings.items():
        params = ", ".join(f"{name} = {value!r}" for name, value in binding.params.items())
        rows.append((alias, binding.models[0], ", ".join(binding.models[1:]), params))
    say_table(rows if verbose else [row[:2] for row in rows])
