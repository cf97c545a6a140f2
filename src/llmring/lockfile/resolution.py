"""From a name to the binding that serves it: the profile's own aliases, those of packages, `provider:model`."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from ..exceptions import AliasNotFoundError, LockfileError, LockfileNotFoundError
from ..references import alike, bind_command, shown, split_reference
from . import extends
from .files import none_found
from .model import Binding, Lockfile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .model import Profile

_NAMED = 10
"""Aliases that a message lists; of more it says how many."""

__all__ = ["bound", "fits", "listed", "nearest", "reachable", "resolve", "stated"]


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
        AliasNotFoundError: the name is none of these; the message has the nearest names, what is bound, and the
            command to run.
        ConfigurationError: no such profile, or a malformed `provider:model`.
        LockfileNotFoundError: an alias was asked for, and there is no lockfile.
        LockfileError: the package is not installed or ships no lockfile.
    """
    if lockfile is not None and (binding := bound(lockfile, name, profile)) is not None:
        return binding
    if ":" in name:
        split_reference(name)
        return Binding(name, (name,))
    if lockfile is None:
        missing = LockfileNotFoundError(
            f"The alias {shown(name)} needs a lockfile. {none_found()}. To make one: llmring lock init. "
            "Or name a model directly, as provider:model"
        )
        missing.alias = name
        raise missing
    raise _unknown(lockfile, name, lockfile.profile(profile).name)


def bound(lockfile: Lockfile, name: str, profile: str | None = None) -> Binding | None:
    """Who serves an alias of a profile or of a package, `None` where the name is neither's.

    Args:
        profile: `None` is the file's default profile.

    Raises:
        AliasNotFoundError: a package of `[extends]` ships no alias of that name.
        ConfigurationError: there is no such profile.
        LockfileError: the package is not installed or ships no lockfile.
    """
    chosen = lockfile.profile(profile)
    binding = chosen.bindings.get(name)
    if binding is not None:
        return binding
    listed = extends.as_listed(lockfile, name)
    return _extended(lockfile, name, listed, chosen) if listed.partition(":")[0] in lockfile.extends else None


def reachable(lockfile: Lockfile, profile: str | None = None) -> dict[str, Binding]:
    """Every alias that resolves in a profile: its own, then those of packages as `package:alias`.

    Raises:
        ConfigurationError: there is no such profile.
        LockfileError: a package is not installed or ships no valid lockfile.
    """
    chosen = lockfile.profile(profile)
    found = dict(chosen.bindings)
    own = {extends.as_listed(lockfile, alias): binding for alias, binding in found.items()}
    for package in lockfile.extends:
        for alias, binding in extends.shipped(package, chosen.name).items():
            name = f"{package}:{alias}"
            found.setdefault(name, replace(own.get(name, binding), alias=name))
    return found


def stated(lockfile: Lockfile | None, reference: str) -> Mapping[str, Any]:
    """What a lockfile says that a `provider:model` can do, by the names of `vendors.FACTS`.

    Of several patterns that it fits, the more exact one counts, for each fact by itself: the model's own name, else the
    one with more letters that are given.
    """
    tables = lockfile.models if lockfile is not None else {}
    fitting = sorted(
        (it for it in tables if fits(it, reference)), key=lambda it: ("*" not in it, len(it) - it.count("*"))
    )
    return {name: fact for it in fitting for name, fact in tables[it].facts.items()}


def fits(pattern: str, reference: str) -> bool:
    """Whether a `provider:model` fits a pattern, in which `*` stands for any letters, or for none."""
    # Not by `.*` of our own for each: many of them would try each other's letters for minutes.
    return fnmatchcase(reference, pattern.replace("[", "[[]").replace("?", "[?]"))


def listed(aliases: Iterable[str]) -> str:
    """Aliases for a message, and how many more there are where they are many."""
    names = [shown(alias) for alias in aliases]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more or "no alias"


def nearest(name: str, names: Iterable[str]) -> str:
    """`". Did you mean ...?"`, or nothing where no name is near."""
    close = [f'"{other}"' for other in alike(name, names, 3)]
    return f". Did you mean {' or '.join(close)}?" if close else "."


def _extended(lockfile: Lockfile, name: str, listed: str, profile: Profile) -> Binding:
    """The binding of a package's alias, which the profile may override under the package's other name."""
    for own in profile.bindings.values():
        if extends.as_listed(lockfile, own.alias) == listed:
            return replace(own, alias=name)
    package, _, alias = listed.partition(":")
    aliases = extends.shipped(package, profile.name)
    if alias in aliases:
        return replace(aliases[alias], alias=name)
    raise AliasNotFoundError(
        f'The package "{package}" ships no alias {shown(alias)}{nearest(alias, aliases)} '
        f"It has: {', '.join(aliases) or 'none'}. To bind it here: {bind_command(name)}",
        path=lockfile.path,
    )


def _unknown(lockfile: Lockfile, name: str, profile: str) -> AliasNotFoundError:
    try:
        names = list(reachable(lockfile, profile))
    except LockfileError:
        names = list(lockfile.profile(profile).bindings)
    elsewhere = [other.name for other in lockfile.profiles.values() if name in other.bindings]
    hint = f" It is bound in: {', '.join(elsewhere)}." if elsewhere else ""
    command = bind_command(name, None if profile == lockfile.default_profile else profile)
    error = AliasNotFoundError(
        f'No alias {shown(name)} in the profile "{profile}" of {lockfile.path or "the lockfile"}{nearest(name, names)} '
        f"It binds {listed(names)}.{hint} To bind it: {command}. "
        "A model is named directly as provider:model",
        path=lockfile.path,
    )
    error.alias = name
    return error
