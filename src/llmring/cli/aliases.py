"""`llmring aliases` and `llmring lock profile`: what is bound, and the profiles that it is bound in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from .. import lockfile as lockfiles
from ..lockfile import Binding, Lockfile, Profile
from .policies import policy_words
from .project import (
    ProfileOption,
    WrittenOption,
    argument,
    bindings_in,
    lockfile_path,
    open_lockfile,
    params_data,
    params_of,
)
from .terminal import again, columns, confirm, note, say, say_json, say_table, working


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
        firsts = {alias: it.models[0] for alias, it in bindings.items()}
        say_json(data_of(lockfile, chosen, bindings) if verbose else firsts)
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
        said = [params_of(binding), *(f"{name} {words}" for name, words in policy_words(binding).items())]
        rows.append((alias, binding.models[0], ", ".join(binding.models[1:]), "; ".join(filter(None, said))))
    say_table(rows if verbose else [row[:2] for row in rows])


def data_of(lockfile: Lockfile, chosen: Profile, bindings: Mapping[str, Binding]) -> dict[str, Any]:
    """A profile's aliases, as `--verbose --json` prints them."""
    return {
        "file": str(lockfile.path),
        "profile": chosen.name,
        "profiles": list(lockfile.profiles),
        "aliases": {
            alias: {"model": it.models[0], "stand_bys": list(it.models[1:]), **params_data(it)}
            for alias, it in bindings.items()
        },
    }


Name = Annotated[str, argument("NAME", "The profile.", "profiles")]


def list_profiles(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List the profiles and what they bind.

    \b
    Example:
      llmring lock profile list
      llmring lock profile list --json | jq -r '.profiles[].name'
    """
    lockfile = open_lockfile()
    if as_json:
        described = {
            "file": str(lockfile.path),
            "default_profile": lockfile.default_profile,
            "profiles": [{"name": name, "aliases": list(it.bindings)} for name, it in lockfile.profiles.items()],
        }
        say_json(described)
        return
    rows = [("PROFILE", "", "ALIASES")]
    for name, profile in lockfile.profiles.items():
        mark = "default" if name == lockfile.default_profile else ""
        rows.append((name, mark, ", ".join(profile.bindings) or "none"))
    say_table(rows)


def add(name: Name, as_json: WrittenOption = False) -> None:
    """Add a profile without bindings.

    `llmring bind ALIAS MODEL --profile NAME` makes the profile too, if it is not there yet.

    \b
    Example:
      llmring lock profile add staging
      llmring lock profile add staging --json
    """
    path = lockfile_path()
    with working(f"Writing {path.name}"):
        lockfile = lockfiles.add_profile(path, name)
    done = f'Added the profile "{name}" to {lockfile.path}. To bind in it: llmring bind ALIAS MODEL --profile {name}'
    _say_written(lockfile, name, done, as_json=as_json)


def copy(
    source: Annotated[str, argument("FROM", "The profile to copy.", "profiles")],
    name: Annotated[str, argument("TO", "The new profile.")],
    as_json: WrittenOption = False,
) -> None:
    """Copy a profile with all that it binds.

    \b
    Example:
      llmring lock profile copy default staging
      llmring lock profile copy default staging --json
    """
    path = lockfile_path()
    with working(f"Writing {path.name}"):
        lockfile = lockfiles.copy_profile(path, source, name)
    _say_written(lockfile, name, f'Copied the profile "{source}" to "{name}" in {lockfile.path}', as_json=as_json)


def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    as_json: WrittenOption = False,
) -> None:
    """Remove a profile with all that it binds.

    Asks before bindings are lost; with no terminal to ask on, only --yes removes them. The default profile stays.

    \b
    Example:
      llmring lock profile remove staging
      llmring lock profile remove staging --yes --json
    """
    path = lockfile_path()
    lockfile = lockfiles.load(path)
    bindings = lockfile.profile(name).bindings
    if bindings and name != lockfile.default_profile and not yes:
        listed = ", ".join(bindings)
        confirm(
            f'Remove the profile "{name}", which binds {listed}?', otherwise=again("lock", "profile", "remove", name)
        )
    with working(f"Writing {path.name}"):
        lockfile = lockfiles.remove_profile(path, name)
    _say_written(lockfile, name, f'Removed the profile "{name}" from {lockfile.path}', as_json=as_json)


def _say_written(lockfile: Lockfile, name: str, done: str, *, as_json: bool) -> None:
    """What was done; for a program, what the profile is now: `null` for its aliases where it is gone."""
    if not as_json:
        note(done, dim=False)
        return
    profile = lockfile.profiles.get(name)
    say_json(
        {
            "file": str(lockfile.path),
            "profile": name,
            "aliases": None if profile is None else list(profile.bindings),
            "profiles": list(lockfile.profiles),
        }
    )
