"""`llmring trust`: the user's word on where a lockfile has secrets sent."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ..exceptions import ConfigurationError, LLMRingError, LockfileNotFoundError
from ..lockfile import find_lockfile, load
from ..references import escaped
from . import trusted
from .project import argument, lockfile_path
from .terminal import columns, confirm, note, say, say_json
from .trusted import Entry, lapsed


def trust(
    file: Annotated[Path | None, argument("FILE", "The lockfile, instead of this folder's.")] = None,
    every: Annotated[bool, typer.Option("--list", help="Show what is trusted.")] = False,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take it back.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Agree without being asked.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Agree to where the lockfile has your secrets sent.

    A lockfile may come with somebody else's repository, and it chooses addresses and the variables that go there. A
    command sends a secret (a key, a variable that api_key_env or a header names) to such an address only after this;
    on a terminal it asks by itself. This machine and a vendor's own hosts need none. It holds until what the file says
    of providers changes. In CI, LLMRING_TRUST=1 trusts the file of one run.

    \b
    Example:
      llmring trust
      llmring trust --list
      llmring trust --revoke
    """
    if every and revoke:
        raise typer.BadParameter("take one of --list and --revoke", param_hint="--list")
    if every:
        _list(trusted.entries(), as_json=as_json)
        return
    path = file or (_path_to_revoke() if revoke else lockfile_path())
    try:
        _revoke(path, as_json=as_json) if revoke else _trust(path, yes=yes, as_json=as_json)
    except LLMRingError:
        raise  # some of which are an OSError, too
    except OSError as error:
        raise LLMRingError(
            f"{error.filename} cannot be written: {error.strerror}. To trust a file for one run: {trusted.VARIABLE}=1"
        ) from None


def _trust(path: Path, *, yes: bool, as_json: bool) -> None:
    lockfile = load(path)
    sends = trusted.away(lockfile)
    if sends and trusted.agreed(lockfile):
        trusted.show(lockfile)
        note(f"You have agreed to that already. To take it back: {_command('--revoke', path)}")
    elif sends:
        trusted.show(lockfile)
        if not yes:
            confirm("Do you trust it with that?", otherwise="llmring trust --yes")
        trusted.keep(lockfile)
        note(
            f"Trusted, until what it says of providers changes. To take it back: {_command('--revoke', path)}",
            dim=False,
        )
    else:
        note(f"{path} has no secret sent to an address of its choice, so there is nothing to agree to.")
    if as_json:
        say_json({"file": str(path), "trusted": bool(sends), "sends": trusted.described(sends)})


def _path_to_revoke() -> Path:
    """The lockfile of the working directory, or what the message says for one that is gone."""
    try:
        return lockfile_path()
    except LockfileNotFoundError as error:
        here = str(Path.cwd())
        gone = [it.path for it in trusted.entries() if str(Path(it.path).parent) == here]
        named = _word(gone[0]) if gone else "FILE"
        what = str(error).partition(". To make it: ")[0]
        raise LockfileNotFoundError(
            f"{what}. For a file that is gone: llmring trust --revoke {named}. To see what is trusted: "
            "llmring trust --list"
        ) from None


def _revoke(path: Path, *, as_json: bool) -> None:
    if not trusted.forget(path):
        raise ConfigurationError(f"{path} was not trusted. To see what is: llmring trust --list")
    note(f"{path} is no longer trusted.", dim=False)
    if as_json:
        say_json({"file": str(path), "trusted": False, "sends": []})


def _command(option: str, path: Path) -> str:
    return f"llmring trust {option}" + ("" if find_lockfile() == path else f" {_word(str(path))}")


def _word(path: str) -> str:
    """A path, however long, as a shell takes it; a stand-in for one that would steer the terminal."""
    return shlex.quote(path) if escaped(path) == path else "FILE"


def _list(found: list[Entry], *, as_json: bool) -> None:
    states = [lapsed(it) for it in found]
    if as_json:
        say_json([asdict(it) | {"holds": why is None, "why": why} for it, why in zip(found, states, strict=True)])
        return
    if not found:
        note("Nothing is trusted.")
    for entry, why in zip(found, states, strict=True):
        say(f"{escaped(entry.path)} (since {escaped(entry.since)}{f'; holds no longer: {why}' if why else ''})")
        rows = [[escaped(f"{it.get(key)}") for key in ("host", "secret", "provider")] for it in entry.sends]
        say(columns(rows, indent="  "))
