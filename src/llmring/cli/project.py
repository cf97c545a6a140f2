"""The lockfile that a command is about, and the options that choose it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import lockfile as lockfiles
from ..exceptions import AliasNotFoundError, LockfileError, LockfileNotFoundError
from ..lockfile import Binding, Lockfile, Profile, find_lockfile, load
from ..lockfile.files import none_found
from .policies import policy_data
from .terminal import warn

_PREFERRED = ("chatbot", "balanced")


def offers(kind: str) -> Callable[[typer.Context, str], list[str]]:
    """What completes a word: a function of `completion`, which is loaded when the shell asks."""

    def offer(ctx: typer.Context, incomplete: str) -> list[str]:
        offered: list[str] = getattr(import_module(".completion", __package__), kind)(ctx, incomplete)
        return offered

    return offer


def argument(metavar: str, says: str, kind: str | None = None) -> Any:
    """An argument of a command: how the help calls it, what it is for, and what completes it."""
    offered = offers(kind) if kind is not None else None
    return typer.Argument(metavar=metavar, help=says, show_default=False, autocompletion=offered)


ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile",
        "-p",
        metavar="NAME",
        envvar="LLMRING_PROFILE",
        help="Instead of the file's default profile.",
        autocompletion=offers("profiles"),
    ),
]

WrittenOption = Annotated[bool, typer.Option("--json", help="Print what was written, as one JSON object.")]


def lockfile_path() -> Path:
    """The lockfile of the working directory, which is there."""
    path = find_lockfile()
    if path is None:
        raise LockfileNotFoundError(f"{none_found()}. To make it: llmring lock init")
    return path


def open_lockfile() -> Lockfile:
    """The lockfile of the working directory, read."""
    return load(lockfile_path())


def lockfile_if_any() -> Lockfile | None:
    """The lockfile of the working directory, read; `None` where there is none."""
    path = find_lockfile()
    try:
        return load(path) if path is not None else None
    except LockfileNotFoundError:
        return None


def bindings_in(lockfile: Lockfile, profile: Profile, *, quietly: bool = False) -> Mapping[str, Binding]:
    """A profile's aliases, and those of the packages that the file extends; where one cannot be read, a warning."""
    if not lockfile.extends:
        return profile.bindings
    try:
        return lockfiles.reachable(lockfile, profile.name)
    except LockfileError as error:
        if not quietly:
            warn(str(error))
        return profile.bindings


def params_of(binding: Binding) -> str:
    """What a binding says besides its models, on one line."""
    said = [f"{name} = {value!r}" for name, value in binding.params.items()]
    return ", ".join(said + ([f"tools = {binding.tools!r}"] if binding.tools is not None else []))


def params_data(binding: Binding) -> dict[str, Any]:
    """The same for `--json`."""
    tools = {"tools": binding.tools} if binding.tools is not None else {}
    return {"params": dict(binding.params)} | tools | policy_data(binding)


def default_model(profile: str | None) -> str:
    """The alias that is asked where none is named: chatbot, else balanced, else the first."""
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
