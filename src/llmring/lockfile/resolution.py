"""From a name to the binding that serves it: the profile's own aliases, those of packages, `provider:model`."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from llmring.exceptions import AliasNotFoundError, LockfileError, LockfileNotFoundError

from .checks import shown
from .discovery import FILE_NAME
from .model import Binding, Lockfile, split_reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["nearest", "package_lockfile", "reachable", "resolve"]


def resolve(lockfile: Lockfile | None, name: str, profile: str | None = None) -> Binding:
    """Who serves a name.

    An alias of the profile comes first (it may hold a colon: `somelib:summarizer` overrides that library's), then
    an alias that a package of `[extends]` ships, then `provider:model`.

    Args:
        lockfile: `None` where there is none; `provider:model` needs none.
        profile: `None` is the file's default profile.

    Returns:
        A binding whose `alias` is the name as it was given.

    Raises:
        AliasNotFoundError: the name is none of these; the message has the nearest names and the command to run.
        ConfigurationError: no such profile, or a malformed `provider:model`.
        LockfileNotFoundError: an alias was asked for, and there is no lockfile.
        LockfileError: the package is not installed or ships no lockfile.
    """
    if lockfile is not None:
        chosen = lockfile.profile(profile)
        binding = chosen.bindings.get(name)
        if binding is not None:
            return binding
        package, _, alias = name.partition(":")
        if package in lockfile.extends:
            return _extended(lockfile, package, alias, chosen.name)
    if ":" in name:
        split_reference(name)
        return Binding(name, (name,))
    if lockfile is None:
        raise LockfileNotFoundError(
            f"The alias {shown(name)} needs a lockfile, and there is no {FILE_NAME} in {os.getcwd()} "
            "or a folder above it. To make one: llmring lock init. Or name a model directly, as provider:model"
        )
    raise _unknown(lockfile, name, chosen.name)


def reachable(lockfile: Lockfile, profile: str | None = None) -> dict[str, Binding]:
    """Every alias that resolves in a profile: its own, then those of packages as `package:alias`.

    Raises:
        ConfigurationError: there is no such profile.
        LockfileError: a package is not installed or ships no valid lockfile.
    """
    chosen = lockfile.profile(profile)
    found = dict(chosen.bindings)
    for package in lockfile.extends:
        for alias, binding in _shipped(package, chosen.name).items():
            found.setdefault(f"{package}:{alias}", _named(binding, f"{package}:{alias}"))
    return found


@cache
def package_lockfile(package: str) -> Lockfile:
    """The lockfile that an installed package ships, read once. The package is not imported.

    Args:
        package: the name that is imported (dotted, if the file lies further in), or that of the distribution.

    Raises:
        LockfileError: the package is not installed, or has no `llmring.lock` in its folder.
        LockfileParseError, LockfileVersionError: it is not valid.
    """
    from .reading import load

    is_installed = False
    for folder in _folders(package):
        is_installed = True
        if (folder / FILE_NAME).is_file():
            return load(folder / FILE_NAME)
    if is_installed:
        raise LockfileError(
            f'[extends] names the package "{package}", which is installed but ships no {FILE_NAME}. '
            "Take it out of [extends], or install a version that has one"
        )
    raise LockfileError(
        f'[extends] names the package "{package}", which is not installed here. '
        f"Install it (pip install {package}), or take it out of [extends]"
    )


def nearest(name: str, names: Iterable[str]) -> str:
    """`". Did you mean ...?"`, or nothing where no name is near."""
    from difflib import get_close_matches

    close = [f'"{other}"' for other in get_close_matches(name, list(names), n=3, cutoff=0.6)]
    return f". Did you mean {' or '.join(close)}?" if close else "."


def _extended(lockfile: Lockfile, package: str, alias: str, profile: str) -> Binding:
    shipped = _shipped(package, profile)
    name = f"{package}:{alias}"
    if alias in shipped:
        return _named(shipped[alias], name)
    raise AliasNotFoundError(
        f'The package "{package}" ships no alias {shown(alias)}{nearest(alias, shipped)} '
        f"It has: {', '.join(shipped) or 'none'}. To bind it here: llmring bind {_word(name)} provider:model",
        path=lockfile.path,
    )


def _shipped(package: str, profile: str) -> dict[str, Binding]:
    """A package's aliases: those of its profile of that name, and of its default profile what that one leaves out."""
    shipped = package_lockfile(package)
    default = shipped.profile()
    return {**default.bindings, **shipped.profiles.get(profile, default).bindings}


def _named(binding: Binding, name: str) -> Binding:
    return Binding(name, binding.models, binding.params, binding.constraints, binding.extra)


def _unknown(lockfile: Lockfile, name: str, profile: str) -> AliasNotFoundError:
    try:
        names = list(reachable(lockfile, profile))
    except LockfileError:
        names = list(lockfile.profile(profile).bindings)
    elsewhere = [other.name for other in lockfile.profiles.values() if name in other.bindings]
    hint = f" It is bound in: {', '.join(elsewhere)}." if elsewhere else ""
    option = "" if profile == lockfile.default_profile else f" --profile {profile}"
    return AliasNotFoundError(
        f'No alias {shown(name)} in the profile "{profile}" of {lockfile.path or "the lockfile"}{nearest(name, names)}'
        f"{hint} To bind it: llmring bind {_word(name)} provider:model{option}. "
        "A model is named directly as provider:model",
        path=lockfile.path,
    )


def _word(name: str) -> str:
    """A name as a command to copy has it, unless it is better not repeated."""
    return name if shown(name) == f'"{name}"' else "ALIAS"


def _folders(package: str) -> Iterator[Path]:
    """Where a package lies: by the name it is imported by, else by the name of its distribution."""
    top, _, rest = package.partition(".")
    found = False
    for name in dict.fromkeys((top, top.replace("-", "_"))):
        for folder in _import_folders(name):
            found = True
            yield folder.joinpath(*rest.split(".")) if rest else folder
    if not found:
        yield from _distribution_folders(package)


def _import_folders(name: str) -> list[Path]:
    """The folders of a top-level package. Finding its spec does not import it."""
    from importlib.util import find_spec

    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return []
    return [Path(folder) for folder in (spec and spec.submodule_search_locations) or []]


def _distribution_folders(name: str) -> Iterator[Path]:
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        found = distribution(name)
    except (PackageNotFoundError, ValueError):
        return
    for file in found.files or []:
        if file.name == FILE_NAME:
            yield Path(str(found.locate_file(file))).parent
    for top in (found.read_text("top_level.txt") or "").split():
        yield from _import_folders(top)
