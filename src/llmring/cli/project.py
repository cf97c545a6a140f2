"""The lockfile that a command is about, and the options that choose it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..exceptions import AliasNotFoundError, LockfileError, LockfileNotFoundError
from . import completion
from .terminal import warn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..lockfile import Binding, Lockfile, Profile

__all__ = ["ProfileOption", "WrittenOption", "bindings_in", "default_model", "lockfile_path", "open_lockfile"]

_PREFERRED = ("chatbot", "balanced")

ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile",
        "-p",
        metavar="NAME",
        envvar="LLMRING_PROFILE",
        help="Instead of the file's default profile.",
        autocompletion=completion.profiles,
    ),
]

WrittenOption = Annotated[bool, typer.Option("--json", help="Print what was written, as one JSON object.")]


def lockfile_path() -> Path:
    """The lockfile of the working directory.

    Raises:
        LockfileNotFoundError: there is none.
    """
    from ..lockfile import find_lockfile
    from ..lockfile.discovery import none_found

    path = find_lockfile()
    if path is None:
        raise LockfileNotFoundError(f"{none_found()}. To make it: llmring lock init")
    return path


def open_lockfile() -> Lockfile:
    """The lockfile of the working directory, read."""
    from ..lockfile import load

    return load(lockfile_path())


def bindings_in(lockfile: Lockfile, profile: Profile) -> Mapping[str, Binding]:
    """A profile's aliases, and those of the packages that the file extends; where one cannot be read, a warning."""
    if not lockfile.extends:
        return profile.bindings
    from ..lockfile import reachable

    try:
        return reachable(lockfile, profile.name)
    except LockfileError as error:
        warn(str(error))
        return profile.bindings


def default_model(profile: str | None) -> str:
    """The alias that is asked where none is named: chatbot, else balanced, else the first.

    Args:
        profile: instead of the file's default profile.

    Raises:
        LockfileError: there is no lockfile, or the profile binds nothing.
    """
    lockfile = open_lockfile()
    bindings = bindings_in(lockfile, lockfile.profile(profile))
    for alias in (*_PREFERRED, *bindings):
        if alias in bindings:
            return alias
    raise AliasNotFoundError(
        f"{lockfile.path} binds no alias to ask. Bind one: llmring bind chatbot provider:model, "
        "or name a model: llmring chat --model provider:model",
        path=lockfile.path,
    )
